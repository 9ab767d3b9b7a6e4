"""Drafts that nobody asked for: for new tickets and new words of customers, where the tenant wants them.

Looked for every minute. A ticket whose last word is of its customer and a day old at most gets a draft, once for each
such word; none for what was history when it came from another system, none where a person has spoken since, has decided
about a draft for it, or has one of their own waiting.
"""

from uuid import UUID

import structlog

from agent import metrics
from agent.drafts.composing import compose
from agent.drafts.filing import new_draft, request_of
from agent.parts import Parts
from agent.scoring.calibration import load_calibration
from memory.database import Connection
from memory.errors import Conflict, NotFound
from tools.drafts.asking import LAST_WORD, asked_of, may_be_answered
from tools.drafts.reading import waiting_draft
from tools.drafts.writing import put_draft
from tools.tenants import load_options

log = structlog.get_logger()
BY = "job"
AT_ONCE = 50
"""Tickets of one tenant in one look."""


async def tenants_that_want_drafts(parts: Parts) -> list[UUID]:
    async with parts.database.lookup() as connection:
        rows = await (await connection.execute("select auto_drafting_tenants() as id")).fetchall()
    return [row["id"] for row in rows]


async def tickets_without_draft(parts: Parts, tenant_id: UUID) -> list[UUID]:
    """Oldest first."""
    async with parts.database.connection(tenant_id) as connection:
        rows = await (await connection.execute(WITHOUT_DRAFT, (BY, AT_ONCE))).fetchall()
    return [row["id"] for row in rows]


async def draft_ticket(parts: Parts, tenant_id: UUID, ticket_id: UUID) -> UUID | None:
    """Write the draft, if it is still wanted; its id."""
    async with parts.database.connection(tenant_id) as connection:
        if not (await load_options(connection, tenant_id)).auto_draft or not await _is_wanted(connection, ticket_id):
            return None
        try:
            asked = await asked_of(connection, ticket_id)
        except (NotFound, Conflict):  # it went, or was merged
            return None
        waiting = await waiting_draft(connection, ticket_id)
    if asked.answered or not may_be_answered(asked.ticket):
        return None
    composed = await compose(parts, request_of(tenant_id, asked))
    async with parts.database.connection(tenant_id) as connection:
        if not await _is_wanted(connection, ticket_id):
            return None
        try:
            new = new_draft(asked, composed, await load_calibration(connection, tenant_id), created_by=BY)
            draft_id = await put_draft(connection, tenant_id, new, replaces=waiting)
        except Conflict:  # a person was faster
            log.info("an automatic draft was not needed any more")
            return None
    if draft_id:
        metrics.count_draft(BY, composed.steps_ms)
    return draft_id


async def _is_wanted(connection: Connection, ticket_id: UUID) -> bool:
    row = await (await connection.execute(f"{WANTED} and t.id = %s", (BY, ticket_id))).fetchone()
    return row is not None


WANTED = f"""
select t.id from tickets t cross join lateral (select {LAST_WORD} as id) word
where t.tenant_id = current_tenant() and t.status in ('open', 'in_progress') and t.merged_into is null
      and not exists (
          select 1 from drafts d where d.ticket_id = t.id and d.tenant_id = t.tenant_id
              and (d.answers_event_id = word.id or (d.status = 'pending' and d.created_by <> %s)))
      and not exists (
          select 1 from ticket_events e where e.id = word.id and e.tenant_id = t.tenant_id
              and (e.data ? 'history' or e.created_at < now() - interval '1 day'))
      and not exists (
          select 1 from ticket_events e where e.ticket_id = t.id and e.tenant_id = t.tenant_id and e.type = 'reply'
              and e.data ->> 'author' = 'agent' and e.id > word.id)
"""
WITHOUT_DRAFT = f"{WANTED} and t.updated_at > now() - interval '1 day' order by t.id limit %s"
