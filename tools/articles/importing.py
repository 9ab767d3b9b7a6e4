"""The work of an import: a few files at a time are read, embedded together, and written one by one.

A file's outcome is a row as soon as it is known, so whoever goes on after a crash begins with the next file. Files whose
text is what is stored change nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from kbs.articles.publishing import Edition, embedded, make_edition
from kbs.articles.reading import ArticleFile, BadArticle
from kbs.articles.rows import StoredArticle, stored_articles
from memory.database import Connection
from memory.errors import Conflict, Invalid
from memory.models import new_id
from memory.tenancy import Principal
from tools.articles import writing
from tools.articles.converting import Defaults, to_article
from tools.articles.shelf import Shelf

log = structlog.get_logger()
AT_ONCE = 16
"""Files that are read and embedded together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one file."""

    outcome: str
    detail: str = ""
    article_id: UUID | None = None
    version: int | None = None


UNREADABLE = Outcome(outcome="failed", detail="it can't be read")


@dataclass(slots=True, kw_only=True)
class _File:
    """A file on its way: what it says, what is stored of it, and what became of it once that is known."""

    id: UUID
    name: str
    article: ArticleFile | None = None
    stored: StoredArticle | None = None
    edition: Edition | None = None
    outcome: Outcome | None = None


async def import_files(shelf: Shelf, principal: Principal, upload: dict[str, Any]) -> None:
    """Work through the files of an upload that are still waiting. `upload` is its row."""
    defaults = Defaults(category=upload["category"], tags=tuple(upload["tags"]), audience=tuple(upload["audience"]))
    while True:
        async with shelf.database.connection(principal.tenant_id) as connection:
            values = {"import": upload["id"], "most": AT_ONCE}
            waiting = await (await connection.execute(WAITING, values)).fetchall()
        if not waiting:
            return
        files = list(await asyncio.gather(*(_read(row, defaults) for row in waiting)))
        await _look_up(shelf, principal, upload, files)
        if upload["publish"]:
            await _embed(shelf, principal, upload["collection"], [file for file in files if file.outcome is None])
        for file in files:
            if file.outcome:
                await _tell(shelf, principal, upload["id"], file.id, file.outcome)
            else:
                await _write(shelf, principal, upload, file)


async def _read(row: dict[str, Any], defaults: Defaults) -> _File:
    file = _File(id=row["id"], name=row["name"])
    try:
        file.article = await to_article(file.name, bytes(row["content"]), defaults)
    except BadArticle as error:
        file.outcome = Outcome(outcome="failed", detail=error.detail.removeprefix(f"{file.name}: "))
    except Exception:
        log.exception("a file of an upload could not be read")
        file.outcome = UNREADABLE
    return file


async def _look_up(shelf: Shelf, principal: Principal, upload: dict[str, Any], files: Sequence[_File]) -> None:
    """Find what is stored under the files' ids, and what can be told before anything is written."""
    refs = [file.article.ref for file in files if file.article]
    async with shelf.knowledge.connection(principal.tenant_id) as connection:
        stored = await stored_articles(connection, principal.tenant_id, refs)
    async with shelf.database.connection(principal.tenant_id) as connection:
        rows = await (await connection.execute(TAKEN, (upload["id"],))).fetchall()
    named = {row["article_id"]: row["name"] for row in rows}
    taken = {ref: named[article.id] for ref, article in stored.items() if article.id in named}
    for file in files:
        if file.article is None:
            continue
        ref = file.article.ref
        file.stored = stored.get(ref)
        if ref in taken:
            file.outcome = Outcome(outcome="failed", detail=f"its id `{ref}` is taken by {taken[ref]}")
        elif file.stored:
            file.outcome = _verdict(file.article, file.stored, publish=upload["publish"])
        taken.setdefault(ref, file.name)


def _verdict(article: ArticleFile, stored: StoredArticle, *, publish: bool) -> Outcome | None:
    """None for a file that is to be written over what is stored."""
    outcome, detail = "failed", ""
    waits = stored.draft is not None and stored.status != "draft"
    if stored.status == "deleted":
        detail = "the article of this id was deleted"
    elif waits:
        detail = f"a draft of it waits (version {stored.draft}); publish or discard it first"
    elif stored.content_hash == article.content_hash and (stored.published or not publish):
        outcome = "unchanged"
    else:
        return None
    return Outcome(outcome=outcome, detail=detail, article_id=stored.id, version=stored.version)


async def _embed(shelf: Shelf, principal: Principal, collection: str, files: Sequence[_File]) -> None:
    cut: dict[UUID, Edition] = {}
    for file in files:
        stored = file.stored
        assert file.article is not None  # without one the outcome is known
        try:
            cut[file.id] = await make_edition(
                file.article, stored.collection if stored else collection,
                article_id=stored.id if stored else new_id(), version=stored.latest + 1 if stored else 1,
            )  # fmt: skip
        except Exception:
            log.exception("a file of an upload could not be cut into passages")
            file.outcome = UNREADABLE
    known = [file.stored.ref for file in files if file.stored]
    editions, _ = await embedded(shelf.library, principal.tenant_id, list(cut.values()), known)
    made = dict(zip(cut, editions, strict=True))
    for file in files:
        file.edition = made.get(file.id)


async def _write(shelf: Shelf, principal: Principal, upload: dict[str, Any], file: _File) -> None:
    """Write the article, and its outcome in the same transaction where they share a database: a job that breaks off
    between the two would later find the text there and say that nothing changed."""
    stored, article = file.stored, file.article
    assert article is not None  # without one the outcome is known
    told = False

    async def tell(connection: Connection, article_id: UUID, version: int) -> None:
        nonlocal told
        told = shelf.knowledge is shelf.database
        if told:
            done = Outcome(outcome="changed" if stored else "added", article_id=article_id, version=version)
            await _note(connection, upload["id"], file.id, done)

    try:
        if stored and stored.content_hash == article.content_hash:  # withdrawn, or never published
            await writing.publish_version(shelf, principal, stored.id)
            outcome = Outcome(outcome="changed", article_id=stored.id, version=stored.newest)
        else:
            article_id, version = await writing.put(
                shelf, principal, article, collection=stored.collection if stored else upload["collection"],
                publish=upload["publish"], stored=stored, edition=file.edition, told={"import": str(upload["id"])},
                beside=tell,
            )  # fmt: skip
            outcome = Outcome(outcome="changed" if stored else "added", article_id=article_id, version=version)
    except (Conflict, Invalid) as error:
        told, outcome = False, Outcome(outcome="failed", detail=error.detail)
    if not told:
        await _tell(shelf, principal, upload["id"], file.id, outcome)


async def _tell(shelf: Shelf, principal: Principal, import_id: UUID, file_id: UUID, outcome: Outcome) -> None:
    async with shelf.database.connection(principal.tenant_id) as connection:
        await _note(connection, import_id, file_id, outcome)


async def _note(connection: Connection, import_id: UUID, file_id: UUID, outcome: Outcome) -> None:
    values = {
        "id": file_id, "import": import_id, "outcome": outcome.outcome, "detail": outcome.detail,
        "article": outcome.article_id, "version": outcome.version,
    }  # fmt: skip
    await connection.execute(TELL, values)
    await connection.execute(PROGRESS, values)


WAITING = """
select id, name, content from kb_import_files
where tenant_id = current_tenant() and import_id = %(import)s and outcome = 'waiting'
order by position limit %(most)s
"""
TAKEN = """
select article_id, name from kb_import_files
where tenant_id = current_tenant() and import_id = %s and article_id is not null
"""
TELL = """
update kb_import_files set outcome = %(outcome)s, detail = %(detail)s, article_id = %(article)s, version = %(version)s,
       content = null
where tenant_id = current_tenant() and id = %(id)s
"""
PROGRESS = """
update kb_imports set done = done + 1, touched_at = clock_timestamp() where tenant_id = current_tenant() and id = %(import)s
"""
