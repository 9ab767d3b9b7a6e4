"""What admins write. Each verb is one transaction with its note in the audit log.

    create    a draft, or published at once
    edit      a new version; of a published article it waits beside the text that holds
    publish   let a version hold: the draft, or any older one

Who names the `version` that they have seen is refused where somebody wrote a newer one. Without it the change is made to
what is there, and still never over a change that came in while it was made.
"""

import re
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from typing import Any
from uuid import UUID

from psycopg import errors

from kbs.articles.publishing import Edition, embedded, make_edition, publishing
from kbs.articles.reading import ArticleFile, language_of
from kbs.articles.rows import (
    StoredArticle,
    add_draft,
    article_text,
    keep_article,
    lock_article,
    replace_path,
    stored_articles,
)
from memory.database import Connection
from memory.errors import Conflict, Invalid, NotFound, Unavailable
from memory.models import new_id
from memory.tenancy import Principal
from tools.articles.finding import enabled_collections, must_be_writable
from tools.articles.shelf import Shelf

MOST_ARTICLES_OF_A_NAME = 100
LONGEST_BODY = 200_000
Beside = Callable[[Connection, UUID, int], Awaitable[None]]


async def create(
    shelf: Shelf, principal: Principal, article: ArticleFile, *, collection: str, publish: bool, note: str = "",
    **who: Any,
) -> UUID:  # fmt: skip
    """A new article; without a ref it gets one from its title, without a language its text's. Raises Conflict for a
    ref that is taken, Invalid."""
    if not article.ref:
        article = replace(article, ref=await _free_ref(shelf, principal, article.title))
    article = _checked(replace(article, language=article.language or language_of(article.body)))
    article_id, _ = await put(shelf, principal, article, collection=collection, publish=publish, note=note, **who)
    return article_id


async def edit(
    shelf: Shelf, principal: Principal, article_id: UUID, changes: dict[str, Any], *, version: int | None = None,
    publish: bool = False, note: str = "", **who: Any,
) -> None:  # fmt: skip
    """Change what is named of the newest text. What is the same as before makes no version.

    Raises NotFound, NotAllowed, Invalid, and Conflict for an older version or a deleted article.
    """
    stored = await find_own(shelf, principal, article_id, version)
    before = await _text(shelf, principal, stored, stored.newest)
    article = _changed(before, changes)
    if article != before:
        changed = {"fields": sorted(_differing(before, article))}
        await put(
            shelf, principal, article, collection=stored.collection, publish=publish, note=note, stored=stored,
            told=changed, **who,
        )  # fmt: skip
    elif publish:
        await publish_version(shelf, principal, article_id, version=version, **who)


async def put(
    shelf: Shelf, principal: Principal, article: ArticleFile, *, collection: str, publish: bool, note: str = "",
    stored: StoredArticle | None = None, edition: Edition | None = None, told: dict[str, Any] | None = None,
    beside: Beside | None = None, **who: Any,
) -> tuple[UUID, int]:  # fmt: skip
    """Write a text as a new article, or as the next version of the one that was `stored` when the caller looked; its id
    and version. An `edition` is that text with its passages, where they are made already; `beside` writes what belongs
    into the same transaction.

    Raises Conflict where somebody was faster, and Invalid for articles that supersede each other in a circle.
    """
    article = replace_path(article, stored.path if stored else "")
    article_id = stored.id if stored else edition.article_id if edition else new_id()
    number = stored.latest + 1 if stored else 1
    action = "article.edited" if stored else "article.created"
    named = {"ref": article.ref, "version": number, "published": publish, **(told or {})}
    if publish and edition is None:
        edition = await _edition(shelf, principal, article, collection, article_id, number, stored)
    async with _writing(shelf, principal, edition if publish else None, stored) as connection:
        await hold(connection, principal, article.ref, stored)
        if publish:
            await _keep(connection, principal, collection, article, article_id, number, stored, note)
        elif stored:
            await add_draft(connection, principal.tenant_id, stored, article, author=principal.key, note=note)
        else:
            await keep_article(
                connection, principal.tenant_id, collection, article, article_id=article_id, version=1, status="draft",
                draft=1, author=principal.key, note=note,
            )  # fmt: skip
        await shelf.note(connection, principal, action, article_id, named, **who)
        if beside:
            await beside(connection, article_id, number)
    return article_id, number


async def publish_version(
    shelf: Shelf, principal: Principal, article_id: UUID, *, number: int | None = None, version: int | None = None,
    **who: Any,
) -> None:  # fmt: skip
    """Let a version hold; by default the draft. Nothing happens where it does already. Raises as `edit`."""
    stored = await find_own(shelf, principal, article_id, version)
    number = stored.newest if number is None else number
    if stored.published and number == stored.version:
        return
    article = await _text(shelf, principal, stored, number)
    edition = await _edition(shelf, principal, article, stored.collection, article_id, number, stored)
    async with _writing(shelf, principal, edition, stored) as connection:
        await hold(connection, principal, stored.ref, stored)
        await _keep(connection, principal, stored.collection, article, article_id, number, stored, "")
        await shelf.note(connection, principal, "article.published", article_id, {"version": number}, **who)


async def find_own(
    shelf: Shelf, principal: Principal, article_id: UUID, version: int | None, *, deleted: bool = False
) -> StoredArticle:
    """An article that is to be changed. Raises NotFound, NotAllowed for a global one, and Conflict for an older version
    or, unless they are wanted, a deleted one."""
    enabled = await enabled_collections(shelf.database, principal)
    async with shelf.knowledge.connection(principal.tenant_id) as connection:
        ref = (await must_be_writable(connection, enabled, article_id))["ref"]
        stored = (await stored_articles(connection, principal.tenant_id, [ref]))[ref]
    if version is not None and version != stored.latest:
        raise Conflict(f"somebody has changed this article meanwhile; its version is {stored.latest}")
    if stored.status == "deleted" and not deleted:
        raise Conflict("this article was deleted")
    return stored


async def _text(shelf: Shelf, principal: Principal, stored: StoredArticle, version: int) -> ArticleFile:
    async with shelf.knowledge.connection(principal.tenant_id) as connection:
        found = await article_text(connection, principal.tenant_id, stored.id, version)
    if found is None:
        raise NotFound("no such version")
    return replace_path(found, stored.path)


async def hold(connection: Connection, principal: Principal, ref: str, seen: StoredArticle | None) -> None:
    """Hold the article, and make sure that it is what the caller has seen. Raises Conflict."""
    now = await lock_article(connection, principal.tenant_id, ref)
    if now == seen:
        return
    if seen is None:
        raise Conflict("there is an article with this ref already")
    raise Conflict("somebody has changed this article just now; read it again")


async def _keep(
    connection: Connection, principal: Principal, collection: str, article: ArticleFile, article_id: UUID, number: int,
    stored: StoredArticle | None, note: str,
) -> None:  # fmt: skip
    """Let the text hold. A draft that is older than it, or is it, waits no more."""
    waiting = stored.draft if stored and stored.draft and stored.draft > number else None
    await keep_article(
        connection, principal.tenant_id, collection, article, article_id=article_id, version=number,
        author=principal.key, draft=waiting, file_hash=stored.file_hash if stored else "", note=note,
    )  # fmt: skip


async def _edition(
    shelf: Shelf, principal: Principal, article: ArticleFile, collection: str, article_id: UUID, number: int,
    stored: StoredArticle | None,
) -> Edition:  # fmt: skip
    cut = await make_edition(article, collection, article_id=article_id, version=number)
    [edition], _ = await embedded(shelf.library, principal.tenant_id, [cut], [stored.ref] if stored else [])
    return edition


@asynccontextmanager
async def _writing(
    shelf: Shelf, principal: Principal, edition: Edition | None, stored: StoredArticle | None
) -> AsyncIterator[Connection]:
    """A transaction for the article's rows; an edition is found by searches from its commit on."""
    try:
        if edition is None:
            async with shelf.knowledge.connection(principal.tenant_id) as connection:
                yield connection
            return
        before = stored.supersedes if stored else ()
        async with publishing(shelf.library, principal.tenant_id, edition, before=before) as connection:
            await _must_not_circle(connection, principal, edition.article)
            yield connection
    except errors.ForeignKeyViolation as error:
        raise Unavailable(
            "the knowledge base's own database does not know this tenant yet: run `helpdesk seed`"
        ) from error


async def _must_not_circle(connection: Connection, principal: Principal, article: ArticleFile) -> None:
    """Of articles that replace each other in a circle none could ever be found."""
    values = {"ref": article.ref, "supersedes": list(article.supersedes), "tenant": principal.tenant_id}
    if await (await connection.execute(CIRCLE, values)).fetchone():
        raise Invalid("`supersedes` leads in a circle back to this article")


async def _free_ref(shelf: Shelf, principal: Principal, title: str) -> str:
    """A ref from the title that no article of the tenant has; two at the same moment meet at the lock."""
    stem = slug(title) or "article"
    names = [stem, *(f"{stem}-{number}" for number in range(2, MOST_ARTICLES_OF_A_NAME))]
    async with shelf.knowledge.connection(principal.tenant_id) as connection:
        taken = await stored_articles(connection, principal.tenant_id, names)
    return next((name for name in names if name not in taken), str(new_id()))


def slug(title: str) -> str:
    """A title as an id: lower case letters and digits of any script, joined by hyphens."""
    words = re.findall(r"\w+", unicodedata.normalize("NFC", title).lower().replace("_", " "))
    return "-".join(words)[:80].strip("-")


def _changed(before: ArticleFile, changes: dict[str, Any]) -> ArticleFile:
    """The text with the changes; a language that was read from the text is read from it again."""
    article = replace(before, **changes)
    if "language" not in changes and before.language == language_of(before.body):
        article = replace(article, language=language_of(article.body))
    return _checked(article)


def _checked(article: ArticleFile) -> ArticleFile:
    """Nothing supersedes itself. Raises Invalid for an end that is not after its beginning."""
    starts, ends = article.effective_from, article.effective_until
    if starts and ends and ends <= starts:
        raise Invalid("effective_until is not after effective_from")
    return replace(article, supersedes=tuple(ref for ref in article.supersedes if ref != article.ref))


def _differing(before: ArticleFile, after: ArticleFile) -> set[str]:
    return {each.name for each in fields(ArticleFile) if getattr(before, each.name) != getattr(after, each.name)}


CIRCLE = """
with recursive older(ref) as (
    select unnest(%(supersedes)s::text[])
    union
    select unnest(a.supersedes) from kb_articles a join older on a.ref = older.ref
    where a.tenant_id = %(tenant)s and a.status = 'published' and a.ref <> %(ref)s)
select 1 from older where ref = %(ref)s limit 1
"""
