"""Conditions that somebody should know of: found, kept open while they hold, acknowledged, and ended by themselves.

Each is one question to the database that answers a row per subject. The numbers are those of a support desk, not of a
machine: what a machine should wake somebody for is in the operators' metrics.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from psycopg.types.json import Jsonb

from memory import audit
from memory.database import Connection, Database
from memory.errors import NotFound
from memory.models import Alert, new_id
from memory.tenancy import Principal
from tools.analytics.questions import id_at

Kind = Literal["sla_breach", "sync_failing", "stale_index", "model_errors", "escalation_spike", "webhook_off"]

CONDITIONS: dict[Kind, str] = {
    # A ticket that nobody closed has missed a target, and it is not met yet.
    "sla_breach": """
        select '' as subject, jsonb_build_object('tickets', count(*), 'first', min(number)) as data from tickets
        where tenant_id = current_tenant() and status not in ('resolved', 'closed')
              and ('resolution' = any(missed) or 'first_response' = any(missed) and first_responded_at is null)
        having count(*) > 0""",
    "sync_failing": """
        select 'whmcs' as subject, jsonb_build_object('failures', failures, 'since', failing_since, 'code', error_code) as data
        from whmcs_connections where tenant_id = current_tenant() and failures >= 3 and removed_at is null""",
    # Published articles of which the index holds nothing.
    "stale_index": """
        select '' as subject, jsonb_build_object('articles', count(*), 'first', min(a.title)) as data from kb_articles a
        where a.tenant_id = current_tenant() and a.status = 'published' and a.updated_at < now() - interval '15 minutes'
              and not exists (select 1 from passages p where p.tenant_id = a.tenant_id and p.source = 'article' and p.ref = a.ref)
        having count(*) > 0""",
    "model_errors": """
        select '' as subject, jsonb_build_object('failed', count(*) filter (where status = 'failed'), 'turns', count(*)) as data
        from turns where tenant_id = current_tenant() and id >= %(hours)s and ended_at > now() - interval '15 minutes'
        having count(*) filter (where status = 'failed') >= 5 and count(*) filter (where status = 'failed') * 5 >= count(*)""",
    # Three times as many as in an average hour of the week before.
    "escalation_spike": """
        select '' as subject, jsonb_build_object('last_hour', h.now, 'usual', round(h.week / 167.0, 2)) as data
        from (select count(*) filter (where created_at > now() - interval '1 hour') as now,
                     count(*) filter (where created_at <= now() - interval '1 hour') as week
              from handoffs where tenant_id = current_tenant() and id >= %(week)s
                    and created_at > now() - interval '7 days') h
        where h.now >= 5 and h.now > 3 * h.week / 167.0""",
    "webhook_off": """
        select id::text as subject, jsonb_build_object('url', url, 'because', disabled_because) as data from webhook_endpoints
        where tenant_id = current_tenant() and status = 'disabled' and failing_since is not null""",
}  # fmt: skip


OF_KNOWLEDGE: frozenset[Kind] = frozenset({"stale_index"})
"""Asked where the articles are, which may be another database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFilters:
    """Which alerts a list shows."""

    open_only: bool = True
    acknowledged: bool | None = None
    """Whether somebody sees to it."""
    kind: Kind | None = None
    before: UUID | None = None
    limit: int = 50


async def look(connection: Connection, tenant_id: UUID, knowledge: Connection) -> int:
    """Open what has begun, end what is over; how many are open. `knowledge` is where the articles are."""
    now = datetime.now(UTC)
    recent = {"hours": id_at(now - timedelta(hours=3)), "week": id_at(now - timedelta(days=8))}
    holding: list[tuple[str, str, Any]] = []
    for kind, condition in CONDITIONS.items():
        asked = knowledge if kind in OF_KNOWLEDGE else connection
        rows = await (await asked.execute(condition, recent)).fetchall()
        holding += [(kind, row["subject"], row["data"]) for row in rows]
    names = [f"{kind}:{subject}" for kind, subject, _ in holding]
    await connection.execute(END, (names,))
    async with connection.cursor() as cursor:
        await cursor.executemany(
            OPEN, [(new_id(), tenant_id, kind, subject, Jsonb(data)) for kind, subject, data in holding]
        )
    return len(holding)


async def list_alerts(connection: Connection, filters: AlertFilters) -> list[Alert]:
    """Newest first."""
    values = {
        "open": filters.open_only, "acknowledged": filters.acknowledged, "kind": filters.kind, "before": filters.before,
        "limit": filters.limit,
    }  # fmt: skip
    rows = await (await connection.execute(LIST, values)).fetchall()
    return [Alert(**row) for row in rows]


async def acknowledge(database: Database, principal: Principal, alert_id: UUID, **trace: Any) -> Alert:
    """Say that somebody sees to it; a second time changes nothing. Raises NotFound."""
    async with database.connection(principal.tenant_id) as connection:
        values = {"id": alert_id, "by": principal.user_id}
        row = await (await connection.execute(ACKNOWLEDGE, values)).fetchone()
        if row is None:
            raise NotFound("no such alert")
        if row.pop("first"):
            await audit.write(connection, principal, "alert.acknowledged", "alert", alert_id, **trace)
    return Alert(**row)


OPEN = """
insert into alerts (id, tenant_id, kind, subject, data) values (%s, %s, %s, %s, %s)
on conflict (tenant_id, kind, subject) where ended_at is null
do update set data = excluded.data, seen_at = clock_timestamp()
"""
END = """
update alerts set ended_at = clock_timestamp()
where tenant_id = current_tenant() and ended_at is null and kind || ':' || subject <> all (%s)
"""
LIST = """
select * from alerts
where tenant_id = current_tenant() and (not %(open)s or ended_at is null) and (%(kind)s::text is null or kind = %(kind)s)
      and (%(before)s::uuid is null or id < %(before)s)
      and (%(acknowledged)s::boolean is null or (acknowledged_at is not null) = %(acknowledged)s)
order by id desc limit %(limit)s
"""
ACKNOWLEDGE = """
update alerts a set acknowledged_by = coalesce(a.acknowledged_by, %(by)s),
       acknowledged_at = coalesce(a.acknowledged_at, clock_timestamp())
from (select id, acknowledged_at is null as first from alerts where id = %(id)s and tenant_id = current_tenant() for update) b
where a.id = b.id and a.tenant_id = current_tenant() returning a.*, b.first
"""
