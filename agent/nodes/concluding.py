"""What a model's answer came to, once it has ended: answered, an honest no, a question back, or nothing at all.

Severity, tier and escalation are judged again here, on the finished answer: what could not be known before it.
"""

from dataclasses import replace

from agent.nodes.common import packs, phrase
from agent.phrases import Phrase, say
from agent.state import GraphContext, Offer, Outcome, TurnState
from memory.models import Ticket
from tools.classification import Classification, reassess
from tools.escalation_policy import EscalationDecision, decide
from tools.intents import find_intent


async def conclude(state: TurnState, context: GraphContext) -> TurnState:
    """Say what is still to be said, and decide whether a person is needed after all."""
    answer, ticket = context.answer, state.get("ticket")
    if state.get("outcome") == "escalated" and ticket:
        await answer.settle()
        await _name_ticket(state, context, ticket, handed_over=True)
        return {"calls": ()}
    outcome = _outcome(state, context)
    found = reassess(state["classification"], answer.text, answered=outcome == "answered")
    decision = policy(state, context, found, answered=outcome != "honest_no")
    if outcome == "answered" and decision.escalate and not _asked_so(state, context):
        decision = replace(decision, escalate=False, offer_human=True)
        context.turn.held_back.add("human")
    elif outcome == "answered" and answer.names_gap:
        context.turn.held_back.add("human")  # what stays open is for a person, if the customer wants one
    if outcome == "honest_no":
        if decision.escalate:
            answer.discard()  # an offer of a person would be followed by the news that one was called
        await answer.settle()
        if not answer.text.strip():
            await answer.say(phrase(state, "not_known" if decision.escalate else "no_answer"))
    else:
        await answer.settle()
    if ticket:
        await _name_ticket(state, context, ticket, handed_over=False)
    offered = None if decision.escalate or outcome != "answered" else await _offer(state, context)
    return {"outcome": outcome, "decision": decision, "classification": found, "calls": (), "offered": offered}


async def fail(state: TurnState, context: GraphContext) -> TurnState:
    """What came stays and is marked; the customer is told; the second time in a row a person is asked for."""
    answer = context.answer
    answer.discard()
    await answer.say(phrase(state, "broken_off" if answer.text.strip() else "model_away"))
    if ticket := state.get("ticket"):  # a tool had opened it before the model failed
        await _name_ticket(state, context, ticket, handed_over=state.get("outcome") == "escalated")
    answer.incomplete = True
    decision = policy(state, context, state["classification"], answered=False)
    return {"outcome": "model_failed", "decision": decision, "calls": ()}


def policy(state: TurnState, context: GraphContext, found: Classification, *, answered: bool) -> EscalationDecision:
    """The escalation policy's word on a turn that ended so."""
    intent = find_intent(found.intent, packs(context))
    return decide(
        wants_human=found.wants_human,
        verdict=state["verdict"],
        failed_attempts=0 if answered else state.get("failed_attempts", 0) + 1,
        severity=found.severity,
        tier=found.tier,
        sensitive=bool(intent and intent.sensitive),
        answerable=answered,
        confidence_level=state["confidence"].level,
        handoff_open=context.waiting_ticket is not None,
    )


def _outcome(state: TurnState, context: GraphContext) -> Outcome:
    """Answered where something supported was said or done; a question back counts as one only beside passages."""
    answer = context.answer
    if answer.supported or state.get("ticket"):
        return "answered"
    words = answer.pending.strip()
    gave_up = say("no_answer", state["classification"].language) in words
    if words.endswith("?") and state["passages"] and not answer.withheld and not gave_up:
        return "clarified"
    return "honest_no"


def _asked_so(state: TurnState, context: GraphContext) -> bool:
    """Whether the message alone speaks for a person: an answer that sounds grave may be quoting a stranger's words."""
    return policy(state, context, state["classification"], answered=True).escalate


async def _offer(state: TurnState, context: GraphContext) -> Offer | None:
    """Ask the customer about what the model wanted to do without their wish; of two things about the person."""
    wanted = context.turn.held_back
    if context.waiting_ticket is None and "human" in wanted:
        await context.answer.say(phrase(state, "offer_human"))
        return "human"
    if "ticket" in wanted and state.get("ticket") is None:
        await context.answer.say(phrase(state, "offer_ticket"))
        return "ticket"
    return None


async def _name_ticket(state: TurnState, context: GraphContext, ticket: Ticket, *, handed_over: bool) -> None:
    """See that the customer learns the ticket's number, whatever the model made of it."""
    if f"#{ticket.number}" in context.answer.text:
        return
    there: Phrase = "handed_over" if context.turn.people_there else "nobody_there"
    await context.answer.say(phrase(state, there if handed_over else "ticket_opened", number=ticket.number))
