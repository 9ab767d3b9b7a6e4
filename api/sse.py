"""Events on the wire: one line of JSON each, an id where there is something to resume from, a farewell on shutdown."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager, nullcontext
from dataclasses import dataclass, field

import orjson
from sse_starlette import ServerSentEvent

from agent import metrics
from api.event_stream import EventStream
from memory.errors import TooMany
from memory.events import Event
from memory.tenancy import Principal

RECHECK_S = 60.0
"""How long a stream may stay open on a credential that has ended meanwhile."""
RETRY_MS = 1000
MOST_OPEN, MOST_OPEN_OF_A_KEY = 100, 5_000
"""Streams of one caller in one process; a secret key reads along for all customers of a site."""


@dataclass(slots=True)
class Readers:
    """The open streams by caller: a stream costs memory and a place among the watchers for as long as it is open."""

    _open: Counter[str] = field(default_factory=Counter)

    def admit(self, principal: Principal) -> str:
        """Whose stream it will be. Raises TooMany."""
        if self._open[principal.key] >= (MOST_OPEN_OF_A_KEY if principal.is_server else MOST_OPEN):
            raise TooMany("too many streams are open; close one", retry_after=RETRY_MS / 1000)
        return principal.key

    @contextmanager
    def counted(self, reader: str) -> Iterator[None]:
        """From the first byte to the end: a stream that never began was never open."""
        self._open[reader] += 1
        try:
            yield
        finally:
            self._open[reader] -= 1
            if not self._open[reader]:
                del self._open[reader]


READERS = Readers()


def encode(event: Event) -> bytes:
    """One event as it is sent. JSON has no line ends in it."""
    name = f"event: {event.type}\ndata: " if event.id is None else f"id: {event.id}\nevent: {event.type}\ndata: "
    return b"%b%b\n\n" % (name.encode(), orjson.dumps(event.data))


def stream_response(
    events: AsyncGenerator[list[Event]],
    *,
    until: Callable[[Event], bool],
    farewell: bool,
    allowed: Callable[[], Awaitable[bool]] | None = None,
    headers: dict[str, str] | None = None,
    reader: str | None = None,
) -> EventStream:
    """Send batches of events until one event fits `until`; `farewell` closes at once on shutdown, so that the client
    comes elsewhere, and when `allowed` says that the credential has ended. `reader` is counted while it is open."""
    closing = asyncio.Event() if farewell else None

    async def chunks() -> AsyncIterator[bytes | ServerSentEvent]:
        metrics.sse_clients.inc()
        try:
            with READERS.counted(reader) if reader else nullcontext():
                async with aclosing(_or_closing(events, closing, allowed)) as source:
                    async for batch in source:
                        if batch is None:
                            yield ServerSentEvent(event="ping", data="{}", retry=RETRY_MS)
                            return
                        last = next((place for place, event in enumerate(batch) if until(event)), None)
                        shown = batch if last is None else batch[: last + 1]
                        if resyncs := sum(event.type == "resync" for event in shown):
                            metrics.sse_resync_total.inc(resyncs)
                        yield b"".join(map(encode, shown))
                        if last is not None:
                            return
        finally:
            metrics.sse_clients.dec()

    response = EventStream(chunks(), headers=headers, sep="\n")
    response.closing = closing
    return response


async def _or_closing(
    events: AsyncGenerator[list[Event]], closing: asyncio.Event | None, allowed: Callable[[], Awaitable[bool]] | None
) -> AsyncGenerator[list[Event] | None]:
    """The batches, and None once the process is asked to end or the reader's credential has ended."""
    async with aclosing(events):
        if closing is None:
            async for batch in events:
                yield batch
            return
        farewell = asyncio.create_task(_end_of(closing, allowed))
        upcoming: asyncio.Task[list[Event]] | None = None
        try:
            while True:
                upcoming = asyncio.ensure_future(anext(events))
                await asyncio.wait({upcoming, farewell}, return_when=asyncio.FIRST_COMPLETED)
                if not upcoming.done():
                    yield None
                    return
                try:
                    yield upcoming.result()
                except StopAsyncIteration:
                    return
        finally:
            farewell.cancel()
            if upcoming is not None and not upcoming.done():
                upcoming.cancel()
                await asyncio.gather(upcoming, return_exceptions=True)


async def _end_of(closing: asyncio.Event, allowed: Callable[[], Awaitable[bool]] | None) -> None:
    while True:
        try:
            await asyncio.wait_for(closing.wait(), RECHECK_S if allowed else None)
            return
        except TimeoutError:
            if allowed and not await allowed():
                return
