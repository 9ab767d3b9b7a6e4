"""One stream of events on its connection: sent in the request's own task, and ended by its reader, by a connection that
takes nothing any more, or with the process.

sse-starlette runs each response as a group of four tasks, of which three are cancelled in the end. What anyio keeps of a
cancelled one is a circle of its exception and its frames, and the whole request hangs on it until the collector comes:
there was nothing else for the collector to find in a turn, and its rounds took a twentieth of the processor.
"""

import asyncio
from contextlib import suppress

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Message, Receive, Scope, Send

PING_S = 15
SEND_TIMEOUT_S = 10
GRACE_S = 25
"""How long streams may go on after SIGTERM, so that running answers reach their readers."""
_PING = ServerSentEvent(event="ping", data="{}", sep="\n").encode()


class EventStream(EventSourceResponse):
    """sse-starlette's response with one task beside it."""

    closing: asyncio.Event | None = None
    """To be set when the process is to end."""
    _task: "asyncio.Task[None] | None" = None
    """While it is sent."""
    _stuck = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            await super().__call__(scope, receive, send)
            return
        open_streams: OpenStreams = scope["app"].state.streams
        self._task = task = asyncio.current_task()
        assert task
        attendant = asyncio.create_task(self._attend(receive, send))
        attendant.add_done_callback(self._left)
        open_streams.add(self)
        try:
            await self._stream_response(send)
        except asyncio.CancelledError:
            if self._task is not None:
                raise
            task.uncancel()  # by `interrupt`
            if self._stuck:
                raise SendTimeoutError from None
        finally:
            self._task = None  # what has ended is not interrupted
            open_streams.discard(self)
            attendant.cancel()

    def tell(self) -> None:
        """That the process is to end."""
        if self.closing is not None:
            self.closing.set()

    def interrupt(self) -> None:
        """End it in the middle."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _attend(self, receive: Receive, send: Send) -> None:
        """Until its reader leaves; says now and then that it lives."""
        while True:
            try:
                async with asyncio.timeout(PING_S):
                    while (await receive())["type"] != "http.disconnect":
                        pass
                return
            except TimeoutError:
                await self._send_with_timeout(send, {"type": "http.response.body", "body": _PING, "more_body": True})

    def _left(self, attendant: "asyncio.Task[None]") -> None:
        self.interrupt()
        if not attendant.cancelled():
            attendant.exception()  # there is nobody left to hear of it

    async def _send_with_timeout(self, send: Send, message: Message) -> None:
        """A timer costs a part of anyio's scope, and nearly every message goes at once."""
        alarm = asyncio.get_running_loop().call_later(SEND_TIMEOUT_S, self._give_up)
        try:
            await send(message)
        finally:
            alarm.cancel()

    def _give_up(self) -> None:
        self._stuck = True
        self.interrupt()


class OpenStreams:
    """The streams of one process, which hears for all of them that it is to end."""

    def __init__(self) -> None:
        self._streams: set[EventStream] = set()
        self._ending: asyncio.Task[None] | None = None
        self._told = False

    def add(self, stream: EventStream) -> None:
        self._streams.add(stream)
        if self._told:
            stream.tell()
        elif self._ending is None:
            self._ending = asyncio.create_task(self._end())

    def discard(self, stream: EventStream) -> None:
        self._streams.discard(stream)

    async def _end(self) -> None:
        with suppress(asyncio.CancelledError):  # of a loop that closes
            await EventSourceResponse._listen_for_exit_signal()
            self._told = True
            for stream in self._streams:
                stream.tell()
            await asyncio.sleep(GRACE_S)
            for stream in list(self._streams):
                stream.interrupt()
