"""What a tenant has and what waits, at this moment: the part of a dashboard that no range of days can tell."""

from typing import Any
from uuid import UUID

from memory.database import Database


async def system(database: Database, knowledge: Database, tenant_id: UUID) -> dict[str, Any]:
    """`knowledge` is where the articles are, which may be another database."""
    async with database.connection(tenant_id) as connection:
        waits = await (await connection.execute(WAITS)).fetchone()
    async with knowledge.connection(tenant_id) as connection:
        holds = await (await connection.execute(HOLDS)).fetchone()
    assert waits is not None
    assert holds is not None  # a select without a table returns its row
    return {
        "knowledge": {**holds, **{name: waits.pop(name) for name in ("examples", "corrections")}},
        "whmcs": {name: waits.pop(f"whmcs_{name}") for name in ("connected", "synced_at", "failures")},
        "waiting": waits,
    }  # fmt: skip


WAITS = """
select
    (select count(*) from learned_replies where tenant_id = current_tenant() and kind = 'example' and status = 'active')
        as examples,
    (select count(*) from learned_replies where tenant_id = current_tenant() and kind = 'correction' and status = 'active')
        as corrections,
    (select count(*) from learned_replies where tenant_id = current_tenant() and indexed_version <> version)
        as lessons_to_index,
    (select count(*) from drafts d join tickets t on t.tenant_id = d.tenant_id and t.id = d.ticket_id
     where d.tenant_id = current_tenant() and d.status = 'pending' and t.status not in ('resolved', 'closed')
           and t.merged_into is null) as drafts,
    (select count(*) from approved_replies
     where tenant_id = current_tenant() and channel <> 'ticket' and sending in ('pending', 'sending', 'unknown', 'failed'))
        as replies_not_sent,
    (select count(*) from handoffs where tenant_id = current_tenant() and status = 'requested') as handoffs,
    (select count(*) from tickets
     where tenant_id = current_tenant() and status in ('open', 'in_progress') and merged_into is null) as tickets,
    (select count(*) from turns where tenant_id = current_tenant() and status in ('queued', 'running')) as turns,
    (select count(*) from webhook_deliveries where tenant_id = current_tenant() and status = 'pending') as webhooks,
    (select count(*) from kb_imports where tenant_id = current_tenant() and status in ('queued', 'running')) as imports,
    (select count(*) > 0 from whmcs_connections where tenant_id = current_tenant() and removed_at is null)
        as whmcs_connected,
    (select synced_at from whmcs_connections where tenant_id = current_tenant() and removed_at is null) as whmcs_synced_at,
    (select failures from whmcs_connections where tenant_id = current_tenant() and removed_at is null) as whmcs_failures
"""
HOLDS = """
select
    (select count(*) from kb_articles where tenant_id = current_tenant() and status = 'published') as articles,
    (select count(*) from passages where tenant_id = current_tenant()) as passages,
    coalesce((select revision from knowledge_revisions where tenant_id = current_tenant()), 0) as revision
"""
