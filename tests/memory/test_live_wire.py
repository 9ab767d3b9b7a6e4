"""The wire between processes under a Redis that breaks: nothing that has a number or an offset is lost on it."""

import asyncio
import itertools
import shutil
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from statistics import median
from typing import cast
from uuid import UUID

import pytest
import redis

from memory.cancelling import AGAIN_S
from memory.database import Database
from memory.events import Event
from memory.live import LiveWire
from memory.models import new_id
from memory.redis import COMMAND_S, open_redis
from memory.streams import Inbox, Streams
from tests.faults.servers import RedisServer
from tests.machine import usual

WIRES = 25


@pytest.fixture
def server() -> Iterator[RedisServer]:
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server on the PATH")
    server = RedisServer()
    server.start()
    yield server
    server.kill()


@asynccontextmanager
async def process(server: RedisServer, name: str) -> AsyncIterator[Streams]:
    streams = Streams(cast(Database, None))  # nobody reads rows here
    running = asyncio.create_task(LiveWire(server.url, streams, name).run())
    yield streams
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def delta(session_id: UUID, offset: int) -> Event:
    return Event(session_id=session_id, type="message.delta", data={"text": "word ", "offset": offset}, n=3, k=offset)


async def offsets(inbox: Inbox, last: int) -> list[int]:
    """Offsets in the order in which they came, repeats left out, until the last one is there."""
    seen: list[int] = []
    async with asyncio.timeout(10):
        while last not in seen:
            for event in await inbox.get(10):
                if event is not None and event.data["offset"] not in seen:
                    seen.append(event.data["offset"])
    return seen


class TestABreak:
    async def test_what_is_said_during_it_arrives_after_it(self, server: RedisServer) -> None:
        session_id = new_id()
        async with process(server, "here") as here, process(server, "there") as there:
            inbox = there.expect(session_id)
            await asyncio.sleep(0.2)
            here.publish(delta(session_id, 0))
            assert await offsets(inbox, 0) == [0]
            with redis.Redis.from_url(server.url) as client:
                client.client_kill_filter(_type="normal", skipme=True)
            for offset in range(1, 6):
                here.publish(delta(session_id, offset))
                await asyncio.sleep(0.1)
            assert await offsets(inbox, 5) == [1, 2, 3, 4, 5]

    @pytest.mark.parametrize("hurt", ["killed", "flushed", "frozen"])
    async def test_a_redis_that_comes_back_carries_on(self, server: RedisServer, hurt: str) -> None:
        session_id = new_id()
        async with process(server, "here") as here, process(server, "there") as there:
            inbox = there.expect(session_id)
            await asyncio.sleep(0.2)
            match hurt:
                case "killed":
                    server.kill()
                case "flushed":
                    server.flush()
                case "frozen":
                    server.signal(signal.SIGSTOP)
            here.publish(delta(session_id, 7))
            await asyncio.sleep(0.3)
            match hurt:
                case "killed":
                    server.start()
                case "frozen":
                    server.signal(signal.SIGCONT)
            here.publish(delta(session_id, 8))
            assert await offsets(inbox, 8) == [7, 8]


class TestCommands:
    async def test_only_the_first_call_waits_for_a_redis_that_hangs(self, server: RedisServer) -> None:
        async with open_redis(server.url) as client:
            await client.set("name", b"value", 60)
            server.signal(signal.SIGSTOP)
            took = []
            for _ in range(6):
                began = time.perf_counter()
                assert await client.get("name") is None
                took.append(time.perf_counter() - began)
                await asyncio.sleep(0.4)  # longer together than the pause between two knocks
            assert COMMAND_S <= took[0] < usual(0.3)
            assert median(took[1:]) < usual(0.02)
            server.signal(signal.SIGCONT)
            async with asyncio.timeout(5):
                while await client.get("name") != b"value":
                    await asyncio.sleep(0.05)


class TestItsEnd:
    async def test_comes_at_once_in_the_middle_of_what_it_carries(self, server: RedisServer) -> None:
        """A command that ends as it is cancelled must not lose the cancel."""
        for _ in range(WIRES):
            streams, session_id = Streams(cast(Database, None)), new_id()
            running = asyncio.create_task(LiveWire(server.url, streams, "here").run())
            talking = asyncio.create_task(talk(streams, session_id))
            await asyncio.sleep(0.03)
            running.cancel()
            done, _ = await asyncio.wait({running}, timeout=AGAIN_S - 1)
            talking.cancel()
            assert done, "the wire did not hear that it was cancelled"


async def talk(streams: Streams, session_id: UUID) -> None:
    """More than a busy loop gets done between two looks."""
    for offset in itertools.count():
        streams.publish(delta(session_id, 5 * offset))
        time.sleep(0.0005)  # noqa: ASYNC251  a busy loop
        await asyncio.sleep(0)
