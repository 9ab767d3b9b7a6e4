"""The end of a turn that broke off: what was said stays and is marked, the customer hears of it, a person is asked for."""

from agent.phrases import say
from memory import chats, turns
from memory.events import Journal
from memory.models import ChatSession, Turn
from tools.escalation_policy import EscalationReason
from tools.handoffs.requesting import Request, request_handoff


async def close_broken(entry: Journal, session: ChatSession, reason: str, process: str) -> None:
    """Close the running turn of a locked session as failed, with an honest word and a person asked for."""

    async def farewell(turn: Turn) -> None:
        asked = " ".join(question["content"] for question in await turns.questions(entry.connection, turn.id))
        request = Request(
            session_id=session.id, customer_id=session.customer_id, reason=EscalationReason.INTERRUPTED,
            summary=asked[:200] or "An answer broke off", findings={"tried": turn.partial},
            turn_id=turn.id, actor=process,
        )  # fmt: skip
        _, ticket, _ = await request_handoff(entry, request)
        words = f"{say('broken_off', session.language)} {say('handed_over', session.language, number=ticket.number)}"
        await chats.add_message(
            entry, session.id, author="system", content=words, turn_id=turn.id,
            details={"ticket_id": str(ticket.id), "requires_escalation": True},
        )  # fmt: skip

    await turns.stop(entry, session.id, status="failed", reason=reason, farewell=farewell)
