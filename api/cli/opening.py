"""What the commands share: settings, a database as its owner, and running a coroutine to its end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from agent.settings import Settings
from api.logging import configure
from memory.errors import Misconfigured

if TYPE_CHECKING:
    from kbs.ingest import Report
    from memory.database import Database

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def quiet_settings() -> Settings:
    """Settings for a command that a person watches: only warnings are logged."""
    settings = Settings.load()
    configure("WARNING", json=False)
    return settings


@asynccontextmanager
async def open_owner(settings: Settings) -> "AsyncIterator[Database]":
    """The database as its owner: migrated where it is embedded."""
    from agent.resources import open_urls  # loads the whole agent, which not every command needs
    from tools.provisioning import seed_demo

    async with open_urls(settings) as urls, owner_of(urls.owner) as owner:
        if settings.embedded:
            await seed_demo(owner)  # whichever command comes first, the tenant that it means by default is there
        yield owner


@asynccontextmanager
async def owner_of(url: str | None) -> "AsyncIterator[Database]":
    """The owner's way into a database that is there: past row-level security, for tenants and global rows."""
    from memory.database import Database

    if url is None:
        raise Misconfigured("this needs the owner of the database: set DATABASE_OWNER_URL")
    owner = Database(url, pool_size=4)
    await owner.pool.open()
    try:
        yield owner
    finally:
        await owner.pool.close()
        await owner.engine.dispose()


async def as_owner(work: "Callable[[Database], Awaitable[T]]") -> T:
    """One piece of work as the owner, for a command."""
    async with open_owner(quiet_settings()) as owner:
        return await work(owner)


def in_words(report: "Report") -> str:
    """What an ingest did, in one line."""
    return (
        f"{report.added} added, {report.changed} changed, {report.unchanged} unchanged, {report.removed} removed; "
        f"{report.embedded_passages} passages embedded"
    )
