"""Redis for what may be lost: a client that fails fast, and a breaker that stops asking a dead one.

Without a REDIS_URL an in-process substitute with the same interface serves. A command has 0.1 s and no retry; after
a failure nobody asks until a ping beside the work was answered: one call waits for a Redis that hangs, no other does.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import redis.asyncio as redis
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from memory.patience import end

log = structlog.get_logger()
T = TypeVar("T")
COMMAND_S = 0.1
PAUSE_S = 1.0
MOST_KEPT = 1000
"""Values that the in-process substitute holds, of some 8 KB each."""


class Redis:
    """One client and its breaker; `real` tells whether other processes see the same data."""

    def __init__(self, client: Any, *, real: bool) -> None:
        self.client, self.real = client, real
        self._knocking: asyncio.Task[None] | None = None
        self._kept: OrderedDict[str, None] = OrderedDict()
        """What the substitute holds, oldest first: it drops what has expired only when somebody asks for it."""

    @property
    def available(self) -> bool:
        return self._knocking is None or self._knocking.done()

    async def ask(self, command: Awaitable[T], default: T) -> T:
        """The answer, or `default` when Redis is slow, away, or was so a moment ago."""
        if not self.available:
            getattr(command, "close", lambda: None)()
            return default
        try:
            async with asyncio.timeout(COMMAND_S):
                return await command
        except (redis.RedisError, OSError, TimeoutError) as error:
            if self.available:
                log.warning("redis is away", error=type(error).__name__)
                self._knocking = asyncio.create_task(self._knock())
            return default

    async def _knock(self) -> None:
        """Until it answers."""
        while True:
            await asyncio.sleep(PAUSE_S)
            with suppress(redis.RedisError, OSError, TimeoutError):
                async with asyncio.timeout(COMMAND_S):
                    await self.client.ping()
                    return

    async def aclose(self) -> None:
        if self._knocking:
            await end(self._knocking)
        await self.client.aclose()

    async def get(self, key: str) -> bytes | None:
        return await self.ask(self.client.get(key), None)

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        await self.ask(self.client.set(key, value, px=int(ttl_s * 1000)), None)
        await self._make_room([key])

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        return await self.ask(self.client.mget(keys), [None] * len(keys)) if keys else []

    async def set_many(self, values: dict[str, bytes], ttl_s: float) -> None:
        pipe = self.client.pipeline(transaction=False)
        for key, value in values.items():
            pipe.set(key, value, px=int(ttl_s * 1000))
        await self.ask(pipe.execute(), [])
        await self._make_room(list(values))

    async def _make_room(self, written: list[str]) -> None:
        """A real Redis has its own limit of memory."""
        if self.real:
            return
        for key in written:
            self._kept[key] = None
            self._kept.move_to_end(key)
        oldest = [self._kept.popitem(last=False)[0] for _ in range(len(self._kept) - MOST_KEPT)]
        if oldest:
            await self.ask(self.client.delete(*oldest), 0)


@asynccontextmanager
async def open_redis(url: str | None) -> AsyncIterator[Redis]:
    if url is None:
        import fakeredis  # only where there is no Redis

        client: Any = fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer())
    else:
        client = redis.from_url(  # `ask` has the limit; the library's own wraps every command in a task
            url, socket_timeout=None, socket_connect_timeout=COMMAND_S, retry=Retry(NoBackoff(), 0)
        )
    opened = Redis(client, real=url is not None)
    try:
        yield opened
    finally:
        await opened.aclose()
