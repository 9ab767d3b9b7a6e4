"""Every other end of a turn, and what is remembered of it."""

from agent import metrics
from agent.nodes.common import Run, phrase, step
from agent.nodes.judging import CLARIFY_TITLES
from agent.phrases import Phrase
from agent.state import GraphContext, Outcome, TurnState
from memory.events import Journal
from memory.models import Ticket
from tools import catalog
from tools.classification.talk import complaint_languages
from tools.escalation_policy import EscalationReason
from tools.handoffs.requesting import Request, request_handoff
from tools.recall import facts_in
from tools.recall import remember as remember_fact

ALARM_CHARACTERS = 1000
"""Of the customer's words that go into a note."""


async def clarify(state: TurnState, runtime: Run) -> TurnState:
    """Ask back with the titles that the message could mean."""
    titles = dict.fromkeys(passage.title for passage in state["passages"])
    lines = [f"- {title}" for title in list(titles)[:CLARIFY_TITLES]]
    question = phrase(state, "clarify")
    await runtime.context.answer.say("\n".join([question, "", *lines]))
    return {"outcome": "clarified"}


async def smalltalk(state: TurnState, runtime: Run) -> TurnState:
    kind = state["classification"].kind
    if kind == "complaint":
        return await _complaint(state, runtime.context)
    phrases: dict[str, Phrase] = {
        "greeting": "greeting", "introduction": "greeting", "thanks": "thanks", "goodbye": "goodbye",
        "refusal": "declined",
    }  # fmt: skip
    await runtime.context.answer.say(phrase(state, phrases.get(kind, "smalltalk")))
    return {"outcome": "smalltalk"}


async def _complaint(state: TurnState, context: GraphContext) -> TurnState:
    """What did not help counts as a failure and comes with the offer of a person; where there was no answer that could
    have helped we ask what it is about."""
    if any(message.author == "bot" and message.details.get("outcome") == "answered" for message in context.history):
        await context.answer.say(phrase(state, "not_helped"))
        return {"outcome": "smalltalk", "offered": "human"}
    await context.answer.say(phrase(state, "tell_more"))
    return {"outcome": "smalltalk"}


async def file_ticket(state: TurnState, runtime: Run) -> TurnState:
    """Open the ticket that the last answer offered, now that the customer said yes."""
    turn = runtime.context.turn
    turn.wishes.add("ticket")
    outcome = await catalog.call(turn, "open_ticket", {"subject": turn.words.subject()})
    if outcome.ticket is None:
        await runtime.context.answer.say(phrase(state, "model_away"))
        return {"outcome": "model_failed"}
    await runtime.context.answer.say(phrase(state, "ticket_opened", number=outcome.ticket.number))
    return {"outcome": "answered", "ticket": outcome.ticket}


async def refuse(state: TurnState, runtime: Run) -> TurnState:
    """Say no with the rule's reason; a rule may also want a person to know."""
    verdict = state["verdict"]
    if not verdict.escalate:
        await runtime.context.answer.say(phrase(state, "refused", reason=verdict.reason))
        return {"outcome": "refused"}
    ticket = await _hand_over(state, runtime.context, EscalationReason.GUARDRAIL, verdict.reason)
    await runtime.context.answer.say(phrase(state, "refused_escalated", reason=verdict.reason, number=ticket.number))
    return {"outcome": "refused", "ticket": ticket}


async def escalate(state: TurnState, runtime: Run) -> TurnState:
    """Open the handoff and its ticket, and tell the customer what is true of it; first of all what the guard's rule
    has to say. Who waits already is told so, and the colleagues are only told again of what the guard has found."""
    context, waiting = runtime.context, runtime.context.waiting_ticket
    guarded = state["verdict"].action == "escalate"
    if guarded:
        await context.answer.say(state["verdict"].reason)
    ticket = waiting
    if waiting is None or guarded:
        async with step(context, "escalate"):
            opened = await _hand_over(state, context, _escalation_reason(state), context.question)
        ticket = waiting or opened
    assert ticket is not None  # either was there or is now
    await context.answer.say(phrase(state, _how_it_stands(context), number=ticket.number))
    return {"outcome": "escalated", "ticket": ticket}


def _how_it_stands(context: GraphContext) -> Phrase:
    if context.waiting_ticket is not None:
        return "already_waiting" if context.turn.people_there else "waiting_for_nobody"
    return "handed_over" if context.turn.people_there else "nobody_there"


async def remember(state: TurnState, runtime: Run) -> TurnState:
    """Keep what the customer told about themselves, and count failures in a row."""
    context = runtime.context
    outcome, kind = state.get("outcome", "answered"), state["classification"].kind
    if outcome not in ("refused", "smalltalk") or kind == "introduction":
        for fact in facts_in(context.question):
            await remember_fact(context.turn, fact)
    failed = outcome in ("honest_no", "model_failed") or (kind == "complaint" and state.get("offered") == "human")
    attempts = 0 if kind == "refusal" else state.get("failed_attempts", 0)  # the person was offered, and declined
    return {
        "failed_attempts": _in_a_row(attempts, outcome, failed=failed and context.waiting_ticket is None),
        "clarifying": outcome == "clarified",
    }


def _in_a_row(attempts: int, outcome: Outcome, *, failed: bool) -> int:
    """Failures so far; small talk between them does not count, and none does while a person is awaited already."""
    if failed:
        return attempts + 1
    return attempts if outcome == "smalltalk" else 0


def _escalation_reason(state: TurnState) -> EscalationReason:
    """The policy's reason; before the policy was asked it is the guard's or the customer's own wish."""
    decision = state.get("decision")
    if decision and decision.reason:
        return decision.reason
    if state["verdict"].action != "allow":
        return EscalationReason.GUARDRAIL
    asked = state["classification"].wants_human
    return EscalationReason.HUMAN_REQUESTED if asked else EscalationReason.REPEATED_FAILURE


def _alarm(state: TurnState, context: GraphContext) -> str:
    """What colleagues who were asked already must hear of; empty where that is nothing new."""
    verdict = state["verdict"]
    return f"Guard rule {verdict.rule}: {context.question[:ALARM_CHARACTERS]}" if verdict.escalate else ""


async def _hand_over(state: TurnState, context: GraphContext, reason: str, summary: str) -> Ticket:
    found, confidence = state["classification"], state.get("confidence")
    this_turn = {
        "tried": context.answer.text,
        "sources": [passage.ref for passage in state.get("passages", ())],
        "confidence": confidence.score if confidence else None,
        "intent": found.intent, "severity": found.severity, "tier": found.tier, "sentiment": found.sentiment,
        "failed_attempts": state.get("failed_attempts", 0),
    }  # fmt: skip
    earlier = [message.content for message in context.history if message.author == "customer"]
    if earlier and (reason == EscalationReason.HUMAN_REQUESTED or found.kind == "complaint"):
        matters = [text for text in earlier if not complaint_languages(text)]
        summary = (matters or earlier)[-1]  # neither the wish for a person nor `still broken` says what it is about
    request = Request(
        session_id=context.turn.session_id, customer_id=context.turn.customer_id, reason=reason, summary=summary,
        findings=this_turn, turn_id=context.turn.lease.turn_id, severity=found.severity, tier=found.tier,
        intent=found.intent, language=found.language, alarm=_alarm(state, context),
    )  # fmt: skip

    async def do(entry: Journal) -> tuple[Ticket, bool]:
        _, opened, new = await request_handoff(entry, request)
        return opened, new

    told = {"reason": reason, "summary": summary, **({"alarm": request.alarm} if context.waiting_ticket else {})}
    ticket, new = await context.turn.act("request_handoff", told, do, rehearsed=lambda scene: (scene.ticket, False))
    if new:
        metrics.handoffs_total.labels(reason).inc()
    return ticket
