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
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.faults.account import Account
from tests.product import Event, read_events

AGAIN_S = 0.2
PATIENCE_S = 90.0
"""For a message to be accepted, or a turn to end, whatever happens meanwhile."""
STREAMED = 0.3
"""Of the messages are sent a second time, by a client that wants the answer as the response of its `POST`."""
NOWHERE = "http://127.0.0.1:9"
QUESTION = "Please open a ticket: how do I reset my mailbox password?"


@dataclass
class Promise:
    """A message that was accepted, and the turn that was to answer it."""

    message_id: str
    turn_id: str
    took_s: float
    """From the first attempt to the 2xx."""


@dataclass(kw_only=True)
class Client(Account):
    """One customer, and the account of all that happened in their session; `doors` says where to knock."""

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
    connections: int = 0
    streamed: dict[str, list[Account]] = field(default_factory=dict)
    """What was read of each answer that a `POST` was to stream, by its turn: one account for each time that it broke."""
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _reading: "asyncio.Task[None] | None" = None
    _streaming: "list[asyncio.Task[None]]" = field(default_factory=list)

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
            await _end([self._reading])

    async def go(self) -> None:
        """For good."""
        await self.leave()
        await _end(self._streaming)

    async def say(self, case: str, number: int | None = None) -> Promise:
        """Ask the question under a case of the model, with a key of its own, until it is accepted."""
        number = self.rng.randrange(2**24) if number is None else number
        began = time.monotonic()
        key, text = secrets.token_hex(8), f"{QUESTION} (case {case} {number:x})"
        answer = await self.send(key, text)
        assert answer.status_code == 202, answer.text
        accepted = answer.json()
        if self.rng.random() < STREAMED:
            self.stream(accepted["turn_id"], key, text)
        promise = Promise(accepted["message_id"], accepted["turn_id"], time.monotonic() - began)
        self.promises.append(promise)
        return promise

    async def send(self, key: str, text: str) -> httpx.Response:
        return await self.request(
            "POST", f"{self.path}/messages", json={"message": text},
            headers={**self.headers, "Prefer": "respond-async", "Idempotency-Key": key},
        )  # fmt: skip

    def stream(self, turn: str, key: str, text: str) -> None:
        """Send it again, in the background, to have the answer streamed."""
        self._streaming.append(asyncio.create_task(self._stream(turn, key, text)))

    async def _stream(self, turn: str, key: str, text: str) -> None:
        """As often as the stream breaks before the turn's end."""
        headers = {**self.headers, "Accept": "text/event-stream", "Idempotency-Key": key}
        while True:
            seen = Account()
            self.streamed.setdefault(turn, []).append(seen)
            with suppress(httpx.TransportError, httpx.StreamError, json.JSONDecodeError):
                url, body = f"{self.door(self.prefers)}{self.path}/messages", {"message": text}
                async with self.http.stream("POST", url, json=body, headers=headers) as answer:
                    if answer.status_code == 200:
                        async for event in read_events(answer):
                            seen.take(event)
                    elif answer.status_code not in (429, 503):
                        self.wrong.append(f"a message that is to be streamed: {answer.status_code}")
                        return
            if turn in seen.ended:
                return
            await asyncio.sleep(AGAIN_S)

    async def all_streamed(self) -> None:
        """Until each stream of a message has come to its turn's end; who does not wait so long leaves them as they are."""
        if self._streaming:
            await asyncio.wait(self._streaming)
        for task in self._streaming:
            task.result()

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
        first = not self.rows
        self.take(event)
        if first and self.rows and self.rows[0][0] != 1:
            self.wrong.append(f"the first event has number {self.rows[0][0]}")
        self._news.set()


@asynccontextmanager
async def opened(clients: list[Client]) -> AsyncIterator[list[Client]]:
    """All of them in a session of their own, following it."""
    try:
        yield list(await asyncio.gather(*(client.open() for client in clients)))
    finally:
        await asyncio.gather(*(client.go() for client in clients))


async def _end(tasks: "Sequence[asyncio.Task[None]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
