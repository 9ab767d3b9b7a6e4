"""Watching a session: rows are the truth, everything else only says that there is something to look at.

A watcher reads the rows after its cursor and the text so far of a running answer, then follows what this process
publishes. What other processes write reaches it by NOTIFY (look again) and, where there is a Redis, with their
deltas and steps (`memory/live.py`). A gap in either is closed from the rows.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from typing import Literal
from uuid import UUID

import structlog

from memory.connection import PatientConnection
from memory.database import KEEPALIVE, Database
from memory.errors import Unavailable
from memory.events import Event

log = structlog.get_logger()

WAKE = "wake"
"""Never sent on: a row with this number was written somewhere. Who has it already goes on undisturbed."""
QUEUE = 512
PAGE = 500
"""Rows that are read at once."""
Step = Literal["next", "seen", "gap"]
"""What an event is to a watcher."""
Left = Literal["nothing", "more", "no session"]
"""What a look at the rows left to look at."""
POLL_S = 20.0
"""How long a watcher trusts silence while notifications work; without them `BLIND_POLL_S` holds."""
BLIND_POLL_S = 1.0
AFTERWARDS_S = 0.02
"""A row's notification comes a moment before this process hands its watchers what it wrote itself; to look at the rows
for that would be three messages to Postgres in every turn."""
TOGETHER_S = 0.1
"""That a step waits for what follows it: whatever else comes takes it along, and to send one by itself costs as much as
a sentence."""
EXPECTED_S = 10.0
RECONNECT_S = 1.0
"""How long to wait with the next attempt to hear from other processes."""


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
class Inbox:
    """What waits for one watcher; when it overflows the watcher reads the rows instead."""

    read: bool = False
    _events: list[Event | None] = field(default_factory=list)
    _due: bool = False
    """The watcher is to have them now."""
    _waiter: asyncio.Future[None] | None = None
    _timer: asyncio.TimerHandle | None = None

    def put(self, event: Event | None) -> None:
        if len(self._events) >= QUEUE:
            self._events.clear()
            event = None
        self._events.append(event)
        if event is None or event.type != "step":
            self._ring()
        elif self._timer is None and not self._due:
            self._timer = asyncio.get_running_loop().call_later(TOGETHER_S, self._ring)

    async def get(self, timeout: float) -> list[Event | None]:
        """The next events, as many as there are; None means look at the rows."""
        if not self._due:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            alarm = loop.call_later(timeout, self._ring)
            try:
                await self._waiter
            finally:
                self._waiter = None
                alarm.cancel()
        found, self._events, self._due = self._events, [], False
        return found or [None]

    def _ring(self) -> None:
        self._due = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None  # or the two would hold each other until the collector comes
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Streams:
    """The watchers of this process, and the one connection on which other processes wake them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._inboxes: dict[UUID, set[Inbox]] = defaultdict(set)
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
    def sessions(self) -> frozenset[UUID]:
        """Sessions that somebody watches here."""
        return frozenset(self._inboxes)

    def watches(self, session_id: UUID) -> bool:
        return session_id in self._inboxes

    def expect(self, session_id: UUID) -> "Inbox":
        """Has what is published from now on, for a watcher that comes in a moment: one who does not loses it."""
        inbox = self._open(session_id)
        asyncio.get_running_loop().call_later(EXPECTED_S, self._give_up, session_id, inbox)
        return inbox

    def _give_up(self, session_id: UUID, inbox: "Inbox") -> None:
        if not inbox.read:
            self._close(session_id, inbox)

    def _open(self, session_id: UUID) -> "Inbox":
        inbox = Inbox()
        self._inboxes[session_id].add(inbox)
        return inbox

    def _close(self, session_id: UUID, inbox: "Inbox") -> None:
        inboxes = self._inboxes.get(session_id, set())
        inboxes.discard(inbox)
        if not inboxes:
            self._inboxes.pop(session_id, None)

    async def watch(
        self, tenant_id: UUID, session_id: UUID, after: Cursor, inbox: "Inbox | None" = None
    ) -> AsyncGenerator[Event]:
        """Every event after the cursor, without gap or repeat, for as long as somebody iterates and there is the session.
        An `inbox` that has been open since before the first of them saves a look at the rows; nothing may run that began
        before the cursor."""
        async with aclosing(self.batches(tenant_id, session_id, after, inbox)) as batches:
            async for batch in batches:
                for event in batch:
                    yield event

    async def batches(
        self, tenant_id: UUID, session_id: UUID, after: Cursor, inbox: "Inbox | None" = None
    ) -> AsyncGenerator[list[Event]]:
        """The same, with those together that are there together."""
        known = inbox is not None and inbox in self._inboxes.get(session_id, ())
        inbox = inbox if inbox is not None and known else self._open(session_id)
        inbox.read = True
        try:
            place = Place(after.n, after.k)
            while True:
                found, left = ([], "nothing") if known else await self._catch_up(tenant_id, session_id, place)
                known = False
                if found:
                    yield [place.take(event) for event in found]
                if left == "no session":
                    return  # its customer was erased: nothing will ever happen in it
                if left == "more":
                    continue  # nothing will announce what is there already
                following = True
                while following:
                    pushed = await inbox.get(POLL_S if self._listening else BLIND_POLL_S)
                    new, following = place.follow_on(pushed)
                    if new:
                        yield new
        finally:
            self._close(session_id, inbox)

    async def _catch_up(self, tenant_id: UUID, session_id: UUID, place: "Place") -> tuple[list[Event], Left]:
        """What the watcher lacks, and what there is beside that."""
        try:
            state, rows = await self._look(tenant_id, session_id, place.n)
        except Unavailable:
            await asyncio.sleep(BLIND_POLL_S)  # a stream outlives a database that comes back
            return [], "more"
        if state is None:
            return [Event(session_id=session_id, type="resync", n=0)], "no session"
        if place.n > state.last_n:
            return [Event(session_id=session_id, type="resync", n=state.last_n)], "more"
        place.follow(state)
        if rows and (len(rows) >= PAGE or (rows[-1].n or 0) > state.last_n):
            return rows, "more"  # the state is not that of the last row: the text so far is asked for after it
        if len(state.partial) > place.k:
            data = {"turn_id": str(state.turn_id), "text": state.partial[place.k :], "offset": place.k}
            rows.append(Event(session_id=session_id, type="message.delta", data=data, n=state.started_n))
        return rows, "nothing"

    async def _look(self, tenant_id: UUID, session_id: UUID, after: int) -> tuple["State | None", list[Event]]:
        async with self._database.connection(tenant_id) as connection:
            values = {"session": session_id, "after": after, "limit": PAGE}
            rows = await (await connection.execute(LOOK, values)).fetchall()
        if not rows:
            return None, []
        state = State(**{name: rows[0][name] for name in ("last_n", "started_n", "turn_id", "partial")})
        events = [
            Event(session_id=session_id, type=row["type"], data=row["data"], n=row["n"], created_at=row["created_at"])
            for row in rows
            if row["n"] is not None
        ]
        return state, events

    def _heard(self, notice: str) -> None:
        """Raises ValueError for a notification that is none of ours."""
        session, _, n = notice.partition(":")
        session_id = UUID(session)
        if session_id in self._inboxes:
            row = Event(session_id=session_id, type=WAKE, n=int(n))
            asyncio.get_running_loop().call_later(AFTERWARDS_S, self.deliver, row)

    async def listen(self) -> None:
        """Hear from other processes for as long as this task lives; a lost connection is opened again."""
        while True:
            try:
                connecting = PatientConnection.connect(self._database.url, autocommit=True, **KEEPALIVE)
                async with await connecting as connection:
                    await connection.execute("listen session_events")
                    self._listening = True
                    self.wake()
                    async for notice in connection.notifies():
                        with suppress(ValueError):
                            self._heard(notice.payload)
            except Exception as error:  # whatever it was: without this task every watcher would be blind
                log.warning("event notifications lost", error=type(error).__name__)
            finally:
                self._listening = False
            self.wake()
            await asyncio.sleep(RECONNECT_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A session as its rows say: the newest event, and the turn that runs with the text that it has released."""

    last_n: int
    started_n: int | None
    turn_id: UUID | None
    partial: str


@dataclass(slots=True)
class Place:
    """What one watcher has: every row up to `n`, and `k` characters of the running turn that began with row `turn_n`."""

    n: int = 0
    k: int = 0
    turn_n: int | None = None
    turn_id: UUID | None = None

    def follow(self, state: State) -> None:
        """Learn which turn runs; characters of another one than the watcher came with count for nothing.

        Its rows may still be on their way to the watcher: it meets `turn.started` among them.
        """
        self.turn_n, self.turn_id = state.started_n, state.turn_id
        if state.started_n is None or state.started_n > self.n:
            self.k = 0

    def of(self, event: Event) -> Step:
        """Whether an event that was pushed here comes next, was seen already, or shows a gap."""
        if event.type == "message.delta":
            return self._of_delta(event)
        if event.n is None:
            return "next"
        if event.n == self.n + 1 and event.type != WAKE:
            return "next"
        return "seen" if event.n <= self.n else "gap"

    def _of_delta(self, event: Event) -> Step:
        if event.n is None or event.n > self.n:
            return "gap"  # its `turn.started` has not come by yet
        if event.n != self.turn_n:
            return "seen"  # of a turn that has ended: its whole answer is a row
        offset, length = event.data["offset"], len(event.data["text"])
        if offset == self.k:
            return "next"
        return "seen" if offset + length <= self.k else "gap"

    def follow_on(self, pushed: Iterable[Event | None]) -> tuple[list[Event], bool]:
        """Those that come next, as they are taken, and whether there is no gap behind them."""
        new: list[Event] = []
        for event in pushed:
            kind = "gap" if event is None else self.of(event)
            if event is None or kind == "gap":
                return new, False
            if kind == "next":
                new.append(self.take(event))
        return new, True

    def take(self, event: Event) -> Event:
        """Move past an event, and give it the id from which a client can go on."""
        if event.type == "message.delta":
            self.k = event.data["offset"] + len(event.data["text"])
            return replace(event, n=self.n, k=self.k)
        if event.n is None:
            return event
        self.n = event.n
        if event.type == "turn.started":
            self.turn_n, self.turn_id, self.k = event.n, UUID(event.data["turn_id"]), 0
        elif event.type == "resync" or self._ends_answer(event):
            self.turn_n, self.turn_id, self.k = None, None, 0
        return replace(event, k=self.k or None)

    def _ends_answer(self, event: Event) -> bool:
        """A turn that waited can end as well while another one speaks."""
        return (event.type == "message.completed" or event.ends_turn) and event.data.get("turn_id") == str(self.turn_id)


LOOK = """
select s.last_n, t.started_n, t.id as turn_id, e.*,
       case when e.n is null or e.n = min(e.n) over () then coalesce(t.partial, '') end as partial
from chat_sessions s left join turns t on t.session_id = s.id and t.status = 'running'
     left join lateral (
         select n, type, data, created_at from session_events
         where session_id = s.id and n > %(after)s order by n limit %(limit)s) e on true
where s.id = %(session)s and s.tenant_id = current_tenant() order by e.n
"""
"""The state stands in the first row, beside the first event, if there is one; the text is not sent with each."""
