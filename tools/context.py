"""Everything a tool may touch during a turn, with the tenant and customer from here and never from a model.

A turn may also be rehearsed, to see what would come of it: then whatever it would do to the world is noted instead.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar
from uuid import UUID

from kbs.search.cache import Retrieved
from memory.database import Database
from memory.errors import Conflict
from memory.events import Event, Journal, Publisher, journal
from memory.models import Ticket
from memory.tenancy import Principal
from memory.turns import Lease, hold
from tools.consent import NotAsked, OwnWords, Wish
from tools.tenants import TenantOptions

Search = Callable[[str], Awaitable[Retrieved]]
Done = TypeVar("Done")


class OnlyRehearsed(Conflict):
    """An effect was asked for in a rehearsal that does not know what could stand in for it."""

    code = "only_rehearsed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What a rehearsed turn would have done."""

    what: str
    data: dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Rehearsal:
    """Marks a turn that must change nothing, and keeps what it would have done."""

    ticket: Ticket
    """Stands for the ticket that the turn would open; no row."""
    deeds: list[Deed] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnContext:
    """One turn's surroundings; tests build it by hand."""

    principal: Principal
    lease: Lease
    database: Database
    streams: Publisher
    options: TenantOptions
    search: Search
    """The knowledge base as this caller may see it."""
    people_there: bool = True
    """Whether a colleague could take the conversation now."""
    ordinals: Any = field(default_factory=lambda: count(1))
    """Numbers the effects of this turn, so that none happens twice."""
    done: set[str] = field(default_factory=set)
    """Tools that were run in this turn."""
    words: OwnWords = field(default_factory=OwnWords)
    """What the customer themselves wrote: nothing that is kept on a model's word is in other words."""
    wishes: set[Wish] = field(default_factory=set)
    """What their words call for; see tools/consent.py."""
    held_back: set[Wish] = field(default_factory=set)
    """What a model wanted to do in this turn without their wish."""
    may_act: bool = True
    """Whether effects are let through; not those of a tool that is said to have none."""
    rehearsal: Rehearsal | None = None

    @property
    def session_id(self) -> UUID:
        return self.lease.session_id

    @property
    def customer_id(self) -> UUID:
        assert self.principal.customer_id is not None  # a turn is always some customer's
        return self.principal.customer_id

    def tell(self, kind: str, data: dict[str, Any]) -> None:
        """Show watchers something that passes: a step, a tool at work."""
        self.streams.publish(Event(session_id=self.session_id, type=kind, data=data))

    def journal(self) -> AbstractAsyncContextManager[Journal]:
        return journal(self.database, self.streams, self.principal.tenant_id)

    async def act(
        self,
        what: str,
        data: dict[str, Any],
        do: Callable[[Journal], Awaitable[Done]],
        *,
        rehearsed: Callable[[Rehearsal], Done],
    ) -> Done:
        """Have an effect. A rehearsal notes it, and goes on with `rehearsed` in place of what would have come of it.
        Raises NotAsked where no wish of the customer stands behind it."""
        self._must_be_wished()
        if self.rehearsal is not None:
            self.rehearsal.deeds.append(Deed(what=what, data=data))
            return rehearsed(self.rehearsal)
        async with self.effect() as entry:
            return await do(entry)

    def _must_be_wished(self) -> None:
        if not self.may_act:
            raise NotAsked("this tool is not said to change anything")

    @asynccontextmanager
    async def effect(self) -> AsyncIterator[Journal]:
        """A transaction in which a tool may act: it fails when the turn is no longer ours to act for. Raises
        OnlyRehearsed where it is not to act at all, NotAsked where no wish of the customer stands behind it."""
        self._must_be_wished()
        if self.rehearsal is not None:
            raise OnlyRehearsed("nothing is done in a rehearsal")
        async with self.journal() as entry:
            await hold(entry.connection, self.lease)
            yield entry
