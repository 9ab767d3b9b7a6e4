"""Words on a ticket: replies between colleagues and the customer, and notes that only colleagues see."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from memory import audit
from memory.database import Connection
from memory.errors import Conflict, NotAllowed
from memory.models import Attachment, Ticket, TicketEvent
from memory.tenancy import Principal, Role
from tools.attachments import storing
from tools.conversations import seen_by
from tools.staff import colleague
from tools.tickets.editing import Edit, editing
from tools.tickets.events import get_event
from tools.tickets.in_chat import hold_session, say_in_chat


async def reply(
    connection: Connection, principal: Principal, ticket_id: UUID, text: str, *, status: str | None = None,
    version: int | None = None, attachment_ids: Sequence[UUID] = (), **trace: Any,
) -> TicketEvent:  # fmt: skip
    """Answer on a ticket, with the caller's own uploads. A colleague may set a status with it, and is heard in the
    ticket's conversation too; a customer's words open what had ended or waited for them. A tenant's server speaks for
    the customer. Raises NotFound, NotAllowed, Conflict.
    """
    session = await hold_session(connection, ticket_id) if principal.is_colleague else None
    files = await storing.claim(connection, principal, attachment_ids)
    sent = {"attachments": storing.shown(files)} if files else {}
    async with editing(
        connection, ticket_id, actor=principal.key, customer_id=seen_by(principal), version=version
    ) as edit:
        edit.must_stand_alone()
        if speaks_as_customer(principal, edit.ticket):
            if status:
                raise NotAllowed("a status is for colleagues to set")
            edit.tell("reply", {"text": text, "author": "customer", **sent})
            if edit.ticket.status not in ("open", "in_progress"):
                edit.move("open")
        else:
            by = await colleague(connection, principal.user_id)
            _as_colleague(edit, {"text": text, "author": "agent", "name": by.shown, **sent}, status)
            if session:
                await say_in_chat(connection, session, by, text, {**sent, "ticket_id": str(ticket_id)})
    if not speaks_as_customer(principal, edit.ticket):
        await audit.write(connection, principal, "ticket.replied", "ticket", ticket_id, **trace)
    return await _event(connection, edit, "reply", files)


async def note(
    connection: Connection, principal: Principal, ticket_id: UUID, text: str, *, attachment_ids: Sequence[UUID] = (),
    **trace: Any,
) -> TicketEvent:  # fmt: skip
    """Write something that only colleagues see, at any time; its uploads are for them alone, too. Raises NotFound."""
    files = await storing.claim(connection, principal, attachment_ids)
    sent = {"attachments": storing.shown(files)} if files else {}
    async with editing(connection, ticket_id, actor=principal.key) as edit:
        edit.tell("note", {"text": text, **sent})
    await audit.write(connection, principal, "ticket.noted", "ticket", ticket_id, **trace)
    return await _event(connection, edit, "note", files)


async def open_again(connection: Connection, ticket_id: UUID, *, actor: str) -> None:
    """The matter goes on in the ticket's conversation: what had ended is open again, however long ago it did."""
    async with editing(connection, ticket_id, actor=actor) as edit:
        if edit.ticket.status in ("resolved", "closed") and not edit.ticket.merged_into:
            edit.set(closed_at=None)
            edit.move("open")


def speaks_as_customer(principal: Principal, ticket: Ticket) -> bool:
    """A colleague with a ticket of their own is its customer."""
    return principal.role is Role.CUSTOMER or principal.is_server or principal.customer_id == ticket.customer_id


def _as_colleague(edit: Edit, data: dict[str, Any], status: str | None) -> None:
    if edit.ticket.source != "helpdesk" and edit.ticket.external_id:
        raise Conflict(
            "its customer reads this ticket elsewhere: have a reply drafted and approve it, so that it is sent"
        )
    if edit.ticket.status == "closed":
        raise Conflict("this ticket is closed; reopen it first")
    edit.answered()
    edit.tell("reply", data)
    edit.move(status or ("in_progress" if edit.ticket.status == "open" else edit.ticket.status))


async def _event(connection: Connection, edit: Edit, kind: str, files: Sequence[Attachment]) -> TicketEvent:
    """The event that was written, with its files bound to it."""
    event_id = edit.event_ids[[told for told, _, _ in edit.told].index(kind)]
    await storing.attach_to_ticket_event(
        connection, files, customer_id=edit.ticket.customer_id, ticket_id=edit.ticket.id, event_id=event_id,
        internal=kind == "note",
    )  # fmt: skip
    return await get_event(connection, event_id)
