"""Events on the wire: one line of JSON each, an id where there is something to resume from, a farewell on shutdown."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing

import anyio
import orjson
from sse_starlette import EventSourceResponse, ServerSentEvent

from agent import metrics
from memory.events import Event

PING_S = 15
SEND_TIMEOUT_S = 10
RECHECK_S = 60.0
"""How long a stream may stay open on a credential that has ended meanwhile."""
GRACE_S = 25
"""How long streams may go on after SIGTERM, so that running answers reach their readers."""
RETRY_MS = 1000


def encode(event: Event) -> ServerSentEvent:
    return ServerSentEvent(event=event.type, id=event.id, data=orjson.dumps(event.data).decode())


def stream_response(
    events: AsyncIterator[Event],
    *,
    until: Callable[[Event], bool],
    farewell: bool,
    allowed: Callable[[], Awaitable[bool]] | None = None,
    headers: dict[str, str] | None = None,
) -> EventSourceResponse:
    """Send events until one fits `until`; `farewell` closes at once on shutdown, so that the client comes elsewhere,
    and when `allowed` says that the credential has ended."""
    closing = anyio.Event()

    async def lines() -> AsyncIterator[ServerSentEvent]:
        metrics.sse_clients.inc()
        try:
            async with aclosing(_or_closing(events, closing if farewell else None, allowed)) as source:  # type: ignore[type-var]
                async for event in source:
                    if event is None:
                        yield ServerSentEvent(event="ping", data="{}", retry=RETRY_MS)
                        return
                    if event.type == "resync":
                        metrics.sse_resync_total.inc()
                    yield encode(event)
                    if until(event):
                        return
        finally:
            metrics.sse_clients.dec()

    return EventSourceResponse(
        lines(), ping=PING_S, send_timeout=SEND_TIMEOUT_S, headers=headers, sep="\n",
        ping_message_factory=lambda: ServerSentEvent(event="ping", data="{}", sep="\n"),
        shutdown_event=closing, shutdown_grace_period=GRACE_S,
    )  # fmt: skip


async def _or_closing(
    events: AsyncIterator[Event], closing: anyio.Event | None, allowed: Callable[[], Awaitable[bool]] | None
) -> AsyncIterator[Event | None]:
    """The events, and None once the process is asked to end or the reader's credential has ended."""
    async with aclosing(events):  # type: ignore[type-var]
        if closing is None:
            async for event in events:
                yield event
            return
        farewell = asyncio.create_task(_end_of(closing, allowed))
        upcoming: asyncio.Task[Event] | None = None
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


async def _end_of(closing: anyio.Event, allowed: Callable[[], Awaitable[bool]] | None) -> None:
    while True:
        try:
            await asyncio.wait_for(closing.wait(), RECHECK_S if allowed else None)
            return
        except TimeoutError:
            if allowed and not await allowed():
                return
