"""Changing a ticket: locked, compared with the version that the caller has seen, written once with what it tells.

Every change first settles what is late, so that no clock is stopped or moved past a target that it has missed. Words
for colleagues and late clocks leave the version alone: they take nothing from what somebody else is about to change.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from memory.database import Connection
from memory.errors import Conflict, NotFound
from memory.models import Ticket
from tools.tenants import TenantOptions, load_options
from tools.tickets import clocks
from tools.tickets.events import add_event
from tools.tickets.reading import COLUMNS
from tools.tickets.status import ENDED, REOPEN_WITHIN, TRANSITIONS

BOOKKEEPING = frozenset({"missed", "next_deadline", "external_mark", "external_seen_at"})
ASIDE = frozenset({"note", "sla_missed"})


@dataclass(slots=True, kw_only=True)
class Edit:
    """A locked ticket, what is changed of it, and the events that tell so."""

    ticket: Ticket
    before: dict[str, Any]
    options: TenantOptions
    actor: str
    at: datetime
    told: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    event_ids: list[UUID] = field(default_factory=list)
    """Of the events told, once they are written."""

    def set(self, **columns: Any) -> None:
        self.ticket.sqlmodel_update(columns)

    def tell(self, kind: str, data: dict[str, Any], *, actor: str | None = None) -> None:
        self.told.append((kind, data, actor or self.actor))

    @property
    def changes(self) -> dict[str, Any]:
        """Columns that differ from what was there."""
        return {name: value for name, value in _values(self.ticket).items() if value != self.before[name]}

    def must_stand_alone(self) -> None:
        """What was merged into another goes on there. Raises Conflict."""
        if self.ticket.merged_into:
            raise Conflict("this ticket was merged into another; go on there")

    def settle(self) -> int:
        """Note which clocks have run out; how many did."""
        late = clocks.overdue(self.ticket, self.at)
        for clock in late:
            due = clocks.due_of(self.ticket, clock)
            self.tell("sla_missed", {"clock": clock, "due": due.isoformat() if due else None}, actor="system")
        self.set(missed=[*self.ticket.missed, *late])
        return len(late)

    def move(self, status: str) -> None:
        """Change the status with all that hangs on it. Raises Conflict for a step that the table does not have."""
        ticket, before = self.ticket, self.ticket.status
        if status == before:
            return
        if status not in TRANSITIONS[before]:
            raise Conflict(f"a ticket that is {before} can't become {status}")
        if before in ENDED and status not in ENDED:
            self._reopen()
        if ticket.paused_at:
            self.set(**clocks.resumed(ticket, self.options, self.at), paused_at=None)
        self.tell(
            "reopened" if before in ENDED and status not in ENDED else "status_changed", {"from": before, "to": status}
        )
        self.set(status=status)
        if status == "waiting_customer":
            self.set(paused_at=self.at)
        elif status in ENDED:
            closed_at = self.at if status == "closed" else None
            self.set(resolved_at=ticket.resolved_at or self.at, closed_at=closed_at)

    def answered(self) -> None:
        """A colleague has spoken: the first clock is met."""
        if self.ticket.first_responded_at is None:
            self.set(first_responded_at=self.at)

    def _reopen(self) -> None:
        """The clocks that are not met start anew, and what was missed of them is forgiven."""
        ticket = self.ticket
        if ticket.closed_at and self.at - ticket.closed_at > REOPEN_WITHIN:
            raise Conflict("this ticket was closed too long ago; please open a new one")
        self.set(resolved_at=None, closed_at=None, reopened=ticket.reopened + 1)
        self.set(**clocks.restarted(ticket, self.options, self.at))
        self.set(missed=[clock for clock in ticket.missed if clocks.is_met(ticket, clock)])


@asynccontextmanager
async def editing(
    connection: Connection, ticket_id: UUID, *, actor: str, customer_id: UUID | None = None, version: int | None = None
) -> AsyncIterator[Edit]:
    """Lock a ticket for a change, and write it at the end. Raises NotFound, and Conflict for an older version."""
    found = await (await connection.execute(LOCK, {"id": ticket_id, "customer": customer_id})).fetchone()
    if found is None:
        raise NotFound("no such ticket")
    row = {name: in_utc(value) for name, value in found.items()}
    at = row.pop("locked_at")
    ticket = Ticket(**row)
    if version is not None and version != ticket.version:
        raise Conflict(f"somebody has changed this ticket meanwhile; its version is {ticket.version}")
    options = await load_options(connection, ticket.tenant_id)
    edit = Edit(ticket=ticket, before=_values(ticket), options=options, actor=actor, at=at)
    edit.settle()
    yield edit
    await _save(connection, edit)


def in_utc(value: Any) -> Any:
    """A time that compares as an instant: two of one other zone would be compared by the wall."""
    return value.astimezone(UTC) if isinstance(value, datetime) else value


async def _save(connection: Connection, edit: Edit) -> None:
    ticket = edit.ticket
    edit.set(next_deadline=clocks.next_deadline(ticket))
    changes = edit.changes
    rises = bool(changes.keys() - BOOKKEEPING) or any(kind not in ASIDE for kind, _, _ in edit.told)
    if changes or edit.told:
        values = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in changes.items()}
        columns = "".join(f", {name} = %({name})s" for name in changes)
        query = UPDATE.format(columns=columns)
        await connection.execute(query, {**values, "ticket_id": ticket.id, "rises": int(rises)})
    for kind, data, actor in edit.told:
        event_id = await add_event(connection, ticket.tenant_id, ticket.id, kind, actor=actor, data=data, at=edit.at)
        edit.event_ids.append(event_id)


def _values(ticket: Ticket) -> dict[str, Any]:
    return {name: getattr(ticket, name) for name in type(ticket).model_fields if name != "tsv"}


LOCK = f"""
select {COLUMNS}, clock_timestamp() as locked_at from tickets t
where t.id = %(id)s and t.tenant_id = current_tenant() and (%(customer)s::uuid is null or t.customer_id = %(customer)s)
for no key update
"""
UPDATE = """
update tickets set version = version + %(rises)s, updated_at = clock_timestamp(){columns}
where id = %(ticket_id)s and tenant_id = current_tenant()
"""
