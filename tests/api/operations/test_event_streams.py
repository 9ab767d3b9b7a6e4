"""A stream of events on a real socket: what ends it, and that nothing of it stays."""

import asyncio
import gc
import socket
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from sse_starlette import EventSourceResponse

from api import event_stream
from api.event_stream import EventStream, OpenStreams

MEGABYTE = b": " + b"x" * 2**20 + b"\n\n"


@dataclass
class Sending:
    """One stream at a time, of these pieces, with whatever became of it."""

    pieces: tuple[bytes, ...] = ()
    endless: bytes | None = None
    """Sent again and again after the pieces; empty: silence."""
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    made: list["weakref.ref[EventStream]"] = field(default_factory=list)
    farewell: bool = False

    def response(self) -> EventStream:
        response = EventStream(self._chunks(), sep="\n")
        response.closing = asyncio.Event() if self.farewell else None
        self.made.append(weakref.ref(response))
        return response

    async def _chunks(self) -> AsyncIterator[bytes]:
        try:
            for piece in self.pieces:
                yield piece
            while self.endless is not None:
                if self.endless:
                    yield self.endless
                else:
                    await asyncio.sleep(0.05)
        finally:
            self.closed.set()


@asynccontextmanager
async def serving(sending: Sending) -> AsyncIterator[tuple[str, int, FastAPI]]:
    app = FastAPI()
    app.state.streams = OpenStreams()

    @app.get("/", response_model=None)
    async def read() -> EventStream:
        return sending.response()

    config = uvicorn.Config(app, port=0, log_config=None, access_log=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/", port, app
    server.should_exit = True
    await running


async def one(url: str) -> bytes:
    async with httpx.AsyncClient(timeout=10) as http:
        return (await http.get(url)).content


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def test_it_is_sent_to_its_end() -> None:
    sending = Sending(pieces=(b"data: 1\n\n", b"data: 2\n\n"))
    async with serving(sending) as (url, _, _):
        assert await one(url) == b"data: 1\n\ndata: 2\n\n"


async def test_nothing_of_it_waits_for_the_collector(without_collector: None) -> None:
    sending = Sending(pieces=(b"data: 1\n\n",))
    async with serving(sending) as (url, _, _):
        for _ in range(5):
            await one(url)
        await asyncio.sleep(0.05)
        assert [response() for response in sending.made] == [None] * 5


async def test_a_reader_that_leaves_ends_it() -> None:
    sending = Sending(pieces=(b"data: 1\n\n",), endless=b"")
    async with serving(sending) as (url, _, _):
        async with httpx.AsyncClient() as http, http.stream("GET", url) as answer:
            async for piece in answer.aiter_bytes():
                assert piece == b"data: 1\n\n"
                break
        await asyncio.wait_for(sending.closed.wait(), 2)


async def test_a_silent_one_says_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "PING_S", 0.1)
    sending = Sending(endless=b"")
    async with serving(sending) as (url, _, _):
        async with httpx.AsyncClient() as http, http.stream("GET", url) as answer:
            lines = answer.aiter_lines()
            heard = [await anext(lines) for _ in range(6)]
        assert heard == ["event: ping", "data: {}", ""] * 2


@pytest.mark.parametrize("endless", [MEGABYTE, b""], ids=["what is said", "a sign of life"])
async def test_a_connection_that_takes_nothing_ends_it(endless: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "SEND_TIMEOUT_S", 0.3)
    monkeypatch.setattr(event_stream, "PING_S", 0.1)
    sending = Sending(pieces=() if endless else (MEGABYTE * 16,), endless=endless)
    async with serving(sending) as (_, port, _):
        with socket.create_connection(("127.0.0.1", port)) as reader:
            reader.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")  # and reads nothing
            await asyncio.wait_for(sending.closed.wait(), 5)


async def test_each_is_told_that_the_process_is_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    told = asyncio.Event()
    monkeypatch.setattr(EventSourceResponse, "_listen_for_exit_signal", staticmethod(told.wait))
    monkeypatch.setattr(event_stream, "GRACE_S", 0.2)
    sending = Sending(endless=b"", farewell=True)
    async with serving(sending) as (url, _, _):
        reading = asyncio.create_task(one(url))
        await asyncio.sleep(0.1)
        told.set()
        with pytest.raises(httpx.RemoteProtocolError):  # it went on, and was cut when its time was up
            await reading
        assert sending.closed.is_set()
