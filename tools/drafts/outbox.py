"""Approved replies on their way to tickets that live in another system: at most one attempt at a time, none blind.

pending ──take──▶ sending ──▶ sent
   ▲                │  ├────▶ failed     the other side said no, or it certainly did not arrive: a person sends it again
   └── nothing ◀────┤  └────▶ unknown    nobody knows: "please check", until reading back settles it, or a person does
       went out     └─ the process died: it is settled by reading back

`sending` is written before the call. Whoever settles an attempt names its number, so that two can't.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from memory import audit
from memory.database import Connection
from memory.errors import Conflict, NotFound
from memory.tenancy import Principal
from tools.channel import Outgoing
from tools.tickets.editing import editing
from tools.tickets.events import add_event
from tools.tickets.status import TRANSITIONS

ATTEMPTS = 8
"""Of a reply that could not even set out; then a person is told."""
LOST_AFTER = timedelta(seconds=90)
"""Of an attempt that has not ended: its process is gone."""
SURE_AFTER = timedelta(seconds=60)
"""After an attempt began: what is not there by now did not arrive."""
Settled = Literal["sent", "failed", "unknown", "pending"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt to send a reply."""

    outgoing: Outgoing
    channel: str
    number: int
    age: timedelta


async def take(connection: Connection, reply_id: UUID) -> Attempt | None:
    """Begin an attempt; None where it is not waiting any more. To be committed before the call."""
    row = await (await connection.execute(TAKE, (reply_id,))).fetchone()
    return _attempt(row) if row else None


async def unsettled(connection: Connection, reply_id: UUID) -> Attempt | None:
    """The attempt of which nobody knows how it ended; None while it may still be running."""
    row = await (await connection.execute(UNSETTLED, (reply_id, LOST_AFTER))).fetchone()
    return _attempt(row) if row else None


async def settle(
    connection: Connection, attempt: Attempt, state: Settled, *, external_id: str | None = None, error: str = ""
) -> bool:
    """Write down how an attempt ended; False where somebody has already. A reply that was sent stands on the ticket."""
    values = {
        "id": attempt.outgoing.reply_id, "number": attempt.number, "state": state, "external": external_id,
        "error": error or None,
    }  # fmt: skip
    row = await (await connection.execute(SETTLE, values)).fetchone()
    if row is None:
        return False
    if state == "sent":
        await _show(connection, row, attempt.outgoing.author)
    return True


async def send_again(connection: Connection, principal: Principal, draft_id: UUID, **trace: Any) -> UUID:
    """A person has made sure that it did not arrive. Raises NotFound, and Conflict where it is not theirs to say."""
    row = await _by_person(connection, draft_id, "pending")
    await audit.write(connection, principal, "reply.sent_again", "draft", draft_id, **trace)
    found: UUID = row["id"]
    return found


async def confirm_sent(connection: Connection, principal: Principal, draft_id: UUID, **trace: Any) -> None:
    """A person has seen it on the ticket over there. Raises NotFound and Conflict."""
    row = await _by_person(connection, draft_id, "sent")
    await _show(connection, row, row["author"])
    await audit.write(connection, principal, "reply.confirmed", "draft", draft_id, **trace)


async def _by_person(connection: Connection, draft_id: UUID, state: Settled) -> dict[str, Any]:
    row = await (await connection.execute(BY_PERSON, {"draft": draft_id, "state": state})).fetchone()
    if row is not None:
        return row
    found = await (await connection.execute(SENDING, (draft_id,))).fetchone()
    if found is None:
        raise NotFound("no such reply")
    raise Conflict(f"this reply is {found['sending']}; only one that failed or is unknown can be settled by hand")


async def _show(connection: Connection, row: dict[str, Any], author: str) -> None:
    """The reply as an event of the ticket, unless a synchronisation has found it there first."""
    external_id = f"{row['channel']}:{row['external_id']}" if row["external_id"] else None
    if external_id:
        known = await (await connection.execute(KNOWN, (row["ticket_id"], external_id))).fetchone()
        if known:
            await connection.execute(SHOWN, (known["id"], row["id"]))
            return
    actor = f"user:{row['approved_by']}"
    async with editing(connection, row["ticket_id"], actor=actor) as edit:
        edit.answered()
        before = edit.ticket.status
        wanted = row["ticket_status"] or ("in_progress" if before == "open" else before)
        if wanted in TRANSITIONS[before]:
            edit.move(wanted)
        data = {"text": row["content"], "author": "agent", "name": author}
        event_id = await add_event(
            connection, edit.ticket.tenant_id, edit.ticket.id, "reply", actor=actor, data=data, at=edit.at
        )
    await connection.execute(EXTERNAL, (external_id, event_id))
    await connection.execute(SHOWN, (event_id, row["id"]))


def _attempt(row: dict[str, Any]) -> Attempt:
    outgoing = Outgoing(
        tenant_id=row["tenant_id"], reply_id=row["id"], ticket_id=row["ticket_id"],
        external_ticket_id=row["external_ticket_id"] or "", text=row["content"], author=row["author"],
        tried_at=row["tried_at"],
    )  # fmt: skip
    return Attempt(outgoing=outgoing, channel=row["channel"], number=row["attempts"], age=row["age"])


_SHOWN = """
r.*, t.external_id as external_ticket_id, clock_timestamp() - r.tried_at as age,
coalesce((select nullif(u.name, '') from users u where u.tenant_id = r.tenant_id and u.id = r.approved_by), 'Support')
    as author
"""
_TICKET = "from tickets t where t.tenant_id = r.tenant_id and t.id = r.ticket_id and r.tenant_id = current_tenant()"
TAKE = f"""
update approved_replies r set sending = 'sending', attempts = r.attempts + 1, tried_at = clock_timestamp(), error = null
{_TICKET} and r.id = %s and r.sending = 'pending' and r.channel <> 'ticket' returning {_SHOWN}
"""
UNSETTLED = f"""
select {_SHOWN} from approved_replies r join tickets t on t.tenant_id = r.tenant_id and t.id = r.ticket_id
where r.tenant_id = current_tenant() and r.id = %s
      and (r.sending = 'unknown' or (r.sending = 'sending' and r.tried_at <= clock_timestamp() - %s))
"""
SETTLE = """
update approved_replies set sending = %(state)s::text, external_id = coalesce(%(external)s, external_id), error = %(error)s,
                            sent_at = case when %(state)s::text = 'sent' then now() end
where id = %(id)s and tenant_id = current_tenant() and sending in ('sending', 'unknown') and attempts = %(number)s
returning *
"""
BY_PERSON = f"""
update approved_replies r set sending = %(state)s::text, error = null,
                              sent_at = case when %(state)s::text = 'sent' then now() end,
                              attempts = case when %(state)s::text = 'sent' then r.attempts else 0 end
{_TICKET} and r.draft_id = %(draft)s and r.sending in ('failed', 'unknown') returning {_SHOWN}
"""
SENDING = "select sending from approved_replies where draft_id = %s and tenant_id = current_tenant()"
KNOWN = "select id from ticket_events where ticket_id = %s and external_id = %s and tenant_id = current_tenant()"
SHOWN = "update approved_replies set event_id = %s where id = %s and tenant_id = current_tenant()"
EXTERNAL = "update ticket_events set external_id = %s where id = %s and tenant_id = current_tenant()"
