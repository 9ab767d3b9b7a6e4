"""Who did what to what: written in the transaction of the change itself, on either door to the database, and read by
admins. The application's role can add entries and neither change nor remove one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlmodel.ext.asyncio.session import AsyncSession

from memory.database import Connection
from memory.models import AuditEntry, new_id
from memory.tenancy import Principal


def record(
    session: AsyncSession,
    principal: Principal,
    action: str,
    object_type: str,
    object_id: UUID | str,
    *,
    changes: dict[str, Any] | None = None,
    request_id: str | None = None,
    address: str | None = None,
) -> None:
    """Add an entry; `changes` names fields and new values, never a secret."""
    session.add(
        AuditEntry(
            actor=principal.key, action=action, object_type=object_type, object_id=str(object_id),
            changes=changes or {}, request_id=request_id, address=address,
        )
    )  # fmt: skip


async def write(
    connection: Connection,
    principal: Principal,
    action: str,
    object_type: str,
    object_id: UUID | str,
    *,
    changes: dict[str, Any] | None = None,
    request_id: str | None = None,
    address: str | None = None,
) -> None:
    """As `record`, on a plain connection."""
    values = (
        new_id(), principal.tenant_id, principal.key, action, object_type, str(object_id), Jsonb(changes or {}),
        request_id, address,
    )  # fmt: skip
    await connection.execute(WRITE, values)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilters:
    """Which entries to read; None leaves open."""

    actor: str | None = None
    """A colleague's email, the id of a user, key or customer, or `system`."""
    action: str | None = None
    """A whole name, or the beginning of one up to a dot: `webhook.`."""
    object_type: str | None = None
    object_id: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    before: UUID | None = None
    limit: int = 50


async def read(connection: Connection, wanted: AuditFilters) -> list[dict[str, Any]]:
    """Newest first, each with `actor_type` (user, key, customer or system), `actor_id` and `actor_name`."""
    values = {name: getattr(wanted, name) for name in (*CONDITIONS, "limit")}
    conditions = [condition for name, condition in CONDITIONS.items() if values[name] is not None]
    query = READ.format(conditions=" and ".join(["a.tenant_id = current_tenant()", *conditions]))
    return await (await connection.execute(query, values)).fetchall()


# Ids are ordered by time, nearly: a bound on the id spares reading years of entries, with an hour for clocks that differ.
_ID_AT = "(rpad(lpad(to_hex(floor(extract(epoch from {time}) * 1000)::bigint), 12, '0'), 32, '{rest}'))::uuid"
_FROM_ID = _ID_AT.format(time="greatest(%(created_from)s, '1970-01-02') - interval '1 hour'", rest="0")
_TO_ID = _ID_AT.format(time="least(%(created_to)s, '3000-01-01') + interval '1 hour'", rest="f")
CONDITIONS = {
    "actor": """
        a.actor in ('user:' || %(actor)s, 'key:' || %(actor)s, 'customer:' || %(actor)s,
                    (select 'user:' || u.id from users u
                     where u.tenant_id = current_tenant() and lower(u.email) = lower(%(actor)s)),
                    case when %(actor)s = 'system' then 'tenant:' || current_tenant() end)""",
    "action": "(a.action = %(action)s or (right(%(action)s, 1) = '.' and starts_with(a.action, %(action)s)))",
    "object_type": "a.object_type = %(object_type)s",
    "object_id": "a.object_id = %(object_id)s",
    "created_from": f"a.created_at >= %(created_from)s and a.id >= {_FROM_ID}",
    "created_to": f"a.created_at < %(created_to)s and a.id <= {_TO_ID}",
    "before": "a.id < %(before)s",
}
READ = """
with found as (select a.* from audit_log a where {conditions} order by a.id desc limit %(limit)s),
told as (select f.*, split_part(f.actor, ':', 1) as kind, split_part(f.actor, ':', 2) as who from found f)
select f.id, f.created_at, f.action, f.object_type, f.object_id, f.changes, f.request_id, f.address,
       case f.kind when 'tenant' then 'system' else f.kind end as actor_type,
       case when f.kind <> 'tenant' then f.who::uuid end as actor_id,
       coalesce(u.email, k.name, c.email, nullif(c.name, ''), c.external_id) as actor_name
from told f
left join users u on f.kind = 'user' and u.tenant_id = f.tenant_id and u.id = f.who::uuid
left join api_keys k on f.kind = 'key' and k.tenant_id = f.tenant_id and k.id = f.who::uuid
left join customers c on f.kind = 'customer' and c.tenant_id = f.tenant_id and c.id = f.who::uuid
order by f.id desc
"""
WRITE = """
insert into audit_log (id, tenant_id, actor, action, object_type, object_id, changes, request_id, address)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
