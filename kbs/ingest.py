"""Brings a folder of articles into a collection: by checksum, safe to repeat, one article per transaction.

What did not change is left alone; of what changed only the new passages are embedded. An article whose file is gone is
withdrawn, one whose file cannot be read stays as it was. An article that is named in `supersedes` is no longer found,
and found again when the newer one goes. Two ingests of one collection take turns. Global collections are written
through the owner's connections, a tenant's own through the application's.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from kbs.article_rows import (
    StoredArticle,
    refresh_replaced,
    save_article,
    stored_articles,
    validity,
    withdraw_article,
)
from kbs.articles import ArticleFile, BadArticle, read_folder
from kbs.embeddings import Embedder
from kbs.index import KnowledgeIndex, Postgres, Row, Vectors, replacing
from kbs.passage_making import Document, cut, with_vectors
from kbs.reindex import check_embedder
from memory.database import Connection
from memory.errors import Unavailable
from memory.models import GLOBAL_TENANT, new_id

BATCH = 64
"""Passages that are embedded in one call, over several articles: a call to a distant model costs a round trip."""
PATIENCE_S = 600
"""That an ingest waits for another one of the same collection."""

Progress = Callable[[int, int], None]
"""Is told how many articles are done, and of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an ingest did, in articles; `failed` says for each file why."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: tuple[BadArticle, ...] = ()
    embedded_passages: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    article: ArticleFile
    stored: StoredArticle | None
    article_id: UUID
    version: int
    rows: tuple[Row, ...]


async def ingest_folder(
    database: Postgres,
    index: KnowledgeIndex,
    embedder: Embedder,
    folder: Path,
    *,
    tenant_id: UUID,
    collection: str,
    progress: Progress | None = None,
) -> Report:
    """Make the collection what the folder holds. Raises Unavailable if another ingest of it does not end."""
    await check_embedder(database, index.embedder)
    articles, bad = await asyncio.to_thread(read_folder, folder)
    async with _turn(database, f"ingest:{tenant_id}:{collection}"):
        return await _Ingest(database, index, embedder, tenant_id, collection).run(articles, bad, progress)


class _Ingest:
    """One run over one collection."""

    def __init__(
        self, database: Postgres, index: KnowledgeIndex, embedder: Embedder, tenant_id: UUID, collection: str
    ) -> None:
        self._database = database
        self._index = index
        self._embedder = embedder
        self._tenant_id = tenant_id
        self._collection = collection

    async def run(
        self, articles: Sequence[ArticleFile], bad: Sequence[BadArticle], progress: Progress | None
    ) -> Report:
        async with self._database.connection(self._tenant_id) as connection:
            stored = await stored_articles(connection, self._tenant_id)
        taken = tuple(self._taken(article, stored) for article in articles)
        failed = (*bad, *(error for error in taken if error))
        mine = [article for article, error in zip(articles, taken, strict=True) if error is None]
        todo = [article for article in mine if not _is_same(article, stored.get(article.ref))]
        done, embedded = len(mine) - len(todo), 0
        report = progress or (lambda done, total: None)
        report(done, len(mine))
        for batch in _batches(self._plan(article, stored.get(article.ref)) for article in todo):
            embedded += await self._write(batch)
            done += len(batch)
            report(done, len(mine))
        gone = self._gone(stored, {article.ref for article in mine}, {error.path for error in failed})
        await self._withdraw(gone)
        if todo or gone:
            await self._refresh()
        added = sum(article.ref not in stored or not stored[article.ref].published for article in todo)
        return Report(
            added=added, changed=len(todo) - added, unchanged=len(mine) - len(todo), removed=len(gone), failed=failed,
            embedded_passages=embedded,
        )  # fmt: skip

    def _taken(self, article: ArticleFile, stored: dict[str, StoredArticle]) -> BadArticle | None:
        other = stored.get(article.ref)
        if other and other.published and other.collection != self._collection:
            return BadArticle(
                f"{article.path}: the id `{article.ref}` is taken by an article of the collection `{other.collection}`"
            )
        return None

    def _plan(self, article: ArticleFile, stored: StoredArticle | None) -> _Work:
        same_text = stored is not None and stored.content_hash == article.content_hash
        version = 1 if stored is None else stored.version if same_text else stored.version + 1
        article_id = stored.id if stored else new_id()
        document = Document(
            kind="article", collection=self._collection, ref=article.ref, title=article.title, body=article.body,
            article_id=article_id, version=version, language=article.language, audience=article.audience,
            effective_from=article.effective_from, effective_until=article.effective_until,
        )  # fmt: skip
        return _Work(article=article, stored=stored, article_id=article_id, version=version, rows=cut(document))

    async def _write(self, batch: Sequence[_Work]) -> int:
        """Embed together, write one by one: no transaction is open while the model works."""
        known: dict[tuple[str, str, str], Vectors] = {}
        for work in batch:
            if work.stored:
                known |= await self._index.vectors(self._tenant_id, "article", work.article.ref)
        complete, embedded = await with_vectors([row for work in batch for row in work.rows], self._embedder, known)
        rows = iter(complete)
        for work in batch:
            await self._save(work, [next(rows) for _ in work.rows])
        return embedded

    async def _save(self, work: _Work, rows: Sequence[Row]) -> None:
        article, before = work.article, work.stored.supersedes if work.stored else ()
        async with replacing(self._index, self._database, self._tenant_id, "article", article.ref, rows) as connection:
            await save_article(
                connection, self._tenant_id, self._collection, article, article_id=work.article_id, version=work.version
            )
            touched = {article.ref, *article.supersedes, *before}
            await self._index.switch(connection, self._tenant_id, await validity(connection, self._tenant_id, touched))
        await self._index.settle(self._tenant_id, "article", touched - {article.ref})

    def _gone(self, stored: dict[str, StoredArticle], refs: set[str], unread: set[str]) -> list[StoredArticle]:
        """Published from a file that is not there any more; an article without a file was written elsewhere."""
        return [
            article
            for article in stored.values()
            if article.collection == self._collection and article.published and article.path
            and article.ref not in refs
            and article.path not in unread and article.path.rsplit(":", 1)[0] not in unread
        ]  # fmt: skip

    async def _withdraw(self, gone: Sequence[StoredArticle]) -> None:
        for article in gone:
            async with replacing(
                self._index, self._database, self._tenant_id, "article", article.ref, ()
            ) as connection:
                await withdraw_article(connection, self._tenant_id, article.ref)
                older = await validity(connection, self._tenant_id, article.supersedes)
                await self._index.switch(connection, self._tenant_id, older)
            await self._index.settle(self._tenant_id, "article", article.supersedes)

    async def _refresh(self) -> None:
        """A tenant's articles hide global ones; after a global ingest that is looked at again for every tenant."""
        async with self._database.connection(self._tenant_id) as connection:
            tenants = [self._tenant_id]
            if self._tenant_id == GLOBAL_TENANT:
                tenants = await _tenants_with_articles(connection)
            await refresh_replaced(connection, tenants)


async def _tenants_with_articles(connection: Connection) -> list[UUID]:
    cursor = await connection.execute(
        "select distinct tenant_id from kb_articles where tenant_id <> %s and status = 'published'", (GLOBAL_TENANT,)
    )
    return [row["tenant_id"] for row in await cursor.fetchall()]


def _is_same(article: ArticleFile, stored: StoredArticle | None) -> bool:
    return stored is not None and stored.published and stored.content_hash == article.content_hash


def _batches(works: Iterable[_Work]) -> Iterator[list[_Work]]:
    batch: list[_Work] = []
    for work in works:
        batch.append(work)
        if sum(len(each.rows) for each in batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


@asynccontextmanager
async def _turn(database: Postgres, name: str) -> AsyncIterator[None]:
    """Asked for again and again: a statement that waits for a lock holds a snapshot, which index builds wait for."""
    until = time.monotonic() + PATIENCE_S
    async with database.lookup() as connection:
        while not await _scalar(connection, "select pg_try_advisory_lock(hashtextextended(%s, 0)) as value", name):
            if time.monotonic() > until:
                raise Unavailable("another ingest of this collection has been running for too long")
            await asyncio.sleep(0.1)
        try:
            yield
        finally:
            await _scalar(connection, "select pg_advisory_unlock(hashtextextended(%s, 0)) as value", name)


async def _scalar(connection: Connection, statement: str, value: str) -> bool:
    row = await (await connection.execute(statement, (value,))).fetchone()
    return bool(row and row["value"])
