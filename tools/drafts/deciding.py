"""People's decisions about drafts. Each is one transaction, and of two at once exactly one holds.

A ticket of our own is answered in that transaction; one that lives in another system gets its reply from the outbox.
What the decision teaches is kept in the same transaction, so that there is no reply without its lesson.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from kbs.passages import Source
from memory import audit
from memory.database import Connection
from memory.errors import AlreadyTaken, Conflict, Invalid, NotFound, OutOfDate
from memory.models import Ticket, new_id
from memory.tenancy import Principal
from tools.contacts import NOTHING_PUBLIC, Contacts
from tools.drafts.asking import ANSWERED_SINCE, WRITTEN_SINCE
from tools.learning.comparing import Comparison, compare
from tools.learning.differences import summarise
from tools.learning.learning import Learned, learn
from tools.learning.redaction import marks_in
from tools.tickets.in_chat import hold_session
from tools.tickets.reading import get_ticket
from tools.tickets.talking import reply, speaks_as_customer
from tools.whmcs.account import names_in

OWN = "ticket"
"""The channel of tickets that live here."""
OURS = [source.value for source in Source]
"""Whatever else a draft rests on, another system told of this customer."""
SUPERSEDED = "another draft of this ticket has taken this one's place"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What a person approves."""

    draft_id: UUID
    version: int
    """Of the draft that they have read."""
    content: str | None = None
    """The reply as they want it sent; None: as it stands."""
    notes: str = ""
    """Why they changed it."""
    status: str | None = None
    """What the ticket becomes with it."""
    even_though_outdated: bool = False
    teach: bool = True
    """Whether the system may learn from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    reply_id: UUID
    channel: str
    lesson_id: UUID | None
    distance: int
    """Characters that were changed."""


async def approve(
    connection: Connection, principal: Principal, wanted: Approval, *, public: Contacts = NOTHING_PUBLIC, **trace: Any
) -> Approved:
    """Approve a draft and have its reply sent; of what it teaches, what is `public` of the team stays. Raises NotFound;
    AlreadyTaken with the name of who was faster; OutOfDate where the customer has written or a colleague has answered
    since; Conflict; and Invalid for a reply that still has a mark of removed data."""
    ticket = await _held(connection, wanted.draft_id)
    if speaks_as_customer(principal, ticket):
        raise Conflict("this ticket is your own; a colleague must approve the reply")
    draft = await _decide(connection, principal, wanted.draft_id, wanted.version, "approved")
    text = _text(wanted, draft)
    if (why := _out_of_date(draft)) and not wanted.even_though_outdated:
        raise OutOfDate(f"{why}; have it written again, or say that you know")
    compared = compare(draft["content"], text)
    channel = OWN if ticket.source == "helpdesk" else ticket.source
    reply_id = await _keep(connection, principal, wanted, draft, text, compared, channel)
    lesson_id = None
    if wanted.teach:
        lesson_id = await _teach(connection, wanted, draft, ticket, text, compared, reply_id, public)
    told = {"reply_id": str(reply_id), "ticket_id": str(ticket.id), "similarity": round(compared.similarity, 4)}
    await audit.write(connection, principal, "draft.approved", "draft", wanted.draft_id, changes=told, **trace)
    if channel == OWN:
        event = await reply(connection, principal, ticket.id, text, status=wanted.status, **trace)
        await connection.execute(SENT, (event.id, reply_id))
    return Approved(reply_id=reply_id, channel=channel, lesson_id=lesson_id, distance=compared.distance)


async def reject(
    connection: Connection, principal: Principal, draft_id: UUID, *, version: int | None, reason: str, **trace: Any
) -> None:
    """Raises NotFound and AlreadyTaken, and Conflict for an older version."""
    await _decide(connection, principal, draft_id, version, "rejected", reason)
    await audit.write(connection, principal, "draft.rejected", "draft", draft_id, **trace)


async def _held(connection: Connection, draft_id: UUID) -> Ticket:
    """The draft's ticket, locked after its conversation: nobody writes on it until the decision is through."""
    row = await (await connection.execute(TICKET, (draft_id,))).fetchone()
    if row is None:
        raise NotFound("no such draft")
    await hold_session(connection, row["ticket_id"])
    await connection.execute(HOLD, (row["ticket_id"],))
    ticket = await get_ticket(connection, row["ticket_id"])
    if ticket.merged_into:
        raise Conflict("this ticket was merged into another; go on there")
    return ticket


async def _decide(
    connection: Connection, principal: Principal, draft_id: UUID, version: int | None, status: str, reason: str = ""
) -> dict[str, Any]:
    """The update decides who wins; the loser is told who did."""
    values = {"id": draft_id, "version": version, "status": status, "by": principal.user_id, "reason": reason}
    row = await (await connection.execute(DECIDE, values)).fetchone()
    if row is not None:
        return row
    state = await (await connection.execute(STATE, (draft_id,))).fetchone()
    if state is None:
        raise NotFound("no such draft")
    match state["status"]:
        case "pending":
            raise Conflict(f"this draft was changed meanwhile; its version is {state['version']}")
        case "superseded":
            raise Conflict(SUPERSEDED)
        case decided:
            raise AlreadyTaken(f"{state['decided_by_name'] or 'A colleague'} has {decided} this draft already")


def _out_of_date(draft: dict[str, Any]) -> str:
    if draft["written"]:
        return "the customer has written since this draft was"
    return "a colleague has answered since this draft was" if draft["answered"] else ""


def _text(wanted: Approval, draft: dict[str, Any]) -> str:
    text = (wanted.content if wanted.content is not None else str(draft["content"])).strip()
    if not text:
        raise Invalid("a reply has some text")
    if marks := marks_in(text):
        raise Invalid(f"the reply still has {marks[0]} in it: fill it in, or take it out")
    return text


async def _keep(
    connection: Connection, principal: Principal, wanted: Approval, draft: dict[str, Any], text: str,
    compared: Comparison, channel: str,
) -> UUID:  # fmt: skip
    reply_id = new_id()
    values = {
        "id": reply_id, "draft": wanted.draft_id, "by": principal.user_id, "content": text,
        "similarity": compared.similarity, "distance": compared.distance,
        "notes": wanted.notes or summarise(draft["content"], text),
        "learned": compared.kind if wanted.teach else "", "channel": channel, "status": wanted.status or "",
    }  # fmt: skip
    await connection.execute(KEEP, values)
    return reply_id


async def _teach(
    connection: Connection, wanted: Approval, draft: dict[str, Any], ticket: Ticket, text: str, compared: Comparison,
    reply_id: UUID, public: Contacts,
) -> UUID | None:  # fmt: skip
    named = await (await connection.execute(NAMES, (ticket.customer_id,))).fetchone()
    told = await (await connection.execute(TOLD, {"draft": wanted.draft_id, "ours": OURS})).fetchall()
    learned = Learned(
        kind=compared.kind, approved_reply_id=reply_id, ticket_id=ticket.id, customer_id=ticket.customer_id,
        subject=ticket.subject, issue=draft["question"], draft=draft["content"], reply=text,
        notes=wanted.notes or summarise(draft["content"], text), intent=draft["intent"],
        similarity=compared.similarity, public=public, accounts=tuple(row["quoted"] for row in told),
        names=(*(name for name in (named or {}).values() if name), *(n for row in told for n in names_in(row["quoted"]))),
    )  # fmt: skip
    return await learn(connection, ticket.tenant_id, learned)


TICKET = "select ticket_id from drafts where id = %s and tenant_id = current_tenant()"
HOLD = "select 1 from tickets where id = %s and tenant_id = current_tenant() for no key update"
DECIDE = f"""
update drafts d set status = %(status)s, version = d.version + 1, decided_by = %(by)s, decided_at = now(),
                    reason = %(reason)s
from tickets t
where d.id = %(id)s and d.tenant_id = current_tenant() and d.status = 'pending'
      and (%(version)s::integer is null or d.version = %(version)s)
      and t.id = d.ticket_id and t.tenant_id = d.tenant_id
returning d.content, d.question, d.intent, {WRITTEN_SINCE} as written, {ANSWERED_SINCE} as answered
"""
STATE = """
select d.status, d.version, coalesce(nullif(u.name, ''), u.email) as decided_by_name
from drafts d left join users u on u.tenant_id = d.tenant_id and u.id = d.decided_by
where d.id = %s and d.tenant_id = current_tenant()
"""
KEEP = """
insert into approved_replies (id, tenant_id, draft_id, ticket_id, approved_by, content, similarity, distance, edit_notes,
                              learned, channel, sending, ticket_status, attempts)
select %(id)s, d.tenant_id, d.id, d.ticket_id, %(by)s, %(content)s, %(similarity)s, %(distance)s, %(notes)s,
       %(learned)s, %(channel)s, 'pending', %(status)s, 0
from drafts d where d.id = %(draft)s and d.tenant_id = current_tenant()
"""
SENT = """
update approved_replies set sending = 'sent', event_id = %s, sent_at = now()
where id = %s and tenant_id = current_tenant()
"""
TOLD = """
select quoted from kb_references
where draft_id = %(draft)s and tenant_id = current_tenant() and not source = any(%(ours)s)
"""
NAMES = "select name from customers where id = %s and tenant_id = current_tenant()"
