"""The boxes of a draft: each takes what it needs from the state, calls one function, writes one finding."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Literal

import structlog
from langchain_core.messages import BaseMessage
from langgraph.runtime import Runtime

from agent import metrics
from agent.assessment import answerability, evidence
from agent.confidence import score
from agent.drafts import files, lookups
from agent.drafts.files import with_file
from agent.drafts.lessons import evidence_of, is_lesson, mistakes_in, near_lessons, notes_of
from agent.drafts.prompt import as_letter
from agent.drafts.state import DraftContext, DraftState, Steps, timed
from agent.drafts.wording import DraftWording
from agent.extractive import ExtractiveChat
from agent.llm import Finished, ModelUnavailable, Text, message_of, stream_model
from agent.prompting import build_messages
from agent.unspoken import Unspoken
from memory.errors import Unavailable
from tools import guardrails
from tools.catalog import storable
from tools.classification import classify as classify_text
from tools.classification.own import prototypes_with
from tools.intents import find_intent
from tools.tickets.opening import READ_AT_MOST

log = structlog.get_logger()
Run = Runtime[DraftContext]


async def read_files(state: DraftState, runtime: Run) -> DraftState:
    """What came with the ticket, first of all: it may say what is to be searched for."""
    request, steps = runtime.context.request, Steps()
    if not request.files:
        return {"files": files.NONE, "told_by_file": ""}
    with timed(steps, "read_files"):
        found = await files.read_files(runtime.context.parts, request)
    return {"files": found, "told_by_file": files.told_by_file(request, found), "steps": steps}


async def embed(state: DraftState, runtime: Run) -> DraftState:
    context, steps = runtime.context, Steps()
    with timed(steps, "embed"):
        vector = await context.parts.embedder.embed_query(with_file(context.query, state["told_by_file"]))
    return {"vector": vector, "steps": steps}


async def retrieve(state: DraftState, runtime: Run) -> DraftState:
    """The four sources by the tenant's ranking, and what was learned from tickets like this one."""
    context, steps, parts = runtime.context, Steps(), runtime.context.parts
    with timed(steps, "retrieve"):
        query = with_file(context.query, state["told_by_file"])
        found = await parts.retriever.search(query, context.scope, context.ranking, vector=state["vector"])
        lessons = await near_lessons(
            parts.retriever,
            parts.lesson_vectors,
            parts.database,
            context.scope,
            context.request,
            found,
            state["vector"],
        )
    steps["rerank"] = found.timings_ms.get("rank", 0.0)
    steps["retrieve"] = round(max(0.0, steps["retrieve"] - steps["rerank"]), 2)
    return {"retrieved": found, "lessons": lessons, "steps": steps}


async def classify(state: DraftState, runtime: Run) -> DraftState:
    """Intent, severity and the rest, and what the guard has against the words: both as in a conversation."""
    context, steps = runtime.context, Steps()
    asked, parts = context.request.asked, context.parts
    with timed(steps, "classify"):
        known = parts.judges.prototypes
        prototypes = await prototypes_with(parts.embedder, known, context.options.intents) if known else None
        vector = await parts.embedder.embed_query(asked)  # that of the search, unless this leans on words before
        found = classify_text(asked[:READ_AT_MOST], packs=context.packs, embedding=vector, prototypes=prototypes)
        verdict = guardrails.check_message(
            asked, role="customer", audience=context.scope.audience, rules=parts.judges.rules,
            vector=await guardrails.local_vector(parts.embedder, asked),
        )  # fmt: skip
    return {
        "classification": replace(found, language=context.request.language or found.language),
        "verdict": verdict, "steps": steps,
    }  # fmt: skip


async def assess(state: DraftState, runtime: Run) -> DraftState:
    """The confidence, and what the draft may draw on."""
    context, found, steps = runtime.context, state["classification"], Steps()
    with timed(steps, "confidence"):
        intent = find_intent(found.intent, context.packs)
        needs_tenant = bool(intent and intent.needs_tenant_knowledge)
        confidence = score(evidence(state["retrieved"], found.certainty, needs_tenant=needs_tenant))
        quotable = tuple(passage for passage in state["retrieved"].passages if passage.source.quotable)
        learned = evidence_of(state["lessons"], found.language)
        sure = answerability(with_file(context.request.asked, state["told_by_file"]), quotable)
    known = quotable if sure >= context.options.clarify_at else ()
    passages = (*known, *state["files"].passages, *learned)
    return {"confidence": confidence, "answerability": sure, "passages": passages, "steps": steps}


async def respond(state: DraftState, runtime: Run) -> DraftState:
    """The model's text, or what it wants to look up first; without a model the reply that was approved in the same
    matter, as it stands."""
    context, steps, rounds = runtime.context, Steps(state["steps"]), state.get("rounds", 0)
    tools = lookups.tools_of(context, rounds)
    messages = state.get("messages")
    if messages is None:
        with timed(steps, "prompt"):
            messages = _messages(state, context, account=bool(tools and context.account))
    model = context.parts.models.draft
    learned = next((passage for passage in state["passages"] if is_lesson(passage)), None)
    if isinstance(model, ExtractiveChat) and learned and not context.request.instruction:
        return {
            "messages": messages, "raw": learned.text, "finish": "stop", "usage": {},
            "steps": {**steps, "generate": 0.0},
        }  # fmt: skip
    with timed(steps, "generate"):
        raw, finished = await _generate(context, messages, tools)
    before = state.get("usage", {})
    usage = {
        "input": before.get("input", 0) + finished.input_tokens, "output": before.get("output", 0) + finished.output_tokens
    }  # fmt: skip
    asked_for = finished.tool_calls if tools else ()
    calls = tuple(replace(call, arguments=storable(call.arguments)) for call in asked_for)
    if calls:
        messages = [*messages, message_of(raw, calls)]
    return {
        "messages": messages, "raw": raw, "finish": finished.finish, "usage": usage, "calls": calls,
        "rounds": rounds + 1, "steps": steps,
    }  # fmt: skip


async def after_respond(state: DraftState) -> Literal["look_up", "verify"]:
    return "look_up" if state.get("calls") else "verify"


async def look_up(state: DraftState, runtime: Run) -> DraftState:
    """What the model asked for, as more of the numbered passages."""
    steps, before = Steps(state["steps"]), state.get("lookups", ())
    with timed(steps, "look_up"):
        answers, passages, found = await lookups.look_up(runtime.context, state["calls"], state["passages"], before)
    return {
        "messages": [*state["messages"], *answers], "passages": passages, "lookups": (*before, *found), "calls": (),
        "steps": steps,
    }  # fmt: skip


async def verify(state: DraftState, runtime: Run) -> DraftState:
    """Keep what a passage says or what claims nothing; the rest is withheld and shown beside the draft."""
    steps = Steps()
    with timed(steps, "verify"):
        wording = DraftWording(
            asked=runtime.context.request.asked,
            mistakes=mistakes_in(state["lessons"]),
            unspoken=Unspoken(texts=(str(state["messages"][0].content),)),
        )
        await wording.read(state["raw"], state["passages"])
    body = wording.text.strip() if wording.supported else ""
    return {"body": body, "cited": tuple(wording.cited), "left_out": tuple(wording.left_out), "steps": steps}


def _messages(state: DraftState, context: DraftContext, *, account: bool) -> list[BaseMessage]:
    request = context.request
    return build_messages(
        as_letter(context.prompt, request.instruction, account=account), passages=state["passages"], history=request.history,
        question=request.asked, facts=(), summary=None,
        notes=[*notes_of(state["lessons"]), *([files.UNREAD] if state["files"].unread else [])], subject=request.subject,
        department=request.department, language=state["classification"].language, audience=request.audience,
    )  # fmt: skip


async def _generate(
    context: DraftContext, messages: list[BaseMessage], tools: Sequence[dict[str, Any]]
) -> tuple[str, Finished]:
    """Raises Unavailable where the model is away or breaks off: half a draft is none."""
    said: list[str] = []
    finished: Finished | None = None
    try:
        stream = stream_model(context.parts.models.draft, messages, tools=tools, deadline_s=context.seconds_left)
        async with aclosing(stream) as pieces:
            async for piece in pieces:
                if isinstance(piece, Text):
                    said.append(piece.text)
                else:
                    finished = piece
    except ModelUnavailable as error:
        metrics.model_requests_total.labels("draft", error.kind).inc()
        log.warning("no model for a draft", kind=error.kind)
        raise Unavailable("the model that writes drafts is away", retry_after=10) from error
    assert finished is not None  # a stream ends with one
    metrics.model_requests_total.labels("draft", finished.finish).inc()
    metrics.tokens_total.labels("draft", "input").inc(finished.input_tokens)
    metrics.tokens_total.labels("draft", "output").inc(finished.output_tokens)
    whole = ("stop", "length", *(["tool_calls"] if tools or said else []))
    if finished.finish not in whole:
        raise Unavailable("the model that writes drafts broke off", retry_after=10)
    return "".join(said), finished
