"""What one process keeps for a while where there is no Redis: the newest values, each until it expires."""

import time
from collections import OrderedDict
from collections.abc import Callable

MOST_KEPT = 250
"""Values, of some 12 KB each."""


class LocalCache:
    """A store with a Redis' interface and no other process in it."""

    def __init__(self, *, most: int = MOST_KEPT, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._values: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    async def get(self, key: str) -> bytes | None:
        until, value = self._values.get(key, (0.0, None))
        if value is not None and until <= self._clock():
            del self._values[key]
            return None
        return value

    async def set(self, key: str, value: bytes, ttl_s: float) -> None:
        own = memoryview(value).tobytes()  # what orjson wrote still has the room that it was written in, 128 KB
        self._values[key] = (self._clock() + ttl_s, own)
        self._values.move_to_end(key)
        while len(self._values) > self._most:
            self._values.popitem(last=False)
