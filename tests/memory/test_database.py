"""A database that is away, in every way in which it says so, is the same to a caller: try again later."""

from datetime import UTC, datetime

import psycopg
import pytest
import sqlalchemy as sa

from memory.database import Database, open_database
from memory.errors import Unavailable
from memory.models import new_id

AWAY = {
    "25006": "a standby takes no writes", "25P03": "idle for too long", "53100": "the disk is full",
    "53200": "out of memory", "53300": "too many connections", "57P01": "shutting down", "57P03": "starting up",
}  # fmt: skip
RAISE = "do $$ begin raise exception using errcode = '{code}'; end $$"


class TestAway:
    @pytest.mark.parametrize("code", AWAY, ids=AWAY.get)
    async def test_through_either_door_it_is_unavailable(self, database: Database, code: str) -> None:
        statement = RAISE.format(code=code)
        with pytest.raises(Unavailable) as plain:
            async with database.connection(new_id()) as connection:
                await connection.execute(statement)
        with pytest.raises(Unavailable) as orm:
            async with database.transaction(new_id()) as session:
                await (await session.connection()).execute(sa.text(statement))
        assert plain.value.retry_after == orm.value.retry_after == 2

    async def test_a_connection_that_was_ended(self, database: Database) -> None:
        with pytest.raises(Unavailable):
            async with database.connection(new_id()) as connection:
                await connection.execute("select pg_terminate_backend(pg_backend_pid())")
        with pytest.raises(Unavailable):
            async with database.transaction(new_id()) as session:
                await (await session.connection()).execute(sa.text("select pg_terminate_backend(pg_backend_pid())"))

    async def test_a_driver_that_lost_its_connection(self, database: Database) -> None:
        lost = psycopg.InterfaceError("the connection is lost")
        with pytest.raises(Unavailable):
            async with database.connection(new_id()):
                raise lost
        with pytest.raises(Unavailable):
            async with database.transaction(new_id()):
                raise sa.exc.InterfaceError("select 1", {}, lost)
        with pytest.raises(Unavailable):
            async with database.lookup():
                raise lost

    async def test_a_defect_of_ours_is_not_hidden(self, database: Database) -> None:
        with pytest.raises(psycopg.errors.UndefinedTable):
            async with database.connection(new_id()) as connection:
                await connection.execute("select 1 from nowhere")
        with pytest.raises(psycopg.errors.ActiveSqlTransaction):
            async with database.connection(new_id()) as connection:
                await connection.execute(RAISE.format(code="25001"))
        with pytest.raises(sa.exc.ProgrammingError):
            async with database.transaction(new_id()) as session:
                await (await session.connection()).execute(sa.text("select 1 from nowhere"))


async def test_a_moment_reads_the_same_wherever_the_server_is(database: Database) -> None:
    east = f"{database.url}{'&' if '?' in database.url else '?'}options=-c%20timezone%3DAsia/Tokyo"
    async with open_database(east, pool_size=2) as elsewhere, elsewhere.lookup() as connection:
        row = await (await connection.execute("select timestamptz '9999-12-31 23:59:59Z' as last")).fetchone()
    assert row == {"last": datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)}
