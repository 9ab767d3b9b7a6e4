"""Rebuilds a tenant's passages and vectors from what they were made of: the articles' texts that hold and what was
learned.

Needed after a change of the embedder, and when an index that lives outside Postgres was lost or restored. An article
that somebody publishes or withdraws meanwhile is left to them: their text is the newer one.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import cast
from uuid import UUID

from kbs.articles.passage_making import Document, cut, with_vectors
from kbs.articles.rows import validity
from kbs.embedding.embedder import Embedder
from kbs.index import Kind, KnowledgeIndex, Postgres, Row, replace, replacing
from memory.database import Connection
from memory.errors import Misconfigured

_ARTICLES = """
select a.id, a.ref, a.collection, a.title, v.body, a.version, a.language, a.audience, a.effective_from, a.effective_until
from kb_articles a join kb_article_versions v on v.article_id = a.id and v.version = a.version
where a.tenant_id = %(tenant)s and a.status = 'published' and (not %(stale)s or {stale}) order by a.ref
"""
STALE = """
not exists (select 1 from passages p where p.tenant_id = a.tenant_id and p.source = 'article' and p.ref = a.ref
            and p.version = a.version and p.embedder = %(embedder)s)
"""
"""Of a published article: no passages of its text by this embedder."""
_HOLDS = """
select 1 from kb_articles where tenant_id = %s and id = %s and version = %s and status = 'published' for key share
"""
_LEARNED = """
select id, kind, title, text, version from learned_replies where tenant_id = %s and status = 'active' order by id
"""
_LEARNED_HOLDS = """
select 1 from learned_replies
where tenant_id = %(tenant)s and id = %(id)s and status = 'active' and version = coalesce(%(version)s::integer, version) for share
"""
_STORED = "select distinct source, ref from passages where tenant_id = %s"


async def reindex(
    database: Postgres,
    index: KnowledgeIndex,
    embedder: Embedder,
    *,
    tenant_id: UUID,
    progress: Callable[[int, int], None] | None = None,
    only_stale: bool = False,
    lessons: Postgres | None = None,
) -> int:
    """Rebuild everything of one tenant, each article in a transaction of its own, or only what has no passages yet;
    returns the number of passages written. `lessons` is where learned replies are, if not beside the articles."""
    lessons = lessons or database
    async with lessons.connection(tenant_id) as connection:
        learned = () if only_stale else await _learned(connection, tenant_id)
    async with database.connection(tenant_id) as connection:
        articles = await _articles(connection, tenant_id, embedder.id if only_stale else None)
        documents = [*articles, *learned]
        cursor = await connection.execute(_STORED, (tenant_id,))
        stored = {(row["source"], row["ref"]) for row in await cursor.fetchall()}
    passages = 0
    for done, document in enumerate(documents, 1):
        rows, _ = await with_vectors(await asyncio.to_thread(cut, document), embedder, {})
        with suppress(_Overtaken):
            if document.kind == "article":
                await _put(database, index, tenant_id, document, rows)
            else:
                await _put_learned(lessons, database, index, tenant_id, document, rows)
            passages += len(rows)
        if progress:
            progress(done, len(documents))
    if only_stale:
        return passages
    await _drop(lessons, database, index, tenant_id, stored - {(document.kind, document.ref) for document in documents})
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


class _Overtaken(Exception):
    """Somebody has published another text, or withdrawn the article."""


async def _put(
    database: Postgres, index: KnowledgeIndex, tenant_id: UUID, document: Document, rows: Sequence[Row]
) -> None:
    async with replacing(index, database, tenant_id, document.kind, document.ref, rows) as connection:
        found = await connection.execute(_HOLDS, (tenant_id, document.article_id, document.version))
        if await found.fetchone() is None:
            raise _Overtaken
        await index.switch(connection, tenant_id, await validity(connection, tenant_id, (document.ref,)))


async def _put_learned(
    lessons: Postgres, database: Postgres, index: KnowledgeIndex, tenant_id: UUID, document: Document,
    rows: Sequence[Row],
) -> None:  # fmt: skip
    """The lesson is held meanwhile: who indexes a newer version of it waits."""
    async with lessons.connection(tenant_id) as connection:
        values = {"tenant": tenant_id, "id": UUID(document.ref), "version": document.version}
        if await (await connection.execute(_LEARNED_HOLDS, values)).fetchone() is None:
            raise _Overtaken
        await replace(index, database, tenant_id, document.kind, document.ref, rows)


async def _articles(connection: Connection, tenant_id: UUID, embedder: str | None) -> Sequence[Document]:
    """What holds of each published article; with an embedder only those that have no passages of it."""
    values = {"tenant": tenant_id, "stale": embedder is not None, "embedder": embedder}
    cursor = await connection.execute(_ARTICLES.format(stale=STALE), values)
    return [
        Document(
            kind="article", collection=row["collection"], ref=row["ref"], title=row["title"], body=row["body"],
            article_id=row["id"], version=row["version"], language=row["language"], audience=tuple(row["audience"]),
            effective_from=row["effective_from"], effective_until=row["effective_until"],
        )
        for row in await cursor.fetchall()
    ]  # fmt: skip


async def _learned(connection: Connection, tenant_id: UUID) -> Sequence[Document]:
    cursor = await connection.execute(_LEARNED, (tenant_id,))
    return [
        Document(
            kind=cast(Kind, row["kind"]), collection="", ref=str(row["id"]), title=row["title"], body=row["text"],
            version=row["version"],
        )
        for row in await cursor.fetchall()
    ]  # fmt: skip


async def _drop(
    lessons: Postgres, database: Postgres, index: KnowledgeIndex, tenant_id: UUID, gone: set[tuple[str, str]]
) -> None:
    """Passages that nothing stands behind any more; what was learned meanwhile stays."""
    for kind, ref in sorted(gone):
        if kind != "article":
            async with lessons.connection(tenant_id) as connection:
                values = {"tenant": tenant_id, "id": UUID(ref), "version": None}
                if await (await connection.execute(_LEARNED_HOLDS, values)).fetchone():
                    continue
        await replace(index, database, tenant_id, cast(Kind, kind), ref, ())
