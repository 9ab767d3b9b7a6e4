"""A circuit breaker per provider: five failures in a row open it for ten seconds, then one probe may try."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

FAILURES_TO_OPEN = 5
OPEN_S = 10.0


class CircuitOpen(Exception):
    """The provider has just failed again and again; no request was made."""


class Attempt:
    """One request under the breaker; an attempt that is neither (a caller that left) changes nothing."""

    succeeded: bool | None = None


class Breaker:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether the next attempt would be refused."""
        return self._open_until > self._clock() or self._probing

    @contextmanager
    def attempt(self) -> Iterator[Attempt]:
        """Raises `CircuitOpen` while open; the caller sets `succeeded` on what it is given."""
        if self.is_open:
            raise CircuitOpen
        probe = self._probing = self._failures >= FAILURES_TO_OPEN
        attempt = Attempt()
        try:
            yield attempt
        finally:
            if probe:
                self._probing = False
            self._record(attempt.succeeded)

    def forget(self) -> None:
        """Closed again, as if nothing had failed."""
        self._record(True)

    def _record(self, succeeded: bool | None) -> None:
        if succeeded:
            self._failures = 0
            self._open_until = 0.0
        elif succeeded is False:
            self._failures += 1
            if self._failures >= FAILURES_TO_OPEN:
                self._open_until = self._clock() + OPEN_S
