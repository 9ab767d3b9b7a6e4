"""Brings a folder of articles into a collection: by checksum, safe to repeat, one article per transaction.

What did not change is left alone; of what changed only the new passages are embedded. An article whose file is gone is
withdrawn, one whose file cannot be read stays as it was. An article that is named in `supersedes` is no longer found,
and found again when the newer one goes. Two ingests of one collection take turns. Global collections are written
through the owner's connections, a tenant's own through the application's.

What a person made of an article by hand is never lost to a file. As long as the file stays as it was at the last
ingest, the person's text (or that they withdrew it) holds. When the file changes too, its new text is kept as a draft
beside what holds, and the report says so; a person publishes one of the two. When the file goes, the article stays.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from uuid import UUID

from kbs.articles.publishing import Edition, Library, embedded, make_edition, publishing, withdrawing
from kbs.articles.reading import ArticleFile, BadArticle, read_folder
from kbs.articles.reindex import check_embedder
from kbs.articles.rows import (
    StoredArticle,
    add_draft,
    keep_article,
    lock_article,
    refresh_replaced,
    set_state,
    stored_articles,
)
from kbs.embedding.embedder import Embedder
from kbs.index import KnowledgeIndex, Postgres
from memory.database import Connection
from memory.errors import Unavailable
from memory.models import GLOBAL_TENANT, new_id

BATCH = 64
"""Passages that are embedded in one call, over several articles: a call to a distant model costs a round trip."""
PATIENCE_S = 600
"""That an ingest waits for another one of the same collection."""
AUTHOR = "file"

Progress = Callable[[int, int], None]
"""Is told how many articles are done, and of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an ingest did, in articles; `failed` says for each file why, `conflicts` what a person has to decide."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: tuple[BadArticle, ...] = ()
    conflicts: tuple[BadArticle, ...] = ()
    embedded_passages: int = 0


class Fate(Enum):
    """What becomes of a file's text."""

    TAKE = "it holds from now on"
    LEAVE = "what is stored stays"
    ADOPT = "what is stored stays, and is the file's"
    ASIDE = "it is kept as a draft beside what a person wrote"
    REFUSE = "a person deleted the article"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    stored: StoredArticle | None
    edition: Edition


class _Meanwhile(Exception):
    """A person changed the article after the ingest had looked at it."""


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
    library = Library(database=database, index=index, embedder=embedder)
    async with _turn(database, f"ingest:{tenant_id}:{collection}"):
        return await _Ingest(library, tenant_id, collection).run(articles, bad, progress)


def fate_of(article: ArticleFile, stored: StoredArticle | None) -> Fate:
    """What a file's text may do to the article that is stored under its id."""
    if stored is None:
        return Fate.TAKE
    if stored.file_hash == article.content_hash:
        return Fate.LEAVE
    if stored.status == "deleted":
        return Fate.REFUSE
    if stored.published and stored.content_hash == article.content_hash and stored.draft is None:
        return Fate.ADOPT
    return Fate.ASIDE if changed_by_hand(stored) else Fate.TAKE


def changed_by_hand(stored: StoredArticle) -> bool:
    """Whether what is stored is a person's doing, and not the file's as it was last taken or seen to be gone."""
    if stored.draft is not None or stored.status == "draft":
        return True
    if stored.status == "withdrawn":
        return bool(stored.file_hash) or not stored.path
    return stored.content_hash != stored.file_hash


class _Ingest:
    """One run over one collection."""

    def __init__(self, library: Library, tenant_id: UUID, collection: str) -> None:
        self._library = library
        self._tenant_id = tenant_id
        self._collection = collection
        self._conflicts: list[BadArticle] = []

    async def run(
        self, articles: Sequence[ArticleFile], bad: Sequence[BadArticle], progress: Progress | None
    ) -> Report:
        async with self._library.database.connection(self._tenant_id) as connection:
            stored = await stored_articles(connection, self._tenant_id)
        taken = tuple(self._taken(article, stored) for article in articles)
        failed = (*bad, *(error for error in taken if error))
        mine = [article for article, error in zip(articles, taken, strict=True) if error is None]
        fates = [(article, fate_of(article, stored.get(article.ref))) for article in mine]
        todo = [article for article, fate in fates if fate is Fate.TAKE]
        done, made = len(mine) - len(todo), 0
        report = progress or (lambda done, total: None)
        report(done, len(mine))
        for article, fate in fates:
            await self._set_aside(article, stored.get(article.ref), fate)
        async for batch in self._batches(todo, stored):
            made += await self._write(batch)
            done += len(batch)
            report(done, len(mine))
        gone = await self._withdraw(
            self._gone(stored, {article.ref for article in mine}, {error.path for error in failed})
        )
        if todo or gone:
            await self._refresh()
        added = sum(article.ref not in stored or not stored[article.ref].published for article in todo)
        return Report(
            added=added, changed=len(todo) - added, unchanged=len(mine) - len(todo), removed=gone, failed=failed,
            conflicts=tuple(self._conflicts), embedded_passages=made,
        )  # fmt: skip

    def _taken(self, article: ArticleFile, stored: dict[str, StoredArticle]) -> BadArticle | None:
        other = stored.get(article.ref)
        if other and other.published and other.collection != self._collection:
            return BadArticle(
                f"{article.path}: the id `{article.ref}` is taken by an article of the collection `{other.collection}`"
            )
        return None

    async def _set_aside(self, article: ArticleFile, stored: StoredArticle | None, fate: Fate) -> None:
        """Keep the text of a file beside what a person wrote, or note that the two are the same."""
        if stored is None or fate in (Fate.TAKE, Fate.LEAVE):
            return
        if fate is Fate.REFUSE:
            self._conflict(article.path, f"the article `{article.ref}` was deleted by hand; its file changes nothing")
            return
        async with self._library.database.connection(self._tenant_id) as connection:
            now = await lock_article(connection, self._tenant_id, article.ref)
            if now is None or fate_of(article, now) is not fate:
                self._conflict(article.path, MEANWHILE)
            elif fate is Fate.ADOPT:
                await set_state(
                    connection, self._tenant_id, article.ref, path=article.path, file_hash=article.content_hash
                )
            else:
                version = await add_draft(
                    connection, self._tenant_id, now, article, author=AUTHOR, file_hash=article.content_hash
                )
                self._conflict(
                    article.path, f"changed here and by hand; the file's text waits as draft version {version}"
                )

    async def _batches(
        self, articles: Sequence[ArticleFile], stored: dict[str, StoredArticle]
    ) -> AsyncIterator[list[_Work]]:
        batch: list[_Work] = []
        for article in articles:
            batch.append(await self._plan(article, stored.get(article.ref)))
            if sum(len(work.edition.rows) for work in batch) >= BATCH:
                yield batch
                batch = []
        if batch:
            yield batch

    async def _plan(self, article: ArticleFile, stored: StoredArticle | None) -> _Work:
        same_text = stored is not None and stored.content_hash == article.content_hash
        version = 1 if stored is None else stored.version if same_text else stored.latest + 1
        edition = await make_edition(
            article, self._collection, article_id=stored.id if stored else new_id(), version=version
        )
        return _Work(stored=stored, edition=edition)

    async def _write(self, batch: Sequence[_Work]) -> int:
        """Embed together, write one by one: no transaction is open while the model works."""
        known = [work.stored.ref for work in batch if work.stored]
        editions, made = await embedded(self._library, self._tenant_id, [work.edition for work in batch], known)
        for work, edition in zip(batch, editions, strict=True):
            try:
                await self._save(work.stored, edition)
            except _Meanwhile:
                self._conflict(edition.article.path, MEANWHILE)
        return made

    async def _save(self, stored: StoredArticle | None, edition: Edition) -> None:
        before = stored.supersedes if stored else ()
        async with publishing(self._library, self._tenant_id, edition, before=before) as connection:
            if await lock_article(connection, self._tenant_id, edition.article.ref) != stored:
                raise _Meanwhile
            await keep_article(
                connection, self._tenant_id, self._collection, edition.article, article_id=edition.article_id,
                version=edition.version, author=AUTHOR, file_hash=edition.article.content_hash,
            )  # fmt: skip

    def _gone(self, stored: dict[str, StoredArticle], refs: set[str], unread: set[str]) -> list[StoredArticle]:
        """Published from a file that is not there any more; an article without a file was written elsewhere."""
        return [
            article
            for article in stored.values()
            if article.collection == self._collection and article.published and article.path
            and article.ref not in refs
            and article.path not in unread and article.path.rsplit(":", 1)[0] not in unread
        ]  # fmt: skip

    async def _withdraw(self, gone: Sequence[StoredArticle]) -> int:
        """Withdraw what only a file stood for; how many these were."""
        withdrawn = 0
        for article in gone:
            if changed_by_hand(article):
                async with self._library.database.connection(self._tenant_id) as connection:
                    await set_state(connection, self._tenant_id, article.ref, path="", file_hash="")
                self._conflict(article.path, "the file is gone; the article was changed by hand and stays")
                continue
            try:
                async with withdrawing(
                    self._library, self._tenant_id, article.ref, before=article.supersedes
                ) as connection:
                    if await lock_article(connection, self._tenant_id, article.ref) != article:
                        raise _Meanwhile
                    await set_state(connection, self._tenant_id, article.ref, status="withdrawn", file_hash="")
                withdrawn += 1
            except _Meanwhile:
                self._conflict(article.path, MEANWHILE)
        return withdrawn

    async def _refresh(self) -> None:
        """A tenant's articles hide global ones; after a global ingest that is looked at again for every tenant."""
        if self._tenant_id == GLOBAL_TENANT:
            async with self._library.database.connection(self._tenant_id) as connection:
                await refresh_replaced(connection, await _tenants_with_articles(connection))

    def _conflict(self, path: str, what: str) -> None:
        self._conflicts.append(BadArticle(f"{path}: {what}"))


MEANWHILE = "the article was changed by hand while this ran; ingest again"


async def _tenants_with_articles(connection: Connection) -> list[UUID]:
    cursor = await connection.execute(
        "select distinct tenant_id from kb_articles where tenant_id <> %s and status = 'published'", (GLOBAL_TENANT,)
    )
    return [row["tenant_id"] for row in await cursor.fetchall()]


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
