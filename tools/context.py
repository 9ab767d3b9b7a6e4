"""Everything a tool may touch during a turn, with the tenant and customer from here and never from a model."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import UUID

from kbs.retrieval_cache import Retrieved
from memory.database import Database
from memory.events import Event, Journal, journal
from memory.streams import Streams
from memory.tenancy import Principal
from memory.turns import Lease, hold
from tools.tenants import TenantOptions

Search = Callable[[str], Awaitable[Retrieved]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnContext:
    """One turn's surroundings; tests build it by hand."""

    principal: Principal
    lease: Lease
    database: Database
    streams: Streams
    options: TenantOptions
    search: Search
    """The knowledge base as this caller may see it."""
    people_there: bool = True
    """Whether a colleague could take the conversation now."""
    ordinals: Any = field(default_factory=lambda: count(1))
    """Numbers the effects of this turn, so that none happens twice."""
    done: set[str] = field(default_factory=set)
    """Tools that were run in this turn."""

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

    @asynccontextmanager
    async def effect(self) -> AsyncIterator[Journal]:
        """A transaction in which a tool may act: it fails when the turn is no longer ours to act for."""
        async with self.journal() as entry:
            await hold(entry.connection, self.lease)
            yield entry
