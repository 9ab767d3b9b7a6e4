"""Finding a ticket: one by its id, a customer's newest, the one that a session's escalations share."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from memory.database import Connection
from memory.errors import NotFound
from memory.models import Ticket

COLUMNS = ", ".join(f"t.{name}" for name in Ticket.model_fields if name != "tsv")


async def get_ticket(connection: Connection, ticket_id: UUID, *, customer_id: UUID | None = None) -> Ticket:
    """One ticket; with `customer_id` only if it is that customer's. Raises NotFound."""
    row = await (await connection.execute(GET, {"id": ticket_id, "customer": customer_id})).fetchone()
    if row is None:
        raise NotFound("no such ticket")
    return Ticket(**row)


async def read_ticket(connection: Connection, ticket_id: UUID, *, customer_id: UUID | None = None) -> dict[str, Any]:
    """As `get_ticket`, with the names that colleagues see and whether it is late."""
    row = await (await connection.execute(READ, {"id": ticket_id, "customer": customer_id})).fetchone()
    if row is None:
        raise NotFound("no such ticket")
    return row


async def read_tickets(connection: Connection, ids: Sequence[UUID]) -> list[dict[str, Any]]:
    """Those of these tickets that are there, as `read_ticket`, in the order of their numbers."""
    return await (await connection.execute(READ_SEVERAL, (list(ids),))).fetchall() if ids else []


async def list_tickets(
    connection: Connection, *, customer_id: UUID | None, before: UUID | None = None, limit: int = 20
) -> list[Ticket]:
    """Newest first; `before` is the last id of the page before."""
    rows = await connection.execute(LIST, {"customer": customer_id, "before": before, "limit": limit})
    return [Ticket(**row) for row in await rows.fetchall()]


async def escalation_ticket(connection: Connection, session_id: UUID) -> Ticket | None:
    """The one ticket that escalations of this session share, or the one that it was merged into."""
    row = await (await connection.execute(ESCALATION, (session_id,))).fetchone()
    return Ticket(**row) if row else None


LATE = """
t.status not in ('resolved', 'closed') and (
    coalesce(t.next_deadline <= clock_timestamp(), false) or 'resolution' = any(t.missed)
    or ('first_response' = any(t.missed) and t.first_responded_at is null))
"""
"""A target is missed and not yet met."""
SHOWN = f"""
{COLUMNS}, {LATE} as late, coalesce(nullif(u.name, ''), u.email) as assignee_name,
coalesce(nullif(c.name, ''), nullif(r.name, '')) as customer_name, coalesce(c.email, r.email) as customer_email,
c.email is not null and c.email_verified as customer_verified, c.external_id as customer_external_id
"""
WITH_NAMES = """
tickets t join customers c on c.tenant_id = t.tenant_id and c.id = t.customer_id
left join users r on r.tenant_id = t.tenant_id and r.id = c.user_id
left join users u on u.tenant_id = t.tenant_id and u.id = t.assignee_id
"""
_ONE = (
    "t.id = %(id)s and t.tenant_id = current_tenant() and (%(customer)s::uuid is null or t.customer_id = %(customer)s)"
)
GET = f"select {COLUMNS} from tickets t where {_ONE}"
READ = f"select {SHOWN} from {WITH_NAMES} where {_ONE}"
READ_SEVERAL = f"""
select {SHOWN} from {WITH_NAMES} where t.id = any(%s) and t.tenant_id = current_tenant() order by t.number
"""
ESCALATION = f"""
with recursive met as (
    select id, merged_into from tickets
    where session_id = %s and tenant_id = current_tenant() and opened_by = 'escalation'
    union
    select t.id, t.merged_into from tickets t join met on t.id = met.merged_into and t.tenant_id = current_tenant()
)
select {COLUMNS} from tickets t join met using (id) where t.tenant_id = current_tenant() and met.merged_into is null
"""
LIST = f"""
select {COLUMNS} from tickets t
where t.tenant_id = current_tenant() and (%(customer)s::uuid is null or t.customer_id = %(customer)s)
      and (%(before)s::uuid is null or t.id < %(before)s)
order by t.id desc limit %(limit)s
"""
