"""Putting an article's text where searches find it, and taking it away: row and passages in one transaction.

The passages are embedded before the transaction begins. What the caller does inside of it (locking the article,
comparing, the audit log) commits or fails with them. Whatever the index, the moment that a block ends well no search
finds the old text any more: the revision that caches carry in their keys has changed in the same transaction.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from kbs.articles.passage_making import Document, cut, with_vectors
from kbs.articles.reading import ArticleFile
from kbs.articles.rows import refresh_replaced, validity
from kbs.embedding.embedder import Embedder
from kbs.index import KnowledgeIndex, Postgres, Row, Vectors, replacing
from memory.database import Connection
from memory.models import GLOBAL_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """Where articles are kept, and how they are made searchable."""

    database: Postgres
    index: KnowledgeIndex
    embedder: Embedder


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """A text that is to hold as a version of its article, with its passages."""

    article: ArticleFile
    article_id: UUID
    version: int
    rows: tuple[Row, ...]


async def make_edition(article: ArticleFile, collection: str, *, article_id: UUID, version: int) -> Edition:
    """The text cut into passages, whose vectors are still to come."""
    document = Document(
        kind="article", collection=collection, ref=article.ref, title=article.title, body=article.body,
        article_id=article_id, version=version, language=article.language, audience=article.audience,
        effective_from=article.effective_from, effective_until=article.effective_until,
    )  # fmt: skip
    rows = await asyncio.to_thread(cut, document)
    return Edition(article=article, article_id=article_id, version=version, rows=rows)


async def embedded(
    library: Library, tenant_id: UUID, editions: Sequence[Edition], stored: Collection[str]
) -> tuple[tuple[Edition, ...], int]:
    """The editions with the vectors of their passages, made together, and how many had to be made. Those of unchanged
    passages are taken from the index, where it has the article: `stored` names the refs to look for."""
    known: dict[tuple[str, str, str], Vectors] = {}
    for ref in {edition.article.ref for edition in editions} & set(stored):
        known |= await library.index.vectors(tenant_id, "article", ref)
    complete, made = await with_vectors([row for each in editions for row in each.rows], library.embedder, known)
    rows = iter(complete)
    done = tuple(
        Edition(
            article=each.article, article_id=each.article_id, version=each.version,
            rows=tuple(next(rows) for _ in each.rows),
        )
        for each in editions
    )  # fmt: skip
    return done, made


@asynccontextmanager
async def publishing(
    library: Library, tenant_id: UUID, edition: Edition, *, before: Collection[str] = ()
) -> AsyncIterator[Connection]:
    """Let the edition be found in place of what its article had; the caller writes the article's row in the block.
    `before` is what the article replaced until now."""
    ref = edition.article.ref
    touched = {ref, *edition.article.supersedes, *before}
    async with replacing(library.index, library.database, tenant_id, "article", ref, edition.rows) as connection:
        yield connection
        await library.index.switch(connection, tenant_id, await validity(connection, tenant_id, touched))
        await _hide_global(connection, tenant_id)
    await library.index.settle(tenant_id, "article", touched - {ref})


@asynccontextmanager
async def withdrawing(
    library: Library, tenant_id: UUID, ref: str, *, before: Collection[str] = ()
) -> AsyncIterator[Connection]:
    """Let the article be found no more, and again what it replaced; the caller writes the article's row in the block."""
    async with replacing(library.index, library.database, tenant_id, "article", ref, ()) as connection:
        yield connection
        await library.index.switch(connection, tenant_id, await validity(connection, tenant_id, before))
        await _hide_global(connection, tenant_id)
    await library.index.settle(tenant_id, "article", before)


async def _hide_global(connection: Connection, tenant_id: UUID) -> None:
    if tenant_id != GLOBAL_TENANT:
        await refresh_replaced(connection, [tenant_id])
