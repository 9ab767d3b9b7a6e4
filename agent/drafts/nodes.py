"""The boxes of a draft: each takes what it needs from the state, calls one function, writes one finding."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Literal

import structlog
from langchain_core.messages import BaseMessage
from langgraph.runtime import Runtime

from agent import metrics
from agent.answer.matters import Choice, Found, choose, left_open, merged
from agent.answer.unspoken import Unspoken
from agent.drafts import files, lookups
from agent.drafts.lessons import evidence_of, is_lesson, mistakes_in, near_lessons, nearest, notes_of
from agent.drafts.letter import left_open_in_letter
from agent.drafts.prompt import as_letter
from agent.drafts.shapes import NearLesson
from agent.drafts.state import DraftContext, DraftState, Steps, timed
from agent.drafts.wording import DraftWording
from agent.extractive import ExtractiveChat
from agent.llm import Finished, ModelUnavailable, Text, message_of, stream_model
from agent.prompting import Several, build_messages
from agent.scoring.assessment import answerability, evidence
from agent.scoring.confidence import score
from kbs.index import Vectors
from kbs.passages import Passage
from kbs.search.cache import Retrieved
from memory.errors import Unavailable
from tools import guardrails
from tools.catalog import storable
from tools.classification import classify as classify_text
from tools.classification.own import prototypes_with
from tools.intents import find_intent
from tools.matters import Matter, searched
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
    named = replace(request, content="\n".join(matter.text for matter in runtime.context.matters))
    return {"files": found, "told_by_file": files.told_by_file(named, found), "steps": steps}


async def embed(state: DraftState, runtime: Run) -> DraftState:
    context, steps = runtime.context, Steps()
    with timed(steps, "embed"):
        queries = context.queries(state["told_by_file"])
        vectors = await asyncio.gather(*(context.parts.embedder.embed_query(query) for query in queries))
    return {"vectors": tuple(vectors), "steps": steps}


async def retrieve(state: DraftState, runtime: Run) -> DraftState:
    """The four sources by the tenant's ranking, and what was learned from tickets like this one: of each matter."""
    context, steps = runtime.context, Steps()
    wanted = searched(context.matters)
    found, lessons = list[Found](), list[tuple[NearLesson, ...]]()
    with timed(steps, "retrieve"):
        for n, (matter, query) in enumerate(zip(context.matters, context.queries(state["told_by_file"]), strict=True)):
            if n in wanted:
                one, near = await _look_for(matter, query, state["vectors"][n], context)
            else:
                one, near = Retrieved(passages=(), vector=None), ()
            found.append(Found(matter=matter, retrieved=one))
            lessons.append(near)
    steps["rerank"] = round(sum(each.retrieved.timings_ms.get("rank", 0.0) for each in found), 2)
    steps["retrieve"] = round(max(0.0, steps["retrieve"] - steps["rerank"]), 2)
    return {
        "found": tuple(found), "retrieved": merged(found), "lessons": nearest(lessons), "lessons_of": tuple(lessons),
        "steps": steps,
    }  # fmt: skip


async def _look_for(
    matter: Matter, query: str, vector: Vectors, context: DraftContext
) -> tuple[Retrieved, tuple[NearLesson, ...]]:
    parts, request = context.parts, replace(context.request, content=matter.text)
    found = await parts.retriever.search(query, context.scope, context.ranking, vector=vector)
    lessons = await near_lessons(
        parts.retriever, parts.lesson_vectors, parts.database, context.scope, request, found, vector
    )
    return found, lessons


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
        learned = evidence_of(state["lessons"], found.language)
        choice = choose(
            state["found"], context.request.messages,
            lambda matter, quotable: answerability(context.asked(matter, state["told_by_file"]), quotable),
            least=context.options.clarify_at, least_told=context.options.answerable_at,
        )  # fmt: skip
    passages = (*choice.passages, *state["files"].passages, *learned)
    return {
        "confidence": confidence, "answerability": choice.sure, "passages": passages, "steps": steps,
        "several": _several(state, context, choice, learned),
    }  # fmt: skip


def _several(state: DraftState, context: DraftContext, choice: Choice, learned: Sequence[Passage]) -> Several | None:
    """The matters with the numbers of those that each passage is about; none where the customer wrote once."""
    if not context.request.one_by_one:
        return None
    near = dict(zip(context.matters, state["lessons_of"], strict=True))
    evidence = [
        {passage.id for passage in evidence_of(near[matter], state["classification"].language)}
        for matter in choice.matters
    ]
    about = [tuple(n for n, ids in enumerate(evidence, 1) if passage.id in ids) for passage in learned]
    first, *others = choice.matters
    return Several(
        texts=(context.asked(first), *(matter.text for matter in others)), rest=choice.several.rest,
        about=(*choice.several.about, *(() for _ in state["files"].passages), *about),
    )  # fmt: skip


async def respond(state: DraftState, runtime: Run) -> DraftState:
    """The model's text, or what it wants to look up first; without a model the reply that was approved in the same
    matter, as it stands."""
    context, steps, rounds = runtime.context, Steps(state["steps"]), state.get("rounds", 0)
    tools = lookups.tools_of(context, rounds)
    messages = state.get("messages")
    if messages is None:
        with timed(steps, "prompt"):
            messages = _messages(state, context, account=bool(tools and context.account))
    model, several = context.parts.models.draft, state["several"]
    if isinstance(model, ExtractiveChat) and several and len(several.texts) > 1:
        with timed(steps, "generate"):
            raw = await _answer_each(model, messages, several, state, context)
        return {"messages": messages, "raw": raw, "finish": "stop", "usage": {}, "steps": steps}
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
            own=left_open(state["several"], lambda text: left_open_in_letter(text, state["classification"].language)),
            mistakes=mistakes_in(state["lessons"]),
            unspoken=Unspoken(texts=(str(state["messages"][0].content),)),
        )
        await wording.read(state["raw"], state["passages"])
    body = wording.text.strip() if wording.supported else ""
    language = state["classification"].language
    texts = state["several"].texts if state["several"] and wording.names_gap else ()
    return {
        "body": body, "cited": tuple(wording.cited), "left_out": tuple(wording.left_out), "steps": steps,
        "left_open": tuple(text for text in texts if left_open_in_letter(text, language) in body),
    }  # fmt: skip


def _messages(state: DraftState, context: DraftContext, *, account: bool) -> list[BaseMessage]:
    request = context.request
    return build_messages(
        as_letter(context.prompt, request.instruction, account=account), passages=state["passages"], history=request.history,
        question=request.asked, facts=(), summary=None,
        notes=[*notes_of(state["lessons"]), *([files.UNREAD] if state["files"].unread else [])], subject=request.subject,
        department=request.department, language=state["classification"].language, audience=request.audience,
        several=state["several"],
    )  # fmt: skip


async def _answer_each(
    model: ExtractiveChat, messages: list[BaseMessage], several: Several, state: DraftState, context: DraftContext
) -> str:
    """Without a model: of each matter the reply that was approved in it, else what the articles say, and at the end what
    stays open."""
    answers = await model.answer_each(messages)
    if not context.request.instruction:
        for n in range(1, len(answers) + 1):
            learned = (
                p for p, about in zip(state["passages"], several.about, strict=False) if is_lesson(p) and n in about
            )
            answers[n - 1] = next((passage.text for passage in learned), answers[n - 1])
    language = state["classification"].language
    found = [answer for answer in answers if answer]
    gaps = [text for text, answer in zip(several.texts, answers, strict=True) if answer is None]
    return "\n\n".join([*found, *(left_open_in_letter(text, language) for text in gaps)] if found else [])


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
