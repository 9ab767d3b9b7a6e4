"""Rebuilds a tenant's passages and vectors from what they were made of: the articles' newest texts and what was learned.

Needed after a change of the embedder, and when an index that lives outside Postgres was lost or restored.
"""

from collections.abc import Callable, Sequence
from typing import cast
from uuid import UUID

from kbs.article_rows import validity
from kbs.embeddings import Embedder
from kbs.index import Kind, KnowledgeIndex, Postgres, replacing
from kbs.passage_making import Document, cut, with_vectors
from memory.database import Connection
from memory.errors import Misconfigured

_ARTICLES = """
select a.id, a.ref, a.collection, a.title, v.body, a.version, a.language, a.audience, a.effective_from, a.effective_until
from kb_articles a join kb_article_versions v on v.article_id = a.id and v.version = a.version
where a.tenant_id = %s and a.status = 'published' order by a.ref
"""
_LEARNED = "select id, kind, title, text from learned_replies where tenant_id = %s and status = 'active' order by id"
_STORED = "select distinct source, ref from passages where tenant_id = %s"


async def reindex(
    database: Postgres,
    index: KnowledgeIndex,
    embedder: Embedder,
    *,
    tenant_id: UUID,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Rebuild everything of one tenant, each article in a transaction of its own; returns the number of passages."""
    async with database.connection(tenant_id) as connection:
        documents = await _documents(connection, tenant_id)
        cursor = await connection.execute(_STORED, (tenant_id,))
        stored = {(row["source"], row["ref"]) for row in await cursor.fetchall()}
    passages = 0
    for done, document in enumerate(documents, 1):
        rows, _ = await with_vectors(cut(document), embedder, {})
        async with replacing(index, database, tenant_id, document.kind, document.ref, rows) as connection:
            if document.kind == "article":
                states = await validity(connection, tenant_id, (document.ref,))
                await index.switch(connection, tenant_id, states)
        passages += len(rows)
        if progress:
            progress(done, len(documents))
    await _drop(database, index, tenant_id, stored - {(document.kind, document.ref) for document in documents})
    return passages


async def check_embedder(database: Postgres, embedder: str) -> None:
    """Raises Misconfigured where passages stand that another model embedded: their neighbours would be wrong."""
    async with database.lookup() as connection:
        cursor = await connection.execute("select stored_embedders() as id")
        others = [row["id"] for row in await cursor.fetchall() if row["id"] != embedder]
    if others:
        raise Misconfigured(
            f"the knowledge base was embedded with {' and '.join(others)}, EMBEDDING_MODEL now means {embedder}: "
            "set it back, or run `helpdesk reindex` once"
        )


async def _documents(connection: Connection, tenant_id: UUID) -> Sequence[Document]:
    cursor = await connection.execute(_ARTICLES, (tenant_id,))
    articles = [
        Document(
            kind="article", collection=row["collection"], ref=row["ref"], title=row["title"], body=row["body"],
            article_id=row["id"], version=row["version"], language=row["language"], audience=tuple(row["audience"]),
            effective_from=row["effective_from"], effective_until=row["effective_until"],
        )
        for row in await cursor.fetchall()
    ]  # fmt: skip
    cursor = await connection.execute(_LEARNED, (tenant_id,))
    learned = [
        Document(kind=cast(Kind, row["kind"]), collection="", ref=str(row["id"]), title=row["title"], body=row["text"])
        for row in await cursor.fetchall()
    ]
    return [*articles, *learned]


async def _drop(database: Postgres, index: KnowledgeIndex, tenant_id: UUID, gone: set[tuple[str, str]]) -> None:
    """Passages that nothing stands behind any more."""
    for kind, ref in sorted(gone):
        async with replacing(index, database, tenant_id, cast(Kind, kind), ref, ()):
            pass
