"""The index with its vectors in Chroma: one collection per embedder, tenant and kind.

Postgres keeps the rows and the lexical half, and stays the judge: whatever Chroma finds is looked up there under the
same filter and row-level security, so a vector that should be gone finds nothing. Chroma has the filter too, or dead
neighbours would take the places of living ones.
"""

import asyncio
import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np
from psycopg import sql

from kbs.index import KINDS, Candidate, Kind, Postgres, Row, Scope, Validity, Vectors
from kbs.indexes.chroma_store import ChromaStore
from kbs.indexes.lexical import lexical_steps, lexical_values
from kbs.indexes.pgvector import candidate
from kbs.indexes.rows import allowed, clear_rows, looked_up, scope_values, sources_of, switch_rows, write_rows
from kbs.passages import Source
from memory.database import Connection

EVERYONE = "for_everyone"
ALWAYS_FROM, ALWAYS_UNTIL = 0.0, 4e12
KIND_NAMES: tuple[Kind, ...] = ("article", "example", "correction")
_NEAR = sql.SQL(
    "select t.id, {kb} as kb, 0::float8 as score from passages t where {where} and t.id = any({ids}::uuid[])"
)


class ChromaIndex:
    """Vectors in `store`, rows in `database`."""

    def __init__(
        self, database: Postgres, store: ChromaStore, *, embedder: str, dimensions: int, name: str = "helpdesk"
    ) -> None:
        self.embedder = embedder
        self.dimensions = dimensions
        self._database = database
        self._store = store
        self._prefix = f"{name}-{hashlib.sha256(embedder.encode()).hexdigest()[:12]}"

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

        async def nearest(source: Source) -> dict[UUID, Vectors]:
            found = await self._store.use(
                self._name(scope.owner_of(source), KINDS[source]), "query",
                query_embeddings=[vector], n_results=k, where=_filter(scope, source, hidden), include=["embeddings"],
            )  # fmt: skip
            if not found:
                return {}
            return {
                UUID(id_): np.asarray(each, np.float32)
                for id_, each in zip(found["ids"][0], found["embeddings"][0], strict=True)
            }

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
        wanted: dict[str, list[str]] = {}
        for row in rows:
            source = Source(row["kb"])
            wanted.setdefault(self._name(scope.owner_of(source), KINDS[source]), []).append(str(row["id"]))
        for name, ids in wanted.items():
            found = await self._store.use(name, "get", ids=ids, include=["embeddings"])
            if found:
                vectors |= _by_id(found)

    async def vectors(self, tenant_id: UUID, kind: Kind, ref: str) -> dict[tuple[str, str, str], Vectors]:
        found = await self._store.use(self._name(tenant_id, kind), "get", where={"ref": ref}, include=["embeddings"])
        if not found:
            return {}
        vectors = _by_id(found)
        async with self._database.connection(tenant_id) as connection:
            cursor = await connection.execute(
                "select id, title, heading, text from passages"
                " where tenant_id = %s and source = %s and ref = %s and embedder = %s",
                (tenant_id, kind, ref, self.embedder),
            )
            rows = await cursor.fetchall()
        return {(row["title"], row["heading"], row["text"]): vectors[row["id"]] for row in rows if row["id"] in vectors}

    async def count(self, tenant_id: UUID) -> int:
        counts = [await self._store.use(self._name(tenant_id, kind), "count") for kind in KIND_NAMES]
        return sum(count or 0 for count in counts)

    async def stage(self, tenant_id: UUID, rows: Sequence[Row]) -> None:
        """New vectors under ids that nobody knows yet."""
        size = await self._store.batch_size() if rows else 1
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            await self._store.use(
                self._name(tenant_id, part[0].kind), "upsert", create=True,
                ids=[str(row.id) for row in part],
                embeddings=[row.vector for row in part],
                metadatas=[
                    _metadata(row.ref, row.collection, row.audience, row.active, row.effective_from, row.effective_until)
                    for row in part
                ],
            )  # fmt: skip

    async def write(self, connection: Connection, tenant_id: UUID, kind: Kind, ref: str, rows: Sequence[Row]) -> None:
        await write_rows(connection, tenant_id, self.embedder, kind, ref, rows)

    async def switch(self, connection: Connection, tenant_id: UUID, validity: Mapping[str, Validity]) -> None:
        await switch_rows(connection, ("passages",), tenant_id, validity)

    async def settle(self, tenant_id: UUID, kind: Kind, refs: Collection[str]) -> None:
        """Drop the vectors of these refs that have no row any more, and give the others their row's filter."""
        name = self._name(tenant_id, kind)
        held = await self._store.use(name, "get", where={"ref": {"$in": list(refs)}}, include=[]) if refs else None
        if not held or not held["ids"]:
            return
        async with self._database.connection(tenant_id) as connection:
            cursor = await connection.execute(
                "select id, ref, collection, audience, active, effective_from, effective_until from passages"
                " where tenant_id = %s and source = %s and ref = any(%s) and embedder = %s",
                (tenant_id, kind, list(refs), self.embedder),
            )
            rows = {str(row.pop("id")): row for row in await cursor.fetchall()}
        gone = [id_ for id_ in held["ids"] if id_ not in rows]
        kept = [id_ for id_ in held["ids"] if id_ in rows]
        if gone:
            await self._store.use(name, "delete", ids=gone)
        if kept:
            await self._store.use(name, "update", ids=kept, metadatas=[_metadata(**rows[id_]) for id_ in kept])

    async def clear(self, connection: Connection, tenant_id: UUID) -> None:
        await clear_rows(connection, tenant_id)
        for kind in KIND_NAMES:
            await self._store.drop(self._name(tenant_id, kind))

    def _name(self, tenant_id: UUID, kind: Kind) -> str:
        return f"{self._prefix}-{tenant_id.hex}-{kind}"


def _metadata(
    ref: str,
    collection: str,
    audience: Sequence[str],
    active: bool,
    effective_from: datetime | None,
    effective_until: datetime | None,
) -> dict[str, Any]:
    """The filtered columns in Chroma's terms, which have neither lists nor nulls."""
    values: dict[str, Any] = {
        "ref": ref, "collection": collection, "active": active, EVERYONE: not audience,
        "from": effective_from.timestamp() if effective_from else ALWAYS_FROM,
        "until": effective_until.timestamp() if effective_until else ALWAYS_UNTIL,
    }  # fmt: skip
    return values | {_audience_key(name): True for name in audience}


def _filter(scope: Scope, source: Source, hidden: Sequence[str]) -> dict[str, Any]:
    now = datetime.now(UTC).timestamp()
    conditions: list[dict[str, Any]] = [{"active": True}, {"from": {"$lte": now}}, {"until": {"$gt": now}}]
    if scope.audience is not None:
        names = [{EVERYONE: True}, *({_audience_key(name): True} for name in sorted(scope.audience))]
        conditions.append(names[0] if len(names) == 1 else {"$or": names})
    if source is Source.GLOBAL_KB:
        conditions.append({"collection": {"$in": list(scope.collections)}})
        if hidden:
            conditions.append({"ref": {"$nin": list(hidden)}})
    return {"$and": conditions}


def _audience_key(name: str) -> str:
    return f"for:{name}"


def _by_id(found: Mapping[str, Any]) -> dict[UUID, Vectors]:
    return {
        UUID(id_): np.asarray(vector, np.float32) for id_, vector in zip(found["ids"], found["embeddings"], strict=True)
    }
