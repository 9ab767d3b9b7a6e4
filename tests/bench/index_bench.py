"""How fast and how right the knowledge index answers, as the application's role with the tenant filter on.

    python -m tests.bench.index_bench --passages 10000,100000 --tenants 10,1000 [--chroma] [--folder /dev/shm/bench]

Each tenant has topics of its own; half of the questions are near another tenant's passages, where an index over all
tenants would look in vain. Prints p50 and p95 of the search for ten passages, recall@10 against an exact search,
p95 of the hybrid search, and what is stored.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from kbs.index import KnowledgeIndex, Row, Scope
from kbs.indexes.chroma import ChromaIndex
from kbs.indexes.chroma_store import open_chroma_folder
from kbs.indexes.pgvector import PgvectorIndex, vector_text
from kbs.indexes.rows import FILTERED, OWN, filtered_values, own_values
from kbs.indexes.tuning import tune_index
from kbs.passages import Source
from memory.database import Database, open_database
from memory.embedded import APP, EmbeddedUrls, embedded_postgres
from memory.migrate import migrate
from memory.models import new_id

DIMENSIONS = 384
EMBEDDER = "bench"
QUESTIONS = 300
TOP = 10
FACTORS = 30
"""Directions in which one tenant's passages differ, as measured on real ones."""
WORDS = 4000
"""Of the vocabulary; a tenant's passages share a tenth of it."""


@dataclass(frozen=True)
class World:
    """Tenants with their passages' vectors, and questions of (tenant, vector, text)."""

    tenants: list[UUID]
    vectors: list[NDArray[np.float32]]
    texts: list[list[str]]
    questions: list[tuple[int, NDArray[np.float32], str]]


def unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), dtype=np.float32)


def make_world(passages: int, tenants: int, seed: int = 1) -> World:
    """Texts about one subject vary in few directions: some thirty of a tenant's own, and a little noise in all."""
    random = np.random.default_rng(seed)
    vectors, texts = [], []
    for number in range(tenants):
        count = passages // tenants
        subject, directions = unit(random.normal(size=DIMENSIONS)), unit(random.normal(size=(FACTORS, DIMENSIONS)))
        about = unit(random.normal(size=(count, FACTORS)) @ directions)
        vectors.append(unit(0.6 * subject + about + 0.3 * unit(random.normal(size=(count, DIMENSIONS)))))
        texts.append(make_texts(random, number, count))
    questions = []
    for n in range(QUESTIONS):
        mine = int(random.integers(tenants))
        near = mine if n % 2 else (mine + 1 + int(random.integers(tenants - 1))) % tenants
        pick = int(random.integers(len(vectors[near])))
        vector = unit(vectors[near][pick] + 0.6 * unit(random.normal(size=DIMENSIONS)))
        questions.append((mine, vector, " ".join(texts[mine][pick % len(texts[mine])].split()[:8])))
    return World([new_id() for _ in range(tenants)], vectors, texts, questions)


def make_texts(random: np.random.Generator, tenant: int, count: int) -> list[str]:
    """About 120 words each, common ones more often, some words only this tenant's."""
    ranks = np.minimum(random.zipf(1.3, size=(count, 120)), WORDS)
    own = random.random((count, 120)) < 0.1
    return [
        " ".join(
            f"tenant{tenant}w{rank % 50}" if mine else f"word{rank}" for rank, mine in zip(row, flags, strict=True)
        )
        for row, flags in zip(ranks, own, strict=True)
    ]


def rows_of(world: World, tenant: int) -> Iterator[Row]:
    for n, (vector, text) in enumerate(zip(world.vectors[tenant], world.texts[tenant], strict=True)):
        yield Row(
            id=new_id(), kind="article", collection="bench", ref=f"article-{n // 8}", article_id=None, version=1,
            ordinal=n % 8, title=f"Article {n // 8}", heading="", text=text, digest=str(n), vector=vector,
        )  # fmt: skip


def load_rows(owner_url: str, world: World, *, vectors: bool) -> list[list[UUID]]:
    """Copy everything in as the owner, tenants mixed on every page as they are in life."""
    rows = [list(rows_of(world, tenant)) for tenant in range(len(world.tenants))]
    values = [
        filtered_values(row, tenant_id, EMBEDDER) | own_values(row) | {"passage_id": row.id, "embedding": row.vector}
        for tenant_id, own in zip(world.tenants, rows, strict=True)
        for row in own
    ]
    np.random.default_rng(2).shuffle(values)  # type: ignore[arg-type]
    with psycopg.connect(owner_url, autocommit=True) as connection:
        copy(connection, "passages", (*FILTERED, *OWN), values)
        if vectors:
            for value in values:
                value["embedding"] = vector_text(value["embedding"])
            copy(connection, f"embeddings_{DIMENSIONS}", ("passage_id", *FILTERED, "embedding"), values)
        connection.execute("vacuum analyze passages")
        connection.execute(sql.SQL("vacuum analyze {}").format(sql.Identifier(f"embeddings_{DIMENSIONS}")))
    return [[row.id for row in own] for own in rows]


def copy(
    connection: psycopg.Connection[Any], table: str, columns: Sequence[str], values: Sequence[dict[str, Any]]
) -> None:
    statement = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as target:
        for row in values:
            target.write_row([row[name] for name in columns])


def exact(world: World, ids: list[list[UUID]], tenant: int, vector: NDArray[np.float32]) -> set[UUID]:
    scores = world.vectors[tenant] @ vector
    return {ids[tenant][n] for n in np.argsort(-scores)[:TOP]}


async def measure(index: KnowledgeIndex, world: World, ids: list[list[UUID]]) -> dict[str, float]:
    dense, hybrid, recall = [], [], []
    for tenant, vector, text in world.questions:
        scope = Scope(tenant_id=world.tenants[tenant], sources=frozenset({Source.TENANT_KB}))
        start = time.perf_counter()
        found = await index.candidates(scope, vector=vector, text=None, k=TOP)
        dense.append((time.perf_counter() - start) * 1000)
        recall.append(len({each.passage.id for each in found} & exact(world, ids, tenant, vector)) / TOP)
        start = time.perf_counter()
        await index.candidates(scope, vector=vector, text=text, k=20)
        hybrid.append((time.perf_counter() - start) * 1000)
    return {
        "p50 ms": float(np.percentile(dense, 50)), "p95 ms": float(np.percentile(dense, 95)),
        "recall@10": float(np.mean(recall)), "worst": float(np.min(recall)), "hybrid p95 ms": float(np.percentile(hybrid, 95)),
    }  # fmt: skip


def stored_mb(owner_url: str, folder: Path) -> float:
    """Rows, vectors and all their indexes, in Postgres and in Chroma's folder."""
    with psycopg.connect(owner_url) as connection:
        sizes = connection.execute(
            "select sum(pg_total_relation_size(relid)) from pg_partition_tree('passages')"
            " union all select sum(pg_total_relation_size(relid)) from pg_partition_tree(%s::regclass)",
            (f"embeddings_{DIMENSIONS}",),
        ).fetchall()
    files = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return (sum(float(row[0]) for row in sizes) + files) / 2**20


@asynccontextmanager
async def opened(
    kind: str, database: Database, world: World, ids: list[list[UUID]], folder: Path
) -> AsyncIterator[KnowledgeIndex]:
    if kind == "pgvector":
        yield PgvectorIndex(database, embedder=EMBEDDER, dimensions=DIMENSIONS)
        return
    async with open_chroma_folder(folder / "chroma") as store:
        index = ChromaIndex(database, store, embedder=EMBEDDER, dimensions=DIMENSIONS)
        for tenant, tenant_id in enumerate(world.tenants):
            rows = zip(rows_of(world, tenant), ids[tenant], strict=True)
            await index.stage(tenant_id, [with_id(row, id_) for row, id_ in rows])
        yield index


def with_id(row: Row, id_: UUID) -> Row:
    return Row(**{name: getattr(row, name) for name in Row.__slots__} | {"id": id_})


async def run(kind: str, passages: int, tenants: int, urls: EmbeddedUrls, folder: Path, threshold: int | None) -> None:
    world = make_world(passages, tenants)
    start = time.perf_counter()
    ids = await asyncio.to_thread(load_rows, urls.owner, world, vectors=kind == "pgvector")
    tuned = await asyncio.to_thread(tune_index, urls.owner, threshold=threshold)
    async with open_database(urls.app, pool_size=4) as database, opened(kind, database, world, ids, folder) as index:
        built = time.perf_counter() - start
        await measure(index, World(world.tenants, world.vectors, world.texts, world.questions[:20]), ids)
        result = await measure(index, world, ids)
    size = await asyncio.to_thread(stored_mb, urls.owner, folder / "chroma")
    print(
        f"{kind:9} {passages:7} passages {tenants:5} tenants  {len(tuned.created):4} hnsw  "
        + "  ".join(
            f"{name} {value:.3f}" if "ms" not in name else f"{name} {value:.1f}" for name, value in result.items()
        )
        + f"  stored {size:.0f} MB  built in {built:.0f} s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passages", default="10000")
    parser.add_argument("--tenants", default="10,1000")
    parser.add_argument("--threshold", type=int, default=None, help="vectors of one tenant from which it gets an index")
    parser.add_argument("--chroma", action="store_true", help="measure Chroma instead of pgvector")
    parser.add_argument("--folder", type=Path, default=None, help="where to keep the data meanwhile")
    options = parser.parse_args()
    for passages in map(int, options.passages.split(",")):
        for tenants in map(int, options.tenants.split(",")):
            folder = Path(tempfile.mkdtemp(prefix="index-bench-", dir=options.folder))
            folder.chmod(0o755)
            try:
                with embedded_postgres(folder / "data") as urls:
                    migrate(urls.owner, APP)
                    kind = "chroma" if options.chroma else "pgvector"
                    asyncio.run(run(kind, passages, tenants, urls, folder, options.threshold))
            finally:
                shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
