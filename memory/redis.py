"""Redis for what may be lost: a client that fails fast, and a breaker that stops asking a dead one.

A command has 0.1 s and no retry; after a failure nobody asks until a ping beside the work was answered: one call waits
for a Redis that hangs, no other does. Without a REDIS_URL each process has its own (`memory/local_cache.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import redis.asyncio as redis
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from memory.cancelling import end

log = structlog.get_logger()
T = TypeVar("T")
COMMAND_S = 0.1
PAUSE_S = 1.0


class Redis:
    """One client and its breaker."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self._knocking: asyncio.Task[None] | None = None

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

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        return await self.ask(self.client.mget(keys), [None] * len(keys)) if keys else []

    async def set_many(self, values: dict[str, bytes], ttl_s: float) -> None:
        pipe = self.client.pipeline(transaction=False)
        for key, value in values.items():
            pipe.set(key, value, px=int(ttl_s * 1000))
        await self.ask(pipe.execute(), [])


@asynccontextmanager
async def open_redis(url: str) -> AsyncIterator[Redis]:
    opened = Redis(
        redis.from_url(  # `ask` has the limit; the library's own wraps every command in a task
            url, socket_timeout=None, socket_connect_timeout=COMMAND_S, retry=Retry(NoBackoff(), 0)
        )
    )
    try:
        yield opened
    finally:
        await opened.aclose()
