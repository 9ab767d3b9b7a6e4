"""Carries events between processes through a Redis stream, so that a watcher elsewhere sees deltas as they come.

Everything here may be lost: a watcher that misses something closes the gap from the rows. One stream serves all
sessions; each process reads it once and keeps what its own watchers want.
"""

import asyncio
from typing import Any
from uuid import UUID

import orjson
import redis.asyncio as redis
import structlog

from memory.events import Event
from memory.streams import Streams

log = structlog.get_logger()
STREAM = "helpdesk:live"
LENGTH = 10_000
BLOCK_MS = 2_000
BACKLOG = 2_000


class LiveWire:
    """Sends what this process publishes and delivers what others do."""

    def __init__(self, url: str, streams: Streams, process: str) -> None:
        self._commands = redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5)
        self._blocking = redis.from_url(url, socket_timeout=30)
        self._streams, self._process = streams, process
        self._outbox: asyncio.Queue[Event] = asyncio.Queue(BACKLOG)
        streams.on_publish.append(self._enqueue)

    def _enqueue(self, event: Event) -> None:
        if not self._outbox.full():  # a Redis that is away must not fill the memory
            self._outbox.put_nowait(event)

    async def run(self) -> None:
        try:
            await asyncio.gather(self._send(), self._receive())
        finally:
            await self._commands.aclose()
            await self._blocking.aclose()

    async def _send(self) -> None:
        while True:
            batch = [await self._outbox.get()]
            while not self._outbox.empty() and len(batch) < 100:
                batch.append(self._outbox.get_nowait())
            try:
                pipe = self._commands.pipeline(transaction=False)
                for event in batch:
                    pipe.xadd(STREAM, {"e": encode(event, self._process)}, maxlen=LENGTH, approximate=True)
                await pipe.execute()
            except Exception as error:  # whatever it was: this loop outlives it, and watchers have the rows
                log.warning("events were not sent", error=type(error).__name__)
                await asyncio.sleep(1)

    async def _receive(self) -> None:
        last = "$"
        while True:
            try:
                reply: Any = await self._blocking.xread({STREAM: last}, count=500, block=BLOCK_MS)
                for _, entries in reply or []:
                    for entry_id, fields in entries:
                        last = entry_id
                        self._deliver(fields[b"e"])
            except Exception as error:
                log.warning("events were not received", error=type(error).__name__)
                last = "$"
                self._streams.wake()
                await asyncio.sleep(1)

    def _deliver(self, raw: bytes) -> None:
        process, event = decode(raw)
        if process != self._process and self._streams.watches(event.session_id):
            self._streams.deliver(event)


def encode(event: Event, process: str) -> bytes:
    return orjson.dumps([process, event.session_id, event.type, event.data, event.n, event.k])


def decode(raw: bytes) -> tuple[str, Event]:
    process, session_id, kind, data, n, k = orjson.loads(raw)
    fields: dict[str, Any] = {"session_id": UUID(session_id), "type": kind, "data": data, "n": n, "k": k}
    return process, Event(**fields)
