"""The queue as colleagues see it: who waits, for how long, why, and what is known already."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from memory.database import Connection
from memory.errors import NotFound

MOST_NOTES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoffFilters:
    """What a list shall hold; None and empty leave open."""

    statuses: tuple[str, ...] = ("requested", "claimed")
    reason: str | None = None
    severity: str | None = None
    language: str | None = None
    claimed_by: UUID | None = None
    assigned_to: UUID | None = None
    session_id: UUID | None = None
    after: UUID | None = None
    """The last handoff of the page before."""
    limit: int = 20


async def list_handoffs(connection: Connection, filters: HandoffFilters) -> list[dict[str, Any]]:
    """What is critical first, then the oldest, because that customer has waited longest. A handoff that becomes critical
    while somebody turns the pages moves to the first one."""
    rows = await connection.execute(
        LIST,
        {
            "statuses": list(filters.statuses), "reason": filters.reason, "severity": filters.severity,
            "language": filters.language, "claimed_by": filters.claimed_by, "assigned_to": filters.assigned_to,
            "session_id": filters.session_id, "after": filters.after, "limit": filters.limit,
        },
    )  # fmt: skip
    return await rows.fetchall()


async def read_handoff(connection: Connection, handoff_id: UUID) -> dict[str, Any]:
    """One handoff with its findings and the colleagues' notes. Raises NotFound."""
    row = await (await connection.execute(ONE, {"id": handoff_id})).fetchone()
    if row is None:
        raise NotFound("no such handoff")
    notes = await (await connection.execute(NOTES, (row["ticket_id"], MOST_NOTES))).fetchall()
    return {**row, "notes": notes}


_COLUMNS = """
select h.id, h.session_id, h.ticket_id, h.status, h.reason, h.summary, h.findings, h.outcome, h.returned, h.created_at,
       h.claimed_at, h.waiting_since, h.ended_at, t.number as ticket_number, t.severity, s.language, s.title,
       s.last_message_at, nullif(c.name, '') as customer_name, s.customer_id, h.claimed_by, h.assigned_to,
       coalesce(nullif(u.name, ''), u.email) as claimed_by_name
from handoffs h
join chat_sessions s on s.tenant_id = h.tenant_id and s.id = h.session_id
join customers c on c.tenant_id = h.tenant_id and c.id = s.customer_id
left join tickets t on t.tenant_id = h.tenant_id and t.id = h.ticket_id
left join users u on u.tenant_id = h.tenant_id and u.id = h.claimed_by
"""
LIST = (
    _COLUMNS
    + """
where h.tenant_id = current_tenant() and h.status = any(%(statuses)s) and (%(reason)s::text is null or h.reason = %(reason)s)
      and (%(severity)s::text is null or t.severity = %(severity)s)
      and (%(language)s::text is null or s.language = %(language)s)
      and (%(claimed_by)s::uuid is null or h.claimed_by = %(claimed_by)s)
      and (%(assigned_to)s::uuid is null or h.assigned_to = %(assigned_to)s)
      and (%(session_id)s::uuid is null or h.session_id = %(session_id)s)
      and (%(after)s::uuid is null
           or (t.severity is distinct from 'CRITICAL', h.id) > (coalesce((
               select b.severity is distinct from 'CRITICAL' from handoffs a
               left join tickets b on b.tenant_id = a.tenant_id and b.id = a.ticket_id
               where a.id = %(after)s and a.tenant_id = current_tenant()), true), %(after)s))
order by t.severity is distinct from 'CRITICAL', h.id limit %(limit)s
"""
)
ONE = _COLUMNS + "where h.tenant_id = current_tenant() and h.id = %(id)s"
NOTES = """
select e.id, e.actor, e.data ->> 'text' as text, e.created_at from ticket_events e
where e.ticket_id = %s and e.tenant_id = current_tenant() and e.type = 'note' order by e.id limit %s
"""
