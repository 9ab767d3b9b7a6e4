"""Any story of a session, told through Postgres to a client in another process whose wire loses, repeats and delays:
it has every row once and in order, and at every rest the text that is stored.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from memory import streams, turns
from memory.events import Event
from memory.streams import WAKE, Cursor, Streams
from memory.turns import Lease
from tests.memory.conftest import Desk

OpenDesk = Callable[[], Awaitable[Desk]]
Move = Literal["send", "say", "row", "cancel", "finish", "stop", "leave", "come", "delayed", "rest"]
Fate = Literal["arrives", "lost", "twice", "late"]
moves = st.sampled_from(
    ["send", "send", "say", "say", "say", "row", "cancel", "finish", "stop", "leave", "come", "delayed", "rest"]
)
fates = st.sampled_from(["arrives", "arrives", "arrives", "lost", "twice", "late"])
stories = st.lists(st.tuples(moves, fates, st.booleans()), min_size=8, max_size=25)


@dataclass
class Client:
    """Puts together what it is sent, and comes back with the last id that it saw."""

    one: Desk
    there: Streams
    last_id: str | None = None
    rows: list[int] = field(default_factory=list)
    ids: list[tuple[int, int]] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    reading: asyncio.Task[None] | None = None

    async def come(self) -> None:
        await self.leave()
        cursor = Cursor.parse(self.last_id) if self.last_id else Cursor()
        assert cursor
        self.reading = asyncio.create_task(self._read(cursor))

    async def leave(self) -> None:
        if self.reading:
            self.reading.cancel()
            with suppress(asyncio.CancelledError):
                await self.reading
        self.reading = None

    async def _read(self, cursor: Cursor) -> None:
        async for event in self.there.watch(self.one.tenant_id, self.one.session.id, cursor):
            if event.id:
                self.last_id = event.id
                self.ids.append((event.n or 0, event.k or 0))
            self._put(event)

    def _put(self, event: Event) -> None:
        turn = event.data.get("turn_id", "")
        if event.type == "message.delta":
            assert turn not in self.ended, "a word after the end of its answer"
            assert event.data["offset"] == len(self.texts.get(turn, "")), "a delta that repeats or leaves out"
            self.texts[turn] = self.texts.get(turn, "") + event.data["text"]
            return
        self.rows.append(event.n or 0)
        if event.type == "message.completed":
            assert event.data["message"].startswith(self.texts.get(turn, ""))
            self.texts[turn] = event.data["message"]
        if event.ends_turn:
            self.ended.add(turn)


@dataclass
class Story:
    """What happens in a session, and the wire to the client's process."""

    one: Desk
    client: Client
    lease: Lease | None = None
    text: str = ""
    fate: Fate = "arrives"
    late: list[Event] = field(default_factory=list)

    def carry(self, event: Event) -> None:
        if self.fate == "late":
            self.late.insert(0, event)
        for _ in range({"arrives": 1, "twice": 2}.get(self.fate, 0)):
            self.client.there.deliver(event)

    async def send(self) -> None:
        """The customer writes: a turn starts, or waits behind the one that runs."""
        accepted = await self.one.send("How?")
        if accepted.lease:
            self.lease, self.text = accepted.lease, ""

    async def say(self) -> None:
        if self.lease is None:
            return
        offset, said = len(self.text), f"Wört {len(self.text)} 🙂. "
        await self.one.release(self.lease, said)
        self.text += said
        data = {"turn_id": str(self.lease.turn_id), "text": said, "offset": offset}
        n, k = self.lease.started_n, len(self.text)
        self.one.streams.publish(Event(session_id=self.one.session.id, type="message.delta", data=data, n=n, k=k))

    async def row(self) -> None:
        async with self.one.journal() as (entry, session):
            await entry.append(session.id, "handoff.requested", {})

    async def cancel(self) -> None:
        async with self.one.journal() as (entry, session):
            await turns.cancel_queued(entry, session.id, reason="closed")

    async def finish(self) -> None:
        if self.lease:
            await self.one.finish(self.lease, self.text)
            await self._next()

    async def stop(self) -> None:
        if self.lease:
            await self.one.stop("cancelled", "cancelled")
            await self._next()

    async def _next(self) -> None:
        """Whoever waits has its turn."""
        self.lease, self.text = None, ""
        async with self.one.journal() as (entry, session):
            if waiting := await turns.queued_turn(entry.connection, session.id):
                self.lease = await turns.claim(entry, waiting, owner="p1")

    async def leave(self) -> None:
        await self.client.leave()

    async def come(self) -> None:
        await self.client.come()

    async def delayed(self) -> None:
        """What was late comes, the last first."""
        for event in self.late:
            self.client.there.deliver(event)
        self.late.clear()

    async def rest(self) -> None:
        """A notice that nothing lost tells the client's process of the last row: now everything must be there."""
        if self.client.reading is None:
            await self.client.come()
        reading = self.client.reading
        assert reading
        last_n = (await self.one.events())[-1].n
        self.client.there.deliver(Event(session_id=self.one.session.id, type=WAKE, n=last_n))
        self.client.there.wake()
        turn = str(self.lease.turn_id) if self.lease else ""
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                while not (self.client.rows[-1:] == [last_n] and self.client.texts.get(turn, "") == self.text):
                    assert not reading.done(), reading.exception()
                    await asyncio.sleep(0.001)
        assert self.client.rows == list(range(1, (last_n or 0) + 1))
        assert self.client.texts.get(turn, "") == self.text


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks at the rows out of boredom: whoever is not told waits."""
    monkeypatch.setattr(streams, "BLIND_POLL_S", 60.0)


@settings(
    max_examples=80,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),  # a story that waits in vain takes a second: too long to shorten it
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(story=stories)
@pytest.mark.usefixtures("patient")
async def test_a_client_elsewhere_has_what_is_stored(desk: OpenDesk, story: list[tuple[Move, Fate, bool]]) -> None:
    one = await desk()
    client = Client(one, Streams(one.database))
    told = Story(one, client)
    one.streams.on_publish.append(told.carry)
    await client.come()
    try:
        await told.send()
        for move, fate, pause in story:
            told.fate = fate
            await getattr(told, move)()
            await asyncio.sleep(0.002 if pause else 0)
        await told.delayed()
        await told.finish()
        await told.rest()
    finally:
        await client.leave()
    stored = [event.data for event in await one.events() if event.type == "message.completed"]
    assert client.texts == {answer["turn_id"]: answer["message"] for answer in stored}
    assert all(before < after for before, after in pairwise(client.ids))
