"""Large tenants get an index of their own, which Postgres takes by itself under row-level security."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import psycopg
import pytest_asyncio

from kbs.index import Scope
from kbs.indexes.pgvector import PgvectorIndex, search_statement, vector_text
from kbs.indexes.rows import scope_values
from kbs.indexes.tuning import Tuned, tune_index
from kbs.passages import Source
from memory.database import Database
from memory.embedded import OWNER, EmbeddedUrls
from tests.bench.index_bench import EMBEDDER, World, exact, load_rows, make_world

SIZE = 1500


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(database_urls: EmbeddedUrls) -> AsyncIterator[tuple[World, list[list[object]]]]:
    """Two tenants of 1500 passages each."""
    async with await psycopg.AsyncConnection.connect(database_urls.superuser) as connection:
        await connection.execute(f"grant create on schema public to {OWNER}")  # type: ignore[arg-type]  # a clone is the superuser's
    world = make_world(2 * SIZE, 2)
    ids = await asyncio.to_thread(load_rows, database_urls.owner, world, vectors=True)
    yield world, ids  # type: ignore[misc]


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def without_indexes(database_urls: EmbeddedUrls) -> AsyncIterator[None]:
    """Each test leaves none of the tenants an index of its own."""
    yield
    await asyncio.to_thread(tune_index, database_urls.owner, threshold=1_000_000)


async def test_every_large_tenant_gets_one_and_it_is_used(
    database: Database, database_urls: EmbeddedUrls, world: tuple[World, list[list[object]]]
) -> None:
    made, ids = world
    tuned = await asyncio.to_thread(tune_index, database_urls.owner, threshold=1000)
    assert tuned.created == tuple(sorted(f"embeddings_384_hnsw_{tenant.hex}_article" for tenant in made.tenants))
    index = PgvectorIndex(database, embedder=EMBEDDER, dimensions=384)
    found = []
    for tenant, vector, _ in made.questions[:60]:
        scope = Scope(tenant_id=made.tenants[tenant], sources=frozenset({Source.TENANT_KB}))
        hits = {each.passage.id for each in await index.candidates(scope, vector=vector, text=None, k=10)}
        found.append(len(hits & exact(made, ids, tenant, vector)) / 10)  # type: ignore[arg-type]
        assert len(hits) == 10
    assert np.mean(found) >= 0.95
    plan = await plan_of(database, index, made)
    assert f"embeddings_384_hnsw_{made.tenants[0].hex}_article" in plan


async def test_a_small_tenant_is_sorted_exactly(
    database: Database, database_urls: EmbeddedUrls, world: tuple[World, list[list[object]]]
) -> None:
    made, _ = world
    assert await asyncio.to_thread(tune_index, database_urls.owner, threshold=SIZE + 1) == Tuned()
    assert "hnsw" not in await plan_of(database, PgvectorIndex(database, embedder=EMBEDDER, dimensions=384), made)


async def test_tuning_again_keeps_and_a_tenant_that_shrank_loses_its_index(
    database_urls: EmbeddedUrls, world: tuple[World, list[list[object]]]
) -> None:
    created = (await asyncio.to_thread(tune_index, database_urls.owner, threshold=1000)).created
    again = await asyncio.to_thread(tune_index, database_urls.owner, threshold=2000)
    assert (again.created, again.dropped, set(again.kept)) == ((), (), set(created))
    shrunk = await asyncio.to_thread(tune_index, database_urls.owner, threshold=4000)
    assert set(shrunk.dropped) == set(created)


async def plan_of(database: Database, index: PgvectorIndex, made: World) -> str:
    """How Postgres searches the first tenant, asked as the application's role; for so few rows it would rather sort."""
    scope = Scope(tenant_id=made.tenants[0], sources=frozenset({Source.TENANT_KB}))
    values = scope_values(scope, EMBEDDER) | {"vector": vector_text(made.questions[0][1])}
    async with database.connection(scope.tenant_id) as connection:
        await connection.execute("set local enable_sort = off")
        search = search_statement(scope, index.dimensions, dense=True, lexical=False, k=10)
        (rows,) = await connection.together((search._replace(query=b"explain " + search.query), values))
        return "\n".join(str(row["QUERY PLAN"]) for row in rows)
