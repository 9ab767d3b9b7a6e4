"""What a finished turn leaves behind: the answer as the wire has it, what staff see beside it, and what it relied on."""

from typing import Any

from agent.answer.answering import Wording, sources
from agent.state import GraphContext, Tokens, TurnState
from memory.models import new_id


def result(state: TurnState, answer: Wording) -> dict[str, Any]:
    """The answer as the wire has it; the ids are added when it is stored."""
    confidence, found, verdict = state.get("confidence"), state["classification"], state["verdict"]
    ticket = state.get("ticket")
    blocked = verdict.action != "allow"
    return {
        "message": answer.text,
        "sources": sources(answer.cited),
        "requires_escalation": state.get("outcome") == "escalated" or (blocked and verdict.escalate),
        "confidence": confidence.as_dict() if confidence else None,
        "intent": found.intent,
        "severity": found.severity,
        "tier": found.tier,
        "guardrail": {"blocked": blocked, "reason": verdict.reason or None},
        "ticket_id": str(ticket.id) if ticket else None,
    }


def details(state: TurnState, context: GraphContext) -> dict[str, Any]:
    """What staff see beside the answer: the parts of the decision, never shown to customers as text."""
    kept = result(state, context.answer)
    kept.pop("message")
    found, spent = state["classification"], state.get("tokens", Tokens())
    return {
        **kept, "outcome": state.get("outcome"), "offered": state.get("offered"),
        "withheld": context.answer.withheld, "language": found.language,
        "certainty": found.certainty, "embedded_intent": found.embedded_intent, "sentiment": found.sentiment,
        "tokens": {"input": spent.input, "output": spent.output}, "inputs": inputs(state, context),
        **({"left_open": True} if context.answer.names_gap else {}),
    }  # fmt: skip


def inputs(state: TurnState, context: GraphContext) -> dict[str, Any]:
    """What the turn found that no other row tells later: with it the same turn can be replayed."""
    before, waiting = state["before"], context.waiting_ticket
    return {
        "failed_attempts": before.failed_attempts, "clarifying": before.clarifying,
        "people_there": context.turn.people_there, "waiting_ticket": str(waiting.id) if waiting else None,
        "audience": sorted(context.turn.principal.audience), "summary_upto": context.session.summary_upto,
        "language": context.session.language,
    }  # fmt: skip


def references(answer: Wording) -> list[dict[str, Any]]:
    """What the answer cites, as it read then: rows of `kb_references`."""
    return [
        {
            "id": new_id(), "article_id": passage.article_id, "ref": passage.ref, "title": passage.title,
            "version": passage.version, "passage_digest": passage.digest, "quoted": passage.text, "rank": rank,
            "score": passage.score, "source": passage.origin,
        }
        for rank, passage in enumerate(answer.cited, 1)
    ]  # fmt: skip
