"""A customer's client that writes down what it was promised and what it saw, and comes back wherever a door is open.

It retries a message under its key until it is accepted, follows the session's events with `Last-Event-ID` through every
break, at any of the processes, and puts the answers together from the deltas. `wrong` holds what should never happen.
"""

import asyncio
import json
import random
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.product import Event, read_events

TERMINAL = ("turn.completed", "turn.failed", "turn.cancelled")
AGAIN_S = 0.2
PATIENCE_S = 90.0
"""For a message to be accepted, or a turn to end, whatever happens meanwhile."""
NOWHERE = "http://127.0.0.1:9"
QUESTION = "Please open a ticket: how do I reset my mailbox password?"


@dataclass
class Promise:
    """A message that was accepted, and the turn that was to answer it."""

    message_id: str
    turn_id: str
    took_s: float
    """From the first attempt to the 2xx."""


@dataclass
class Client:
    """One customer; `doors` says where to knock."""

    http: httpx.AsyncClient
    doors: Callable[[], list[str]]
    widget_key: str
    rng: random.Random
    prefers: str | None = None
    """Where it asks, while that is open."""
    follows: str | None = None
    """Where it reads the events, while that is open."""
    session_id: str = ""
    token: str = ""
    promises: list[Promise] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    refusals: list[str] = field(default_factory=list)
    """Answers of 5xx that do not say when to come again, or are not ours."""
    wrong: list[str] = field(default_factory=list)
    rows: list[tuple[int, str]] = field(default_factory=list)
    messages: dict[str, str] = field(default_factory=dict)
    """The words of each message by its id."""
    texts: dict[str, str] = field(default_factory=dict)
    """What was put together from deltas, by turn."""
    ended: dict[str, tuple[str, float]] = field(default_factory=dict)
    """How and when each turn ended, as the client saw it."""
    resyncs: int = 0
    connections: int = 0
    last_id: str | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _reading: "asyncio.Task[None] | None" = None

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def path(self) -> str:
        return f"/api/v1/chat/sessions/{self.session_id}"

    def door(self, wanted: str | None) -> str:
        open_now = self.doors()
        if wanted in open_now:
            return str(wanted)
        return self.rng.choice(open_now) if open_now else NOWHERE

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Again and again until it is answered and not with a 503; a 503 must say when."""
        until = time.monotonic() + PATIENCE_S
        while True:
            with suppress(httpx.TransportError):
                answer = await self.http.request(method, self.door(self.prefers) + path, **options)
                self.statuses[answer.status_code] += 1
                if answer.status_code < 500:
                    return answer
                if answer.status_code != 503 or "retry-after" not in answer.headers:
                    self.refusals.append(
                        f"{method} {path.rpartition('/')[2]}: {answer.status_code} {answer.text[:200]}"
                    )
            if time.monotonic() > until:
                raise TimeoutError(f"{method} {path} was not answered within {PATIENCE_S} s")
            await asyncio.sleep(AGAIN_S)

    async def open(self) -> "Client":
        answer = await self.request("POST", "/api/v1/chat/sessions", headers={"X-Widget-Key": self.widget_key})
        assert answer.status_code == 201, answer.text
        opened = answer.json()
        self.session_id, self.token = opened["session_id"], opened["visitor_token"]
        await self.come()
        return self

    async def come(self) -> None:
        """Read on from where it left."""
        await self.leave()
        self._reading = asyncio.create_task(self._follow())

    async def leave(self) -> None:
        if self._reading:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def say(self, case: str, number: int | None = None) -> Promise:
        """Ask the question under a case of the model, with a key of its own, until it is accepted."""
        number = self.rng.randrange(2**24) if number is None else number
        began = time.monotonic()
        answer = await self.send(secrets.token_hex(8), f"{QUESTION} (case {case} {number:x})")
        assert answer.status_code == 202, answer.text
        accepted = answer.json()
        promise = Promise(accepted["message_id"], accepted["turn_id"], time.monotonic() - began)
        self.promises.append(promise)
        return promise

    async def send(self, key: str, text: str) -> httpx.Response:
        return await self.request(
            "POST", f"{self.path}/messages", json={"message": text},
            headers={**self.headers, "Prefer": "respond-async", "Idempotency-Key": key},
        )  # fmt: skip

    async def end_of(self, promise: Promise, within_s: float = PATIENCE_S) -> str:
        """How the turn ended, once the client has seen it."""
        async with asyncio.timeout(within_s):
            while promise.turn_id not in self.ended:
                self._news.clear()
                await self._news.wait()
        return self.ended[promise.turn_id][0]

    async def answer_now(self, case: str) -> tuple[httpx.Response, float]:
        """Ask and wait for the answer in one request, and how many seconds that took."""
        began = time.monotonic()
        answer = await self.http.post(
            f"{self.door(self.prefers)}{self.path}/messages", headers=self.headers,
            json={"message": f"{QUESTION} (case {case} {self.rng.randrange(2**24):x})"},
        )  # fmt: skip
        return answer, time.monotonic() - began

    async def _follow(self) -> None:
        while True:
            with suppress(httpx.TransportError, httpx.StreamError, json.JSONDecodeError):
                async for event in self._events():
                    self._take(event)
            await asyncio.sleep(AGAIN_S)

    async def _events(self) -> AsyncIterator[Event]:
        headers = {**self.headers, **({"Last-Event-ID": self.last_id} if self.last_id else {})}
        url = f"{self.door(self.follows)}{self.path}/events"
        async with self.http.stream("GET", url, headers=headers) as answer:
            self.statuses[answer.status_code] += 1
            if answer.status_code == 200:
                self.connections += 1
                async for event in read_events(answer):
                    yield event
            elif answer.status_code not in (429, 503):
                self.wrong.append(f"events: {answer.status_code}")

    def _take(self, event: Event) -> None:
        turn = event.data.get("turn_id") or ""
        if event.id:
            self.last_id = event.id
        if event.type == "resync":
            self.resyncs += 1
            self.wrong.append("a resync, although every row is kept")
        elif event.type == "message.delta":
            self._add(turn, event.data["offset"], event.data["text"])
        elif event.id:
            self._row(event, turn)
        self._news.set()

    def _add(self, turn: str, offset: int, text: str) -> None:
        known = self.texts.get(turn, "")
        if turn in self.ended:
            self.wrong.append("a delta after its turn's end")
        if offset != len(known):
            self.wrong.append(f"a delta at {offset}, {len(known)} characters are known")
        self.texts[turn] = known + text

    def _row(self, event: Event, turn: str) -> None:
        n = int(str(event.id).partition(".")[0])
        expected = self.rows[-1][0] + 1 if self.rows else 1
        if n != expected:
            self.wrong.append(f"event {n} where {expected} was due")
        self.rows.append((n, event.type))
        if event.type in ("message.created", "message.completed"):
            self.messages[event.data["message_id"]] = event.data.get("text", event.data.get("message", ""))
        if event.type == "message.completed" and not event.data["message"].startswith(self.texts.get(turn, "")):
            self.wrong.append("an answer that does not begin with what was streamed of it")
        if event.type in TERMINAL:
            if turn in self.ended:
                self.wrong.append("a turn that ended twice")
            self.ended[turn] = (event.type.removeprefix("turn."), time.monotonic())


@asynccontextmanager
async def opened(clients: list[Client]) -> AsyncIterator[list[Client]]:
    """All of them in a session of their own, following it."""
    try:
        yield list(await asyncio.gather(*(client.open() for client in clients)))
    finally:
        await asyncio.gather(*(client.leave() for client in clients))
