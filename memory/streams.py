"""Watching a session: rows are the truth, everything else only says that there is something to look at.

A watcher reads the rows after its cursor and the text so far of a running answer, then follows what this process
publishes. What other processes write reaches it by NOTIFY (look again) and, where there is a Redis, with their
deltas and steps (`memory/live.py`). A gap in either is closed from the rows.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from uuid import UUID

import psycopg
import structlog

from memory.database import Database
from memory.errors import Unavailable
from memory.events import Event, read_events

log = structlog.get_logger()

WAKE = "wake"
"""Never sent on: a row with this number was written somewhere. Who has it already goes on undisturbed."""
QUEUE = 512
PAGE = 500
"""Rows that are read at once."""
POLL_S = 20.0
"""How long a watcher trusts silence while notifications work; without them `BLIND_POLL_S` holds."""
BLIND_POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class Cursor:
    """`n` of the last durable event seen, and how many characters of the running answer."""

    n: int = 0
    k: int = 0

    @classmethod
    def parse(cls, text: str | None) -> "Cursor | None":
        """From a `Last-Event-ID`; None when it is not one of ours."""
        try:
            n, _, k = (text or "").strip().partition(".")
            cursor = cls(int(n), int(k or 0))
        except ValueError:
            return None
        return cursor if 0 <= cursor.n < 2**31 and 0 <= cursor.k < 2**31 else None


@dataclass(eq=False, slots=True)
class _Inbox:
    """What waits for one watcher; when it overflows the watcher reads the rows instead."""

    queue: asyncio.Queue[Event | None] = field(default_factory=lambda: asyncio.Queue(QUEUE))

    def put(self, event: Event | None) -> None:
        if self.queue.full():
            while not self.queue.empty():
                self.queue.get_nowait()
            event = None
        self.queue.put_nowait(event)

    async def get(self, timeout: float) -> Event | None:
        """The next event; None means look at the rows."""
        with suppress(TimeoutError):
            return await asyncio.wait_for(self.queue.get(), timeout)
        return None


class Streams:
    """The watchers of this process, and the one connection on which other processes wake them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._inboxes: dict[UUID, set[_Inbox]] = defaultdict(set)
        self._listening = False
        self.on_publish: list[Callable[[Event], None]] = []

    def publish(self, event: Event) -> None:
        """Feed this process's watchers, and whoever carries events to other processes."""
        self.deliver(event)
        for carry in self.on_publish:
            carry(event)

    def deliver(self, event: Event) -> None:
        for inbox in self._inboxes.get(event.session_id, ()):
            inbox.put(event)

    def wake(self) -> None:
        """Let every watcher look at the rows."""
        for inboxes in self._inboxes.values():
            for inbox in inboxes:
                inbox.put(None)

    @property
    def watched(self) -> int:
        return sum(map(len, self._inboxes.values()))

    @property
    def sessions(self) -> int:
        """Sessions that somebody watches here."""
        return len(self._inboxes)

    def watches(self, session_id: UUID) -> bool:
        return session_id in self._inboxes

    @contextmanager
    def _inbox(self, session_id: UUID) -> Iterator[_Inbox]:
        inbox = _Inbox()
        self._inboxes[session_id].add(inbox)
        try:
            yield inbox
        finally:
            self._inboxes[session_id].discard(inbox)
            if not self._inboxes[session_id]:
                del self._inboxes[session_id]

    async def watch(self, tenant_id: UUID, session_id: UUID, after: Cursor) -> AsyncIterator[Event]:
        """Every event after the cursor, without gap or repeat, for as long as somebody iterates."""
        with self._inbox(session_id) as inbox:
            cursor = after
            while True:
                found = await self._catch_up(tenant_id, session_id, cursor)
                for event in found:
                    cursor = _advance(cursor, event)
                    yield event
                if len(found) >= PAGE:
                    continue  # there may be more rows, and nothing will announce them
                while (event_or_none := await inbox.get(POLL_S if self._listening else BLIND_POLL_S)) is not None:
                    match _place(cursor, event_or_none):
                        case "next":
                            event = _numbered(cursor, event_or_none)
                            cursor = _advance(cursor, event)
                            yield event
                        case "gap":
                            break

    async def _catch_up(self, tenant_id: UUID, session_id: UUID, cursor: Cursor) -> list[Event]:
        try:
            async with self._database.connection(tenant_id) as connection:
                state = await (await connection.execute(STATE, (session_id,))).fetchone()
                rows = await read_events(connection, session_id, cursor.n, limit=PAGE) if state else []
        except Unavailable:
            await asyncio.sleep(BLIND_POLL_S)  # a stream outlives a database that comes back
            return []
        if state is None or cursor.n > state["last_n"]:
            return [Event(session_id=session_id, type="resync", n=state["last_n"] if state else 0)]
        events = list(rows)
        k = 0 if any(event.type == "turn.started" for event in rows) else cursor.k
        n = events[-1].n if events else cursor.n
        if state["turn_id"] and n == state["last_n"] and len(state["partial"]) > k:
            data = {"turn_id": str(state["turn_id"]), "text": state["partial"][k:], "offset": k}
            events.append(Event(session_id=session_id, type="message.delta", data=data, n=n, k=len(state["partial"])))
        return events

    async def listen(self) -> None:
        """Hear from other processes for as long as this task lives; a lost connection is opened again."""
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._database.url, autocommit=True) as connection:
                    await connection.execute("listen session_events")
                    self._listening = True
                    self.wake()
                    async for notice in connection.notifies():
                        with suppress(ValueError):
                            session_id, _, n = notice.payload.partition(":")
                            self.deliver(Event(session_id=UUID(session_id), type=WAKE, n=int(n)))
            except psycopg.Error as error:
                log.warning("event notifications lost", error=type(error).__name__)
            finally:
                self._listening = False
            self.wake()
            await asyncio.sleep(1)


def _advance(cursor: Cursor, event: Event) -> Cursor:
    if event.n is None:
        return cursor
    if event.k is not None:
        return Cursor(event.n, event.k)
    return Cursor(event.n, 0 if event.type in ("turn.started", "resync") else cursor.k)


def _place(cursor: Cursor, event: Event) -> str:
    """Whether an event that was pushed here follows the cursor, was seen already, or shows a gap."""
    if event.type == "message.delta":
        if event.n is not None and event.n > cursor.n:
            return "gap"  # its `turn.started` has not come by yet
        offset = event.data["offset"]
        if offset == cursor.k:
            return "next"
        return "seen" if offset + len(event.data["text"]) <= cursor.k else "gap"
    if event.n is None:
        return "next"
    if event.n == cursor.n + 1 and event.type != WAKE:
        return "next"
    return "seen" if event.n <= cursor.n else "gap"


def _numbered(cursor: Cursor, event: Event) -> Event:
    """A delta's id names the last row that this watcher has, and the characters it will have."""
    if event.type != "message.delta":
        return event
    return replace(event, n=cursor.n, k=event.data["offset"] + len(event.data["text"]))


STATE = """
select s.last_n, t.id as turn_id, coalesce(t.partial, '') as partial
from chat_sessions s left join turns t on t.session_id = s.id and t.status = 'running'
where s.id = %s
"""
