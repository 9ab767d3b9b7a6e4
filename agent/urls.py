"""Where the database is, for each role: as configured, or the embedded server, which is started and migrated here.

Apart from `agent/resources.py`, because a command that only adds a user needs nothing else of the agent.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from agent.settings import Settings
from memory.embedded import APP, embedded_postgres
from memory.migrate import migrate


@dataclass(frozen=True, slots=True, kw_only=True)
class Urls:
    """Where the database is: for the application's role, and for the owner's where this process may migrate."""

    app: str
    owner: str | None
    knowledge: str | None = None
    """Of the knowledge base, where that has a database of its own on the same server."""

    @property
    def knowledge_owner(self) -> str | None:
        if self.knowledge is None or self.owner is None:
            return self.owner
        own, there = urlsplit(self.owner), urlsplit(self.knowledge)
        credentials = own.netloc.rpartition("@")[0]
        return there._replace(netloc=f"{credentials}@{there.netloc.rpartition('@')[2]}").geturl()


@asynccontextmanager
async def open_urls(settings: Settings) -> AsyncIterator[Urls]:
    """The database's addresses; starts the embedded server, migrated, where none is configured."""
    if settings.database.url:
        yield Urls(app=settings.database.url, owner=settings.database.owner_url, knowledge=settings.database.vector_url)
        return
    with embedded_postgres(settings.app.data_dir / "postgres") as urls:
        await asyncio.to_thread(migrate, urls.owner, APP)
        yield Urls(app=urls.app, owner=urls.owner)
