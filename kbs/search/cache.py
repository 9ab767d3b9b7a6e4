"""Results of searches, kept for a while under a key that holds everything they depend on.

The key has the tenant, the caller's audience, the collections, the revisions of the tenant's and the global
knowledge, the settings and a digest of the question. So an edit, which bumps a revision in its own transaction, makes
every older result unreachable. The value says whose it is and is checked when it is read: a mixed-up answer of the
cache is a miss. The cache may fail at any time; a search never does because of it.
"""

import asyncio
import base64
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

import numpy as np
import orjson

from kbs.index import Postgres, Scope, Vectors
from kbs.passages import Passage, Source
from memory.models import GLOBAL_TENANT
from memory.pipeline import statement

log = logging.getLogger(__name__)

TTL_S = 600
PATIENCE_S = 0.25

_STATE = statement("select knowledge_state(%(tenant)s, %(everyone)s) as state")


class ByteStore(Protocol):
    """What keeps the results, such as Redis; it may lose anything at any time."""

    async def get(self, key: str) -> bytes | None: ...

    async def set(self, key: str, value: bytes, ttl_s: int) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """What a search found."""

    passages: tuple[Passage, ...]
    vector: Vectors | None
    """The question's, so that nobody embeds it again; None after a lexical search."""
    similarities: Mapping[Source, tuple[float, ...]] = field(default_factory=dict)
    """The best raw cosines of each source, clipped to [0, 1], best first; a source that has nothing is missing."""
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    cached: bool = False

    def best(self, source: Source) -> float:
        """Similarity of the source's best match, 0 where there is none."""
        return next(iter(self.similarities.get(source, ())), 0.0)


async def knowledge_state(database: Postgres, tenant_id: UUID) -> str:
    """Changes whenever a search of the tenant could find something else: by an edit, or by a date that has come."""
    asked = (_STATE, {"tenant": tenant_id, "everyone": GLOBAL_TENANT})
    ((row,),) = await database.calls(tenant_id).together(asked)
    return str(row["state"])


class SearchCache:
    """Counts its hits and misses; a failing store is a miss and is logged once."""

    def __init__(self, store: ByteStore, *, ttl_s: int = TTL_S) -> None:
        self.hits = 0
        self.misses = 0
        self._store = store
        self._ttl_s = ttl_s
        self._works = True

    def key(self, scope: Scope, state: str, embedder: str, settings: Any, query: str) -> str:
        parts = (
            sorted(scope.audience) if scope.audience is not None else "staff",
            sorted(scope.collections),
            sorted(scope.sources),
            embedder,
            repr(settings),
            query,
        )
        digest = hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()
        return f"search:{scope.tenant_id}:{state}:{digest}"

    async def get(self, key: str, tenant_id: UUID) -> Retrieved | None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                value = await self._store.get(key)
            found = _decoded(value, tenant_id) if value else None
        except Exception as error:
            self._failed(error)
            found = None
        else:
            self._works = True
        if found is None:
            self.misses += 1
        else:
            self.hits += 1
        return found

    async def put(self, key: str, tenant_id: UUID, found: Retrieved) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._store.set(key, _encoded(found, tenant_id), self._ttl_s)
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        if self._works:
            log.warning("the cache of searches fails (%s); searching without it", type(error).__name__)
        self._works = False


def _encoded(found: Retrieved, tenant_id: UUID) -> bytes:
    vector = None if found.vector is None else base64.b64encode(found.vector.astype("<f4").tobytes()).decode()
    return orjson.dumps(
        {
            "tenant": tenant_id,
            "vector": vector,
            "similarities": {source.value: values for source, values in found.similarities.items()},
            "passages": found.passages,
        }
    )


def _decoded(value: bytes, tenant_id: UUID) -> Retrieved | None:
    """None for a value that is not this tenant's."""
    read = orjson.loads(value)
    if read["tenant"] != str(tenant_id):
        return None
    vector = None
    if read["vector"] is not None:
        vector = np.frombuffer(base64.b64decode(read["vector"]), "<f4").astype(np.float32)
    return Retrieved(
        passages=tuple(_passage(each) for each in read["passages"]),
        vector=vector,
        similarities={Source(source): tuple(values) for source, values in read["similarities"].items()},
        cached=True,
    )


def _passage(fields: dict[str, Any]) -> Passage:
    article_id = fields["article_id"]
    ids = {"id": UUID(fields["id"]), "article_id": UUID(article_id) if article_id else None}
    return Passage(**{**fields, **ids, "source": Source(fields["source"])})
