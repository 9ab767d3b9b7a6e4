"""Drafts as colleagues see them: one with all that led to it, the queue of those that wait, those of a ticket."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from memory.database import Connection
from memory.errors import NotFound
from tools.drafts.asking import ANSWERED_SINCE, WRITTEN_SINCE
from tools.drafts.writing import Waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftFilters:
    """What a list shall hold; None and empty leave open."""

    statuses: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    intent: str | None = None
    department: str | None = None
    team: str | None = None
    assignee_id: UUID | None = None
    ticket_id: UUID | None = None
    sending: tuple[str, ...] = ()
    outdated: bool | None = None
    tickets_that_go_on: bool = False
    """Leave out those of tickets that have ended, or were merged into another."""
    created_from: datetime | None = None
    created_to: datetime | None = None
    before: UUID | None = None
    limit: int = 20


async def find_drafts(connection: Connection, filters: DraftFilters) -> list[dict[str, Any]]:
    """Newest first, each with its ticket and what became of it."""
    values = {name: getattr(filters, name) for name in CONDITIONS if getattr(filters, name) not in (None, ())}
    conditions = ["d.tenant_id = current_tenant()", *(CONDITIONS[name] for name in values)]
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    if filters.tickets_that_go_on:
        conditions.append(GOES_ON)
    if filters.outdated is not None:
        conditions.append(f"{OUTDATED} = %(outdated)s")
        values["outdated"] = filters.outdated
    query = f"{SHOWN} where {' and '.join(conditions)} order by d.id desc limit %(limit)s"
    return await (await connection.execute(query, {**values, "limit": filters.limit})).fetchall()


async def read_draft(connection: Connection, draft_id: UUID) -> dict[str, Any]:
    """One draft with its ticket and what became of it, and its references in their order. Raises NotFound."""
    query = f"{SHOWN} where d.id = %s and d.tenant_id = current_tenant()"
    row = await (await connection.execute(query, (draft_id,))).fetchone()
    if row is None:
        raise NotFound("no such draft")
    references = await (await connection.execute(REFERENCES, (draft_id,))).fetchall()
    return {**row, "references": references}


async def waiting_draft(connection: Connection, ticket_id: UUID) -> Waiting | None:
    """The one of a ticket that waits for a decision."""
    query = f"{STATE} where d.ticket_id = %s and d.status = 'pending' and d.tenant_id = current_tenant()"
    row = await (await connection.execute(query, (ticket_id,))).fetchone()
    return Waiting(**row) if row else None


OUTDATED = f"(d.status = 'pending' and ({WRITTEN_SINCE} or {ANSWERED_SINCE}))"
"""Its customer has written since, or a colleague has answered."""
GOES_ON = "t.merged_into is null and t.status not in ('resolved', 'closed')"
SHOWN = f"""
select d.*, {OUTDATED} as outdated, t.number as ticket_number, t.subject as ticket_subject, t.status as ticket_status,
       t.department, t.team, t.assignee_id, t.customer_id, coalesce(nullif(u.name, ''), u.email) as decided_by_name,
       p.name as prompt_name, r.id as reply_id, r.content as reply_content, r.similarity, r.distance, r.edit_notes,
       r.learned, r.channel, r.sending, r.attempts, r.error, r.sent_at, r.event_id as reply_event_id
from drafts d
join tickets t on t.tenant_id = d.tenant_id and t.id = d.ticket_id
left join users u on u.tenant_id = d.tenant_id and u.id = d.decided_by
left join prompt_versions p on p.id = d.prompt_version_id
left join approved_replies r on r.tenant_id = d.tenant_id and r.draft_id = d.id
"""
STATE = f"""
select d.id, d.version, d.created_by, {OUTDATED} as outdated
from drafts d join tickets t on t.tenant_id = d.tenant_id and t.id = d.ticket_id
"""
# Each names its column itself, so that no input becomes a part of the query.
CONDITIONS = {
    "statuses": "d.status = any(%(statuses)s)",
    "levels": "d.level = any(%(levels)s)",
    "severities": "d.severity = any(%(severities)s)",
    "intent": "d.intent = %(intent)s",
    "department": "t.department = %(department)s",
    "team": "t.team = %(team)s",
    "assignee_id": "t.assignee_id = %(assignee_id)s",
    "ticket_id": "d.ticket_id = %(ticket_id)s",
    "sending": "r.sending = any(%(sending)s)",
    "created_from": "d.created_at >= %(created_from)s",
    "created_to": "d.created_at < %(created_to)s",
    "before": "d.id < %(before)s",
}
REFERENCES = """
select article_id, ref, title, version, quoted, rank, score, source from kb_references
where draft_id = %s and tenant_id = current_tenant() order by rank
"""
