"""Which turn of this process begins next, and when to say that there are too many.

The half of a turn up to the model is this process's own work. Begun all at once, a burst would make every answer slow
together, those of other tenants too. So few turns are in that half at a time; the rest wait, and tenants take turns: who
sends much waits for itself. A tenant with none there begins one at once, and no tenant has more than a quarter of the
places while another is here. Whoever would wait too long is told so before their message is stored.

Where many of one tenant wait they begin in groups: the same step of several turns, one after the other, takes much less
of the processor than with other work between them, and their questions are embedded in one request. While one group waits
for the database another begins. Beside another tenant there are no groups, which would let it wait.
"""

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from uuid import UUID

from memory.errors import TooMany

AT_ONCE = 8
"""Turns in their first half: enough to keep the processor busy while some wait for the database or for a vector, and few
enough that another tenant's turn soon has its share of it."""
SHARES = 4
"""Parts of the places, of which a tenant has one while another is here."""
GROUPS = 4
"""Of so many turns, in their first half at once where one tenant is here and so many wait."""
TOGETHER_S = 0.1
"""That the next group waits for the last of the one before, once its first has left."""
PATIENCE_S = 8.0
"""That a turn may wait to begin."""
STAYS_S = 3.0
"""That a tenant counts as here after its last turn has ended: who reads an answer asks again."""
LATELY = 64
"""Turns by which the pace is judged."""


class Admission:
    """The turns of one process that wait to begin."""

    def __init__(
        self,
        at_once: int = AT_ONCE,
        patience_s: float = PATIENCE_S,
        together_s: float = TOGETHER_S,
        stays_s: float = STAYS_S,
    ) -> None:
        self._at_once = at_once
        self._patience_s = patience_s
        self._together_s = together_s
        self._stays_s = stays_s
        self._here: Counter[UUID] = Counter()
        """Turns of each tenant, the ones that wait, are answered, and have just ended among them."""
        self._beginning: Counter[UUID] = Counter()
        """Of these, the ones in their first half."""
        self._all_beginning = 0
        self._waiting: OrderedDict[UUID, deque[asyncio.Future[None]]] = OrderedDict()
        self._begun: deque[float] = deque(maxlen=LATELY)
        self._next_group: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        return sum(len(line) for line in self._waiting.values())

    def check(self, tenant_id: UUID) -> None:
        """Raises TooMany where another turn of this tenant would wait too long."""
        line = self._waiting.get(tenant_id)
        if not line or len(line) < self._at_once:
            return
        wait_s = len(line) * len(self._waiting) * self._pause_s()
        if wait_s > self._patience_s:
            raise TooMany(
                "too much is being asked at once; please try again in a moment", retry_after=max(1.0, wait_s / 2)
            )

    @asynccontextmanager
    async def turn(self, tenant_id: UUID) -> AsyncIterator[Callable[[], None]]:
        """Wait to begin; call what is given once the first half is over, at the latest it is over with the block."""
        with self._present(tenant_id):
            await self._enter(tenant_id)
            held = True

            def leave() -> None:
                nonlocal held
                if held:
                    held = False
                    self._pass_on(tenant_id)

            try:
                yield leave
            finally:
                leave()

    @contextmanager
    def _present(self, tenant_id: UUID) -> Iterator[None]:
        self._here[tenant_id] += 1
        try:
            yield
        finally:
            asyncio.get_running_loop().call_later(self._stays_s, self._go, tenant_id)

    def _go(self, tenant_id: UUID) -> None:
        self._here[tenant_id] -= 1
        if not self._here[tenant_id]:
            del self._here[tenant_id], self._beginning[tenant_id]

    async def _enter(self, tenant_id: UUID) -> None:
        if tenant_id not in self._waiting and self._has_place_for(tenant_id):
            self._take(tenant_id)
        else:
            place = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(tenant_id, deque()).append(place)
            try:
                await place
            except asyncio.CancelledError:
                if place.done() and not place.cancelled():  # it was given the place in the moment in which it gave up
                    self._pass_on(tenant_id)
                else:
                    self._forget(tenant_id, place)
                raise
        self._begun.append(time.monotonic())

    def _has_place_for(self, tenant_id: UUID) -> bool:
        """A tenant's first turn may come on top of the others, as long as these are not twice as many as they should."""
        own = self._beginning[tenant_id]
        if not own:
            return self._all_beginning < 2 * self._at_once
        return self._all_beginning < self._at_once and (len(self._here) == 1 or own < max(1, self._at_once // SHARES))

    def _take(self, tenant_id: UUID) -> None:
        self._beginning[tenant_id] += 1
        self._all_beginning += 1

    def _pass_on(self, tenant_id: UUID) -> None:
        """Give up a place of this tenant, for whoever waits."""
        self._beginning[tenant_id] -= 1
        self._all_beginning -= 1
        if len(self._here) > 1 or self.waiting < self._at_once:
            self._let_in()
        elif self._room() >= self._at_once:
            self._let_in_together()
        elif self._next_group is None:
            self._next_group = asyncio.get_running_loop().call_later(self._together_s, self._let_in_together)

    def _room(self) -> int:
        """Places for groups."""
        return GROUPS * self._at_once - self._all_beginning

    def _let_in_together(self) -> None:
        """The next group, unless another tenant has come."""
        if len(self._here) > 1:
            self._let_in()
            return
        self._stop_waiting()
        for _ in range(min(self._room(), self._at_once)):
            if tenant_id := next(iter(self._waiting), None):
                self._give_place(tenant_id)

    def _let_in(self) -> None:
        """Fill the places."""
        self._stop_waiting()
        while tenant_id := next(filter(self._has_place_for, self._waiting), None):
            self._give_place(tenant_id)

    def _stop_waiting(self) -> None:
        if self._next_group:
            self._next_group.cancel()
            self._next_group = None

    def _give_place(self, tenant_id: UUID) -> None:
        """To the first in this tenant's line, which goes to the end of the row."""
        line = self._waiting.pop(tenant_id)
        place = line.popleft()
        if line:
            self._waiting[tenant_id] = line
        if not place.done():
            self._take(tenant_id)
            place.set_result(None)

    def _forget(self, tenant_id: UUID, place: "asyncio.Future[None]") -> None:
        if line := self._waiting.get(tenant_id):
            with suppress(ValueError):
                line.remove(place)
            if not line:
                del self._waiting[tenant_id]

    def _pause_s(self) -> float:
        """Between two turns that begin, lately."""
        if len(self._begun) < 2:
            return 0.0
        return (time.monotonic() - self._begun[0]) / len(self._begun)
