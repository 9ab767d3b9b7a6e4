"""Whatever is lost, repeated or late between a session and its watcher, and wherever the client comes back: it ends with
every row once, in order, and with the stored text of every answer.

The rows are a list here, so that thousands of stories can be told; the loop that follows them is the product's.
"""

import asyncio
import itertools
import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory import streams as watching
from memory.events import Event
from memory.models import new_id
from memory.streams import PAGE, WAKE, Cursor, State, Streams

TENANT, SESSION = new_id(), new_id()


@pytest.fixture(scope="module", autouse=True)
def without_pauses() -> Iterator[None]:
    """A story has no clock: who waits for what follows a step waits one round."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watching, "TOGETHER_S", 0)
        yield


@dataclass
class Book:
    """A session's rows, the turn that runs, and what has been published and not yet arrived."""

    rows: list[Event] = field(default_factory=list)
    started_n: int | None = None
    turn_id: UUID | None = None
    partial: str = ""
    answers: dict[str, str] = field(default_factory=dict)
    late: list[Event] = field(default_factory=list)
    spoken: int = 0

    def append(self, kind: str, **data: Any) -> Event:
        event = Event(session_id=SESSION, type=kind, data=data, n=len(self.rows) + 1)
        self.rows.append(event)
        return event

    def start(self) -> list[Event]:
        if self.started_n is not None:
            return []
        self.turn_id, self.partial = new_id(), ""
        event = self.append("turn.started", turn_id=str(self.turn_id))
        self.started_n = event.n
        return [event]

    def speak(self) -> list[Event]:
        if self.started_n is None:
            return []
        self.spoken += 1
        text, offset = f"wörd{self.spoken} ", len(self.partial)
        self.partial += text
        data = {"turn_id": str(self.turn_id), "text": text, "offset": offset}
        return [Event(session_id=SESSION, type="message.delta", data=data, n=self.started_n)]

    def end(self) -> list[Event]:
        if self.started_n is None:
            return []
        turn = str(self.turn_id)
        self.answers[turn] = self.partial
        done = [
            self.append("message.completed", turn_id=turn, message=self.partial),
            self.append("turn.completed", turn_id=turn),
        ]
        self.started_n, self.turn_id, self.partial = None, None, ""
        return done

    def note(self) -> list[Event]:
        """A row that may come in mid-answer."""
        return [self.append("message.created", text="x")]

    def step(self) -> list[Event]:
        return [Event(session_id=SESSION, type="step", data={"name": "x"})]


class Told(Streams):
    """The product's watchers over rows in memory."""

    def __init__(self, book: Book) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self.book = book

    async def _look(self, tenant_id: UUID, session_id: UUID, after: int) -> tuple[State | None, list[Event]]:
        book = self.book
        state = State(last_n=len(book.rows), started_n=book.started_n, turn_id=book.turn_id, partial=book.partial)
        return state, book.rows[after : after + PAGE]


@dataclass
class Client:
    """Puts the conversation together as the widget does, and comes back with the last id that it saw."""

    last_id: str | None = None
    rows: list[int] = field(default_factory=list)
    ids: list[Cursor] = field(default_factory=list)
    text: dict[str, str] = field(default_factory=dict)
    final: dict[str, str] = field(default_factory=dict)

    def take(self, event: Event) -> None:
        if event.id:
            self.last_id = event.id
            cursor = Cursor.parse(event.id)
            assert cursor
            self.ids.append(cursor)
        if event.type == "message.delta":
            before = self.text.get(event.data["turn_id"], "")
            assert event.data["offset"] == len(before), "a delta that repeats or leaves out"
            assert event.data["turn_id"] not in self.final, "a word after the end of its answer"
            self.text[event.data["turn_id"]] = before + event.data["text"]
        elif event.n is not None:
            self.rows.append(event.n)
            if event.type == "message.completed":
                self.final[event.data["turn_id"]] = event.data["message"]


MOVES = ("start", "speak", "speak", "speak", "end", "note", "note", "step", "reconnect", "reconnect", "settle", "wake")
FATES = (*["arrives"] * 7, "lost", "twice", "late")
stories = st.lists(st.tuples(st.sampled_from(MOVES), st.sampled_from(FATES)), min_size=8, max_size=40)


async def tell(story: list[tuple[str, str]], seed: int) -> tuple[Book, Client]:
    book, client, generator = Book(), Client(), random.Random(seed)
    book.note()
    streams = Told(book)

    def watch() -> asyncio.Task[None]:
        cursor = Cursor.parse(client.last_id) if client.last_id else Cursor()
        assert cursor

        async def follow() -> None:
            async for event in streams.watch(TENANT, SESSION, cursor):
                client.take(event)

        return asyncio.create_task(follow())

    async def stop() -> None:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching

    async def breathe() -> None:
        for _ in range(8):
            await asyncio.sleep(0)

    def publish(event: Event, fate: str) -> None:
        for _ in range({"arrives": 1, "twice": 2, "lost": 0, "late": 0}[fate]):
            streams.deliver(event)
        if fate == "late":
            book.late.append(event)

    watching = watch()
    for move, fate in story:
        if move == "reconnect":
            await stop()
            watching = watch()
        elif move == "settle":
            generator.shuffle(book.late)
            for event in book.late:
                streams.deliver(event)
            book.late.clear()
        elif move == "wake":
            streams.deliver(Event(session_id=SESSION, type=WAKE, n=len(book.rows)))
        else:
            for event in getattr(book, move)():
                publish(event, fate)
        if generator.random() < 0.85:
            await breathe()
        if watching.done():
            watching.result()
    book.end()
    for event in book.late:
        streams.deliver(event)
    streams.wake()
    for _ in range(50):
        await breathe()
        if client.rows and client.rows[-1] == len(book.rows):
            break
    await stop()
    return book, client


@settings(max_examples=400, deadline=None)
@given(story=stories, seed=st.integers(0, 10_000))
async def test_the_client_ends_with_what_is_stored(story: list[tuple[str, str]], seed: int) -> None:
    book, client = await tell(story, seed)
    assert client.rows == list(range(1, len(book.rows) + 1))
    assert client.final == book.answers
    for turn, text in client.text.items():
        assert book.answers[turn].startswith(text)
    keys = [(cursor.n, cursor.k) for cursor in client.ids]
    assert all(later > before for before, later in itertools.pairwise(keys))


async def test_what_comes_together_is_told_together() -> None:
    book = Book()
    streams = Told(book)
    book.note()
    batches = streams.batches(TENANT, SESSION, Cursor())
    assert [event.type for event in await anext(batches)] == ["message.created"]
    for event in (*book.start(), *book.step(), *book.step(), *book.speak()):
        streams.deliver(event)
    assert [event.type for event in await anext(batches)] == ["turn.started", "step", "step", "message.delta"]
    await batches.aclose()  # type: ignore[attr-defined]
