"""The typed history of a ticket, oldest first. A star marks what its customer sees; the rest is for colleagues.
`history` in an event's data marks what happened in another system before it was known here: nobody is told of it.

created *          {opened_by, author}
classified         {intent, severity, tier, language, certainty, keywords, by}     the machine's word
corrected          {field: {from, to}, ...}                                         a colleague's
routed             {rule, because, team, assignee_id}
assigned           {team: {from, to}, assignee_id: {from, to}}
status_changed *   {from, to}
reopened *         {from, to}
priority_changed   {from, to}
department_changed {from, to}
reply *            {text, author: customer | agent, name}
note               {text}
escalated          {from, to, reason}
merged *           {into, into_number} on the one that ends, {merged, merged_number} on the one that stays
linked             {from, to}                                                       ids, of what it duplicates
sla_missed         {clock, due}
claimed, reassigned, released, handoff_resolved, returned_to_queue                  of the conversation's handoff
"""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg.types.json import Jsonb

from memory.database import Connection
from memory.models import TicketEvent, new_id

Order = Literal["oldest", "newest"]
"""What comes first."""
SEEN_BY_CUSTOMERS = frozenset({"created", "status_changed", "reopened", "reply", "merged"})


async def add_event(
    connection: Connection, tenant_id: UUID, ticket_id: UUID, kind: str, *, actor: str, data: dict[str, Any],
    at: datetime | None = None, external_id: str | None = None,
) -> UUID:  # fmt: skip
    """Write an event; whether customers see it follows from its kind. `external_id` names words of another system."""
    event_id = new_id()
    internal = kind not in SEEN_BY_CUSTOMERS
    await connection.execute(
        EVENT, (event_id, tenant_id, ticket_id, kind, actor, internal, Jsonb(data), at, external_id)
    )
    return event_id


async def list_events(
    connection: Connection, ticket_id: UUID, *, internal: bool, order: Order = "oldest", after: UUID | None = None,
    limit: int = 50,
) -> list[TicketEvent]:  # fmt: skip
    """In this order, `internal` ones only on request; `after` is the last id of the page before."""
    values = {"ticket": ticket_id, "internal": internal, "after": after, "limit": limit}
    rows = await connection.execute(LIST[order], values)
    return [TicketEvent(**row) for row in await rows.fetchall()]


async def get_event(connection: Connection, event_id: UUID) -> TicketEvent:
    """One event that was just written."""
    row = await (await connection.execute(ONE, (event_id,))).fetchone()
    assert row is not None  # the caller has its id from the insert
    return TicketEvent(**row)


EVENT = """
insert into ticket_events (id, tenant_id, ticket_id, type, actor, internal, data, created_at, external_id)
values (%s, %s, %s, %s, %s, %s, %s, coalesce(%s, now()), %s)
"""
_SEEN = """
select * from ticket_events
where ticket_id = %(ticket)s and tenant_id = current_tenant() and (not internal or %(internal)s)
"""
LIST: dict[Order, str] = {
    "oldest": f"{_SEEN} and (%(after)s::uuid is null or id > %(after)s) order by id limit %(limit)s",
    "newest": f"{_SEEN} and (%(after)s::uuid is null or id < %(after)s) order by id desc limit %(limit)s",
}
ONE = "select * from ticket_events where id = %s and tenant_id = current_tenant()"
