"""The model's part: an answer that is verified while it streams, and the tools that are called for it."""

import hashlib
from contextlib import aclosing
from typing import Literal

import structlog
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from agent import metrics
from agent.llm import Finished, ModelUnavailable, Text, stream_model
from agent.nodes.common import Run, phrase, step
from agent.prompting import Turn, build_messages, render_passages
from agent.state import GraphContext, TurnState
from kbs.passages import Passage, Source
from memory.models import new_id
from memory.tenancy import Role
from tools import catalog
from tools.escalation_policy import decide

log = structlog.get_logger()
MAX_ROUNDS = 4
"""Model calls of one turn; tools are called between them."""


async def respond(state: TurnState, runtime: Run) -> TurnState:
    """One call of the model, its text verified and released as it comes; ends with an answer or with tool calls."""
    context, answer = runtime.context, runtime.context.answer
    passages = state["passages"]
    messages = state.get("messages") or _messages(state, context)
    tools = [tool.schema() for tool in catalog.tools_for(context.turn.principal.role)]
    finished: Finished | None = None
    said: list[str] = []
    async with step(context, "respond"):
        try:
            stream = stream_model(context.models.answer, messages, tools=tools, deadline_s=context.deadline_s)
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
            return await _model_failed(state, context)
    assert finished is not None  # a stream ends with one
    metrics.model_requests_total.labels("answer", finished.finish).inc()
    _count_tokens(finished)
    if finished.tool_calls and state["rounds"] + 1 < MAX_ROUNDS:
        await answer.flush(passages)
        return {
            "messages": [*messages, _asked(said, finished)],
            "calls": finished.tool_calls,
            "rounds": state["rounds"] + 1,
        }
    if finished.finish in ("length", "truncated"):
        answer.discard()
        return await _model_failed(state, context)
    await answer.flush(passages)
    return await _concluded(state, context)


async def use_tools(state: TurnState, runtime: Run) -> TurnState:
    """Run what the model asked for, as the turn's own customer, one after the other."""
    context = runtime.context
    results: list[BaseMessage] = []
    passages, escalated = state["passages"], False
    for call in state["calls"]:
        context.turn.tell("tool.started", {"name": call.name})
        outcome = await catalog.call(context.turn, call.name, call.arguments)
        metrics.tool_calls_total.labels(_known(call.name), "ok" if outcome.ok else "failed").inc()
        context.turn.tell("tool.finished", {"name": call.name, "ok": outcome.ok})
        context.answer.told.append(_as_evidence(call.name, outcome.text))
        new = tuple(found for found in outcome.passages if all(found.id != passage.id for passage in passages))
        results.append(ToolMessage(_tool_text(outcome, len(passages), new), tool_call_id=call.id))
        passages += new
        escalated = escalated or outcome.escalated
    update: TurnState = {"messages": [*state["messages"], *results], "passages": passages, "calls": ()}
    if escalated:
        update["outcome"] = "escalated"
    return update


def after_respond(state: TurnState) -> Literal["tools", "escalate", "remember"]:
    if state.get("calls"):
        return "tools"
    return "escalate" if state["decision"].escalate and state.get("outcome") != "escalated" else "remember"


async def _model_failed(state: TurnState, context: GraphContext) -> TurnState:
    """What came stays and is marked; the customer is told; the second time in a row a person is asked for."""
    answer = context.answer
    answer.discard()
    await answer.say(phrase(state, "broken_off" if answer.text.strip() else "model_away"))
    answer.incomplete = True
    decision = decide(
        wants_human=False, verdict=state["verdict"], failed_attempts=state.get("failed_attempts", 0) + 1,
        severity=state["classification"].severity, tier=state["classification"].tier, sensitive=False, answerable=False,
        confidence_level=state["confidence"].level, handoff_open=context.waiting_ticket is not None,
    )  # fmt: skip
    return {"outcome": "model_failed", "decision": decision, "calls": ()}


async def _concluded(state: TurnState, context: GraphContext) -> TurnState:
    """An answer stands when something was cited or said; where nothing survived verification, an honest no does."""
    answer = context.answer
    if not answer.text.strip():
        await answer.say(phrase(state, "no_answer"))
        return {"outcome": "honest_no", "calls": ()}
    if state.get("outcome") == "escalated":
        return {"calls": ()}
    return {"outcome": "answered" if answer.cited or state["rounds"] else "honest_no", "calls": ()}


def _messages(state: TurnState, context: GraphContext) -> list[BaseMessage]:
    history = [Turn(author=message.author, text=message.content) for message in context.history]  # type: ignore[arg-type]
    recollection = state["recollection"]
    learned = [p for p in state["retrieved"].passages if p.source in (Source.EXAMPLE, Source.CORRECTION)]
    return build_messages(
        context.prompt, passages=state["passages"], history=history, question=context.question,
        facts=recollection.facts, summary=recollection.summary or None, notes=[p.text for p in learned],
        language=state["classification"].language,
    )  # fmt: skip


def _asked(said: list[str], finished: Finished) -> AIMessage:
    calls = [{"name": c.name, "args": c.arguments, "id": c.id, "type": "tool_call"} for c in finished.tool_calls]
    return AIMessage("".join(said), tool_calls=calls)


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
    """A model may invent names; a metric's label may not."""
    return name if any(tool.name == name for tool in catalog.tools_for(Role.ADMIN)) else "unknown"


def _count_tokens(finished: Finished) -> None:
    metrics.tokens_total.labels("answer", "input").inc(finished.input_tokens)
    metrics.tokens_total.labels("answer", "output").inc(finished.output_tokens)
