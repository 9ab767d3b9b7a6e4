"""Watching a session: without gap or repeat, from any cursor, in any process, through lost notices."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory import streams
from memory.events import Event
from memory.live import LiveWire, decode, encode
from memory.models import new_id
from memory.streams import Cursor, Streams
from memory.turns import Lease
from tests.memory.conftest import Desk

OpenDesk = Callable[[], Awaitable[Desk]]
SENTENCES = ["First sentence. ", "Zweiter Satz. ", "Третье 🙂. "]


async def collect(events: AsyncIterator[Event], until: Callable[[Event], bool], within: float = 5) -> list[Event]:
    found = []
    async with asyncio.timeout(within), aclosing(events) as stream:  # type: ignore[type-var]
        async for event in stream:
            found.append(event)
            if until(event):
                break
    return found


async def say(one: Desk, lease: Lease, offset: int, text: str, *, through: Streams | None = None) -> None:
    """Release a sentence as an answer does: stored first, then shown."""
    await one.release(lease, text)
    data = {"turn_id": str(lease.turn_id), "text": text, "offset": offset}
    delta = Event(session_id=one.session.id, type="message.delta", data=data, n=lease.started_n, k=offset + len(text))
    (through or one.streams).publish(delta)


async def answer(one: Desk, lease: Lease, *, pause: float = 0.0) -> str:
    text = ""
    for sentence in SENTENCES:
        await say(one, lease, len(text), sentence)
        text += sentence
        await asyncio.sleep(pause)
    await one.finish(lease, text)
    return text


def put_together(events: list[Event]) -> str:
    """What a client shows: each delta at its offset."""
    text = ""
    for event in events:
        if event.type == "message.delta":
            assert event.data["offset"] == len(text)
            text += event.data["text"]
    return text


class TestWatch:
    async def test_deltas_add_up_to_the_stored_message(self, desk: OpenDesk) -> None:
        one = await desk()
        lease = (await one.send("How?")).lease
        assert lease
        watching = asyncio.create_task(collect(one.watch(), lambda event: event.ends_turn))
        await asyncio.sleep(0.05)
        text = await answer(one, lease, pause=0.01)
        events = await watching
        assert put_together(events) == text
        assert f"bot: {text}" in await one.history()
        assert [event.n for event in events if event.k is None] == [1, 2, 3, 4, 5]

    @pytest.mark.parametrize("after", ["0", "2", "3", "3.5", "3.16", "3.30"])
    async def test_a_client_that_comes_back_reads_the_rest(self, desk: OpenDesk, after: str) -> None:
        one = await desk()
        lease = (await one.send("How?")).lease
        assert lease
        text = "".join(SENTENCES)
        await say(one, lease, 0, SENTENCES[0])
        await say(one, lease, len(SENTENCES[0]), SENTENCES[1])
        cursor = Cursor.parse(after)
        assert cursor
        watching = asyncio.create_task(collect(one.watch(cursor), lambda event: event.ends_turn))
        await asyncio.sleep(0.05)
        await say(one, lease, len(SENTENCES[0]) + len(SENTENCES[1]), SENTENCES[2])
        await one.finish(lease, text)
        events = await watching
        got = text[: cursor.k] + "".join(event.data["text"] for event in events if event.type == "message.delta")
        assert got == text
        assert [event.n for event in events if event.k is None] == list(range(cursor.n + 1, 6))

    async def test_another_process_sees_it_through_postgres_alone(self, desk: OpenDesk) -> None:
        one = await desk()
        elsewhere = Streams(one.database)
        listening = asyncio.create_task(elsewhere.listen())
        try:
            lease = (await one.send("How?")).lease
            assert lease
            watching = asyncio.create_task(
                collect(elsewhere.watch(one.tenant_id, one.session.id, Cursor()), lambda event: event.ends_turn)
            )
            await asyncio.sleep(0.1)
            text = await answer(one, lease, pause=0.01)
            events = await watching
            assert [event.n for event in events if event.k is None] == [1, 2, 3, 4, 5]
            assert events[-2].type == "message.completed"
            assert events[-2].data["message"] == text
        finally:
            listening.cancel()

    async def test_a_cursor_from_nowhere_gets_a_resync(self, desk: OpenDesk) -> None:
        one = await desk()
        [event] = await collect(one.watch(Cursor(999)), lambda event: event.type == "resync")
        assert event.n == 1

    async def test_who_watches_a_session_whose_customer_is_erased_comes_to_an_end(
        self, desk: OpenDesk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(streams, "POLL_S", 0.05)
        monkeypatch.setattr(streams, "BLIND_POLL_S", 0.05)
        one = await desk()
        watching = asyncio.create_task(collect(one.watch(Cursor()), lambda _: False))
        await asyncio.sleep(0.1)
        async with one.database.connection(one.tenant_id) as connection:
            await connection.execute("delete from customers where id = %s", (one.session.customer_id,))
        assert [event.type for event in await watching] == ["message.created", "resync"]

    async def test_a_long_session_is_caught_up_with_at_once(self, desk: OpenDesk) -> None:
        one = await desk()
        async with one.journal() as (entry, session):
            for _ in range(1_100):
                await entry.append(session.id, "handoff.requested", {})
        seen = await collect(one.watch(), lambda event: event.n == 1_101)
        assert [event.n for event in seen] == list(range(1, 1_102))

    async def test_a_slow_reader_loses_nothing(self, desk: OpenDesk) -> None:
        one = await desk()
        lease = (await one.send("How?")).lease
        assert lease
        watching = one.watch()
        first = [await anext(watching) for _ in range(3)]
        text = ""
        for number in range(700):  # more than fits into what waits for a watcher
            piece = f"Piece {number}. "
            one.streams.publish(Event(session_id=one.session.id, type="step", data={"name": "x", "ms": 1}))
            if number % 100 == 0:
                await say(one, lease, len(text), piece)
                text += piece
        await one.finish(lease, text)
        rest = await collect(watching, lambda event: event.ends_turn)
        assert put_together([*first, *rest]) in (text, "")
        assert [event.n for event in [*first, *rest] if event.k is None and event.n] == [1, 2, 3, 4, 5]
        assert rest[-2].data["message"] == text


class TestExpected:
    """A watcher whose inbox was opened before the turn began."""

    @pytest.mark.parametrize("late_s", [0.0, 0.2])
    async def test_it_has_everything_without_a_look_at_the_rows(
        self, desk: OpenDesk, monkeypatch: pytest.MonkeyPatch, late_s: float
    ) -> None:
        one = await desk()
        inbox = one.streams.expect(one.session.id)
        accepted = await one.send("How?")
        assert accepted.lease
        looks: list[UUID] = []
        look = one.streams._look

        async def counted(tenant_id: UUID, session_id: UUID, after: int) -> Any:
            looks.append(session_id)
            return await look(tenant_id, session_id, after)

        monkeypatch.setattr(one.streams, "_look", counted)
        text = await answer(one, accepted.lease)
        await asyncio.sleep(late_s)
        watching = one.streams.watch(one.tenant_id, one.session.id, Cursor(accepted.n - 1), inbox)
        seen = await collect(watching, lambda event: event.ends_turn)
        assert [event.type for event in seen if event.k is None] == [
            "message.created", "turn.started", "message.completed", "turn.completed",
        ]  # fmt: skip
        assert put_together(seen) == text
        assert looks == []

    async def test_what_was_given_up_is_read_from_the_rows(
        self, desk: OpenDesk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(streams, "EXPECTED_S", 0.05)
        one = await desk()
        inbox = one.streams.expect(one.session.id)
        accepted = await one.send("How?")
        assert accepted.lease
        await asyncio.sleep(0.2)
        assert not one.streams.watches(one.session.id)
        await answer(one, accepted.lease)
        watching = one.streams.watch(one.tenant_id, one.session.id, Cursor(accepted.n - 1), inbox)
        seen = await collect(watching, lambda event: event.ends_turn)
        assert [event.n for event in seen] == list(range(accepted.n, accepted.n + 4))

    async def test_one_that_is_read_stays(self, desk: OpenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(streams, "EXPECTED_S", 0.05)
        one = await desk()
        inbox = one.streams.expect(one.session.id)
        accepted = await one.send("How?")
        assert accepted.lease
        watching = one.streams.watch(one.tenant_id, one.session.id, Cursor(accepted.n - 1), inbox)
        first = await anext(watching)
        await asyncio.sleep(0.2)
        assert one.streams.watches(one.session.id)
        text = await answer(one, accepted.lease)
        assert put_together([first, *await collect(watching, lambda event: event.ends_turn)]) == text
        assert not one.streams.watches(one.session.id)


class TestRedisWire:
    async def test_another_process_sees_deltas_as_they_come(self, desk: OpenDesk, redis_url: str) -> None:
        one = await desk()
        elsewhere = Streams(one.database)
        wires = [LiveWire(redis_url, one.streams, "p1"), LiveWire(redis_url, elsewhere, "p2")]
        tasks = [asyncio.create_task(wire.run()) for wire in wires]
        tasks.append(asyncio.create_task(elsewhere.listen()))
        try:
            await asyncio.sleep(0.2)
            lease = (await one.send("How?")).lease
            assert lease
            watching = asyncio.create_task(
                collect(elsewhere.watch(one.tenant_id, one.session.id, Cursor()), lambda event: event.ends_turn)
            )
            await asyncio.sleep(0.2)
            text = await answer(one, lease, pause=0.05)
            events = await watching
            assert put_together(events) == text
            assert sum(event.type == "message.delta" for event in events) == len(SENTENCES)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@given(st.text(), st.integers(0, 2**31 - 1) | st.none(), st.integers(0, 2**31 - 1) | st.none())
def test_events_survive_the_wire(text: str, n: int | None, k: int | None) -> None:
    text = text.encode("utf-8", "ignore").decode()
    event = Event(session_id=new_id(), type="message.delta", data={"text": text, "offset": 0}, n=n, k=k)
    assert decode(encode(event, "p1")) == ("p1", event)


@given(st.text(max_size=60))
def test_a_cursor_is_ours_or_none(text: str) -> None:
    cursor = Cursor.parse(text)
    assert cursor is None or (cursor.n >= 0 and cursor.k >= 0)
