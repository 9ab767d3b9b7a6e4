"""The default index: vectors beside the rows in Postgres, written in the same transaction, under row-level security.

One statement finds the candidates of all sources by both halves. Small tenants are sorted exactly; a large one gets
an HNSW index of its own (`tune_index`), which Postgres takes by itself. Over all tenants there is none: a search
that walks through other tenants' neighbours finds few of its own.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from uuid import UUID

import numpy as np
import orjson
from psycopg import sql
from psycopg.rows import DictRow

from kbs.index import Candidate, Kind, Postgres, Row, Scope, Validity, Vectors
from kbs.indexes.lexical import lexical_steps, lexical_values
from kbs.indexes.rows import (
    COLUMNS,
    DIMENSIONS,
    FILTERED,
    allowed,
    clear_rows,
    filtered_values,
    looked_up,
    scope_values,
    sources_of,
    switch_rows,
    write_rows,
)
from kbs.passages import Source
from memory.database import Connection
from memory.errors import Misconfigured
from memory.pipeline import Statement, statement

SEARCH_WIDTH = 200
"""`hnsw.ef_search`, at least: on real articles recall@10 is 1.00 at 40 for questions about them, but 0.97 only at 200
for questions about something else, whose neighbours are all far."""

_SOURCES = {source.value: source for source in Source}
_DENSE = sql.SQL("""
(select t.passage_id as id, {kb} as kb from {table} t where {where}
 order by t.embedding <=> %(vector)s::{vector_type} limit {k})
""")
_WIDE = statement("""
select set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.ef_search', %(width)s, true),
       set_config('work_mem', '32MB', true), set_config('plan_cache_mode', 'force_generic_plan', true)
""")


class PgvectorIndex:
    """Searches as the role of `database`; writes in the transactions that it is handed."""

    def __init__(self, database: Postgres, *, embedder: str, dimensions: int) -> None:
        self.embedder = embedder
        self.dimensions = dimensions
        self._database = database
        self._table = embeddings_table(dimensions)

    async def candidates(
        self, scope: Scope, *, vector: Vectors | None, text: str | None, k: int
    ) -> tuple[Candidate, ...]:
        if not sources_of(scope) or (vector is None and not text):
            return ()
        values = scope_values(scope, self.embedder)
        if vector is not None:
            values["vector"] = vector_text(vector)
        if text:
            values |= lexical_values(text)
        search = search_statement(scope, self.dimensions, dense=vector is not None, lexical=bool(text), k=k)
        wide = {"width": str(max(k, SEARCH_WIDTH))}
        asking = self._database.once(scope.tenant_id, "search")
        _, rows = await asking.together((_WIDE, wide), (search, values), binary=True)
        vectors = parse_vectors([row["vector"] for row in rows])
        return tuple(candidate(row, vector) for row, vector in zip(rows, vectors, strict=True))

    async def vectors(self, tenant_id: UUID, kind: Kind, ref: str) -> dict[tuple[str, str, str], Vectors]:
        async with self._database.connection(tenant_id) as connection:
            cursor = await connection.execute(
                sql.SQL(
                    "select p.title, p.heading, p.text, halfvec_send(e.embedding) as vector from passages p"
                    " join {table} e on e.tenant_id = p.tenant_id and e.passage_id = p.id"
                    " where p.tenant_id = %s and p.source = %s and p.ref = %s and e.embedder = %s"
                ).format(table=self._table),
                (tenant_id, kind, ref, self.embedder),
                binary=True,
            )
            rows = await cursor.fetchall()
        vectors = parse_vectors([row["vector"] for row in rows])
        return {(row["title"], row["heading"], row["text"]): vector for row, vector in zip(rows, vectors, strict=True)}

    async def count(self, tenant_id: UUID) -> int:
        async with self._database.connection(tenant_id) as connection:
            cursor = await connection.execute(
                sql.SQL("select count(*) as n from {} where tenant_id = %s and embedder = %s").format(self._table),
                (tenant_id, self.embedder),
            )
            row = await cursor.fetchone()
        return int(row["n"]) if row else 0

    async def stage(self, tenant_id: UUID, rows: Sequence[Row]) -> None:
        """Nothing: the vectors are written with the rows."""

    async def write(self, connection: Connection, tenant_id: UUID, kind: Kind, ref: str, rows: Sequence[Row]) -> None:
        await write_rows(connection, tenant_id, self.embedder, kind, ref, rows)
        if rows:
            columns = ("passage_id", *FILTERED, "embedding")
            statement = sql.SQL("insert into {} ({}) values ({})").format(
                self._table,
                sql.SQL(", ").join(map(sql.Identifier, columns)),
                sql.SQL(", ").join(map(sql.Placeholder, columns)),
            )
            values = [
                filtered_values(row, tenant_id, self.embedder)
                | {"passage_id": row.id, "embedding": vector_text(row.vector)}
                for row in rows
            ]
            async with connection.cursor() as cursor:
                await cursor.executemany(statement, values)

    async def switch(self, connection: Connection, tenant_id: UUID, validity: Mapping[str, Validity]) -> None:
        await switch_rows(connection, ("passages", f"embeddings_{self.dimensions}"), tenant_id, validity)

    async def settle(self, tenant_id: UUID, kind: Kind, refs: Collection[str]) -> None:
        """Nothing: the commit settled it."""

    async def clear(self, connection: Connection, tenant_id: UUID) -> None:
        await clear_rows(connection, tenant_id)


def search_statement(scope: Scope, dimensions: int, *, dense: bool, lexical: bool, k: int) -> Statement:
    """What finds the candidates of a scope; its values are `scope_values`, `lexical_values` and `vector`."""
    audience = None if scope.audience is None else frozenset[str]()
    shape = replace(scope, collections=("any",) if scope.collections else (), audience=audience)
    return _statement(shape, dimensions, dense, lexical, k)


@lru_cache(maxsize=256)  # to put it together costs more than to send it
def _statement(scope: Scope, dimensions: int, dense: bool, lexical: bool, k: int) -> Statement:
    table = embeddings_table(dimensions)
    steps, halves = [], []
    if lexical:
        steps.append(lexical_steps(scope, k))
        halves.append(sql.SQL("select id, kb, score from lexical"))
    if dense:
        steps.append(sql.SQL("dense as materialized ({})").format(_nearest(scope, table, dimensions, k)))
        halves.append(sql.SQL("select id, kb, 0::float8 as score from dense"))
    rows = looked_up(
        scope, sql.SQL(" union all ").join(halves), columns=f"{COLUMNS}, halfvec_send(e.embedding) as vector",
        join=sql.SQL("join {} e on e.tenant_id = p.tenant_id and e.passage_id = p.id").format(table),
    )  # fmt: skip
    return statement((sql.SQL("with ") + sql.SQL(", ").join([*steps, rows])).as_bytes())


def _nearest(scope: Scope, table: sql.Identifier, dimensions: int, k: int) -> sql.Composed:
    return sql.SQL(" union all ").join(
        _DENSE.format(
            kb=sql.Literal(source.value), table=table, where=allowed(scope, source),
            vector_type=sql.SQL(f"halfvec({dimensions})"), k=sql.Literal(k),
        )
        for source in sources_of(scope)
    )  # fmt: skip


def embeddings_table(dimensions: int) -> sql.Identifier:
    if dimensions not in DIMENSIONS:
        known = " or ".join(map(str, DIMENSIONS))
        raise Misconfigured(f"EMBEDDING_MODEL gives vectors of {dimensions} numbers; there are tables for {known}")
    return sql.Identifier(f"embeddings_{dimensions}")


def candidate(row: DictRow, vector: Vectors) -> Candidate:
    return Candidate(
        id=row["id"], source=_SOURCES[row["kb"]], ref=row["ref"], vector=vector, lexical=float(row["lexical"]), row=row
    )


def vector_text(vector: Vectors) -> str:
    """pgvector's input form; each number with as many digits as give the same 32 bits again."""
    return orjson.dumps(np.ascontiguousarray(vector, np.float32), option=orjson.OPT_SERIALIZE_NUMPY).decode()


def parse_vectors(values: Sequence[bytes]) -> Vectors:
    """What `halfvec_send` gives, one row each: two 16-bit numbers, then big-endian floats of 16 bits. All at once: most
    of the work with a single one is to begin."""
    if not values:
        return np.empty((0, 0), np.float32)
    return np.frombuffer(b"".join(values), dtype=">f2").reshape(len(values), -1)[:, 2:].astype(np.float32)
