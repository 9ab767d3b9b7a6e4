"""Background work as rows in Postgres: any process with a worker takes it, a crash loses nothing.

A job carries its tenant explicitly and is safe to run again, because it may be: a worker that says nothing for a while
is taken for dead and its jobs are given to others, one that stops gives back what it could not finish, and with
`retry=RETRY` a job waits for a part that is away. Such a task has no queueing lock, under which it could not go back
into the queue beside an equal one. What a job does is given by the layer that knows it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg
import structlog
from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision
from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.jobs import Job, Status

from memory.cancelling import end
from memory.connection import PatientConnection
from memory.database import KEEPALIVE, RECONNECT_S, WAIT_S, Database
from memory.errors import Unavailable
from memory.reaching import UNREACHABLE

log = structlog.get_logger()

CONCURRENCY = 4
RETRIES = 5
BACKOFF_S = 4
"""To the power of how often it was tried: 4 s, 16 s, and so on to 17 minutes, 23 minutes together."""
KEEP_SUCCEEDED_H = 1
"""Who waits for a job's end by looking at its row must find it."""
KEEP_FAILED_H = 7 * 24
"""For an operator to look at."""
TRANSIENT = (Unavailable, *UNREACHABLE, ConnectorException, ConnectionError, TimeoutError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds in the life of a worker."""

    heartbeat_s: float = 10
    lost_s: float = 30
    """Without a heartbeat, after which a worker's jobs are given to others."""
    look_s: float = 10
    """Between two looks for such jobs."""
    poll_s: float = 5
    """Until a job that was given back or has waited is noticed; a new one is announced."""
    grace_s: float = 5
    """For the running jobs of a worker that stops; turns had theirs before, and the process has 35 s in all."""
    pause_s: float = 2
    """Before a worker that broke begins again."""


PACE = Pace()


class _Retry(BaseRetryStrategy):
    """Again later what may succeed later; at once, elsewhere, what a stopping worker broke off."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        stopped = isinstance(exception, asyncio.CancelledError)
        if not stopped and not isinstance(exception, TRANSIENT):
            return None
        if job.attempts >= RETRIES:
            log.error("a job is given up", job=job.id, task=job.task_name, error=type(exception).__name__)
            return None
        wait = 0 if stopped else BACKOFF_S ** (job.attempts + 1)
        log.warning("a job goes back", job=job.id, task=job.task_name, error=type(exception).__name__, wait_s=wait)
        return RetryDecision(retry_in={"seconds": wait})


RETRY = _Retry()


def new_jobs(url: str) -> App:
    """An app without tasks yet; open it with `open_jobs`."""
    connector = PsycopgConnector(
        conninfo=url, connection_class=PatientConnection, min_size=1, max_size=4, timeout=WAIT_S,
        reconnect_timeout=RECONNECT_S, kwargs=KEEPALIVE,
    )  # fmt: skip
    return App(connector=connector)


@asynccontextmanager
async def open_jobs(database: Database) -> AsyncIterator[App]:
    app = new_jobs(database.url)
    async with app.open_async():
        yield app


async def work(app: App, pace: Pace = PACE) -> None:
    """Take jobs, also those of workers that died, until cancelled; then those that run are finished or given back."""
    looking = asyncio.create_task(_look_for_lost(app, pace))
    try:
        while True:
            await _take(app, pace)
            log.warning("the worker broke and begins again")
            await asyncio.sleep(pace.pause_s)
    finally:
        await end(looking)


async def _take(app: App, pace: Pace) -> None:
    """One worker until it is cancelled, or breaks: the library's ends for good when the database was away."""
    task = asyncio.current_task()
    assert task
    try:
        await app.run_worker_async(
            concurrency=CONCURRENCY, install_signal_handlers=False, listen_notify=True,
            fetch_job_polling_interval=pace.poll_s, shutdown_graceful_timeout=pace.grace_s,
            update_heartbeat_interval=pace.heartbeat_s, stalled_worker_timeout=pace.lost_s,
        )  # fmt: skip
    except Exception as error:
        log.warning("the worker failed", error=type(error).__name__, exc_info=True)
    if task.cancelling():  # and it broke while it stopped, so that the cancellation did not come out of it
        raise asyncio.CancelledError


async def _look_for_lost(app: App, pace: Pace) -> None:
    while True:
        try:
            await give_back_lost(app, pace.lost_s)
        except (ConnectorException, psycopg.Error) as error:
            log.warning("could not look for lost jobs", error=type(error).__name__)
        await asyncio.sleep(pace.look_s)


async def give_back_lost(app: App, lost_s: float) -> None:
    """Queue the jobs of workers without a heartbeat for `lost_s` again, once, however many processes look."""
    assert isinstance(app.connector, PsycopgConnector)
    async with app.connector.pool.connection() as connection:
        row = await (await connection.execute(ALONE)).fetchone()
        if row and row[0]:
            for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=lost_s):
                await _give_back(app, job)


async def _give_back(app: App, job: Job) -> None:
    try:
        if job.attempts >= RETRIES:
            log.error("a job is given up: its workers die", job=job.id, task=job.task_name)
            await app.job_manager.finish_job(job, Status.FAILED, delete_job=False)
        else:
            log.warning("a job's worker is gone", job=job.id, task=job.task_name)
            await app.job_manager.retry_job(job)
    except UniqueViolation:  # an equal one waits under the same queueing lock
        await app.job_manager.finish_job(job, Status.ABORTED, delete_job=False)
    except ConnectorException as error:
        log.warning("a lost job was not given back", job=job.id, error=str(error.__cause__))  # ended by now, maybe


async def forget_old(app: App) -> None:
    """Delete jobs that ended, once nobody waits for them or looks at them any more."""
    await app.job_manager.delete_old_jobs(KEEP_SUCCEEDED_H)
    await app.job_manager.delete_old_jobs(
        KEEP_FAILED_H, include_failed=True, include_cancelled=True, include_aborted=True
    )


ALONE = "select pg_try_advisory_xact_lock(hashtextextended('lost jobs', 0))"
