"""Jobs outlive what happens to their workers: death, silence, a stop, a part that is away. Each ends, and once."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from procrastinate import App
from procrastinate.jobs import Status
from structlog.testing import capture_logs

from memory.database import Database
from memory.embedded import EmbeddedUrls
from memory.errors import Invalid, Unavailable
from memory.jobs import ALONE, KEEP_FAILED_H, PACE, RETRIES, RETRY, forget_old, give_back_lost, open_jobs, work

QUICK = replace(PACE, heartbeat_s=0.1, lost_s=1.0, look_s=0.2, poll_s=0.1, grace_s=0.4, pause_s=0.1)
Task = Callable[[], Awaitable[None]]

DOOMED = """
import asyncio, sys
from memory.jobs import new_jobs, work

async def main(url):
    app = new_jobs(url)

    @app.task(name="errand", queue="agent")
    async def errand():
        print("started", flush=True)
        await asyncio.sleep(60)

    async with app.open_async():
        await work(app)

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture(autouse=True)
async def nothing_else(database: Database) -> None:
    """Every worker takes any job, so none may be left over from another test."""
    async with database.lookup() as connection:
        await connection.execute("delete from procrastinate_jobs")
        await connection.execute("delete from procrastinate_workers")


@asynccontextmanager
async def process(database: Database, errand: Task, **options: Any) -> AsyncIterator[App]:
    """What one process knows: an app of its own with the task `errand`."""
    async with open_jobs(database) as app:
        app.task(name="errand", queue="agent", **options)(errand)
        yield app


@asynccontextmanager
async def worker(database: Database, errand: Task, **options: Any) -> AsyncIterator[App]:
    async with process(database, errand, **options) as app:
        running = asyncio.create_task(work(app, QUICK))
        try:
            yield app
        finally:
            await stop(running)


async def stop(running: "asyncio.Task[None]") -> None:
    """As a process does on SIGTERM."""
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def nothing() -> None:
    pass


class Errand:
    """A task that counts its runs and takes a while."""

    def __init__(self, seconds: float = 0) -> None:
        self.seconds, self.started, self.ended = seconds, 0, 0

    async def __call__(self) -> None:
        self.started += 1
        await asyncio.sleep(self.seconds)
        self.ended += 1

    async def run(self) -> None:
        await self()


async def defer(app: App) -> int:
    return await app.configure_task("errand", queue="agent", allow_unknown=True).defer_async()


async def run_all(app: App) -> None:
    """Take what is due, and end."""
    await app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)


async def wait_for(app: App, job: int, *wanted: Status, within: float = 5) -> None:
    async with asyncio.timeout(within):
        while await app.job_manager.get_job_status_async(job) not in wanted:
            await asyncio.sleep(0.02)


async def begun(errand: Errand) -> None:
    async with asyncio.timeout(5):
        while not errand.started:
            await asyncio.sleep(0.01)


async def job_row(database: Database, job: int) -> dict[str, Any]:
    async with database.lookup() as connection:
        row = await (await connection.execute("select * from procrastinate_jobs where id = %s", (job,))).fetchone()
    assert row
    return row


async def change(database: Database, statement: str, *values: Any) -> None:
    async with database.lookup() as connection:
        await connection.execute(statement, values)


async def leave_behind(database: Database, app: App, *, attempts: int = 0, queueing_lock: str | None = None) -> int:
    """A job in the hands of a worker that nobody has heard of for an hour."""
    job = await defer(app)
    await change(
        database,
        "with gone as (insert into procrastinate_workers (last_heartbeat) values (now() - interval '1 hour') returning id)"
        " update procrastinate_jobs set status = 'doing', worker_id = gone.id, attempts = %s, queueing_lock = %s"
        " from gone where procrastinate_jobs.id = %s",
        attempts, queueing_lock, job,
    )  # fmt: skip
    return job


class TestAWorkerThatDies:
    async def test_its_job_is_done_by_another(self, database: Database) -> None:
        errand = Errand()
        async with process(database, nothing) as app:
            job = await defer(app)
        doomed = await asyncio.create_subprocess_exec(
            sys.executable, "-c", DOOMED, database.url, stdout=asyncio.subprocess.PIPE
        )
        assert doomed.stdout
        try:
            async with asyncio.timeout(10):
                assert await doomed.stdout.readline() == b"started\n"
        finally:
            doomed.kill()
            await doomed.wait()
        assert (await job_row(database, job))["status"] == "doing"
        async with worker(database, errand.run) as app:
            await wait_for(app, job, Status.SUCCEEDED)
        assert errand.ended == 1

    async def test_while_one_process_looks_another_does_not(self, database: Database) -> None:
        """The second would give back, from the list that it read before, what runs again by now."""
        async with process(database, nothing) as app:
            job = await leave_behind(database, app)
            async with database.lookup() as first, first.transaction():
                await first.execute(ALONE)
                await give_back_lost(app, 1.0)
                assert (await job_row(database, job))["status"] == "doing"
            await give_back_lost(app, 1.0)
        row = await job_row(database, job)
        assert (row["status"], row["attempts"]) == ("todo", 1)

    async def test_a_living_workers_long_job_is_left_to_it(self, database: Database) -> None:
        long, other = Errand(1.6), Errand()
        async with worker(database, long.run) as app:
            job = await defer(app)
            await begun(long)
            async with worker(database, other.run):
                await asyncio.sleep(1.4)  # longer than a silent worker is waited for
                assert other.started == 0
        assert (long.started, other.started) == (1, 0)
        assert (await job_row(database, job))["status"] == "succeeded"

    async def test_a_job_that_kills_every_worker_is_given_up(self, database: Database) -> None:
        async with process(database, nothing) as app:
            job = await leave_behind(database, app, attempts=RETRIES)
            with capture_logs() as logs:
                await give_back_lost(app, 1.0)
        assert (await job_row(database, job))["status"] == "failed"
        assert [(entry["log_level"], entry["job"]) for entry in logs] == [("error", job)]

    async def test_a_lost_job_makes_room_for_an_equal_one_that_waits(self, database: Database) -> None:
        async with process(database, nothing) as app:
            lost = await leave_behind(database, app, queueing_lock="one")
            waiting = await app.configure_task(
                "errand", queue="agent", queueing_lock="one", allow_unknown=True
            ).defer_async()
            also_lost = await leave_behind(database, app)
            await give_back_lost(app, 1.0)
        states = {job: (await job_row(database, job))["status"] for job in (lost, waiting, also_lost)}
        assert states == {lost: "aborted", waiting: "todo", also_lost: "todo"}


class TestAWorkerThatBreaks:
    async def test_one_that_was_taken_for_dead_takes_jobs_again(self, database: Database) -> None:
        errand = Errand()
        async with worker(database, errand.run) as app:
            first = await defer(app)
            await wait_for(app, first, Status.SUCCEEDED)
            await change(database, "delete from procrastinate_workers")
            with capture_logs() as logs:
                second = await defer(app)
                await wait_for(app, second, Status.SUCCEEDED)
        assert errand.ended == 2
        assert "the worker broke and begins again" in [entry["event"] for entry in logs]

    async def test_after_a_time_without_its_tables_it_works_on(
        self, database: Database, database_urls: EmbeddedUrls
    ) -> None:
        errand = Errand()
        async with worker(database, errand.run) as app:
            with capture_logs() as logs, tables_away(database_urls):
                await logged(logs, "the worker failed", "could not look for lost jobs")
            new, lost = await defer(app), await leave_behind(database, app)
            await wait_for(app, new, Status.SUCCEEDED)
            await wait_for(app, lost, Status.SUCCEEDED)
        assert errand.ended == 2

    async def test_one_that_breaks_while_it_stops_does_not_begin_again(
        self, database: Database, database_urls: EmbeddedUrls
    ) -> None:
        async with process(database, nothing) as app:
            running = asyncio.create_task(work(app, replace(QUICK, heartbeat_s=60, look_s=60)))
            await wait_for(app, await defer(app), Status.SUCCEEDED)
            with capture_logs() as logs, tables_away(database_urls):
                async with asyncio.timeout(3):
                    await stop(running)
        assert [entry["event"] for entry in logs] == ["the worker failed"]


@contextmanager
def tables_away(urls: EmbeddedUrls) -> Iterator[None]:
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        connection.execute("create schema away")
        connection.execute("alter table procrastinate_workers set schema away")
        try:
            yield
        finally:
            connection.execute("alter table away.procrastinate_workers set schema public")
            connection.execute("drop schema away")


async def logged(logs: list[Any], *wanted: str) -> None:
    async with asyncio.timeout(5):
        while not set(wanted) <= {entry["event"] for entry in logs}:
            await asyncio.sleep(0.02)


async def no_database() -> None:
    await psycopg.AsyncConnection.connect("postgresql://nobody@127.0.0.1:1/none", connect_timeout=1)


async def nothing_there() -> None:
    raise Unavailable("the embedding endpoint answered 503")


async def refused() -> None:
    raise Invalid("handbook is not a folder")


async def no_file() -> None:
    raise FileNotFoundError("handbook.md")


async def a_defect() -> None:
    raise ValueError


class TestWhatFails:
    @pytest.mark.parametrize("errand", [no_database, nothing_there])
    async def test_what_may_come_back_is_tried_again_later(self, database: Database, errand: Task) -> None:
        async with process(database, errand, retry=RETRY) as app:
            job = await defer(app)
            await run_all(app)
        row = await job_row(database, job)
        assert (row["status"], row["attempts"]) == ("todo", 1)
        assert timedelta(seconds=2) < row["scheduled_at"] - datetime.now(UTC) <= timedelta(seconds=4)

    async def test_it_waits_longer_each_time_and_gives_up(self, database: Database) -> None:
        waits, runs = [], 0

        async def errand() -> None:
            nonlocal runs
            runs += 1
            await no_database()

        async with process(database, errand, retry=RETRY) as app:
            job = await defer(app)
            await run_all(app)
            while (row := await job_row(database, job))["status"] == "todo":
                waits.append(round((row["scheduled_at"] - datetime.now(UTC)).total_seconds()))
                await change(database, "update procrastinate_jobs set scheduled_at = now() where id = %s", job)
                await run_all(app)
        assert row["status"] == "failed"
        assert runs == RETRIES + 1
        assert waits == [4, 16, 64, 256, 1024]

    @pytest.mark.parametrize("errand", [refused, no_file, a_defect])
    async def test_what_will_not_change_fails_at_once(self, database: Database, errand: Task) -> None:
        async with process(database, errand, retry=RETRY) as app:
            job = await defer(app)
            await run_all(app)
        row = await job_row(database, job)
        assert (row["status"], row["attempts"]) == ("failed", 1)


class TestStopping:
    async def test_a_job_that_ends_in_time_is_finished(self, database: Database) -> None:
        errand = Errand(0.2)
        async with worker(database, errand.run, retry=RETRY) as app:
            job = await defer(app)
            await begun(errand)
        assert errand.ended == 1
        assert (await job_row(database, job))["status"] == "succeeded"

    async def test_a_longer_one_is_given_back_at_once_and_done_by_the_next(self, database: Database) -> None:
        long, next_one = Errand(60), Errand()
        async with worker(database, long.run, retry=RETRY) as app:
            job = await defer(app)
            await begun(long)
            told = time.monotonic()
        assert QUICK.grace_s <= time.monotonic() - told < QUICK.grace_s + 1
        assert (long.started, long.ended) == (1, 0)
        assert (await job_row(database, job))["status"] == "todo"
        async with worker(database, next_one.run, retry=RETRY) as app:
            await wait_for(app, job, Status.SUCCEEDED)
        assert next_one.ended == 1

    async def test_none_is_begun_any_more(self, database: Database) -> None:
        async with process(database, nothing) as app:
            await stop(asyncio.create_task(work(app, QUICK)))
            job = await defer(app)
            await asyncio.sleep(0.3)
        assert (await job_row(database, job))["status"] == "todo"


class TestOldJobs:
    async def test_what_ended_goes_and_failures_stay_for_a_while_to_be_looked_at(self, database: Database) -> None:
        kept: dict[tuple[str, int], bool] = {
            ("succeeded", 0): True, ("succeeded", 2): False, ("failed", 2): True,
            ("failed", KEEP_FAILED_H - 1): True, ("failed", KEEP_FAILED_H + 1): False,
            ("aborted", 2): True, ("aborted", KEEP_FAILED_H + 1): False,
            ("todo", KEEP_FAILED_H + 1): True, ("doing", KEEP_FAILED_H + 1): True,
        }  # fmt: skip
        async with process(database, nothing) as app:
            jobs = {}
            for state, hours in kept:
                jobs[state, hours] = job = await defer(app)
                await change(
                    database, "update procrastinate_jobs set status = %s::procrastinate_job_status where id = %s",
                    state, job,
                )  # fmt: skip
                await change(
                    database, "update procrastinate_events set at = now() - make_interval(hours => %s) where job_id = %s",
                    hours, job,
                )  # fmt: skip
            await forget_old(app)
        async with database.lookup() as connection:
            rows = await (await connection.execute("select id from procrastinate_jobs")).fetchall()
        left = {row["id"] for row in rows}
        assert {name: job in left for name, job in jobs.items()} == kept
