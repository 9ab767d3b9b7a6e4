"""Before the answer: may it be asked, what is known about it, and how well can it be answered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Literal

import structlog

from agent import metrics
from agent.answer.matters import Found, choose, merged
from agent.nodes import followups
from agent.nodes.common import Run, packs, step
from agent.nodes.concluding import policy
from agent.nodes.second_opinion import second_opinion
from agent.nodes.sent_files import asks_only_what_files_say, read_files
from agent.prompting import Several
from agent.scoring.assessment import answerability, evidence
from agent.scoring.confidence import score
from agent.state import Before, GraphContext, Offer, TurnState
from kbs.passages import Passage
from kbs.search.cache import Retrieved
from memory.cancelling import end
from memory.errors import Unavailable
from tools import guardrails
from tools.classification import asks_who_is_there, at_least, classified, read_words, says_yes
from tools.classification.own import prototypes_with
from tools.escalation_policy import FAILURES_IN_A_ROW, speaks_for_a_person
from tools.guardrails.log import record_verdict
from tools.intents import find_intent
from tools.matters import Matter, core_of, matters_of, searched

log = structlog.get_logger()
Early = Literal["refuse", "escalate", "file_ticket", "smalltalk"]
CLARIFY_TITLES = 3
"""Articles that a short message may mean equally well before we ask back."""
FEW_WORDS = 4
FEW_WORDS_MARGIN = 0.08
"""A message of so few words must be answerable by this much more than another where it matches that many articles."""


async def judge(state: TurnState, runtime: Run) -> TurnState:
    """Whether this may be asked at all, and if it needs an answer, what is known about it."""
    guarded = await guard(state, runtime.context)
    if _needs_no_search({**state, **guarded}):
        return guarded
    return {**guarded, **await consider({**state, **guarded}, runtime.context)}


async def guard(state: TurnState, context: GraphContext) -> TurnState:
    """Whether this may be asked at all, and what kind of message it is."""
    async with step(context, "guard"):
        principal = context.turn.principal
        verdict = guardrails.check_message(
            context.question,
            role=principal.role.value,
            audience=principal.audience,
            rules=context.judges.rules,
            vector=await guardrails.local_vector(context.embedder, context.question),
        )
        verdict = await second_opinion(context, verdict)
        if verdict.action != "allow":
            await record_verdict(context.turn, verdict)
            if context.turn.rehearsal is None:
                metrics.guardrail_events_total.labels(verdict.action, verdict.category).inc()
    words = read_words(context.question, packs(context), spoken=context.session.language)
    found = classified(words, packs=packs(context))
    verdict = verdict.told_in(words.language)
    if verdict.severity:
        found = at_least(found, verdict.severity, packs(context))
    if context.has_new_files and found.kind != "question":
        found = replace(found, kind="question")  # "hello, see the file" wants the file read
    before = Before(state.get("failed_attempts", 0), state.get("clarifying", False), _offered(context))
    if found.kind == "refusal" and _was_asked(context, before):
        found = replace(found, kind="question")  # an answer, and not a no to us
    accepts = found.kind != "refusal" and says_yes(context.question)
    if accepts and (before.offered == "human" or (before.failed_attempts and not before.offered)):
        found = replace(found, wants_human=True, kind="question")  # the last answer offered a person
    if found.kind == "complaint" and before.clarifying:
        found = replace(found, kind="question")  # about what we asked back
    presses = asks_who_is_there(context.question) or found.kind == "complaint"
    if context.waiting_ticket is not None and presses:
        found = replace(found, wants_human=True, kind="question")  # they are told how it stands, not greeted
    context.turn.wishes.update(context.turn.words.wishes)
    return {
        "before": before, "verdict": verdict, "by_words": words, "classification": found, "rounds": 0,
        "accepts": accepts, "last_turn": str(context.turn.lease.turn_id),
    }  # fmt: skip


def _was_asked(context: GraphContext, before: Before) -> bool:
    """Whether the words before this message ask something that a no answers, other than whether a person or a ticket is
    wanted: which article is meant, what a model or a colleague would like to know."""
    others = [message for message in context.history if message.author != "customer"]
    if not others or before.offered:
        return False
    last = others[-1]
    asks = last.content.rstrip().endswith("?")
    return before.clarifying or (asks and (last.author == "agent" or last.details.get("outcome") == "answered"))


def _offered(context: GraphContext) -> Offer | None:
    """What the answer before this message asked; nothing where somebody else spoke since."""
    others = [message for message in context.history if message.author != "customer"]
    if not others or others[-1].author != "bot":
        return None
    offered: Offer | None = others[-1].details.get("offered")
    return offered


def after_judge(state: TurnState) -> Early | Literal["respond", "clarify"]:
    if "confidence" not in state:  # it was not considered
        early = _needs_no_search(state)
        assert early is not None
        return early
    if state["classification"].wants_human:
        return "escalate"
    return "clarify" if state["clarifying"] else "respond"


def _needs_no_search(state: TurnState) -> Early | None:
    """Where a refusal, small talk or a call for a person goes; the rest is considered."""
    match state["verdict"].action:
        case "refuse":
            return "refuse"
        case "escalate":
            return "escalate"
    if state["classification"].wants_human:
        return "escalate"
    if state["before"].offered == "ticket" and state["accepts"]:
        return "file_ticket"
    if state["classification"].kind == "complaint" and state["before"].failed_attempts + 1 >= FAILURES_IN_A_ROW:
        return "escalate"
    return "smalltalk" if state["classification"].kind != "question" else None


async def consider(state: TurnState, context: GraphContext) -> TurnState:
    """What is known about it, looked up at once, and then how well it can be answered."""
    lookup = asyncio.create_task(retrieve(state, context))
    try:
        known = await recall(context)
        kind = await classify(state, context)
        learned: TurnState = {**known, **kind, **await lookup}
    finally:
        if not lookup.done():
            await end(lookup)
    return {**learned, **await assess({**state, **learned}, context)}


async def recall(context: GraphContext) -> TurnState:
    """What the conversation's files say; the customer's facts and the summary came with the question."""
    async with step(context, "recall"):
        return {"files": await read_files(context)}


async def retrieve(state: TurnState, context: GraphContext) -> TurnState:
    """The four sources, for the question in the light of the turn before. One that is away or slow gives none: the
    customer hears that nothing was found and is offered a person, instead of nothing at all."""
    async with step(context, "retrieve"), _timed():
        clarifying = state.get("clarifying", False)
        try:
            if matters := await _matters(context):
                found = await _search_each(matters, context, clarifying=clarifying)
                return {"found": found, "retrieved": merged(found)}
            return {"retrieved": await followups.search(context, clarifying=clarifying)}
        except Unavailable as error:
            log.warning("the knowledge base was not searched", reason=error.detail)
            return {"retrieved": Retrieved(passages=(), vector=None)}


async def _matters(context: GraphContext) -> tuple[Matter, ...]:
    """What messages that came together are about, and of a long one its question; nothing where there is one that is
    searched for as it stands."""
    if len(context.messages) < 2:
        core = core_of(context.question)
        return (core,) if core else ()
    matters = await matters_of(context.messages, context.embedder.embed_query)
    return () if [matter.text for matter in matters] == [context.question] else matters


async def _search_each(matters: tuple[Matter, ...], context: GraphContext, *, clarifying: bool) -> tuple[Found, ...]:
    """One search for each, at once; of more than a few the first and the newest are searched for."""
    wanted = searched(matters)
    tasks = [
        asyncio.create_task(followups.search(context, clarifying=clarifying and n == 0, matter=matter))
        for n, matter in enumerate(matters) if n in wanted
    ]  # fmt: skip
    try:
        results = iter(await asyncio.gather(*tasks))
    finally:
        await end(*tasks)
    nothing = Retrieved(passages=(), vector=None)
    return tuple(
        Found(matter=matter, retrieved=next(results) if n in wanted else nothing) for n, matter in enumerate(matters)
    )


async def classify(state: TurnState, context: GraphContext) -> TurnState:
    async with step(context, "classify"):
        try:
            vector = await context.embedder.embed_query(context.question)
            known = context.judges.prototypes
            prototypes = await prototypes_with(context.embedder, known, context.turn.options.intents) if known else None
        except Unavailable:
            return {}  # by its words it was classified before
        found = classified(state["by_words"], packs=packs(context), embedding=vector, prototypes=prototypes)
    return {"classification": found}


async def assess(state: TurnState, context: GraphContext) -> TurnState:
    """How well this can be answered, and whether a person is needed."""
    async with step(context, "assess"):
        return _assessed(state, context)


def _assessed(state: TurnState, context: GraphContext) -> TurnState:
    found, retrieved = state["classification"], state["retrieved"]
    intent = find_intent(found.intent, packs(context))
    confidence = score(
        evidence(retrieved, found.certainty, needs_tenant=bool(intent and intent.needs_tenant_knowledge))
    )
    known, several, sure = _known(state, context)
    if asks_only_what_files_say(context):
        known, several = (), replace(several, about=()) if several else None
    passages = (*known, *state["files"].passages)  # the knowledge base first: where the two disagree it is believed
    decision = policy({**state, "confidence": confidence}, context, found, answered=bool(passages))
    if speaks_for_a_person(severity=found.severity, tier=found.tier, sensitive=bool(intent and intent.sensitive)):
        context.turn.wishes.add("human")
    return {
        "confidence": confidence, "passages": passages, "decision": decision, "last_intent": found.intent,
        "clarifying": not decision.escalate and bool(known) and _unclear(context, state, passages, sure),
        "several": several,
    }  # fmt: skip


def _known(state: TurnState, context: GraphContext) -> tuple[tuple[Passage, ...], Several | None, float]:
    """The passages that may answer, of several matters for which, and how surely they do."""
    options = context.turn.options
    if found := state.get("found"):
        choice = choose(
            found, context.messages, lambda matter, quotable: answerability(matter.text, quotable),
            least=options.clarify_at, least_told=options.answerable_at,
        )  # fmt: skip
        return choice.passages, choice.several, choice.sure
    quotable = tuple(passage for passage in state["retrieved"].passages if passage.source.quotable)
    sure = answerability(context.question, quotable)
    return quotable if sure >= options.clarify_at else (), None, sure


def _unclear(context: GraphContext, state: TurnState, passages: tuple[Passage, ...], sure: float) -> bool:
    """Whether we ask back: what was found is too far from the question for an answer, or few words match several
    articles about equally well; never twice in a row, and never where a file may say it, or where several
    things are asked."""
    if state.get("clarifying") or context.has_new_files or state.get("found"):
        return False
    least = context.turn.options.answerable_at
    if sure < least:
        return not state["files"].passages
    if sure >= least + FEW_WORDS_MARGIN or len(context.question.split()) > FEW_WORDS:
        return False
    return len({passage.ref for passage in passages[:CLARIFY_TITLES]}) == CLARIFY_TITLES


@asynccontextmanager
async def _timed() -> AsyncIterator[None]:
    with metrics.retrieval_duration_seconds.time():
        yield
