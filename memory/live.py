"""Carries events between processes through a Redis stream, so that a watcher elsewhere sees deltas as they come.

Everything here may be lost: a watcher that misses something closes the gap from the rows. One stream serves all
sessions; each process reads it once and keeps what its own watchers want. After a break the reader goes on where it
stopped, and what could be told twice without harm is sent again.
"""

import asyncio
from typing import Any
from uuid import UUID

import orjson
import redis.asyncio as redis
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from memory.cancelling import end
from memory.events import Event
from memory.streams import Streams

log = structlog.get_logger()
STREAM = "helpdesk:live"
LENGTH = 10_000
BLOCK_MS = 2_000
SEND_S = 0.5
READ_S = BLOCK_MS / 1000 + 1
"""A reader that hears nothing for longer than it asked for is connected to a Redis that hangs."""
PAUSE_S = 1.0
BACKLOG = 2_000
BATCH = 100


class LiveWire:
    """Sends what this process publishes and delivers what others do."""

    def __init__(self, url: str, streams: Streams, process: str) -> None:
        self._client = _client(url)
        self._streams, self._process = streams, process
        self._outbox: asyncio.Queue[Event] = asyncio.Queue(BACKLOG)
        streams.on_publish.append(self._enqueue)

    def _enqueue(self, event: Event) -> None:
        if not self._outbox.full():  # a Redis that is away must not fill the memory
            self._outbox.put_nowait(event)

    async def run(self) -> None:
        sending = asyncio.create_task(self._send(), name="live sending")
        receiving = asyncio.create_task(self._receive(), name="live receiving")
        try:
            await asyncio.gather(sending, receiving)
        finally:
            await end(sending, receiving)
            await self._client.aclose()

    async def _send(self) -> None:
        batch: list[Event] = []
        while True:
            if not batch:
                batch.append(await self._outbox.get())
            while not self._outbox.empty() and len(batch) < BATCH:
                batch.append(self._outbox.get_nowait())
            try:
                pipe = self._client.pipeline(transaction=False)
                for event in batch:
                    pipe.xadd(STREAM, {"e": encode(event, self._process)}, maxlen=LENGTH, approximate=True)
                async with asyncio.timeout(SEND_S):
                    await pipe.execute()
                batch = []
            except Exception as error:  # whatever it was: this loop outlives it, and watchers have the rows
                log.warning("events were not sent", error=type(error).__name__)
                batch = [event for event in batch if event.n is not None]  # a number or an offset tells a repeat
                await asyncio.sleep(PAUSE_S)

    async def _receive(self) -> None:
        last, broken = "", False
        while True:
            try:
                if broken or not last:
                    last = await self._place(last)
                if broken:
                    self._streams.wake()  # whatever the stream still has, the rows have it all
                    broken = False
                async with asyncio.timeout(READ_S):
                    reply: Any = await self._client.xread({STREAM: last}, count=500, block=BLOCK_MS)
                for _, entries in reply or []:
                    for entry_id, fields in entries:
                        last = entry_id.decode()
                        self._deliver(fields[b"e"])
            except Exception as error:
                log.warning("events were not received", error=type(error).__name__)
                broken = True
                await asyncio.sleep(PAUSE_S)

    async def _place(self, last: str) -> str:
        """From where to read: where the reader was, or the present; a Redis that came back may be behind both."""
        async with asyncio.timeout(SEND_S):
            seconds, micros = await self._client.time()
        now = f"{seconds * 1000 + micros // 1000}-0"
        return min(last, now, key=_order) if last else now

    def _deliver(self, raw: bytes) -> None:
        process, event = decode(raw)
        if process != self._process and self._streams.watches(event.session_id):
            self._streams.deliver(event)


def _client(url: str) -> "redis.Redis":
    """Without the library's ten retries, which would hold a frozen Redis for half a minute and repeat what was done,
    and without its own limit for a command: that wraps each in a task, and loses a cancel that meets its end."""
    return redis.from_url(url, socket_timeout=None, socket_connect_timeout=SEND_S, retry=Retry(NoBackoff(), 0))


def _order(entry_id: str) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number or 0)


def encode(event: Event, process: str) -> bytes:
    return orjson.dumps([process, event.session_id, event.type, event.data, event.n, event.k])


def decode(raw: bytes) -> tuple[str, Event]:
    process, session_id, kind, data, n, k = orjson.loads(raw)
    fields: dict[str, Any] = {"session_id": UUID(session_id), "type": kind, "data": data, "n": n, "k": k}
    return process, Event(**fields)
