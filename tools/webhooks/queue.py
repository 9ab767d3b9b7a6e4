"""The deliveries that are due, for whoever sends them: taken under a lease, settled by what came of the attempt.

A delivery that is taken comes due again after its lease, so that a process that dies with it loses nothing; it may then
arrive twice, under the same id. An endpoint's row is locked after its deliveries', and disabling skips those that are
locked: nobody waits in a circle.
"""

from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

from memory import audit
from memory.database import Connection, Database
from memory.tenancy import Principal, Role
from tools.webhooks.schedule import delay_s, is_given_up, rest_s
from tools.webhooks.sending import Outcome, Taken

Result = Literal["delivered", "again", "failed"]


async def find_due(
    database: Database, *, most: int, per_endpoint: int, busy: Sequence[UUID] = ()
) -> list[tuple[UUID, UUID, UUID]]:
    """Tenant, endpoint and id of deliveries that may be sent now, the longest due first; none of `busy` tenants and
    endpoints, and one of an endpoint that has rested."""
    async with database.lookup() as connection:
        rows = await connection.execute(DUE, (most, per_endpoint, list(busy)))
        return [(row["tenant_id"], row["endpoint_id"], row["delivery_id"]) for row in await rows.fetchall()]


async def take(database: Database, tenant_id: UUID, ids: Sequence[UUID], *, lease_s: float) -> list[Taken]:
    """Lease those deliveries that are still due and nobody else has."""
    async with database.connection(tenant_id) as connection:
        values = {"ids": list(ids), "lease": lease_s}
        await connection.execute(END_OF_DISABLED, values)
        rows = await (await connection.execute(TAKE, values)).fetchall()
        probed = list({row["endpoint_id"] for row in rows if row["rests"]})
        if probed:
            await connection.execute(PROBE, {"ids": probed, "lease": lease_s})
    return [
        Taken(
            tenant_id=tenant_id, endpoint_id=row["endpoint_id"], delivery_id=row["id"], attempts=row["attempts"],
            url=row["url"], payload=row["payload"],
            sealed_secrets=[sealed for sealed in (row["secret"], row["previous_secret"]) if sealed],
        )
        for row in rows
    ]  # fmt: skip


async def settle(database: Database, taken: Taken, outcome: Outcome, *, jitter: float) -> Result:
    """Write down what came of an attempt, and what that means for the delivery and its endpoint."""
    async with database.connection(taken.tenant_id) as connection:
        if outcome.error is None:
            values = {"id": taken.delivery_id, "endpoint": taken.endpoint_id, "status": outcome.status}
            await connection.execute(DELIVERED, values)
            await connection.execute(WELL, values)
            return "delivered"
        return await _settle_failure(connection, taken, outcome, jitter)


async def _settle_failure(connection: Connection, taken: Taken, outcome: Outcome, jitter: float) -> Result:
    delay = None if outcome.gone else delay_s(taken.attempts, jitter=jitter, asked_s=outcome.asked_s)
    values = {
        "id": taken.delivery_id, "attempts": taken.attempts, "status": outcome.status, "error": outcome.error,
        "state": "failed" if delay is None else "pending", "delay": delay or 0.0,
    }  # fmt: skip
    changed = await connection.execute(FAILED, values)
    if changed.rowcount and not outcome.ours:
        await _blame(connection, taken, outcome)
    return "failed" if delay is None else "again"


async def _blame(connection: Connection, taken: Taken, outcome: Outcome) -> None:
    """Count the failure against the endpoint: it rests, or is disabled."""
    rows = await connection.execute(ILL, (taken.endpoint_id,))
    endpoint = await rows.fetchone()
    if endpoint is None:
        return
    failures, since, now = endpoint["failures"], endpoint["failing_since"], endpoint["now"]
    if outcome.gone:
        await disable(connection, _system(taken.tenant_id), taken.endpoint_id, outcome.error or "")
    elif is_given_up(failures, since, now):
        because = f"nothing was delivered since {since:%Y-%m-%d %H:%M} UTC, {failures} attempts failed; {outcome.error}"
        await disable(connection, _system(taken.tenant_id), taken.endpoint_id, because)
    elif rest := rest_s(failures, asked_s=outcome.asked_s):
        await connection.execute(REST, (rest, taken.endpoint_id))


async def disable(connection: Connection, principal: Principal, endpoint_id: UUID, because: str, **who: Any) -> bool:
    """Send it nothing any more; what waits ends as failed, and can be replayed. False where it was disabled before."""
    changed = await connection.execute(DISABLE, (because, endpoint_id))
    if not changed.rowcount:
        return False
    await connection.execute(END_OF_ENDPOINT, (endpoint_id,))
    await audit.write(
        connection, principal, "webhook.disabled", "webhook", endpoint_id, changes={"because": because}, **who
    )
    return True


def _system(tenant_id: UUID) -> Principal:
    return Principal(tenant_id=tenant_id, role=Role.ADMIN)


IS_DISABLED = "the endpoint is disabled"

DUE = "select * from due_deliveries(%s, %s, %s::uuid[])"
TAKE = """
with due as (
    select d.id from webhook_deliveries d
    where d.id = any(%(ids)s) and d.tenant_id = current_tenant() and d.status = 'pending'
          and d.next_attempt_at <= clock_timestamp()
    for update skip locked
)
update webhook_deliveries d
set attempts = d.attempts + 1, next_attempt_at = clock_timestamp() + make_interval(secs => %(lease)s)
from due, webhook_endpoints e
where d.id = due.id and e.id = d.endpoint_id and e.tenant_id = d.tenant_id and d.tenant_id = current_tenant()
      and e.status = 'active'
returning d.id, d.endpoint_id, d.attempts, d.payload, e.url, e.secret, e.rests_until is not null as rests,
          case when e.previous_until > clock_timestamp() then e.previous_secret end as previous_secret
"""
END_OF_DISABLED = f"""
update webhook_deliveries d set status = 'failed', last_error = '{IS_DISABLED}'
from webhook_endpoints e
where d.id = any(%(ids)s) and d.tenant_id = current_tenant() and d.status = 'pending'
      and e.id = d.endpoint_id and e.tenant_id = d.tenant_id and e.status <> 'active'
"""
PROBE = """
update webhook_endpoints set rests_until = clock_timestamp() + make_interval(secs => %(lease)s)
where id = any(%(ids)s) and tenant_id = current_tenant() and rests_until is not null
"""
DELIVERED = """
update webhook_deliveries
set status = 'delivered', delivered_at = clock_timestamp(), last_status = %(status)s, last_error = null
where id = %(id)s and tenant_id = current_tenant() and status <> 'delivered'
"""
WELL = """
update webhook_endpoints set failures = 0, failing_since = null, rests_until = null
where id = %(endpoint)s and tenant_id = current_tenant() and (failures > 0 or rests_until is not null)
"""
FAILED = """
update webhook_deliveries
set status = %(state)s, last_status = %(status)s, last_error = %(error)s,
    next_attempt_at = clock_timestamp() + make_interval(secs => %(delay)s)
where id = %(id)s and tenant_id = current_tenant() and status = 'pending' and attempts = %(attempts)s
"""
ILL = """
update webhook_endpoints
set failures = failures + 1, failing_since = coalesce(failing_since, clock_timestamp())
where id = %s and tenant_id = current_tenant() and status = 'active'
returning failures, failing_since, clock_timestamp() as now
"""
REST = """
update webhook_endpoints set rests_until = clock_timestamp() + make_interval(secs => %s)
where id = %s and tenant_id = current_tenant()
"""
DISABLE = """
update webhook_endpoints set status = 'disabled', disabled_because = %s, rests_until = null
where id = %s and tenant_id = current_tenant() and status = 'active'
"""
END_OF_ENDPOINT = f"""
update webhook_deliveries set status = 'failed', last_error = coalesce(last_error, '{IS_DISABLED}')
where id in (select id from webhook_deliveries
             where endpoint_id = %s and tenant_id = current_tenant() and status = 'pending' for update skip locked)
      and tenant_id = current_tenant()
"""
