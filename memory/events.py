"""The events of a session: what a watcher sees, in the order it happened.

Durable, one row each, numbered `n` without gaps and written in the transaction that they report:

    message.created     {message_id, author, text, turn_id}     words of a customer, a person, the system; a greeting
    turn.queued         {turn_id, message_id}                   it waits behind a running turn
    turn.started        {turn_id}
    handoff.requested   {handoff_id, reason, ticket_id, ticket_number}
    handoff.claimed | handoff.released | handoff.resolved       {handoff_id, ...}
    message.completed   the whole answer, `status` complete or incomplete
    turn.completed | turn.failed | turn.cancelled               {turn_id, reason}, exactly one per turn
    session.closed      {}

A row's id is `n`; one that comes in mid-answer has `n.k`, where k is the number of characters of the running answer that
the watcher has already. Transient, never stored; of these only a delta has an id, and it is `n.k` too. The text so far
stands in the turn's row, so any process can go on from any `n.k`:

    step {name, ms} · sources {sources} · tool.started · tool.finished · message.delta {turn_id, text, offset}
    resync {}           the cursor means nothing here: read the history and go on from `n`
    ping {}

A watcher that misses a delta gets the text from the turn's row, in one piece; the sources stand in the answer's row as
well. Steps and tools pass the time until then and end with their turn, so that losing one calls for no `resync`: the
history, which a client would read upon it, has neither them nor the text so far.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from psycopg.types.json import Jsonb

from memory.database import Connection, Database
from memory.errors import NotFound
from memory.once import Asking
from memory.pipeline import Asked, Statement

TERMINAL = frozenset({"turn.completed", "turn.failed", "turn.cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event on its way to watchers; `n` is None while it is transient."""

    session_id: UUID
    type: str
    data: dict[str, Any] = field(default_factory=dict)
    n: int | None = None
    k: int | None = None
    created_at: datetime | None = None

    @property
    def id(self) -> str | None:
        """What the client sends back as `Last-Event-ID`."""
        if self.n is None:
            return None
        return f"{self.n}.{self.k}" if self.k is not None else str(self.n)

    @property
    def ends_turn(self) -> bool:
        return self.type in TERMINAL


class Publisher(Protocol):
    """Whoever feeds the watchers of this process once a transaction has committed."""

    def publish(self, event: Event) -> None: ...


@dataclass(slots=True)
class Journal:
    """A transaction of one tenant that also remembers which events it wrote."""

    asking: Asking
    tenant_id: UUID
    events: list[Event] = field(default_factory=list)

    @property
    def connection(self) -> Connection:
        """For statements that are sent one by one."""
        assert isinstance(self.asking, Connection)
        return self.asking

    async def append(self, session_id: UUID, kind: str, data: dict[str, Any]) -> Event:
        """Write the session's next event; the session's row serialises the numbers."""
        row = await self._one(APPEND, {"session": session_id, "type": kind, "data": Jsonb(data)})
        return self._note(session_id, kind, data, row)

    async def append_and(
        self, session_id: UUID, kind: str, data: dict[str, Any], rest: str, **values: Any
    ) -> dict[str, Any]:
        """Write the session's next event and more in one statement: `rest` goes on after `event`, which has the event's
        `n` and `created_at`, and must end in a row that has these two."""
        given = {"session": session_id, "type": kind, "data": Jsonb(data), **values}
        row = await self._one(f"{_NUMBER}, event as ({_EVENT}){rest}", given)
        self._note(session_id, kind, data, row)
        return row

    async def append_message(
        self,
        session_id: UUID,
        kind: str,
        data: dict[str, Any],
        *,
        message_id: UUID,
        author: str,
        content: str,
        author_id: UUID | None = None,
        status: str = "complete",
        turn_id: UUID | None = None,
        details: dict[str, Any] | None = None,
        prompt_version_id: UUID | None = None,
    ) -> Event:
        """Write a message and the event that announces it under the same number."""
        values = {
            "session": session_id, "type": kind, "data": Jsonb(data), "id": message_id, "author": author,
            "author_id": author_id, "content": content, "status": status, "turn": turn_id,
            "details": Jsonb(details or {}), "prompt": prompt_version_id,
        }  # fmt: skip
        return self._note(session_id, kind, data, await self._one(APPEND_MESSAGE, values))

    async def append_all(
        self, session_id: UUID, events: Sequence[tuple[str, dict[str, Any]]], query: Statement, *,
        before: Sequence[Asked] = (), after: Sequence[Asked] = (), **values: Any,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Write several events and what they report in one statement, made of `COUNTED` and `EVENTS`, that returns their
        `n` and `created_at` in order, or nothing where it wrote nothing. The statements `before` and `after` it go
        in the same message."""
        told = Jsonb([{"type": kind, "data": data} for kind, data in events])
        asked = (query, {"session": session_id, "events": told, **values})
        rows = (await self.asking.together(*before, asked, *after))[len(before)]
        for (kind, data), row in zip(events, rows, strict=bool(rows)):
            self._note(session_id, kind, data, row)
        return rows

    async def _one(self, query: str, values: dict[str, Any]) -> dict[str, Any]:
        row = await (await self.connection.execute(query, values)).fetchone()
        if row is None:
            raise NotFound("no such session")
        return row

    def _note(self, session_id: UUID, kind: str, data: dict[str, Any], row: dict[str, Any]) -> Event:
        event = Event(session_id=session_id, type=kind, data=data, n=row["n"], created_at=row["created_at"])
        self.events.append(event)
        return event


@asynccontextmanager
async def journal(database: Database, publisher: Publisher, tenant_id: UUID) -> AsyncIterator[Journal]:
    """A transaction whose events reach this process's watchers as soon as it has committed, and never before."""
    async with database.connection(tenant_id) as connection:
        entry = Journal(connection, tenant_id)
        yield entry
    _publish(publisher, entry)


@asynccontextmanager
async def journal_once(database: Database, publisher: Publisher, tenant_id: UUID) -> AsyncIterator[Journal]:
    """The same for what is one message: each of its writes is a transaction."""
    entry = Journal(database.once(tenant_id), tenant_id)
    yield entry
    _publish(publisher, entry)


def _publish(publisher: Publisher, entry: Journal) -> None:
    for event in entry.events:
        publisher.publish(event)


COUNTED = "last_n = last_n + jsonb_array_length(%(events)s), last_message_at = clock_timestamp()"
BEFORE = "last_n - jsonb_array_length(%(events)s)"
EVENTS = """
insert into session_events (tenant_id, session_id, n, type, data)
select s.tenant_id, s.id, s.before + e.place, e.told ->> 'type', e.told -> 'data'
from s, jsonb_array_elements(%(events)s) with ordinality e (told, place) returning n, created_at"""
"""Several events at once, numbered after `before` in their order."""
_NUMBER = """
with s as (
    update chat_sessions set last_n = last_n + 1, last_message_at = clock_timestamp()
    where id = %(session)s and tenant_id = current_tenant() returning tenant_id, last_n
)"""
_EVENT = """
insert into session_events (tenant_id, session_id, n, type, data)
select tenant_id, %(session)s, last_n, %(type)s, %(data)s from s returning n, created_at
"""
APPEND = _NUMBER + _EVENT
APPEND_MESSAGE = (
    _NUMBER
    + """, m as (
    insert into chat_messages (tenant_id, id, session_id, n, author, author_id, content, status, turn_id, details,
                               prompt_version_id)
    select tenant_id, %(id)s, %(session)s, last_n, %(author)s, %(author_id)s, %(content)s, %(status)s, %(turn)s,
           %(details)s, %(prompt)s from s
)"""
    + _EVENT
)
