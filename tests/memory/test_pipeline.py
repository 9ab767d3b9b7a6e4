"""Several statements in one message: their values, rows, errors, and what is left of them on the connection."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from datetime import datetime

import psycopg
import pytest
from psycopg.types.json import Jsonb

from memory import arriving
from memory.database import Database
from memory.errors import Unavailable
from memory.models import new_id
from memory.once import MOST
from memory.pipeline import KEPT, Asked, statement
from tests.memory.conftest import Desk

ONE = statement("select %(a)s::int + %(b)s::int as sum, %(a)s::int %% 2 as rest")
OpenDesk = Callable[[], Awaitable[Desk]]
TENANT = statement("select current_tenant() as tenant")
BROKEN = statement("select 1 / %(by)s::int as result")
PREPARED = statement("select count(*) as n from pg_prepared_statements where name like 'piped_%%'")
WAITING = statement(
    "select count(*) as n from pg_stat_activity where wait_event_type = 'Lock' and pid <> pg_backend_pid()"
)
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
                ((row,),) = await database.once(new_id()).together((statement(query), given), binary=binary)
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
    async def test_it_is_of_its_tenant_and_leaves_nothing(self, database: Database) -> None:
        tenant = new_id()
        assert await database.once(tenant).together((TENANT, {})) == [[{"tenant": tenant}]]
        assert await database.calls(tenant).together((TENANT, {})) == [[{"tenant": None}]]

    async def test_who_only_reads_writes_nothing(self, desk: OpenDesk) -> None:
        own = await desk()
        with pytest.raises(Unavailable):
            await own.database.reading().once(own.tenant_id).together(rename(own))

    async def test_all_or_nothing(self, desk: OpenDesk) -> None:
        own = await desk()
        with pytest.raises(psycopg.errors.DivisionByZero):
            await own.database.once(own.tenant_id).together(rename(own), (BROKEN, {"by": 0}), (TENANT, {}))
        assert await title(own) == ""
        await own.database.once(new_id()).together(rename(own))
        assert await title(own) == ""
        await own.database.once(own.tenant_id).together(rename(own))
        assert await title(own) == "new"

    async def test_one_that_nobody_waits_for_any_more_is_stopped(self, desk: OpenDesk) -> None:
        own = await desk()
        async with own.database.connection(own.tenant_id) as connection:
            await connection.together(rename(own))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await own.database.once(own.tenant_id).together(rename(own))
            async with asyncio.timeout(5):
                while await waiting(own):
                    await asyncio.sleep(0.02)

    async def test_an_answer_that_comes_as_its_caller_leaves_costs_nothing(self, database: Database) -> None:
        loop, sleeping = asyncio.get_running_loop(), statement("select pg_sleep(0.1)")

        def leave() -> None:
            time.sleep(0.3)  # the loop is busy elsewhere: then it sees the answer and the leaving at once
            loop.call_soon(asking.cancel)

        async with database.lookup() as connection:
            asking = asyncio.create_task(connection.together((sleeping, {})))
            await asyncio.sleep(0.05)
            loop.call_soon(leave)
            began = loop.time()
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert loop.time() - began < arriving.CANCEL_S / 2
            assert await connection.together((ONE, {"a": 1, "b": 1}))


class TestCompany:
    """What one tenant asks for in the same moment."""

    async def test_shares_a_connection_and_fails_alone(self, desk: OpenDesk) -> None:
        own, asking = await desk(), statement("select pg_backend_pid() as pid, current_tenant() as tenant")
        other = new_id()
        first, broken, unsent, second, foreign = await asyncio.gather(
            own.database.once(own.tenant_id).together(rename(own), (asking, {})),
            own.database.once(own.tenant_id).together((TENANT, {}), (BROKEN, {"by": 0})),
            own.database.once(own.tenant_id).together((statement("select %(a)s::text as a"), {"a": "nul \x00"})),
            own.database.once(own.tenant_id).together((asking, {})),
            own.database.once(other).together((asking, {})),
            return_exceptions=True,
        )
        assert isinstance(broken, psycopg.errors.DivisionByZero)
        assert isinstance(unsent, psycopg.DataError)
        assert not isinstance(first, BaseException)
        assert not isinstance(second, BaseException)
        assert not isinstance(foreign, BaseException)
        assert first[-1] == second[-1]
        assert [row["tenant"] for row in second[-1]] == [own.tenant_id]
        assert [row["tenant"] for row in foreign[-1]] == [other]
        assert foreign[-1][0]["pid"] != first[-1][0]["pid"]
        assert await title(own) == "new"

    @pytest.mark.parametrize(("value", "error"), [("nul \x00", psycopg.DataError), ("\ud800", UnicodeEncodeError)])
    async def test_what_cannot_be_sent_fails_alone(
        self, database: Database, value: str, error: type[Exception]
    ) -> None:
        once, unsent = database.once(new_id()), (statement("select %(a)s::text as a"), {"a": value})
        with pytest.raises(error):
            await once.together(unsent)
        outcomes = await asyncio.gather(once.together((TENANT, {})), once.together(unsent), return_exceptions=True)
        assert isinstance(outcomes[1], error)
        assert isinstance(outcomes[0], list)
        assert await once.together((TENANT, {}))

    async def test_whoever_leaves_takes_nobody_along(self, desk: OpenDesk) -> None:
        own = await desk()
        async with own.database.connection(own.tenant_id) as connection:
            await connection.together(rename(own))
            leaving, staying = (
                asyncio.create_task(own.database.once(own.tenant_id).together(asked))
                for asked in (rename(own), (TENANT, {}))
            )
            while not await waiting(own):
                await asyncio.sleep(0.02)
            leaving.cancel()
        assert await staying == [[{"tenant": own.tenant_id}]]
        assert leaving.cancelled()

    async def test_what_nobody_waits_for_any_more_is_not_sent(self, desk: OpenDesk) -> None:
        own = await desk()
        leaving = asyncio.create_task(own.database.once(own.tenant_id).together(rename(own)))
        await asyncio.sleep(0)
        leaving.cancel()
        assert await own.database.once(own.tenant_id).together((TENANT, {}))
        assert await title(own) == ""

    async def test_many_are_several_messages(self, desk: OpenDesk) -> None:
        own, asking = await desk(), statement("select pg_backend_pid() as pid")
        asked = (own.database.once(own.tenant_id).together((asking, {})) for _ in range(MOST + 1))
        pids = [row["pid"] for ((row,),) in await asyncio.gather(*asked)]
        assert len(set(pids[:MOST])) == 1
        assert pids[MOST] != pids[0]

    async def test_a_connection_that_is_lost_is_lost_for_all(self, desk: OpenDesk) -> None:
        own, end = await desk(), statement("select pg_terminate_backend(pg_backend_pid()) as ended")
        async with asyncio.timeout(5):
            outcomes = await asyncio.gather(
                *(own.database.once(own.tenant_id).together(asked) for asked in ((end, {}), (TENANT, {}))),
                return_exceptions=True,
            )
        assert [type(outcome) for outcome in outcomes] == [Unavailable, Unavailable]
        assert await own.database.once(own.tenant_id).together((TENANT, {}))


async def title(own: Desk) -> str:
    async with own.journal() as (_, session):
        return session.title


def rename(own: Desk) -> Asked:
    return RENAME, {"title": "new", "id": own.session.id}


async def waiting(own: Desk) -> int:
    """Statements that wait for a lock."""
    async with own.database.lookup() as connection:
        ((row,),) = await connection.together((WAITING, {}))
    return int(row["n"])


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
                    async with database.connection(new_id()) as connection:
                        await connection.together((end, {}), (TENANT, {}))

    async def test_a_server_that_does_not_answer_loses_the_connection(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(arriving, "CANCEL_S", 0.3)
        slow = statement("select pg_sleep(30) as slept")
        async with database.lookup() as connection:
            pid = connection.pgconn.backend_pid
            waiting = asyncio.create_task(connection.together((slow, {})))
            await asyncio.sleep(0.1)
            os.kill(pid, signal.SIGSTOP)
            try:
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asyncio.wait_for(waiting, 3)
                assert connection.closed
            finally:
                os.kill(pid, signal.SIGCONT)
        async with database.lookup() as connection:  # the pool has others
            assert await connection.together((ONE, {"a": 1, "b": 1})) == [[{"sum": 2, "rest": 1}]]

    async def test_an_answer_in_many_pieces_is_whole(self, database: Database) -> None:
        long = statement("select repeat('x', %(letters)s) as text from generate_series(1, 4)")
        async with database.lookup() as connection:
            ((*rows,), ((one, two)), last) = await connection.together(
                (long, {"letters": 1_000_000}), (statement("values (1), (2)"), {}), (ONE, {"a": 1, "b": 2})
            )
        assert [len(row["text"]) for row in rows] == [1_000_000] * 4
        assert [one, two, last] == [{"column1": 1}, {"column1": 2}, [{"sum": 3, "rest": 1}]]
