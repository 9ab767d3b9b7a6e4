"""Several statements in one message: their values, rows, errors, and what is left of them on the connection."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import psycopg
import pytest
from psycopg import pq
from psycopg.types.json import Jsonb

from memory.database import Database
from memory.errors import Unavailable
from memory.models import new_id
from memory.pipeline import KEPT, statement
from tests.memory.conftest import Desk

IDLE, INTRANS = pq.TransactionStatus.IDLE, pq.TransactionStatus.INTRANS
ONE = statement("select %(a)s::int + %(b)s::int as sum, %(a)s::int %% 2 as rest")
TENANT = statement("select current_tenant() as tenant")
BROKEN = statement("select 1 / %(by)s::int as result")
PREPARED = statement("select count(*) as n from pg_prepared_statements where name like 'piped_%%'")
RENAME = statement("update chat_sessions set title = %(title)s where id = %(id)s and tenant_id = current_tenant()")


class TestValues:
    async def test_they_come_back_as_the_driver_reads_them(self, database: Database) -> None:
        given = {"id": new_id(), "text": "ü 'quoted' %", "list": ["a", "b"], "json": Jsonb({"k": [1]}), "none": None}
        query = """
        select %(id)s::uuid as id, %(text)s::text as text, %(list)s::text[] as list, %(json)s::jsonb as json,
               %(none)s::text as none, now() as now, 1.5::float8 as number, '\\x00ff'::bytea as bytes
        """
        async with database.lookup() as connection:
            for binary in (False, True):
                ((row,),) = await connection.together((statement(query), given), binary=binary)
                plain = await (await connection.execute(query, given, binary=binary)).fetchone()
                assert plain is not None
                assert row | {"now": 0} == plain | {"now": 0}
                assert isinstance(row["now"], datetime)
                assert row["now"].tzinfo

    async def test_a_name_twice_is_one_value_and_two_signs_are_one(self, database: Database) -> None:
        async with database.lookup() as connection:
            assert await connection.together((ONE, {"a": 3, "b": 70_000})) == [[{"sum": 70_003, "rest": 1}]]
            assert await connection.together((ONE, {"a": 3, "b": 4}), (ONE, {"a": 2, "b": 2})) == [
                [{"sum": 7, "rest": 1}],
                [{"sum": 4, "rest": 0}],
            ]

    async def test_what_cannot_be_sent_leaves_the_connection_as_it_was(self, database: Database) -> None:
        async with database.lookup() as connection:
            with pytest.raises(psycopg.DataError):
                await connection.together((statement("select %(a)s::text as a"), {"a": "nul \x00"}))
            assert await connection.together((ONE, {"a": 1, "b": 1}))


class TestTransactions:
    @pytest.mark.parametrize("lazily", [False, True])
    @pytest.mark.parametrize("last", [False, True])
    async def test_it_is_of_its_tenant_and_leaves_nothing(self, database: Database, lazily: bool, last: bool) -> None:
        tenant = new_id()
        async with database.connection(tenant, lazily=lazily) as connection:
            assert await connection.together((TENANT, {}), last=last) == [[{"tenant": tenant}]]
            assert connection.pgconn.transaction_status == (IDLE if last else INTRANS)
        async with database.lookup() as connection:
            assert await connection.together((TENANT, {})) == [[{"tenant": None}]]

    @pytest.mark.parametrize("lazily", [False, True])
    @pytest.mark.parametrize("last", [False, True])
    async def test_who_only_reads_writes_nothing(
        self, desk: Callable[[], Awaitable[Desk]], lazily: bool, last: bool
    ) -> None:
        own = await desk()
        rename = (RENAME, {"title": "new", "id": own.session.id})
        with pytest.raises(Unavailable):
            async with own.database.reading().connection(own.tenant_id, lazily=lazily) as connection:
                await connection.together(rename, last=last)

    @pytest.mark.parametrize("last", [False, True])
    async def test_all_or_nothing(self, desk: Callable[[], Awaitable[Desk]], last: bool) -> None:
        own = await desk()
        rename = (RENAME, {"title": "new", "id": own.session.id})

        async def title() -> str:
            async with own.journal() as (_, session):
                return session.title

        with pytest.raises(psycopg.errors.DivisionByZero):
            async with own.database.connection(own.tenant_id, lazily=True) as connection:
                await connection.together(rename, (BROKEN, {"by": 0}), (TENANT, {}), last=last)
        assert await title() == ""
        with pytest.raises(KeyError):
            async with own.database.connection(own.tenant_id, lazily=True) as connection:
                raise KeyError(await connection.together(rename))
        assert await title() == ""
        async with own.database.connection(new_id(), lazily=True) as connection:
            await connection.together(rename, last=last)
        assert await title() == ""
        async with own.database.connection(own.tenant_id, lazily=True) as connection:
            await connection.together(rename, last=last)
        assert await title() == "new"

    async def test_one_that_has_not_begun_goes_no_other_way(self, database: Database) -> None:
        async with database.connection(new_id(), lazily=True) as connection:
            for other in (connection.cursor, lambda: connection.execute("select 1")):
                with pytest.raises(psycopg.ProgrammingError):
                    await other()
            with pytest.raises(psycopg.ProgrammingError):
                async with connection.transaction():
                    pass
        async with database.lookup() as connection:
            assert await connection.execute("select 1")


class TestPreparation:
    async def test_once_for_each_connection_and_never_too_many(self, database: Database) -> None:
        async def known() -> int:
            ((row,),) = await connection.together((PREPARED, {}))
            return int(row["n"])

        async with database.lookup() as connection:
            before = await known()
            for _ in range(3):
                await connection.together((statement("select 'once' as word"), {}))
            assert await known() == before + 1
            for number in range(KEPT + 20):
                await connection.together((statement(f"select {number} as number"), {}))
            assert await known() <= KEPT + 1

    async def test_one_whose_table_has_changed_is_prepared_anew(self, database: Database) -> None:
        every = statement("select * from changing")
        async with database.lookup() as connection:
            await connection.execute("create temporary table changing as select 1 as a")
            assert await connection.together((every, {})) == [[{"a": 1}]]
            await connection.together((statement("alter table changing add column b text"), {}))
            with pytest.raises(psycopg.errors.FeatureNotSupported):
                await connection.together((every, {}))
            assert await connection.together((every, {})) == [[{"a": 1, "b": None}]]
            await connection.execute("drop table changing")

    async def test_one_that_is_wrong(self, database: Database) -> None:
        async with database.lookup() as connection:
            for _ in range(2):
                with pytest.raises(psycopg.errors.UndefinedTable):
                    await connection.together((ONE, {"a": 1, "b": 1}), (statement("select 1 from nowhere"), {}))
            assert await connection.together((ONE, {"a": 1, "b": 1}))

    async def test_the_server_forgets_them_when_the_driver_rolls_back(self, database: Database) -> None:
        one, broken = (ONE, {"a": 1, "b": 1}), (BROKEN, {"by": 0})

        async def two_rollbacks() -> None:
            async with database.connection(new_id()) as connection:
                await connection.together(one)
                await connection.execute("select 1")
                with pytest.raises(psycopg.errors.DivisionByZero):
                    async with connection.transaction():
                        await connection.together(broken)
                await connection.execute("select 1")
                await connection.together(one, broken)

        for _ in range(2):
            with pytest.raises(psycopg.errors.DivisionByZero):
                await two_rollbacks()
            async with database.lookup() as connection:
                await connection.execute("select 1")


class TestInterruptions:
    async def test_a_cancelled_one_leaves_a_usable_connection(self, database: Database) -> None:
        slow = statement("select pg_sleep(30) as slept")
        late = statement("select 'late' as word")
        async with database.lookup() as connection:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await connection.together((slow, {}), (late, {}))
            assert await connection.together((late, {})) == [[{"word": "late"}]]

    async def test_a_connection_that_is_ended_says_so(self, database: Database) -> None:
        end = statement("select pg_terminate_backend(pg_backend_pid()) as ended")
        async with asyncio.timeout(5):
            for _ in range(2):
                with pytest.raises(Unavailable):
                    async with database.connection(new_id(), lazily=True) as connection:
                        await connection.together((end, {}), (TENANT, {}))
