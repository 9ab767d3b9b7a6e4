"""How often one caller may ask: moving windows per principal, shared through Redis where there is one.

A Redis that is away must not lock anybody out and must not open the gates: the count goes on in this process.
"""

import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from memory.errors import TooMany

if TYPE_CHECKING:
    from memory.redis import Redis

MOST_TOLD = 10_000
LONGEST_WAIT_S = 5.0
SWEEP_S = 1.0


class Counters(MemoryStorage):
    """This process's own. The library looks through all callers for what has expired whenever one of them asks, which
    with 10,000 callers would be most of a request's work; here that happens every `SWEEP_S`."""

    def __init__(self) -> None:
        super().__init__()
        self._swept = -SWEEP_S

    async def _MemoryStorage__schedule_expiry(self) -> None:  # noqa: N802  # private, and the only way in
        now = time.monotonic()
        if now - self._swept >= SWEEP_S:
            self._swept = now
            await super()._MemoryStorage__schedule_expiry()  # type: ignore[misc]


@dataclass(slots=True)
class Limiter:
    """`check` counts one request of a caller under a named limit; raises TooMany with the seconds to wait."""

    redis: "Redis | None"
    _local: SlidingWindowCounterRateLimiter = field(default_factory=lambda: SlidingWindowCounterRateLimiter(Counters()))
    _told: OrderedDict[str, float] = field(default_factory=OrderedDict)
    """Callers, and the moment before which they shall not ask again."""

    async def check(self, name: str, caller: str, per_minute: int) -> None:
        if not await self._shared(name, caller, per_minute):
            raise _too_many(name, per_minute, 60 - time.time() % 60)
        item = RateLimitItemPerMinute(per_minute)
        if not await self._local.hit(item, name, caller):
            window = await self._local.get_window_stats(item, name, caller)
            raise _too_many(name, per_minute, window.reset_time - time.time())

    def refuse_early(self, caller: str) -> None:
        """Raises TooMany for a caller who was told to wait and does not: to look them up would cost the others' answers
        more than the refusal."""
        left = self._told.get(caller, 0.0) - time.monotonic()
        if left > 0:
            raise TooMany("you were asked to wait; please try again in a moment", retry_after=max(1.0, left))

    @contextmanager
    def remembering(self, caller: str) -> Iterator[None]:
        """Remember who is told to wait, and until when."""
        try:
            yield
        except TooMany as error:
            self._told[caller] = time.monotonic() + min(error.retry_after or 1.0, LONGEST_WAIT_S)
            while len(self._told) > MOST_TOLD:
                self._told.popitem(last=False)
            raise

    async def _shared(self, name: str, caller: str, per_minute: int) -> bool:
        """A counter per caller and minute over all processes; without a real Redis this process's own count is enough."""
        if self.redis is None:
            return True
        key = f"helpdesk:limit:{name}:{caller}:{int(time.time() // 60)}"
        pipe = self.redis.client.pipeline(transaction=False)
        pipe.incr(key)
        pipe.expire(key, 120)
        counted = await self.redis.ask(pipe.execute(), [0, False])
        return int(counted[0]) <= per_minute


def _too_many(name: str, per_minute: int, wait_s: float) -> TooMany:
    error = TooMany("you are asking too often; please wait a moment", retry_after=max(1.0, wait_s))
    error.policy = (name, per_minute)
    return error
