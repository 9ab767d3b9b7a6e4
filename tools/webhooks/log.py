"""What was sent to an endpoint and what came of it: read, sent again, and forgotten after a month."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from memory import audit
from memory.database import Connection, Database
from memory.errors import Conflict, NotFound
from memory.tenancy import Principal

KEEP = "30 days"
REPLAY_MOST = 10_000
DELIVERY = """
id, endpoint_id, event_type, status, attempts, last_status, last_error, created_at, delivered_at,
case when status = 'pending' then next_attempt_at end as next_attempt_at
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilters:
    """What a list shall hold; None leaves open."""

    endpoint_id: UUID
    status: str | None = None
    event_type: str | None = None
    before: UUID | None = None
    limit: int = 50


async def list_deliveries(database: Database, principal: Principal, filters: DeliveryFilters) -> list[dict[str, Any]]:
    """Newest first, without what was sent. Raises NotFound where there is no such endpoint."""
    values = {
        "endpoint": filters.endpoint_id, "status": filters.status, "type": filters.event_type, "before": filters.before,
        "limit": filters.limit,
    }  # fmt: skip
    async with database.connection(principal.tenant_id) as connection:
        await _endpoint(connection, filters.endpoint_id)
        return await (await connection.execute(LIST, values)).fetchall()


async def get_delivery(
    database: Database, principal: Principal, endpoint_id: UUID, delivery_id: UUID
) -> dict[str, Any]:
    """One delivery with what is sent. Raises NotFound."""
    async with database.connection(principal.tenant_id) as connection:
        return await _delivery(connection, GET, endpoint_id, delivery_id)


async def replay(
    database: Database, principal: Principal, endpoint_id: UUID, delivery_id: UUID, **who: Any
) -> dict[str, Any]:
    """Send it again now, under its own id and with all its attempts; one that is on its way goes at once.

    Raises NotFound, and Conflict where the endpoint is disabled.
    """
    async with database.connection(principal.tenant_id) as connection:
        await _delivery(connection, GET, endpoint_id, delivery_id)
        await _wake(connection, endpoint_id)
        row = await _delivery(connection, REPLAY, endpoint_id, delivery_id)
        changes = {"delivery_id": str(delivery_id)}
        await audit.write(connection, principal, "webhook.replayed", "webhook", endpoint_id, changes=changes, **who)
    return row


async def replay_failed(
    database: Database, principal: Principal, endpoint_id: UUID, since: datetime, **who: Any
) -> int:
    """Send what failed since then again, the oldest first, at most `REPLAY_MOST`; how many. Raises as `replay`."""
    async with database.connection(principal.tenant_id) as connection:
        await _endpoint(connection, endpoint_id)
        await _wake(connection, endpoint_id)
        values = {"endpoint": endpoint_id, "since": since, "most": REPLAY_MOST}
        count = (await connection.execute(REPLAY_FAILED, values)).rowcount
        changes = {"since": since.isoformat(), "deliveries": count}
        await audit.write(connection, principal, "webhook.replayed", "webhook", endpoint_id, changes=changes, **who)
    return count


async def forget_old(connection: Connection) -> int:
    """Drop this tenant's deliveries of more than a month ago, and secrets that no longer sign; how many deliveries."""
    await connection.execute(FORGET_SECRETS)
    return (await connection.execute(FORGET, (KEEP,))).rowcount


async def _endpoint(connection: Connection, endpoint_id: UUID) -> None:
    if await (await connection.execute(ENDPOINT, (endpoint_id,))).fetchone() is None:
        raise NotFound("no such endpoint")


async def _wake(connection: Connection, endpoint_id: UUID) -> None:
    if not (await connection.execute(WAKE, (endpoint_id,))).rowcount:
        raise Conflict("the endpoint is disabled; enable it first")


async def _delivery(connection: Connection, query: str, endpoint_id: UUID, delivery_id: UUID) -> dict[str, Any]:
    row = await (await connection.execute(query, {"endpoint": endpoint_id, "id": delivery_id})).fetchone()
    if row is None:
        raise NotFound("no such delivery")
    return row


ENDPOINT = "select 1 from webhook_endpoints where id = %s and tenant_id = current_tenant()"
WAKE = """
update webhook_endpoints set rests_until = null where id = %s and tenant_id = current_tenant() and status = 'active'
"""
LIST = f"""
select {DELIVERY} from webhook_deliveries
where endpoint_id = %(endpoint)s and tenant_id = current_tenant()
      and (%(status)s::text is null or status = %(status)s) and (%(type)s::text is null or event_type = %(type)s)
      and (%(before)s::uuid is null or id < %(before)s)
order by id desc limit %(limit)s
"""
_THIS = "id = %(id)s and endpoint_id = %(endpoint)s and tenant_id = current_tenant()"
GET = f"select {DELIVERY}, payload from webhook_deliveries where {_THIS}"
REPLAY = f"""
update webhook_deliveries
set status = 'pending', next_attempt_at = clock_timestamp(), delivered_at = null,
    attempts = case when status = 'pending' then attempts else 0 end
where {_THIS} returning {DELIVERY}
"""
REPLAY_FAILED = """
update webhook_deliveries set status = 'pending', next_attempt_at = clock_timestamp(), attempts = 0
where tenant_id = current_tenant() and id in (
    select id from webhook_deliveries
    where endpoint_id = %(endpoint)s and tenant_id = current_tenant() and status = 'failed' and created_at >= %(since)s
    order by id limit %(most)s)
"""
FORGET = """
delete from webhook_deliveries d using webhook_endpoints e
where e.tenant_id = current_tenant() and d.tenant_id = e.tenant_id and d.endpoint_id = e.id
      and d.id < (rpad(lpad(to_hex(floor(extract(epoch from now() - %s::interval) * 1000)::bigint), 12, '0'), 32, '0'))::uuid
"""
FORGET_SECRETS = """
update webhook_endpoints set previous_secret = null, previous_until = null
where tenant_id = current_tenant() and previous_until < clock_timestamp()
"""
