"""What a knowledge index must be able to do, whichever store it is.

Rows in Postgres (`passages`) are the truth for every index: they hold the text, the lexical half and all that is
filtered on. An index adds the vectors. Writing has three steps, so that no search ever meets a row without its
vector, and a crash between two of them leaves only vectors without rows, which no search returns:

    stage     before the transaction: vectors that live outside Postgres
    write     in the caller's transaction: rows, vectors that live in Postgres, the revision
    settle    after the commit: what lives outside Postgres is made to agree with the rows
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from kbs.passages import Passage, Source
from memory.database import Connection
from memory.models import GLOBAL_TENANT
from memory.once import Once

Vectors = NDArray[np.float32]
Kind = Literal["article", "example", "correction"]
KINDS: dict[Source, Kind] = {
    Source.GLOBAL_KB: "article",
    Source.TENANT_KB: "article",
    Source.EXAMPLE: "example",
    Source.CORRECTION: "correction",
}
"""The column `source` of a row; whether an article is global is said by its tenant."""


class Postgres(Protocol):
    """Transactions of a tenant, with a connection or each in one message, and one connection outside any: a
    `memory.database.Database` of either role."""

    def connection(self, tenant_id: UUID) -> AbstractAsyncContextManager[Connection]: ...

    def lookup(self) -> AbstractAsyncContextManager[Connection]: ...

    def once(self, tenant_id: UUID, lane: str = "") -> Once: ...

    def calls(self, tenant_id: UUID) -> Once: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What may be searched on behalf of whom. Built from the principal and the tenant's settings, never from input."""

    tenant_id: UUID
    collections: tuple[str, ...] = ()
    """Global collections that the tenant has enabled."""
    audience: frozenset[str] | None = frozenset()
    """Of the caller: an article for other audiences is not found. None for staff, who see all."""
    sources: frozenset[Source] = frozenset(Source)

    def owner_of(self, source: Source) -> UUID:
        return GLOBAL_TENANT if source is Source.GLOBAL_KB else self.tenant_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One passage as it is stored."""

    id: UUID
    kind: Kind
    collection: str
    ref: str
    article_id: UUID | None
    version: int
    ordinal: int
    title: str
    heading: str
    text: str
    digest: str
    vector: Vectors
    language: str = "en"
    audience: tuple[str, ...] = ()
    active: bool = True
    effective_from: datetime | None = None
    effective_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """Whether an article's passages may be found: an article that another one replaces is not active."""

    active: bool = True
    until: datetime | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Candidate:
    """A passage that one half of the search or both found: what it is ranked by, and the row that it stands in. Of fifty,
    six are read."""

    id: UUID
    source: Source
    ref: str
    vector: Vectors
    lexical: float
    """Share of the question's words that the passage has, rare words counting more: 0 to about 1."""
    row: Mapping[str, Any]

    @property
    def passage(self) -> Passage:
        """`similarity` and `score` are not set yet."""
        row = self.row
        return Passage(
            id=self.id, source=self.source, ref=self.ref, title=row["title"], heading=row["heading"], text=row["text"],
            digest=row["digest"], article_id=row["article_id"], version=row["version"], collection=row["collection"],
            language=row["language"],
        )  # fmt: skip


class KnowledgeIndex(Protocol):
    """Passages and their vectors, of one embedder."""

    embedder: str
    dimensions: int

    async def candidates(
        self, scope: Scope, *, vector: Vectors | None, text: str | None, k: int
    ) -> tuple[Candidate, ...]:
        """The k nearest to the vector and the k best by words, of each source in scope, all filters applied."""

    async def vectors(self, tenant_id: UUID, kind: Kind, ref: str) -> dict[tuple[str, str, str], Vectors]:
        """By (title, heading, text): what need not be embedded again when an article changes."""

    async def count(self, tenant_id: UUID) -> int:
        """Vectors of this embedder that the tenant has."""

    async def stage(self, tenant_id: UUID, rows: Sequence[Row]) -> None: ...

    async def write(self, connection: Connection, tenant_id: UUID, kind: Kind, ref: str, rows: Sequence[Row]) -> None:
        """Put these rows where all passages of `ref` were; no rows removes it."""

    async def switch(self, connection: Connection, tenant_id: UUID, validity: Mapping[str, Validity]) -> None:
        """Let articles be found or not, by ref, in the caller's transaction."""

    async def settle(self, tenant_id: UUID, kind: Kind, refs: Collection[str]) -> None: ...

    async def clear(self, connection: Connection, tenant_id: UUID) -> None: ...


@asynccontextmanager
async def replacing(
    index: KnowledgeIndex, database: Postgres, tenant_id: UUID, kind: Kind, ref: str, rows: Sequence[Row]
) -> AsyncIterator[Connection]:
    """All passages of one article or example, in a transaction that the caller may add its own rows to."""
    await index.stage(tenant_id, rows)
    async with database.connection(tenant_id) as connection:
        await index.write(connection, tenant_id, kind, ref, rows)
        yield connection
    await index.settle(tenant_id, kind, (ref,))


async def replace(
    index: KnowledgeIndex, database: Postgres, tenant_id: UUID, kind: Kind, ref: str, rows: Sequence[Row]
) -> None:
    async with replacing(index, database, tenant_id, kind, ref, rows):
        pass


async def remove(index: KnowledgeIndex, database: Postgres, tenant_id: UUID, kind: Kind, refs: Collection[str]) -> None:
    async with database.connection(tenant_id) as connection:
        for ref in refs:
            await index.write(connection, tenant_id, kind, ref, ())
    await index.settle(tenant_id, kind, refs)
