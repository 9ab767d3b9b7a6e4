"""Where a tenant's events go: made, changed, tested and removed by admins, each change in the audit log.

A secret is given out when it is made and never again; the log names the host of an address, because the rest of one may
be a secret too.
"""

from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from memory import audit
from memory.database import Connection, Database
from memory.encryption import Cipher
from memory.errors import Conflict, NotFound
from memory.models import new_id
from memory.tenancy import Principal
from tools.outbound import Outbound
from tools.webhooks.events import EVERYTHING, TEST
from tools.webhooks.log import DELIVERY
from tools.webhooks.queue import disable
from tools.webhooks.signing import new_secret

MOST = 20
BOTH_SIGN_FOR = "24 hours"
Row = dict[str, Any]


async def add_endpoint(
    database: Database, cipher: Cipher, outbound: Outbound, principal: Principal, *, url: str, events: list[str],
    description: str, **who: Any,
) -> tuple[Row, str]:  # fmt: skip
    """A new endpoint and its secret. Raises Refused for an address that is not public, Conflict past `MOST`."""
    host = outbound.check(url).netloc
    secret = new_secret()
    values = {
        "id": new_id(), "url": url, "events": _tidy(events), "description": description, "by": principal.user_id,
        "secret": cipher.encrypt(secret),
    }  # fmt: skip
    async with database.connection(principal.tenant_id) as connection:
        await connection.execute(ONE_AT_A_TIME, (str(principal.tenant_id),))
        row = await (await connection.execute(ADD, {**values, "most": MOST})).fetchone()
        if row is None:
            raise Conflict(f"there are {MOST} endpoints already, and no more can be added")
        changes = {"host": host, "events": values["events"]}
        await audit.write(connection, principal, "webhook.added", "webhook", row["id"], changes=changes, **who)
    return row, secret


async def list_endpoints(database: Database, principal: Principal, *, before: UUID | None, limit: int) -> list[Row]:
    """Newest first."""
    async with database.connection(principal.tenant_id) as connection:
        return await (await connection.execute(LIST, {"before": before, "limit": limit})).fetchall()


async def get_endpoint(connection: Connection, endpoint_id: UUID) -> Row:
    """Raises NotFound."""
    return await _one(connection, GET, {"id": endpoint_id})


async def change_endpoint(
    database: Database, outbound: Outbound, principal: Principal, endpoint_id: UUID, changes: dict[str, Any], **who: Any
) -> Row:
    """Set `url`, `events`, `description` or `status`; a new address, or enabling, begins with no failures."""
    noted = {name: value for name, value in changes.items() if name in ("events", "description", "status")}
    if "url" in changes:
        noted["host"] = outbound.check(changes["url"]).netloc
    if "events" in changes:
        noted["events"] = changes["events"] = _tidy(changes["events"])
    async with database.connection(principal.tenant_id) as connection:
        before = await get_endpoint(connection, endpoint_id)
        if changes.get("status") == "disabled":
            await disable(connection, principal, endpoint_id, BY_HAND, **who)
        elif changes.get("status") == "active" or "url" in changes:
            await connection.execute(AFRESH, (endpoint_id,))
            if "status" in changes and before["status"] != "active":
                await connection.execute(ENABLE, (endpoint_id,))
                await audit.write(connection, principal, "webhook.enabled", "webhook", endpoint_id, **who)
        noted.pop("status", None)
        if noted:
            values = {"id": endpoint_id, **{name: changes.get(name) for name in ("url", "events", "description")}}
            await connection.execute(CHANGE, values)
            await audit.write(connection, principal, "webhook.changed", "webhook", endpoint_id, changes=noted, **who)
        return await get_endpoint(connection, endpoint_id)


async def rotate_secret(
    database: Database, cipher: Cipher, principal: Principal, endpoint_id: UUID, **who: Any
) -> tuple[Row, str]:
    """A new secret; the one before signs beside it for a day, so that receivers can change over."""
    secret = new_secret()
    async with database.connection(principal.tenant_id) as connection:
        values = {"id": endpoint_id, "secret": cipher.encrypt(secret), "overlap": BOTH_SIGN_FOR}
        row = await _one(connection, ROTATE, values)
        await audit.write(connection, principal, "webhook.secret_rotated", "webhook", endpoint_id, **who)
    return row, secret


async def remove_endpoint(database: Database, principal: Principal, endpoint_id: UUID, **who: Any) -> None:
    """Remove it with its deliveries. Raises NotFound."""
    async with database.connection(principal.tenant_id) as connection:
        await _one(connection, REMOVE, {"id": endpoint_id})
        await audit.write(connection, principal, "webhook.removed", "webhook", endpoint_id, **who)


async def send_test(database: Database, principal: Principal, endpoint_id: UUID, **who: Any) -> Row:
    """Have `webhook.test` sent, whatever events were chosen. Raises Conflict where the endpoint is disabled."""
    async with database.connection(principal.tenant_id) as connection:
        endpoint = await get_endpoint(connection, endpoint_id)
        if endpoint["status"] != "active":
            raise Conflict("the endpoint is disabled; enable it first")
        await connection.execute(AWAKE, (endpoint_id,))
        data = Jsonb({"message": "This is a test.", "endpoint_id": str(endpoint_id)})
        row = await _one(connection, SEND_TEST, {"id": endpoint_id, "type": TEST, "data": data})
        await audit.write(connection, principal, "webhook.tested", "webhook", endpoint_id, **who)
    return row


def _tidy(events: list[str]) -> list[str]:
    return [EVERYTHING] if EVERYTHING in events else sorted(set(events))


async def _one(connection: Connection, query: str, values: dict[str, Any]) -> Row:
    row = await (await connection.execute(query, values)).fetchone()
    if row is None:
        raise NotFound("no such endpoint")
    return row


BY_HAND = "disabled by an admin"
SHOWN = """
id, url, description, events, status, disabled_because, failing_since, failures, rests_until, created_at,
case when previous_until > clock_timestamp() then previous_until end as previous_secret_until
"""

ONE_AT_A_TIME = "select pg_advisory_xact_lock(hashtextextended('webhooks ' || %s, 0))"
ADD = f"""
insert into webhook_endpoints (id, tenant_id, url, description, events, secret, status, failures, created_by)
select %(id)s, current_tenant(), %(url)s, %(description)s, %(events)s::text[], %(secret)s, 'active', 0, %(by)s
where (select count(*) from webhook_endpoints where tenant_id = current_tenant()) < %(most)s
returning {SHOWN}
"""
LIST = f"""
select {SHOWN} from webhook_endpoints
where tenant_id = current_tenant() and (%(before)s::uuid is null or id < %(before)s)
order by id desc limit %(limit)s
"""
GET = f"select {SHOWN} from webhook_endpoints where id = %(id)s and tenant_id = current_tenant()"
CHANGE = """
update webhook_endpoints
set url = coalesce(%(url)s, url), events = coalesce(%(events)s::text[], events),
    description = coalesce(%(description)s, description)
where id = %(id)s and tenant_id = current_tenant()
"""
AFRESH = """
update webhook_endpoints set failures = 0, failing_since = null, rests_until = null
where id = %s and tenant_id = current_tenant()
"""
ENABLE = """
update webhook_endpoints set status = 'active', disabled_because = null where id = %s and tenant_id = current_tenant()
"""
AWAKE = "update webhook_endpoints set rests_until = null where id = %s and tenant_id = current_tenant()"
ROTATE = f"""
update webhook_endpoints
set previous_secret = secret, previous_until = clock_timestamp() + %(overlap)s::interval, secret = %(secret)s
where id = %(id)s and tenant_id = current_tenant() returning {SHOWN}
"""
REMOVE = "delete from webhook_endpoints where id = %(id)s and tenant_id = current_tenant() returning id"
SEND_TEST = f"""
insert into webhook_deliveries (id, tenant_id, endpoint_id, event_type, payload, status, attempts)
select time_ordered_id(), tenant_id, id, %(type)s::text, webhook_payload(%(type)s::text, clock_timestamp(), %(data)s),
       'pending', 0
from webhook_endpoints where id = %(id)s and tenant_id = current_tenant() returning {DELIVERY}
"""
