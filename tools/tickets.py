"""Tickets: opening one, and a customer's own."""

from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from memory.database import Connection
from memory.errors import NotFound
from memory.models import Ticket, new_id

SUBJECT_LENGTH = 200


async def open_ticket(
    connection: Connection,
    *,
    tenant_id: UUID,
    customer_id: UUID,
    subject: str,
    content: str,
    opened_by: str,
    actor: str,
    session_id: UUID | None = None,
    department: str = "",
    severity: str = "LOW",
    tier: int = 1,
    intent: str | None = None,
    language: str | None = None,
) -> Ticket:
    """Open a ticket under the tenant's next number, with the first entry of its history."""
    number = await _next_number(connection, tenant_id)
    ticket = Ticket(
        tenant_id=tenant_id, number=number, customer_id=customer_id, session_id=session_id,
        subject=" ".join(subject.split())[:SUBJECT_LENGTH] or "Request", content=content, department=department,
        severity=severity, tier=tier, intent=intent, language=language, opened_by=opened_by,
    )  # fmt: skip
    await connection.execute(INSERT, ticket.model_dump())
    await add_event(connection, tenant_id, ticket.id, "created", actor=actor, data={"opened_by": opened_by})
    return await get_ticket(connection, ticket.id)


async def add_event(
    connection: Connection, tenant_id: UUID, ticket_id: UUID, kind: str, *, actor: str, data: dict[str, Any]
) -> None:
    await connection.execute(EVENT, (new_id(), tenant_id, ticket_id, kind, actor, Jsonb(data)))


async def get_ticket(connection: Connection, ticket_id: UUID, *, customer_id: UUID | None = None) -> Ticket:
    """One ticket; with `customer_id` only if it is that customer's. Raises NotFound."""
    row = await (await connection.execute(GET, (ticket_id, customer_id, customer_id))).fetchone()
    if row is None:
        raise NotFound("no such ticket")
    return Ticket(**row)


async def list_tickets(
    connection: Connection, *, customer_id: UUID | None, before: UUID | None = None, limit: int = 20
) -> list[Ticket]:
    """Newest first; `before` is the last id of the page before."""
    rows = await connection.execute(LIST, {"customer": customer_id, "before": before, "limit": limit})
    return [Ticket(**row) for row in await rows.fetchall()]


async def escalation_ticket(connection: Connection, session_id: UUID) -> Ticket | None:
    """The one ticket that escalations of this session share."""
    row = await (await connection.execute(ESCALATION, (session_id,))).fetchone()
    return Ticket(**row) if row else None


async def _next_number(connection: Connection, tenant_id: UUID) -> int:
    row = await (await connection.execute(NUMBER, (tenant_id,))).fetchone()
    assert row is not None  # an upsert always returns its row
    return int(row["last_number"])


# Each names the tenant: a layer of its own besides row-level security.
NUMBER = """
insert into ticket_counters (tenant_id, last_number) values (%s, 1)
on conflict (tenant_id) do update set last_number = ticket_counters.last_number + 1 returning last_number
"""
INSERT = """
insert into tickets (id, tenant_id, number, customer_id, session_id, subject, content, department, status, severity,
                     tier, intent, language, opened_by)
values (%(id)s, %(tenant_id)s, %(number)s, %(customer_id)s, %(session_id)s, %(subject)s, %(content)s, %(department)s,
        %(status)s, %(severity)s, %(tier)s, %(intent)s, %(language)s, %(opened_by)s)
"""
EVENT = "insert into ticket_events (id, tenant_id, ticket_id, type, actor, data) values (%s, %s, %s, %s, %s, %s)"
GET = """
select * from tickets where id = %s and tenant_id = current_tenant() and (%s::uuid is null or customer_id = %s)
"""
ESCALATION = """
select * from tickets where session_id = %s and tenant_id = current_tenant() and opened_by = 'escalation'
"""
LIST = """
select * from tickets
where tenant_id = current_tenant() and (%(customer)s::uuid is null or customer_id = %(customer)s)
      and (%(before)s::uuid is null or id < %(before)s)
order by id desc limit %(limit)s
"""
