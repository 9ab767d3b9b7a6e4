"""Background work as rows in Postgres: any process with a worker takes it, a crash loses nothing.

A job carries its tenant explicitly. What a job does is given by the layer that knows it; this module knows only how
jobs are kept.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from procrastinate import App, PsycopgConnector

from memory.database import Database

CONCURRENCY = 4


def new_jobs(url: str) -> App:
    """An app without tasks yet; open it with `open_jobs`."""
    return App(connector=PsycopgConnector(conninfo=url, min_size=1, max_size=4))


@asynccontextmanager
async def open_jobs(database: Database) -> AsyncIterator[App]:
    app = new_jobs(database.url)
    async with app.open_async():
        yield app


async def work(app: App) -> None:
    """Take jobs until cancelled; those that run are finished first."""
    await app.run_worker_async(concurrency=CONCURRENCY, install_signal_handlers=False, listen_notify=True)
