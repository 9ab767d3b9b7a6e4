"""The model's part: an answer that is verified while it streams, and the tools that are called for it."""

import hashlib
from contextlib import aclosing
from dataclasses import replace
from typing import Literal

import structlog
from langchain_core.messages import BaseMessage, ToolMessage

from agent import metrics
from agent.answer.matters import left_open, left_open_in_chat
from agent.answer.unspoken import Unspoken
from agent.llm import Finished, ModelUnavailable, Text, ToolCall, message_of, stream_model
from agent.nodes.common import Run, step
from agent.nodes.concluding import conclude, fail
from agent.prompting import Turn, build_messages, render_passages
from agent.state import GraphContext, Tokens, TurnState
from kbs.passages import Passage, Source
from memory.models import new_id
from memory.tenancy import Role
from tools import catalog
from tools.learning.texts import staff_words

log = structlog.get_logger()
MAX_ROUNDS = 4
"""Model calls of one turn; tools are called between them, and in the last one there are none to call."""
MAX_CALLS = 5
"""Tool calls of one round; a model that asks for more is told to do with these."""
UNREAD = (
    "A file of this conversation has no text that you could read: a picture, or one that did not open. Say so if asked."
)
TOO_MANY = catalog.Outcome(text="This call was not run: too many at once. Go on with what you have.", ok=False)


async def respond(state: TurnState, runtime: Run) -> TurnState:
    """One call of the model, its text verified and released as it comes; ends with an answer or with tool calls."""
    context, answer = runtime.context, runtime.context.answer
    passages = state["passages"]
    messages = state.get("messages") or _messages(state, context)
    last = state["rounds"] + 1 >= MAX_ROUNDS
    tools = [] if last else [tool.schema() for tool in catalog.tools_for(context.turn.principal.role)]
    finished: Finished | None = None
    said: list[str] = []
    context.begun()
    async with step(context, "respond"):
        try:
            stream = stream_model(context.models.answer, messages, tools=tools, deadline_s=context.seconds_left)
            async with aclosing(stream) as parts:
                async for part in parts:
                    if isinstance(part, Text):
                        said.append(part.text)
                        await answer.feed(part.text, passages)
                    else:
                        finished = part
        except ModelUnavailable as error:
            metrics.model_requests_total.labels("answer", error.kind).inc()
            log.warning("model unavailable", kind=error.kind)
            return {**await fail(state, context), "messages": messages}
    assert finished is not None  # a stream ends with one
    metrics.model_requests_total.labels("answer", finished.finish).inc()
    spent = _count_tokens(state.get("tokens", Tokens()), finished)
    calls = tuple(replace(call, arguments=catalog.storable(call.arguments)) for call in finished.tool_calls)
    if calls and not last:
        await answer.flush(passages)
        return {
            "messages": [*messages, message_of("".join(said), calls)],
            "calls": calls,
            "rounds": state["rounds"] + 1,
            "tokens": spent,
        }
    if finished.finish in ("length", "truncated"):
        return {**await fail(state, context), "messages": messages, "tokens": spent}
    await answer.flush(passages)
    return {**await conclude(state, context), "messages": messages, "tokens": spent}


async def use_tools(state: TurnState, runtime: Run) -> TurnState:
    """Run what the model asked for, as the turn's own customer, one after the other."""
    context = runtime.context
    results: list[BaseMessage] = []
    passages = state["passages"]
    update: TurnState = {"calls": ()}
    for number, call in enumerate(state["calls"]):
        outcome = await _call(context, call) if number < MAX_CALLS else TOO_MANY
        if outcome.evidence:
            context.answer.told.append(_as_evidence(call.name, outcome.text))
        new = tuple(found for found in outcome.passages if all(found.id != passage.id for passage in passages))
        results.append(ToolMessage(_tool_text(outcome, len(passages), new), tool_call_id=call.id))
        passages += new
        if outcome.ticket:
            update["ticket"] = outcome.ticket
        if outcome.escalated:
            update["outcome"] = "escalated"
    return {**update, "messages": [*state["messages"], *results], "passages": passages}


async def _call(context: GraphContext, call: ToolCall) -> catalog.Outcome:
    name = _known(call.name)
    context.turn.tell("tool.started", {"name": name})
    outcome = await catalog.call(context.turn, call.name, call.arguments)
    metrics.tool_calls_total.labels(name, "ok" if outcome.ok else "failed").inc()
    context.turn.tell("tool.finished", {"name": name, "ok": outcome.ok})
    return outcome


def after_respond(state: TurnState) -> Literal["tools", "escalate", "__end__"]:
    if state.get("calls"):
        return "tools"
    return "escalate" if state["decision"].escalate and state.get("outcome") != "escalated" else "__end__"


def _messages(state: TurnState, context: GraphContext) -> list[BaseMessage]:
    history = [Turn(author=message.author, text=message.content) for message in context.history]  # type: ignore[arg-type]
    language = state["classification"].language
    learned = [p for p in state["retrieved"].passages if p.source in (Source.EXAMPLE, Source.CORRECTION)]
    notes = [words for passage in learned if (words := staff_words(passage.text))]
    messages = build_messages(
        context.prompt, passages=state["passages"], history=history, question=context.question,
        facts=context.facts, summary=context.session.summary or None,
        notes=[*notes, *([UNREAD] if state["files"].unread else [])], language=language,
        audience=context.turn.principal.audience, several=state.get("several"),
    )  # fmt: skip
    context.answer.own = left_open(state.get("several"), lambda text: left_open_in_chat(text, language))
    seen = (context.question, *(turn.text for turn in history if turn.author != "system"), *context.facts)
    context.answer.unspoken = Unspoken(texts=(str(messages[0].content), *notes), known=seen)
    return messages


def _as_evidence(tool: str, text: str) -> Passage:
    """A tool's words in the shape that verification reads."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Passage(
        id=new_id(), source=Source.TENANT_KB, ref=f"tool:{tool}", title="", heading="", text=text, digest=digest
    )


def _tool_text(outcome: catalog.Outcome, known: int, new: tuple[Passage, ...]) -> str:
    """The tool's words with any new passages, numbered after the ones the model has."""
    if not new:
        return outcome.text
    return f"{outcome.text}\n\n{render_passages(new, start=known + 1)}"


def _known(name: str) -> str:
    """A model may invent names; neither a metric's label nor what the customer's client is told may be invented."""
    return name if any(tool.name == name for tool in catalog.tools_for(Role.ADMIN)) else "unknown"


def _count_tokens(before: Tokens, finished: Finished) -> Tokens:
    metrics.tokens_total.labels("answer", "input").inc(finished.input_tokens)
    metrics.tokens_total.labels("answer", "output").inc(finished.output_tokens)
    return Tokens(before.input + finished.input_tokens, before.output + finished.output_tokens)
