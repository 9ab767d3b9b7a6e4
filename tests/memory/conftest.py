"""A session of a new customer, and the moves of a turn without any model."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from memory import chats, turns
from memory.database import Database
from memory.events import Event, Journal, journal
from memory.models import ChatSession, new_id
from memory.streams import Cursor, Streams
from memory.turns import Accepted, Lease
from tests.stored_events import stored_events


@dataclass
class Desk:
    """One session and what may happen to it; `process` names whose hands do it."""

    database: Database
    streams: Streams
    tenant_id: UUID
    session: ChatSession
    customer_id: UUID
    seen: list[Event] = field(default_factory=list)

    @asynccontextmanager
    async def journal(self) -> AsyncIterator[tuple[Journal, ChatSession]]:
        async with journal(self.database, self.streams, self.tenant_id) as entry:
            yield entry, await chats.get_session(entry.connection, self.session.id, lock=True)

    async def send(self, text: str, *, process: str = "p1", reject: bool = False) -> Accepted:
        async with self.journal() as (entry, session):
            return await turns.accept(
                entry, session, text, author_id=self.customer_id, owner=process, reject_if_busy=reject
            )

    async def release(self, lease: Lease, text: str) -> None:
        async with self.database.connection(self.tenant_id) as connection:
            await turns.release_text(connection, lease, text)

    async def finish(self, lease: Lease, text: str) -> UUID:
        async with self.journal() as (entry, _):
            return await turns.finish(
                entry, lease, content=text, complete=True, answer={"message": text}, details={}, prompt_version_id=None
            )

    async def stop(self, status: str, reason: str) -> None:
        async with self.journal() as (entry, session):
            await turns.stop(entry, session.id, status=status, reason=reason)

    async def lapse(self, turn_id: UUID) -> None:
        """Let a lease end now instead of in 15 seconds."""
        async with self.database.connection(self.tenant_id) as connection:
            await connection.execute(
                "update turns set lease_until = now() - interval '1 second' where id = %s", (turn_id,)
            )

    async def take_over(self, turn_id: UUID, process: str) -> Lease | None:
        async with self.journal() as (entry, _):
            return await turns.claim(entry, turn_id, owner=process)

    async def history(self) -> list[str]:
        async with self.database.connection(self.tenant_id) as connection:
            found = await chats.messages_after(connection, self.session.id, after=0, limit=100)
        return [f"{message.author}: {message.content}" for message in found]

    async def events(self, after: int = 0) -> list[Event]:
        async with self.database.connection(self.tenant_id) as connection:
            return await stored_events(connection, self.session.id, after)

    def watch(self, after: Cursor | None = None) -> AsyncIterator[Event]:
        return self.streams.watch(self.tenant_id, self.session.id, after or Cursor())


@pytest.fixture
def desk(database: Database, tenant: Callable[..., Awaitable[UUID]]) -> Callable[[], Awaitable[Desk]]:
    async def open_desk() -> Desk:
        tenant_id, customer_id = await tenant(), new_id()
        streams = Streams(database)
        async with journal(database, streams, tenant_id) as entry:
            await entry.connection.execute(
                "insert into customers (id, tenant_id, email_verified, name, visitor_epoch) values (%s, %s, false, '', 0)",
                (customer_id, tenant_id),
            )
            session = await chats.create_session(entry, customer_id=customer_id, user_label=None, greeting="Hello!")
        return Desk(database, streams, tenant_id, session, customer_id)

    return open_desk
