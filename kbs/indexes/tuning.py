"""Gives each large tenant an HNSW index of its own, and takes it away from those that shrank.

One index over all tenants finds too little: it walks through the neighbours of every tenant and the filter throws
them away. A partial index holds one tenant's vectors of one kind and nothing else, so the filter costs nothing. Below
the threshold an exact scan is fast enough and always right. Index DDL is the owner's.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from kbs.indexes.rows import DIMENSIONS, TABLES

THRESHOLD = {384: 5000, 1536: 2000}
"""Vectors of one tenant and kind from which on an index pays; half of that keeps it."""
MEMORY = "256MB"
"""To build in; 100,000 vectors of 384 numbers need about 120 MB."""

_SIZES = """
select tenant_id, source, min(tableoid::regclass::text), count(*) from {} where active group by tenant_id, source
"""
_INDEXES = """
select c.relname, i.indisvalid from pg_index i join pg_class c on c.oid = i.indexrelid where c.relname like %s
"""
_CREATE = """
create index concurrently {name} on {table} using hnsw (embedding halfvec_cosine_ops) with (m = 16, ef_construction = 100)
where tenant_id = {tenant} and source = {source} and active
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """Names of the indexes that were made, removed and left as they were."""

    created: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def tune_index(owner_url: str, *, threshold: int | None = None) -> Tuned:
    """Bring the indexes in line with the sizes, and have Postgres look at the tables: until it does so by itself, a
    minute later, it plans searches for tables that are all but empty, and they take twice as long. Searches and writes
    go on meanwhile. Safe to repeat."""
    created: list[str] = []
    dropped: list[str] = []
    kept: list[str] = []
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute(sql.SQL("set maintenance_work_mem = {}").format(sql.Literal(MEMORY)))
        for dimensions in DIMENSIONS:
            table = f"embeddings_{dimensions}"
            least = THRESHOLD[dimensions] if threshold is None else threshold
            there: dict[str, bool] = dict(connection.execute(_INDEXES, (f"{table}\\_hnsw\\_%",)).fetchall())
            wanted = _wanted(connection, table, least, there)
            for name, valid in there.items():
                if name in wanted and valid:
                    kept.append(name)
                    continue
                connection.execute(sql.SQL("drop index concurrently {}").format(sql.Identifier(name)))
                dropped.append(name)
            for name in sorted(set(wanted) - set(kept)):
                connection.execute(_statement(name, *wanted[name]))
                created.append(name)
        for table in TABLES:
            connection.execute(sql.SQL("analyze {}").format(sql.Identifier(table)))
    return Tuned(created=tuple(created), dropped=tuple(dropped), kept=tuple(kept))


def _wanted(
    connection: psycopg.Connection[Any], table: str, least: int, there: dict[str, bool]
) -> dict[str, tuple[UUID, str, str]]:
    """Tenant, kind and partition of the indexes that there should be, by name."""
    found: dict[str, tuple[UUID, str, str]] = {}
    for tenant_id, source, partition, count in connection.execute(sql.SQL(_SIZES).format(sql.Identifier(table))):
        name = f"{table}_hnsw_{tenant_id.hex}_{source}"
        if count >= least or (name in there and count >= least // 2):
            found[name] = (tenant_id, source, partition)
    return found


def _statement(name: str, tenant_id: UUID, source: str, partition: str) -> sql.Composed:
    return sql.SQL(_CREATE).format(
        name=sql.Identifier(name), table=sql.Identifier(partition), tenant=sql.Literal(tenant_id),
        source=sql.Literal(source),
    )  # fmt: skip
