"""The handoff's ticket in step with the conversation: who has it, what was said, and how it ended.

A ticket may have been merged into another meanwhile; the story goes on there.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from memory.database import Connection
from tools.staff import Colleague
from tools.tickets.editing import Edit, editing
from tools.tickets.reading import escalation_ticket
from tools.tickets.status import ENDED

QUIET = frozenset({"open", "waiting_customer"})


async def claimed(
    connection: Connection, session_id: UUID, by: Colleague, *, actor: str, kind: str = "claimed"
) -> None:
    """A person has the conversation, and with it the ticket."""
    async with _ticket_of(connection, session_id, actor) as edit:
        if edit:
            edit.tell(kind, {"by": by.known_as})
            edit.set(assignee_id=by.id)
            if edit.ticket.status in QUIET:
                edit.move("in_progress")


async def said(connection: Connection, session_id: UUID, by: Colleague, text: str, *, actor: str) -> None:
    """A person's words in the conversation are a reply: they meet the first clock."""
    async with _ticket_of(connection, session_id, actor) as edit:
        if edit:
            edit.answered()
            edit.tell("reply", {"text": text, "author": "agent", "name": by.shown})
            if edit.ticket.status in QUIET:
                edit.move("in_progress")


async def customer_said(connection: Connection, session_id: UUID, text: str, *, actor: str) -> None:
    """What the customer says to a person."""
    async with _ticket_of(connection, session_id, actor) as edit:
        if edit:
            edit.tell("reply", {"text": text, "author": "customer"})
            if edit.ticket.status == "waiting_customer":
                edit.move("in_progress")


async def noted(connection: Connection, session_id: UUID, kind: str, data: dict[str, Any], *, actor: str) -> None:
    """Anything else that colleagues should find there."""
    async with _ticket_of(connection, session_id, actor) as edit:
        if edit:
            edit.tell(kind, data)


async def returned(connection: Connection, session_id: UUID) -> None:
    """Nobody answered: the ticket is nobody's again."""
    async with _ticket_of(connection, session_id, "system") as edit:
        if edit:
            edit.tell("returned_to_queue", {})
            edit.set(assignee_id=None)
            if edit.ticket.status == "in_progress":
                edit.move("open")


async def resolved(connection: Connection, session_id: UUID, by: Colleague, outcome: str, *, actor: str) -> None:
    """The matter is settled, and the ticket with it."""
    async with _ticket_of(connection, session_id, actor) as edit:
        if edit:
            edit.tell("handoff_resolved", {"by": by.known_as, "outcome": outcome})
            if edit.ticket.status not in ENDED:
                edit.move("resolved")


@asynccontextmanager
async def _ticket_of(connection: Connection, session_id: UUID, actor: str) -> AsyncIterator[Edit | None]:
    ticket = await escalation_ticket(connection, session_id)
    if ticket is None:
        yield None
        return
    async with editing(connection, ticket.id, actor=actor) as edit:
        yield edit
