"""One ticket of WHMCS as a ticket here: opened as it was, or brought up to date, in one transaction.

Words are told apart by their ids in WHMCS, so that taking a ticket over twice, or by two at once, writes them once. A
status is followed when WHMCS changes it; what colleagues decide here in between stays. An approved reply that went out
from here is not repeated as somebody's words: the event that shows it gets its id.

A ticket that is new here may have a past: what WHMCS dates before `history_until` is taken over as history. It is all
there to read, but no webhook tells of it, no draft is written for it, and no clock that ran out then is late now.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from memory.database import Connection
from tools.tickets.editing import Edit, editing
from tools.tickets.events import add_event
from tools.tickets.opening import open_ticket
from tools.tickets.status import ENDED, TRANSITIONS, Status
from tools.whmcs import wire
from tools.whmcs.clients import customer_of
from tools.whmcs.options import DELETED, PRIORITY_OF, WhmcsOptions
from tools.whmcs.words import plain, same_words

ACTOR = "whmcs"
SOURCE = "whmcs"
UNSURE = timedelta(minutes=2)
"""Its times have whole seconds: after so fresh a change the ticket is looked at once more."""
Kind = Literal["opened", "changed", "unchanged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What came of a ticket."""

    kind: Kind
    ticket_id: UUID
    unmapped: str | None = None
    """Its status, where nothing says what that is here."""


async def take(
    connection: Connection, tenant_id: UUID, ticket: wire.Ticket, options: WhmcsOptions, *, listed: bool = True,
    history_until: datetime | None = None,
) -> Taken:  # fmt: skip
    """Take over what is new of a ticket. A transaction at a time per ticket: others wait for its row."""
    row = await _known(connection, ticket.id)
    if row is None:
        return await _open(connection, tenant_id, ticket, options, history_until)
    return await _update(connection, tenant_id, row, ticket, options, listed=listed)


async def take_deletion(connection: Connection, ticket_id: int) -> Taken | None:
    """A ticket that is no longer in WHMCS is over here, too; None where we had none."""
    row = await _known(connection, ticket_id)
    if row is None:
        return None
    async with editing(connection, row["id"], actor=ACTOR) as edit:
        edit.set(external_status=DELETED, external_mark="", external_seen_at=edit.at)
        if edit.ticket.status not in ENDED and not edit.ticket.merged_into:
            edit.tell("note", {"text": "This ticket was deleted in WHMCS."})
            _bring(edit, "closed")
    return Taken(kind="changed", ticket_id=row["id"])


async def _open(
    connection: Connection, tenant_id: UUID, ticket: wire.Ticket, options: WhmcsOptions, history_until: datetime | None
) -> Taken:
    status = options.status_of(ticket.status)
    customer_id = await customer_of(connection, tenant_id, ticket, options)
    opened = await open_ticket(
        connection, tenant_id=tenant_id, customer_id=customer_id, subject=ticket.subject,
        content=plain(ticket.opening.message) if ticket.opening else "", department=ticket.deptname[:60],
        opened_by="agent" if ticket.admin else "customer", actor=ACTOR, priority=PRIORITY_OF.get(ticket.priority.lower()),
        as_it_was=_past(ticket, options, status or "open"),
        is_history=_is_history(wire.time_of(ticket.date, options.timezone), history_until),
    )  # fmt: skip
    await _say(
        connection, tenant_id, opened.id, [reply for reply in ticket.replies if reply.id], options, history_until
    )
    return Taken(kind="opened", ticket_id=opened.id, unmapped=None if status else ticket.status)


def _is_history(at: datetime | None, until: datetime | None) -> bool:
    return at is not None and until is not None and at < until


def _past(ticket: wire.Ticket, options: WhmcsOptions, status: Status) -> dict[str, Any]:
    """What had happened to it before it came here: the clocks of the past are not told as missed."""
    now = datetime.now(UTC)
    last = wire.time_of(ticket.lastreply, options.timezone) or now
    answers = (wire.time_of(reply.date, options.timezone) for reply in ticket.replies if reply.admin and reply.id)
    return {
        "created_at": wire.time_of(ticket.date, options.timezone) or now,
        "status": status,
        "first_responded_at": min((at for at in answers if at), default=None),
        "paused_at": last if status == "waiting_customer" else None,
        "resolved_at": last if status in ENDED else None,
        "closed_at": last if status == "closed" else None,
        "source": SOURCE,
        "external_id": str(ticket.id),
        "external_number": ticket.tid[:60],
        **_seen(ticket, options),
    }


def _seen(ticket: wire.Ticket, options: WhmcsOptions, *, listed: bool = True) -> dict[str, Any]:
    """What the list says of it now. `~`: look once more; `!`: it is not in the list."""
    last, now = wire.time_of(ticket.lastreply, options.timezone), datetime.now(UTC)
    note = "!" if not listed else "~" if last and now - last < UNSURE else ""
    return {
        "external_status": ticket.status[:60], "external_client": str(ticket.userid) if ticket.userid else "",
        "external_mark": ticket.mark + note, "external_seen_at": now,
    }  # fmt: skip


async def _update(
    connection: Connection, tenant_id: UUID, row: dict[str, Any], ticket: wire.Ticket, options: WhmcsOptions, *,
    listed: bool,
) -> Taken:  # fmt: skip
    status = options.status_of(ticket.status)
    async with editing(connection, row["id"], actor=ACTOR) as edit:  # first the lock: what is known is read under it
        known = await _known_words(connection, ticket)
        new = [reply for reply in ticket.replies if reply.id and word_id(reply) not in known]
        followed = edit.ticket.external_status != ticket.status[:60]
        if edit.ticket.merged_into is None:
            _answered(edit, new, options)
            if followed and status:
                _bring(edit, status)
            elif any(not reply.admin for reply in new) and edit.ticket.status not in ("open", "in_progress"):
                _bring(edit, "open")
            if ticket.deptname and _department(edit.ticket.external_mark) != str(ticket.deptid):
                _move_department(edit, ticket.deptname[:60])
        edit.set(**_seen(ticket, options, listed=listed))
        said = await _say(connection, tenant_id, row["id"], new, options)
        changed = bool(said or edit.told)
    if said:
        await connection.execute(RAISE_VERSION, (row["id"],))
    unmapped = ticket.status if status is None else None
    return Taken(kind="changed" if changed else "unchanged", ticket_id=row["id"], unmapped=unmapped)


def _answered(edit: Edit, new: list[wire.Reply], options: WhmcsOptions) -> None:
    """A colleague's first answer meets the first clock when it was given, not when we heard of it."""
    times = [wire.time_of(reply.date, options.timezone) or edit.at for reply in new if reply.admin]
    if not times or edit.ticket.first_responded_at is not None:
        return
    at, due = min(times), edit.ticket.first_response_due
    edit.set(first_responded_at=at)
    if due is None or at <= due:
        edit.set(missed=[clock for clock in edit.ticket.missed if clock != "first_response"])
        edit.told[:] = [
            told for told in edit.told if not (told[0] == "sla_missed" and told[1].get("clock") == "first_response")
        ]


def _bring(edit: Edit, status: Status) -> None:
    """To a status of WHMCS by the steps that there are, however long ago the ticket ended."""
    if edit.ticket.status == status:
        return
    if status not in TRANSITIONS[edit.ticket.status] or (edit.ticket.status == "closed"):
        edit.set(closed_at=None)
        edit.move("open")
    if edit.ticket.status != status:
        edit.move(status)


def _move_department(edit: Edit, name: str) -> None:
    if name != edit.ticket.department:
        edit.tell("department_changed", {"from": edit.ticket.department, "to": name})
        edit.set(department=name)


def _department(mark: str) -> str:
    parts = mark.rstrip("~!").split("|")
    return parts[2] if len(parts) == 4 else ""


async def _say(
    connection: Connection, tenant_id: UUID, ticket_id: UUID, replies: list[wire.Reply], options: WhmcsOptions,
    history_until: datetime | None = None,
) -> int:  # fmt: skip
    """Write words that are new here, in their order, where the ticket's matter goes on; how many."""
    if not replies:
        return 0
    home = await _home(connection, ticket_id)
    approved = await (await connection.execute(APPROVED, ([home, ticket_id],))).fetchall()
    written = 0
    for reply in replies:
        text = plain(reply.message)
        if reply.admin and await _is_ours(connection, approved, reply, text):
            continue
        at = wire.time_of(reply.date, options.timezone)
        data: dict[str, Any] = {"text": text, "author": "agent" if reply.admin else "customer", "via": SOURCE}
        if reply.admin:
            data["name"] = reply.admin
        if reply.attachments:
            data["files_in_whmcs"] = [file.filename for file in reply.attachments if file.filename]
        if _is_history(at, history_until):
            data["history"] = True
        external_id = word_id(reply)
        await add_event(connection, tenant_id, home, "reply", actor=ACTOR, data=data, at=at, external_id=external_id)
        written += 1
    return written


async def _is_ours(connection: Connection, approved: list[dict[str, Any]], reply: wire.Reply, text: str) -> bool:
    """Whether it went out from here. Until its event is there, it is left for whoever settles the sending."""
    for row in approved:
        if row["external_id"] == str(reply.id) or (not row["external_id"] and same_words(row["content"], text)):
            approved.remove(row)
            if row["event_id"]:
                await connection.execute(BIND, (word_id(reply), row["event_id"]))
                await connection.execute(NAME, (str(reply.id), row["id"]))
            return True
    return False


def word_id(reply: wire.Reply) -> str:
    """Names words of WHMCS in events here; an approved reply has the number alone."""
    return f"{SOURCE}:{reply.id}"


async def _known(connection: Connection, external_id: int) -> dict[str, Any] | None:
    return await (await connection.execute(KNOWN, (str(external_id),))).fetchone()


async def _known_words(connection: Connection, ticket: wire.Ticket) -> set[str]:
    ids = [word_id(reply) for reply in ticket.replies]
    return {row["external_id"] for row in await (await connection.execute(WORDS, (ids,))).fetchall()}


async def _home(connection: Connection, ticket_id: UUID) -> UUID:
    """Where its matter goes on: itself, or what it was merged into."""
    row = await (await connection.execute(HOME, (ticket_id,))).fetchone()
    return row["id"] if row else ticket_id


KNOWN = """
select id from tickets where tenant_id = current_tenant() and source = 'whmcs' and external_id = %s
"""
WORDS = "select external_id from ticket_events where tenant_id = current_tenant() and external_id = any(%s)"
HOME = """
with recursive met as (
    select id, merged_into from tickets where id = %s and tenant_id = current_tenant()
    union
    select t.id, t.merged_into from tickets t join met on t.id = met.merged_into and t.tenant_id = current_tenant()
)
select id from met where merged_into is null
"""
APPROVED = """
select id, content, external_id, event_id from approved_replies a
where ticket_id = any(%s) and tenant_id = current_tenant() and channel = 'whmcs' and sending in ('sending', 'sent', 'unknown')
      and not exists (select 1 from ticket_events e
                      where e.tenant_id = a.tenant_id and e.id = a.event_id and e.external_id is not null)
order by id
"""
BIND = "update ticket_events set external_id = %s where id = %s and tenant_id = current_tenant()"
NAME = "update approved_replies set external_id = %s where id = %s and tenant_id = current_tenant()"
RAISE_VERSION = """
update tickets set version = version + 1, updated_at = clock_timestamp()
where id = %s and tenant_id = current_tenant()
"""
