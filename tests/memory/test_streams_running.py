"""Reading along while an answer is being written: what comes in between, from the turn before, or after an outage."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any
from uuid import UUID

import psycopg
import pytest
from structlog.testing import capture_logs

from memory import streams, turns
from memory.embedded import EmbeddedUrls
from memory.errors import Unavailable
from memory.events import Event
from memory.streams import Cursor, State, Streams
from memory.turns import Lease
from tests.memory.conftest import Desk

OpenDesk = Callable[[], Awaitable[Desk]]
FIRST, SECOND = "First sentence. ", "Zweiter Satz 🙂. "


async def told(
    one: Desk, after: Cursor | None = None, *, until: Callable[[Event], bool], by: Streams | None = None
) -> list[Event]:
    found = []
    watching = (by or one.streams).watch(one.tenant_id, one.session.id, after or Cursor())
    async with asyncio.timeout(3), aclosing(watching) as events:  # type: ignore[type-var]
        async for event in events:
            found.append(event)
            if until(event):
                break
    return found


async def running(one: Desk) -> Lease:
    lease = (await one.send("How?")).lease
    assert lease
    return lease


async def say(one: Desk, lease: Lease, offset: int, text: str, *, shown: bool = True) -> Event:
    """Release text as an answer does: stored first, then shown, unless the delta is lost or late."""
    await one.release(lease, text)
    data = {"turn_id": str(lease.turn_id), "text": text, "offset": offset}
    delta = Event(session_id=one.session.id, type="message.delta", data=data, n=lease.started_n, k=offset + len(text))
    if shown:
        one.streams.publish(delta)
    return delta


def words(events: list[Event]) -> list[str]:
    return [event.data["text"] for event in events if event.type == "message.delta"]


def is_delta(event: Event) -> bool:
    return event.type == "message.delta"


def is_row(n: int) -> Callable[[Event], bool]:
    return lambda event: event.n == n and event.created_at is not None


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks at the rows out of boredom: whoever is not told waits."""
    monkeypatch.setattr(streams, "POLL_S", 60.0)
    monkeypatch.setattr(streams, "BLIND_POLL_S", 60.0)


class TestARowInMidAnswer:
    async def test_names_the_characters_that_came_before_it(self, desk: OpenDesk) -> None:
        one = await desk()
        lease = await running(one)
        watching = asyncio.create_task(told(one, until=is_row(5)))
        await asyncio.sleep(0.05)
        await say(one, lease, 0, FIRST)
        await one.send("And how long?")
        events = await watching
        k = len(FIRST)
        assert [event.id for event in events] == ["1", "2", "3", f"3.{k}", f"4.{k}", f"5.{k}"]
        assert [event.type for event in events[-2:]] == ["message.created", "turn.queued"]

    async def test_is_a_place_to_go_on_from(self, desk: OpenDesk) -> None:
        one = await desk()
        lease = await running(one)
        watching = asyncio.create_task(told(one, until=is_row(5)))
        await asyncio.sleep(0.05)
        await say(one, lease, 0, FIRST)
        await one.send("And how long?")
        seen = await watching
        await say(one, lease, len(FIRST), SECOND)
        await one.finish(lease, FIRST + SECOND)
        rest = await told(one, Cursor.parse(seen[-1].id), until=lambda event: event.ends_turn)
        assert words(rest) == []  # the turn has ended, and its whole answer is a row
        assert [event.id for event in rest] == ["6", "7"]

    async def test_is_a_place_to_go_on_from_while_the_answer_runs(self, desk: OpenDesk) -> None:
        one = await desk()
        lease = await running(one)
        watching = asyncio.create_task(told(one, until=is_row(5)))
        await asyncio.sleep(0.05)
        await say(one, lease, 0, FIRST)
        await one.send("And how long?")
        seen = await watching
        await say(one, lease, len(FIRST), SECOND)
        rest = await told(one, Cursor.parse(seen[-1].id), until=is_delta)
        assert words([*seen, *rest]) == [FIRST, SECOND]

    async def test_keeps_its_place_when_the_rows_are_read(self, desk: OpenDesk) -> None:
        one = await desk()
        lease = await running(one)
        await say(one, lease, 0, FIRST)
        await one.send("And how long?")
        await say(one, lease, len(FIRST), SECOND)
        events = await told(one, Cursor(3, 6), until=is_delta)
        assert [event.id for event in events] == ["4.6", "5.6", f"5.{len(FIRST + SECOND)}"]
        assert words(events) == [(FIRST + SECOND)[6:]]

    async def test_may_end_another_turn_than_the_one_that_speaks(self, desk: OpenDesk) -> None:
        one = await desk()
        lease = await running(one)
        watching = asyncio.create_task(told(one, until=lambda event: words([event]) == [SECOND]))
        await asyncio.sleep(0.05)
        await say(one, lease, 0, FIRST)
        await one.send("And how long?")
        async with one.journal() as (entry, session):
            await turns.cancel_queued(entry, session.id, reason="closed")
        await say(one, lease, len(FIRST), SECOND)
        events = await watching
        k = len(FIRST)
        assert [event.id for event in events[-4:]] == [f"4.{k}", f"5.{k}", f"6.{k}", f"6.{len(FIRST + SECOND)}"]


class TestTheTurnBefore:
    async def test_does_not_speak_in_the_next_one(self, desk: OpenDesk) -> None:
        one = await desk()
        before = await running(one)
        late = await say(one, before, 0, FIRST, shown=False)
        await one.finish(before, FIRST)
        after = await running(one)
        watching = asyncio.create_task(told(one, until=is_row(9)))
        await asyncio.sleep(0.05)
        one.streams.publish(late)
        await say(one, after, 0, SECOND)
        await one.finish(after, SECOND)
        events = await watching
        assert words(events) == [SECOND]
        assert {event.data["turn_id"] for event in events if is_delta(event)} == {str(after.turn_id)}

    async def test_does_not_speak_after_its_end(self, desk: OpenDesk) -> None:
        one = await desk()
        lease = await running(one)
        late = await say(one, lease, 0, FIRST, shown=False)
        watching = asyncio.create_task(told(one, Cursor(3, len(FIRST)), until=is_row(6)))
        await asyncio.sleep(0.05)
        later = await say(one, lease, len(FIRST), SECOND, shown=False)
        await one.finish(lease, FIRST + SECOND)
        one.streams.publish(late)
        one.streams.publish(later)
        async with one.journal() as (entry, session):
            await entry.append(session.id, "handoff.requested", {})
        events = await watching
        assert [(event.type, event.id) for event in events] == [
            ("message.completed", "4"), ("turn.completed", "5"), ("handoff.requested", "6"),
        ]  # fmt: skip


class TestTheTurnAfter:
    @pytest.mark.usefixtures("patient")
    async def test_is_looked_for_when_its_words_come_first(self, desk: OpenDesk) -> None:
        one = await desk()
        elsewhere = Streams(one.database)
        watching = asyncio.create_task(told(one, until=is_delta, by=elsewhere))
        await asyncio.sleep(0.05)
        elsewhere.deliver(await say(one, await running(one), 0, FIRST))
        events = await watching
        assert [event.id for event in events] == ["1", "2", "3", f"3.{len(FIRST)}"]


class Between(Streams):
    """Lets something happen between the two questions that a watcher asks the database first."""

    def __init__(self, one: Desk, happens: Callable[[], Awaitable[Any]]) -> None:
        super().__init__(one.database)
        self.happens: Callable[[], Awaitable[Any]] | None = happens

    async def _look(self, tenant_id: UUID, session_id: UUID, after: int) -> tuple[State | None, list[Event]]:
        state, rows = await super()._look(tenant_id, session_id, after)
        if self.happens:
            happens, self.happens = self.happens, None
            await happens()
            _, rows = await super()._look(tenant_id, session_id, after)
        return state, rows


@pytest.mark.usefixtures("patient")
class TestWhatHappensWhileTheRowsAreRead:
    async def test_a_row_does_not_hold_back_the_text(self, desk: OpenDesk) -> None:
        one = await desk()
        lease = await running(one)
        await say(one, lease, 0, FIRST)
        events = await told(one, until=is_delta, by=Between(one, lambda: one.send("And how long?")))
        assert [event.id for event in events] == ["1", "2", "3", "4", "5", f"5.{len(FIRST)}"]

    async def test_an_answer_that_ended_does_not_speak_again(self, desk: OpenDesk) -> None:
        one = await desk()
        lease = await running(one)
        await say(one, lease, 0, FIRST)
        watching = asyncio.create_task(
            told(one, until=is_row(6), by=(by := Between(one, lambda: one.finish(lease, FIRST))))
        )
        await asyncio.sleep(0.1)
        async with one.journal() as (entry, session):
            by.publish(await entry.append(session.id, "handoff.requested", {}))
        events = await watching
        assert [event.type for event in events[-3:]] == ["message.completed", "turn.completed", "handoff.requested"]

    async def test_a_database_that_was_away_is_asked_again(
        self, desk: OpenDesk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one = await desk()
        await running(one)

        async def away() -> None:
            monkeypatch.setattr(streams, "BLIND_POLL_S", 0.01)
            by._listening = True  # notifications come by another connection, which is well
            raise Unavailable("the database is away")

        by = Between(one, away)
        events = await told(one, until=is_row(3), by=by)
        assert [event.n for event in events] == [1, 2, 3]


@pytest.mark.usefixtures("patient")
class TestListening:
    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(streams, "RECONNECT_S", 0.1, raising=False)

    async def test_outlives_whatever_goes_wrong(self, desk: OpenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
        one = await desk()
        elsewhere = Streams(one.database)
        connect, failures = psycopg.AsyncConnection.connect, [RuntimeError("odd"), OSError("no route"), KeyError("x")]

        async def unlucky(*args: Any, **kwargs: Any) -> Any:
            if failures:
                raise failures.pop()
            return await connect(*args, **kwargs)

        monkeypatch.setattr(psycopg.AsyncConnection, "connect", unlucky)
        with capture_logs() as logs:
            listening = asyncio.create_task(elsewhere.listen())
            try:
                watching = asyncio.create_task(told(one, until=is_row(3), by=elsewhere))
                await asyncio.sleep(0.6)
                assert not failures
                await running(one)
                assert [event.n for event in await watching] == [1, 2, 3]
            finally:
                listening.cancel()
                with suppress(asyncio.CancelledError):
                    await listening
        lost = [entry["error"] for entry in logs if entry["event"] == "event notifications lost"]
        assert lost[:3] == ["KeyError", "OSError", "RuntimeError"]

    async def test_outlives_a_watcher_that_cannot_be_fed(self, desk: OpenDesk) -> None:
        one = await desk()

        class Clumsy(Streams):
            stumbles = 1

            def deliver(self, event: Event) -> None:
                if self.stumbles:
                    self.stumbles -= 1
                    raise RuntimeError("odd")
                super().deliver(event)

        elsewhere = Clumsy(one.database)
        listening = asyncio.create_task(elsewhere.listen())
        try:
            watching = asyncio.create_task(told(one, until=is_row(3), by=elsewhere))
            await asyncio.sleep(0.2)
            await running(one)
            assert [event.n for event in await watching] == [1, 2, 3]
        finally:
            listening.cancel()

    async def test_what_is_written_while_it_is_deaf_is_not_lost(
        self, desk: OpenDesk, database_urls: EmbeddedUrls
    ) -> None:
        one = await desk()
        elsewhere = Streams(one.database)
        listening = asyncio.create_task(elsewhere.listen())
        try:
            watching = asyncio.create_task(told(one, until=is_delta, by=elsewhere))
            await asyncio.sleep(0.2)
            async with await psycopg.AsyncConnection.connect(database_urls.superuser, autocommit=True) as connection:
                await connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where query = 'listen session_events' and datname = current_database()"
                )
            await asyncio.sleep(0.03)
            await say(one, await running(one), 0, FIRST)
            events = await watching
            assert [event.n for event in events] == [1, 2, 3, 3]
            assert words(events) == [FIRST]
        finally:
            listening.cancel()
