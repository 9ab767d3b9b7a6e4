"""The boxes of a turn, as adapters: each takes what it needs from the state, calls one function, writes one finding."""

import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Literal

import structlog
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langgraph.runtime import Runtime

from agent import followups, metrics
from agent.assessment import answerability, evidence
from agent.confidence import score
from agent.llm import Finished, ModelUnavailable, Text, stream_model
from agent.phrases import Phrase, say
from agent.prompting import Turn, build_messages, render_passages
from agent.state import GraphContext, TurnState
from kbs.passages import Passage, Source
from memory.models import Ticket, new_id
from memory.tenancy import Role
from tools import catalog, guardrails
from tools.classification import Classification, reassess, says_yes
from tools.classification import classify as classify_text
from tools.escalation_policy import EscalationReason, decide
from tools.guard_log import record_verdict
from tools.handoff import Request, request_handoff
from tools.intents import Packs, find_intent, load_packs
from tools.recall import facts_in
from tools.recall import recall as recall_customer
from tools.recall import remember as remember_fact

log = structlog.get_logger()
Run = Runtime[GraphContext]
MAX_ROUNDS = 4
"""Model calls of one turn; tools are called between them."""
CLARIFY_TITLES = 3


async def guard(state: TurnState, runtime: Run) -> TurnState:
    """Whether this may be asked at all, and what kind of message it is."""
    context = runtime.context
    async with _step(context, "guard"):
        principal = context.turn.principal
        verdict = guardrails.check_message(
            context.question,
            role=principal.role.value,
            audience=principal.audience,
            rules=context.judges.rules,
        )
        if verdict.action != "allow":
            await record_verdict(context.turn, verdict)
            metrics.guardrail_events_total.labels(verdict.action, verdict.category).inc()
    found = classify_text(context.question, packs=_packs(context))
    if state.get("failed_attempts") and says_yes(context.question):
        found = replace(found, wants_human=True, kind="question")  # the last answer offered a person
    return {"verdict": verdict, "classification": found, "rounds": 0, "last_turn": str(context.turn.lease.turn_id)}


def after_guard(state: TurnState) -> list[str] | str:
    """A refusal, small talk or a call for a person needs no search; the rest is recalled, retrieved and classified."""
    match state["verdict"].action:
        case "refuse":
            return "refuse"
        case "escalate":
            return "escalate"
    if state["classification"].wants_human:
        return "escalate"
    if state["classification"].kind != "question":
        return "smalltalk"
    return ["recall", "retrieve", "classify"]


async def recall(state: TurnState, runtime: Run) -> TurnState:
    async with _step(runtime.context, "recall"):
        return {"recollection": await recall_customer(runtime.context.turn, runtime.context.session)}


async def retrieve(state: TurnState, runtime: Run) -> TurnState:
    """The four sources, for the question in the light of the turn before."""
    async with _step(runtime.context, "retrieve"), _timed():
        return {"retrieved": await followups.search(runtime.context, clarifying=state.get("clarifying", False))}


async def classify(state: TurnState, runtime: Run) -> TurnState:
    context = runtime.context
    async with _step(context, "classify"):
        vector = await context.embedder.embed_query(context.question)
        found = classify_text(
            context.question, packs=_packs(context), embedding=vector, prototypes=context.judges.prototypes
        )
    return {"classification": found}


async def assess(state: TurnState, runtime: Run) -> TurnState:
    """How well this can be answered, and whether a person is needed."""
    context, found, retrieved = runtime.context, state["classification"], state["retrieved"]
    intent = find_intent(found.intent, _packs(context))
    confidence = score(
        evidence(retrieved, found.certainty, needs_tenant=bool(intent and intent.needs_tenant_knowledge))
    )
    quotable = tuple(passage for passage in retrieved.passages if passage.source.quotable)
    sure = answerability(context.question, quotable)
    passages = quotable if sure >= context.turn.options.clarify_at else ()
    decision = decide(
        wants_human=found.wants_human,
        verdict=state["verdict"],
        failed_attempts=state.get("failed_attempts", 0) + (0 if passages else 1),
        severity=found.severity,
        tier=found.tier,
        sensitive=bool(intent and intent.sensitive),
        answerable=bool(passages),
        confidence_level=confidence.level,
        handoff_open=context.waiting_ticket is not None,
    )
    return {
        "confidence": confidence, "passages": passages, "decision": decision, "last_intent": found.intent,
        "clarifying": not decision.escalate and _unclear(context, state, passages, sure),
    }  # fmt: skip


def after_assess(state: TurnState) -> Literal["respond", "clarify", "escalate"]:
    if state["classification"].wants_human:
        return "escalate"
    return "clarify" if state["clarifying"] else "respond"


async def respond(state: TurnState, runtime: Run) -> TurnState:
    """One call of the model, its text verified and released as it comes; ends with an answer or with tool calls."""
    context, answer = runtime.context, runtime.context.answer
    passages = state["passages"]
    messages = state.get("messages") or _messages(state, context)
    tools = [tool.schema() for tool in catalog.tools_for(context.turn.principal.role)]
    finished: Finished | None = None
    said: list[str] = []
    async with _step(context, "respond"):
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


async def clarify(state: TurnState, runtime: Run) -> TurnState:
    """Ask back with the titles that the message could mean."""
    titles = dict.fromkeys(passage.title for passage in state["passages"])
    lines = [f"- {title}" for title in list(titles)[:CLARIFY_TITLES]]
    question = _phrase(state, "clarify")
    await runtime.context.answer.say("\n".join([question, "", *lines]))
    return {"outcome": "clarified"}


async def smalltalk(state: TurnState, runtime: Run) -> TurnState:
    kind = state["classification"].kind
    phrases: dict[str, Phrase] = {"greeting": "greeting", "thanks": "thanks", "goodbye": "goodbye"}
    await runtime.context.answer.say(_phrase(state, phrases.get(kind, "smalltalk")))
    return {"outcome": "smalltalk"}


async def refuse(state: TurnState, runtime: Run) -> TurnState:
    """Say no with the rule's reason; a rule may also want a person to know."""
    verdict = state["verdict"]
    if not verdict.escalate:
        await runtime.context.answer.say(_phrase(state, "refused", reason=verdict.reason))
        return {"outcome": "refused"}
    ticket = await _hand_over(state, runtime.context, EscalationReason.GUARDRAIL, verdict.reason)
    await runtime.context.answer.say(_phrase(state, "refused_escalated", reason=verdict.reason, number=ticket.number))
    return {"outcome": "refused", "ticket": ticket}


async def escalate(state: TurnState, runtime: Run) -> TurnState:
    """Open the handoff and its ticket, and tell the customer what is true of it."""
    context = runtime.context
    if context.waiting_ticket is not None:
        await context.answer.say(_phrase(state, "already_waiting", number=context.waiting_ticket.number))
        return {"outcome": "escalated", "ticket": context.waiting_ticket}
    reason = _escalation_reason(state)
    async with _step(context, "escalate"):
        ticket = await _hand_over(state, context, reason, context.question)
    phrase: Phrase = "handed_over" if context.turn.options.people_available else "nobody_there"
    await context.answer.say(_phrase(state, phrase, number=ticket.number))
    return {"outcome": "escalated", "ticket": ticket}


async def remember(state: TurnState, runtime: Run) -> TurnState:
    """Keep what the customer told about themselves, and count failures in a row."""
    context = runtime.context
    outcome = state.get("outcome", "answered")
    if outcome not in ("refused", "smalltalk"):
        for fact in facts_in(context.question):
            await remember_fact(context.turn, fact)
    failed = outcome in ("honest_no", "model_failed")
    attempts = state.get("failed_attempts", 0)
    return {
        "failed_attempts": attempts + 1 if failed else attempts if outcome == "smalltalk" else 0,
        "clarifying": outcome == "clarified",
        "classification": reassess(state["classification"], context.answer.text, answered=outcome == "answered"),
    }


async def _model_failed(state: TurnState, context: GraphContext) -> TurnState:
    """What came stays and is marked; the customer is told; the second time in a row a person is asked for."""
    answer = context.answer
    answer.discard()
    await answer.say(_phrase(state, "broken_off" if answer.text.strip() else "model_away"))
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
        await answer.say(_phrase(state, "no_answer"))
        return {"outcome": "honest_no", "calls": ()}
    if state.get("outcome") == "escalated":
        return {"calls": ()}
    return {"outcome": "answered" if answer.cited or state["rounds"] else "honest_no", "calls": ()}


def _escalation_reason(state: TurnState) -> EscalationReason:
    """The policy's reason; before the policy was asked it is the guard's or the customer's own wish."""
    decision = state.get("decision")
    if decision and decision.reason:
        return decision.reason
    asked = state["verdict"].action == "allow" and state["classification"].wants_human
    return EscalationReason.HUMAN_REQUESTED if asked else EscalationReason.GUARDRAIL


async def _hand_over(state: TurnState, context: GraphContext, reason: str, summary: str) -> Ticket:
    found = state["classification"]
    confidence = state.get("confidence")
    findings = {
        "asked": context.question,
        "tried": context.answer.text,
        "sources": [passage.ref for passage in state.get("passages", ())],
        "confidence": confidence.score if confidence else None,
        "intent": found.intent, "severity": found.severity, "tier": found.tier, "sentiment": found.sentiment,
        "failed_attempts": state.get("failed_attempts", 0),
    }  # fmt: skip
    request = Request(
        session_id=context.turn.session_id, customer_id=context.turn.customer_id, reason=reason, summary=summary,
        findings=findings, turn_id=context.turn.lease.turn_id, severity=found.severity, tier=found.tier,
        intent=found.intent, language=found.language,
    )  # fmt: skip
    async with context.turn.effect() as entry:
        _, ticket, new = await request_handoff(entry, request)
    if new:
        metrics.handoffs_total.labels(reason).inc()
    return ticket


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


def _unclear(context: GraphContext, state: TurnState, passages: tuple[Passage, ...], sure: float) -> bool:
    """Few words that match several articles about equally well; never twice in a row."""
    if state.get("clarifying") or sure >= context.turn.options.answerable_at or len(context.question.split()) > 4:
        return False
    return len({passage.ref for passage in passages[:CLARIFY_TITLES]}) == CLARIFY_TITLES


def _packs(context: GraphContext) -> Packs:
    packs = load_packs()
    return [packs[name] for name in context.turn.options.intent_packs if name in packs]


def _phrase(state: TurnState, phrase: Phrase, **values: object) -> str:
    found: Classification | None = state.get("classification")
    return say(phrase, found.language if found else None, **values)


def _known(name: str) -> str:
    """A model may invent names; a metric's label may not."""
    return name if any(tool.name == name for tool in catalog.tools_for(Role.ADMIN)) else "unknown"


def _count_tokens(finished: Finished) -> None:
    metrics.tokens_total.labels("answer", "input").inc(finished.input_tokens)
    metrics.tokens_total.labels("answer", "output").inc(finished.output_tokens)


@asynccontextmanager
async def _step(context: GraphContext, name: str) -> AsyncIterator[None]:
    """Tells watchers which step ran and how long it took."""
    started = time.perf_counter()
    yield
    context.turn.tell("step", {"name": name, "ms": round((time.perf_counter() - started) * 1000, 1)})


@asynccontextmanager
async def _timed() -> AsyncIterator[None]:
    with metrics.retrieval_duration_seconds.time():
        yield
