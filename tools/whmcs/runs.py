"""Synchronisations as rows: one of a tenant runs at a time, under a lease that its owner renews while it works.

An owner that dies lets the lease lapse, and whoever comes next goes on with the same row. One that pauses lets it lapse
by itself. What an owner has lost it can no longer write.
"""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from memory.database import Connection, Database
from memory.errors import HelpdeskError, NotFound
from memory.models import new_id
from tools.whmcs.errors import WhmcsRefused

LEASE_S = 60.0
MOST_NAMED = 100
"""Tickets, and problems, that a report names."""
KEEP = 500
"""Rows per tenant."""
LONGEST_REST_S = 6 * 3600.0
STOP_AFTER_REFUSALS = 3
"""WHMCS bans an address that fails to sign in again and again."""
Row = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Tally:
    """What came of the tickets since it was last written down."""

    listed: int = 0
    opened: int = 0
    changed: int = 0
    failed: int = 0
    tickets: list[str] = field(default_factory=list)
    problems: list[dict[str, str]] = field(default_factory=list)
    statuses: set[str] = field(default_factory=set)

    def with_more(self, other: "Tally") -> "Tally":
        return Tally(
            listed=max(self.listed, other.listed), opened=self.opened + other.opened,
            changed=self.changed + other.changed, failed=self.failed + other.failed,
            tickets=self.tickets + other.tickets, problems=self.problems + other.problems,
            statuses=self.statuses | other.statuses,
        )  # fmt: skip


async def begin(connection: Connection, *, asked_by: str, owner: str) -> tuple[Row, bool]:
    """The synchronisation that runs now, and whether `owner` is to run it: a new one, or one that nobody works on."""
    values = {"id": new_id(), "by": asked_by, "owner": owner, "lease": LEASE_S}
    row = await (await connection.execute(BEGIN, values)).fetchone()
    if row is not None:
        return row, True
    row = await (await connection.execute(TAKE_OVER, values)).fetchone()
    if row is not None:
        return row, True
    row = await (await connection.execute(RUNNING)).fetchone()
    if row is None:  # it ended between the two looks
        return await begin(connection, asked_by=asked_by, owner=owner)
    return row, False


async def renew(connection: Connection, sync_id: UUID, owner: str, tally: Tally) -> bool:
    """Write down what was done and keep the lease; False where it is lost."""
    return bool((await connection.execute(RENEW, {**_values(sync_id, owner, tally), "lease": LEASE_S})).rowcount)


async def pause(connection: Connection, sync_id: UUID, owner: str, tally: Tally) -> None:
    """Let somebody go on with it at once."""
    await connection.execute(RENEW, {**_values(sync_id, owner, tally), "lease": 0.0})


async def finish(
    connection: Connection, sync_id: UUID, owner: str, tally: Tally, *, error: HelpdeskError | None = None
) -> None:
    """End it, and say when the schedule comes again: rarer with each failure, and no more after refusals."""
    values = _values(sync_id, owner, tally) | {
        "state": "failed" if error else "succeeded", "code": error.code if error else None,
        "error": error.detail[:500] if error else "",
    }  # fmt: skip
    if not (await connection.execute(FINISH, values)).rowcount:
        return
    if error is None:
        await connection.execute(WELL)
    else:
        stops = STOP_AFTER_REFUSALS if isinstance(error, WhmcsRefused) else 2**31 - 1
        await connection.execute(ILL, {**values, "most": LONGEST_REST_S, "stops": stops})
    await connection.execute(FORGET, (KEEP,))


async def get_sync(connection: Connection, sync_id: UUID) -> Row:
    """Raises NotFound."""
    row = await (await connection.execute(GET, (sync_id,))).fetchone()
    if row is None:
        raise NotFound("no such synchronisation")
    return row


async def list_syncs(connection: Connection, *, before: UUID | None, limit: int) -> list[Row]:
    """Newest first."""
    return await (await connection.execute(LIST, {"before": before, "limit": limit})).fetchall()


async def find_due(database: Database, most: int) -> list[UUID]:
    """Tenants whose schedule, or an unfinished synchronisation, is due."""
    async with database.lookup() as connection:
        rows = await (await connection.execute("select * from due_whmcs_syncs(%s)", (most,))).fetchall()
    return [row["tenant_id"] for row in rows]


def _values(sync_id: UUID, owner: str, tally: Tally) -> Row:
    return {
        "id": sync_id, "owner": owner, "listed": tally.listed, "opened": tally.opened, "changed": tally.changed,
        "failed": tally.failed, "tickets": Jsonb(tally.tickets[:MOST_NAMED]),
        "problems": Jsonb(tally.problems[:MOST_NAMED]), "statuses": Jsonb(sorted(tally.statuses)[:MOST_NAMED]),
    }  # fmt: skip


def _first(name: str) -> str:
    """SQL: what the report names already and what is new, without repeats, at most so many."""
    return f"""
        '{name}', (select coalesce(jsonb_agg(named.entry), '[]') from (
            select entry from (
                select entry, min(place) as place
                from jsonb_array_elements(coalesce(report -> '{name}', '[]') || %({name})s) with ordinality as e (entry, place)
                group by entry) once
            order by place limit {MOST_NAMED}) named)"""


BEGIN = """
insert into whmcs_syncs (id, tenant_id, state, asked_by, owner, lease_until, listed, opened, changed, failed, error)
values (%(id)s, current_tenant(), 'running', %(by)s, %(owner)s, clock_timestamp() + make_interval(secs => %(lease)s),
        0, 0, 0, 0, '')
on conflict (tenant_id) where state = 'running' do nothing
returning *
"""
TAKE_OVER = """
update whmcs_syncs set owner = %(owner)s, lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
where tenant_id = current_tenant() and state = 'running' and lease_until <= clock_timestamp()
returning *
"""
RUNNING = "select * from whmcs_syncs where tenant_id = current_tenant() and state = 'running'"
_DONE = f"""
listed = greatest(listed, %(listed)s), opened = opened + %(opened)s, changed = changed + %(changed)s,
failed = failed + %(failed)s,
report = jsonb_build_object({_first("tickets")}, {_first("problems")}, {_first("statuses")})
"""
_OWN = "id = %(id)s and tenant_id = current_tenant() and state = 'running' and owner = %(owner)s"
RENEW = f"""
update whmcs_syncs set {_DONE}, lease_until = clock_timestamp() + make_interval(secs => %(lease)s) where {_OWN}
"""
FINISH = f"""
update whmcs_syncs
set {_DONE}, state = %(state)s, error_code = %(code)s, error = %(error)s, ended_at = clock_timestamp()
where {_OWN}
"""
_EVERY = "make_interval(mins => (options ->> 'sync_every_minutes')::integer)"
_SCHEDULED = "(options ->> 'sync_every_minutes')::integer > 0"
WELL = f"""
update whmcs_connections
set synced_at = clock_timestamp(), failures = 0, failing_since = null, error_code = null, error = null,
    next_sync_at = case when {_SCHEDULED} then clock_timestamp() + {_EVERY} end
where tenant_id = current_tenant() and removed_at is null
"""
ILL = f"""
update whmcs_connections
set failures = failures + 1, failing_since = coalesce(failing_since, clock_timestamp()), error_code = %(code)s,
    error = %(error)s,
    next_sync_at = case when {_SCHEDULED} and failures + 1 < %(stops)s then clock_timestamp()
        + least({_EVERY} * power(2, least(failures, 12)), make_interval(secs => %(most)s)) end
where tenant_id = current_tenant() and removed_at is null
"""
FORGET = """
delete from whmcs_syncs
where tenant_id = current_tenant() and state <> 'running' and id < (
    select id from whmcs_syncs where tenant_id = current_tenant() order by id desc offset %s limit 1)
"""
GET = "select * from whmcs_syncs where id = %s and tenant_id = current_tenant()"
LIST = """
select * from whmcs_syncs
where tenant_id = current_tenant() and (%(before)s::uuid is null or id < %(before)s)
order by id desc limit %(limit)s
"""
