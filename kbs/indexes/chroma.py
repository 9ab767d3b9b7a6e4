"""The index with its vectors in Chroma: apart by embedder, tenant and kind.

Postgres keeps the rows and the lexical half, and stays the judge: whatever Chroma finds is looked up there under the
same filter and row-level security, so a vector that should be gone finds nothing. Chroma has the filter too, or dead
neighbours would take the places of living ones.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import numpy as np
from psycopg import sql

from kbs.index import Candidate, Kind, Postgres, Row, Scope, Validity, Vectors
from kbs.indexes.chroma_shelves import Place, Shelves
from kbs.indexes.chroma_store import ChromaStore
from kbs.indexes.lexical import lexical_steps, lexical_values
from kbs.indexes.pgvector import candidate
from kbs.indexes.rows import allowed, clear_rows, looked_up, scope_values, sources_of, switch_rows, write_rows
from kbs.passages import Source
from memory.database import Connection
from memory.models import GLOBAL_TENANT

KIND_NAMES: tuple[Kind, ...] = ("article", "example", "correction")
_NEAR = sql.SQL(
    "select t.id, {kb} as kb, 0::float8 as score from passages t where {where} and t.id = any({ids}::uuid[])"
)
_PLACES = """
select id, ref, collection, audience, active, effective_from, effective_until from passages
where tenant_id = %s and source = %s and ref = any(%s) and embedder = %s
"""
_TEXTS = """
select id, title, heading, text from passages where tenant_id = %s and source = %s and ref = %s and embedder = %s
"""


class ChromaIndex:
    """Vectors in `store`, rows in `database`."""

    def __init__(
        self, database: Postgres, store: ChromaStore, *, embedder: str, dimensions: int, name: str = "helpdesk"
    ) -> None:
        self.embedder = embedder
        self.dimensions = dimensions
        self._database = database
        self._store = store
        self._shelves = Shelves(name, embedder)

    async def candidates(
        self, scope: Scope, *, vector: Vectors | None, text: str | None, k: int
    ) -> tuple[Candidate, ...]:
        if not sources_of(scope) or (vector is None and not text):
            return ()
        near = await self._nearest(scope, vector, k) if vector is not None else {}
        rows = await self._rows(scope, near, text, k)
        vectors = {id_: found for source in near.values() for id_, found in source.items()}
        await self._add_missing(scope, [row for row in rows if row["id"] not in vectors], vectors)
        nothing = np.zeros(self.dimensions, np.float32)
        return tuple(candidate(row, vectors.get(row["id"], nothing)) for row in rows)

    async def _nearest(self, scope: Scope, vector: Vectors, k: int) -> dict[Source, dict[UUID, Vectors]]:
        sources = sources_of(scope)
        hidden = await self._replaced(scope) if Source.GLOBAL_KB in sources else []

        async def on_shelf(name: str, where: dict[str, Any] | None) -> dict[UUID, Vectors]:
            found = await self._store.use(
                name, "query", query_embeddings=[vector], n_results=k, where=where, include=["embeddings"]
            )
            return _by_id(found["ids"][0], found["embeddings"][0]) if found else {}

        async def nearest(source: Source) -> dict[UUID, Vectors]:
            shelves = self._shelves.searched(scope, source, hidden)
            parts = await asyncio.gather(*(on_shelf(name, where) for name, where in shelves.items()))
            found = {id_: each for part in parts for id_, each in part.items()}
            return dict(sorted(found.items(), key=lambda item: -float(item[1] @ vector))[:k])

        return dict(zip(sources, await asyncio.gather(*map(nearest, sources)), strict=True))

    async def _replaced(self, scope: Scope) -> list[str]:
        async with self._database.connection(scope.tenant_id) as connection:
            cursor = await connection.execute(
                "select replaced from knowledge_revisions where tenant_id = %s", (scope.tenant_id,)
            )
            row = await cursor.fetchone()
        return list(row["replaced"]) if row else []

    async def _rows(
        self, scope: Scope, near: Mapping[Source, Mapping[UUID, Vectors]], text: str | None, k: int
    ) -> list[dict[str, Any]]:
        values = scope_values(scope, self.embedder)
        halves: list[sql.Composable] = []
        steps: list[sql.Composable] = []
        for source, found in near.items():
            values[f"near_{source.value}"] = list(found)
            where = allowed(scope, source)
            ids = sql.Placeholder(f"near_{source.value}")
            halves.append(_NEAR.format(kb=sql.Literal(source.value), where=where, ids=ids))
        if text:
            values |= lexical_values(text)
            steps.append(lexical_steps(scope, k))
            halves.append(sql.SQL("select id, kb, score from lexical"))
        rows = looked_up(scope, sql.SQL(" union all ").join(halves))
        statement = sql.SQL("with ") + sql.SQL(", ").join([*steps, rows])
        async with self._database.connection(scope.tenant_id) as connection:
            return await (await connection.execute(statement, values)).fetchall()

    async def _add_missing(self, scope: Scope, rows: Sequence[Mapping[str, Any]], vectors: dict[UUID, Vectors]) -> None:
        """Vectors of what only the words found."""
        wanted: dict[Source, list[str]] = {}
        for row in rows:
            wanted.setdefault(Source(row["kb"]), []).append(str(row["id"]))
        for source, ids in wanted.items():
            for name in self._shelves.searched(scope, source, ()):
                found = await self._store.use(name, "get", ids=ids, include=["embeddings"])
                if found:
                    vectors |= _by_id(found["ids"], found["embeddings"])

    async def vectors(self, tenant_id: UUID, kind: Kind, ref: str) -> dict[tuple[str, str, str], Vectors]:
        vectors: dict[UUID, Vectors] = {}
        for name in await self._all_shelves(tenant_id, kind):
            found = await self._store.use(name, "get", where={"ref": ref}, include=["embeddings"])
            if found:
                vectors |= _by_id(found["ids"], found["embeddings"])
        if not vectors:
            return {}
        async with self._database.connection(tenant_id) as connection:
            cursor = await connection.execute(_TEXTS, (tenant_id, kind, ref, self.embedder))
            rows = await cursor.fetchall()
        return {(row["title"], row["heading"], row["text"]): vectors[row["id"]] for row in rows if row["id"] in vectors}

    async def count(self, tenant_id: UUID) -> int:
        names = [name for kind in KIND_NAMES for name in await self._all_shelves(tenant_id, kind)]
        return sum([await self._store.use(name, "count") or 0 for name in names])

    async def stage(self, tenant_id: UUID, rows: Sequence[Row]) -> None:
        """New vectors under ids that nobody knows yet."""
        shelves: dict[str, list[tuple[str, Vectors, Place]]] = {}
        for row in rows:
            place = Place(
                ref=row.ref, collection=row.collection, audience=row.audience, active=row.active,
                effective_from=row.effective_from, effective_until=row.effective_until,
            )  # fmt: skip
            shelves.setdefault(self._shelves.of(tenant_id, row.kind, place), []).append(
                (str(row.id), row.vector, place)
            )
        for name, entries in shelves.items():
            await self._put(name, entries)

    async def write(self, connection: Connection, tenant_id: UUID, kind: Kind, ref: str, rows: Sequence[Row]) -> None:
        await write_rows(connection, tenant_id, self.embedder, kind, ref, rows)

    async def switch(self, connection: Connection, tenant_id: UUID, validity: Mapping[str, Validity]) -> None:
        await switch_rows(connection, ("passages",), tenant_id, validity)

    async def settle(self, tenant_id: UUID, kind: Kind, refs: Collection[str]) -> None:
        """Drop the vectors of these refs that have no row any more, and move the others where their row belongs."""
        if not refs:
            return
        places: dict[str, Place] | None = None
        for name in await self._all_shelves(tenant_id, kind):
            held = await self._store.use(name, "get", where={"ref": {"$in": list(refs)}}, include=["embeddings"])
            if not held or not held["ids"]:
                continue
            places = await self._places(tenant_id, kind, refs) if places is None else places
            for id_, vector in zip(held["ids"], held["embeddings"], strict=True):
                if id_ in places:
                    target = self._shelves.of(tenant_id, kind, places[id_])
                    await self._put(target, [(id_, np.asarray(vector, np.float32), places[id_])])
            here = {id_ for id_, place in places.items() if self._shelves.of(tenant_id, kind, place) == name}
            gone = [id_ for id_ in held["ids"] if id_ not in here]
            if gone:
                await self._store.use(name, "delete", ids=gone)

    async def clear(self, connection: Connection, tenant_id: UUID) -> None:
        await clear_rows(connection, tenant_id)
        for kind in KIND_NAMES:
            for name in await self._all_shelves(tenant_id, kind):
                await self._store.drop(name)

    async def _put(self, name: str, entries: Sequence[tuple[str, Vectors, Place]]) -> None:
        size = await self._store.batch_size()
        for start in range(0, len(entries), size):
            ids, vectors, places = zip(*entries[start : start + size], strict=True)
            await self._store.use(
                name, "upsert", create=True,
                ids=list(ids), embeddings=list(vectors), metadatas=[place.metadata for place in places],
            )  # fmt: skip

    async def _places(self, tenant_id: UUID, kind: Kind, refs: Iterable[str]) -> dict[str, Place]:
        async with self._database.connection(tenant_id) as connection:
            cursor = await connection.execute(_PLACES, (tenant_id, kind, list(refs), self.embedder))
            return {str(row.pop("id")): Place(**row) for row in await cursor.fetchall()}

    async def _all_shelves(self, tenant_id: UUID, kind: Kind) -> Sequence[str]:
        if tenant_id != GLOBAL_TENANT:
            return self._shelves.fixed(tenant_id, kind)
        return await self._store.names(self._shelves.stem(tenant_id, kind))


def _by_id(ids: Sequence[str], vectors: Iterable[Any]) -> dict[UUID, Vectors]:
    return {UUID(id_): np.asarray(vector, np.float32) for id_, vector in zip(ids, vectors, strict=True)}
