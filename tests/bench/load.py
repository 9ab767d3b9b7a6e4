"""Virtual customers: each asks, reads its answer to the end, and asks again."""

import asyncio
import itertools
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

QUESTIONS = (
    "How do I reset my mailbox password?",
    "How do I install a free SSL certificate?",
    "How do I restore a backup of my website?",
    "How do I point my domain to your name servers?",
    "Why is my website slow?",
    "How do I import a database with phpMyAdmin?",
)
FOLLOW_UPS = (
    "And how long does it take?",
    "Does it work on a phone?",
    "And if it does not work?",
)
"""Of which only what was said before tells what they are about: with a fast model it says so."""
LEANING = tuple(question for pair in zip(QUESTIONS, FOLLOW_UPS * 2, strict=True) for question in pair)
DELTA = b"event: message.delta"


@dataclass(slots=True)
class Turn:
    """One answer, by the machine's monotonic clock."""

    mark: str
    asked: float
    first: float | None = None
    ended: float | None = None
    status: int = 0
    wait_s: float = 0.0
    """That the server asks for before the next question."""


@dataclass(slots=True)
class Customer:
    """One conversation with the product, or one thread of the tutorial's app."""

    http: aiohttp.ClientSession
    url: str
    headers: dict[str, str] = field(default_factory=dict)

    async def ask(self, question: str) -> Turn:
        turn = Turn(secrets.token_hex(4), time.monotonic())
        body = {"message": f"{question} (ref {turn.mark})"}
        async with self.http.post(self.url, json=body, headers=self.headers) as answer:
            turn.status = answer.status
            turn.wait_s = float(answer.headers.get("Retry-After", 0))
            async for line in answer.content:
                if turn.first is None and line.startswith(DELTA):
                    turn.first = time.monotonic()
        turn.ended = time.monotonic()
        return turn


async def ours(http: aiohttp.ClientSession, base: str, widget_key: str = "demo") -> Customer:
    async with http.post(f"{base}/api/v1/chat/sessions", headers={"X-Widget-Key": widget_key}) as answer:
        opened: dict[str, Any] = await answer.json()
    headers = {"Authorization": f"Bearer {opened['visitor_token']}", "Accept": "text/event-stream"}
    return Customer(http, f"{base}/api/v1/chat/sessions/{opened['session_id']}/messages", headers)


async def tutorials(http: aiohttp.ClientSession, base: str) -> Customer:
    return Customer(http, f"{base}/chat/{secrets.token_hex(8)}")


async def run(
    base: str,
    kind: str,
    streams: int,
    seconds: float,
    *,
    threads: int = 12,
    began: Callable[[], None] | None = None,
    asked: Sequence[str] = QUESTIONS,
) -> list[Turn]:
    """Keep so many answers in the air for so long; a conversation is new after `threads` questions. The first ones are
    open before the clock starts, of which `began` is told: few turns of a short run would carry the cost of many."""
    turns: list[Turn] = []
    opening = ours if kind == "ours" else tutorials
    timeout = aiohttp.ClientTimeout(total=120)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector, read_bufsize=2**18) as http:

        async def customer(number: int) -> None:
            await asyncio.sleep(number / streams * 0.84)  # not all at once, as the answers last
            begin = number % len(QUESTIONS) * (len(asked) // len(QUESTIONS))  # with a question that stands on its own
            questions = itertools.cycle([*asked[begin:], *asked[:begin]])
            one = waiting[number]
            while time.monotonic() < until:
                for question in itertools.islice(questions, threads):
                    if time.monotonic() >= until:
                        break
                    turns.append(turn := await one.ask(question))
                    await asyncio.sleep(turn.wait_s)
                else:
                    one = await opening(http, base)

        waiting = await asyncio.gather(*(opening(http, base) for _ in range(streams)))
        if began:
            began()
        until = time.monotonic() + seconds
        await asyncio.gather(*(customer(number) for number in range(streams)))
    return turns
