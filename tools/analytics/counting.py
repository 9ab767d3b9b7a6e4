"""Days counted and kept, and days counted while somebody asks."""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import tuple_row

from memory.database import Connection, Database
from memory.errors import Invalid
from tools.analytics.questions import QUESTIONS, window

UNSETTLED = timedelta(days=9)
"""How long a day may still change: a conversation can go on for seven days after its end."""
LONGEST = 3 * 366
AT_ONCE = 31
"""Days that one transaction counts."""


class Figure(NamedTuple):
    """One figure of one day: a tuple, because a year has forty thousand of them."""

    day: date
    name: str
    key: str
    times: int
    total: float


async def read_figures(
    connection: Connection, first: date, last: date, *, names: Collection[str] = tuple(QUESTIONS)
) -> list[Figure]:
    """The figures of these days, both included: the counted ones as they stand, the others counted now. Raises Invalid
    for a range that is empty or longer than three years."""
    if last < first:
        raise Invalid("the last day lies before the first")
    if (last - first).days >= LONGEST:
        raise Invalid("a range is at most three years")
    values = {"first": first, "last": last, "names": list(names)}
    counted = {row["day"] for row in await (await connection.execute(COUNTED, values)).fetchall()}
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(STORED, values)
        figures = list(map(Figure._make, await cursor.fetchall()))
    begun = await _first_day(connection) or last + timedelta(days=1)
    wanted = [day for day in _days(max(first, begun), min(last, _today())) if day not in counted]
    for since, until in _stretches(wanted):
        figures += await _count(connection, since, until, names)
    return figures


async def count_days(database: Database, tenant_id: UUID, *, today: date | None = None) -> int:
    """Count a tenant's days that are over and not settled, and those that nobody has counted; how many there were."""
    today = today or _today()
    async with database.connection(tenant_id) as connection:
        begun = await _first_day(connection)
        if begun is None:
            return 0
        values = {"first": begun, "last": today - UNSETTLED}
        settled = {row["day"] for row in await (await connection.execute(COUNTED, values)).fetchall()}
        wanted = [day for day in _days(begun, today - timedelta(days=1)) if day not in settled]
    for since, until in _stretches(wanted):
        async with database.connection(tenant_id) as connection:
            await _keep(connection, tenant_id, since, until)
    return len(wanted)


async def _first_day(connection: Connection) -> date | None:
    """Before which there is nothing to count."""
    row = await (await connection.execute(FIRST_DAY)).fetchone()
    return row["day"] if row else None


async def _keep(connection: Connection, tenant_id: UUID, since: date, until: date) -> None:
    figures = await _count(connection, since, until, tuple(QUESTIONS))
    values = {"first": since, "last": until}
    await connection.execute(FORGET, values)
    async with connection.cursor() as cursor:
        await cursor.executemany(
            KEEP, [(tenant_id, each.day, each.name, each.key, each.times, each.total) for each in figures]
        )
        await cursor.executemany(MARK, [(tenant_id, day) for day in _days(since, until)])


async def _count(connection: Connection, since: date, until: date, names: Collection[str]) -> list[Figure]:
    values = window(since, until)
    found: list[Figure] = []
    async with connection.cursor(row_factory=tuple_row) as cursor:
        for name in names:
            await cursor.execute(QUESTIONS[name], values)
            rows = await cursor.fetchall()
            found += [Figure(day, name, key or "", count, float(total or 0)) for day, key, count, total in rows]
    return found


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def _stretches(days: Sequence[date]) -> Iterator[tuple[date, date]]:
    """Runs of neighbouring days, none longer than `AT_ONCE`."""
    start = previous = None
    for day in days:
        if (
            start is not None
            and previous is not None
            and (day - previous > timedelta(days=1) or (day - start).days >= AT_ONCE)
        ):
            yield start, previous
            start = day
        start, previous = start or day, day
    if start and previous:
        yield start, previous


def _today() -> date:
    return datetime.now(UTC).date()


COUNTED = "select day from counted_days where tenant_id = current_tenant() and day between %(first)s and %(last)s"
STORED = """
select day, name, key, count, total from daily_figures
where tenant_id = current_tenant() and day between %(first)s and %(last)s and name = any(%(names)s)
"""
FORGET = "delete from daily_figures where tenant_id = current_tenant() and day between %(first)s and %(last)s"
KEEP = "insert into daily_figures (tenant_id, day, name, key, count, total) values (%s, %s, %s, %s, %s, %s)"
MARK = """
insert into counted_days (tenant_id, day) values (%s, %s)
on conflict (tenant_id, day) do update set counted_at = clock_timestamp()
"""
FIRST_DAY = """
select least(
    (select (created_at at time zone 'UTC')::date from chat_sessions where tenant_id = current_tenant() order by id limit 1),
    (select (created_at at time zone 'UTC')::date from tickets
     where tenant_id = current_tenant() and source = 'helpdesk' order by id limit 1),
    (select (created_at at time zone 'UTC')::date from whmcs_connections where tenant_id = current_tenant())
) as day
"""
"""Tickets of another system bring a past that is not counted, as far back as it goes."""
