"""Articles in Postgres: their current state, their versions, and which of them another one replaces.

    draft ──publish──▶ published ──withdraw──▶ withdrawn ──publish──▶ published ...
                                                                    any of them ──▶ deleted (its versions stay)

The row of an article says what holds: the version that is published, or was the last to be. A newer text waits as
`draft` beside it; `latest` counts all texts there ever were. An article is replaced by every published article of its
tenant that names it in `supersedes`: at once, or from the moment that the newer one takes effect. A tenant's article
also replaces a global one, in that tenant's searches alone, if it names it or bears the same id.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from kbs.articles.reading import ArticleFile
from kbs.index import Validity
from memory.database import Connection
from memory.models import GLOBAL_TENANT, new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredArticle:
    """An article's row, without its text."""

    id: UUID
    ref: str
    collection: str
    path: str
    status: str
    version: int
    latest: int
    draft: int | None
    content_hash: str
    file_hash: str
    supersedes: tuple[str, ...]

    @property
    def published(self) -> bool:
        return self.status == "published"

    @property
    def newest(self) -> int:
        """The version that an edit goes on from."""
        return self.draft or self.version


_COLUMNS = "id, ref, collection, path, status, version, latest, draft, content_hash, file_hash, supersedes"
_SAID = ("title", "category", "audience", "tags", "supersedes", "language", "effective_from", "effective_until")
"""What is said about a text: in each version, and of the one that holds in the article's row."""
_OF_VERSION = ("label", "last_updated", "body")
_KEEP = f"""
insert into kb_articles (id, tenant_id, ref, collection, path, status, version, latest, draft, content_hash, file_hash,
                         {", ".join(_SAID)})
values (%(id)s, %(tenant_id)s, %(ref)s, %(collection)s, %(path)s, %(status)s, %(version)s, %(version)s, %(draft)s,
        %(content_hash)s, %(file_hash)s, {", ".join(f"%({name})s" for name in _SAID)})
on conflict (tenant_id, ref) do update set
    collection = excluded.collection, path = excluded.path, status = excluded.status, version = excluded.version,
    latest = greatest(kb_articles.latest, excluded.latest), draft = excluded.draft,
    content_hash = excluded.content_hash, file_hash = excluded.file_hash,
    {", ".join(f"{name} = excluded.{name}" for name in _SAID)}, updated_at = now()
"""
_ADD_VERSION = f"""
insert into kb_article_versions (id, tenant_id, article_id, version, content_hash, author, note,
                                 {", ".join((*_SAID, *_OF_VERSION))})
values (%(version_id)s, %(tenant_id)s, %(id)s, %(version)s, %(content_hash)s, %(author)s, %(note)s,
        {", ".join(f"%({name})s" for name in (*_SAID, *_OF_VERSION))})
on conflict (article_id, version) do nothing
"""
_VALIDITY = """
select a.ref, a.effective_until as own_end,
       coalesce(bool_or(newer.effective_from is null) filter (where newer.id is not null), false) as replaced,
       min(newer.effective_from) as replaced_from
from kb_articles a left join kb_articles newer
    on newer.tenant_id = a.tenant_id and newer.status = 'published' and newer.id <> a.id
        and a.ref = any(newer.supersedes)
where a.tenant_id = %s and a.ref = any(%s)
group by a.ref, a.effective_until
"""
_REPLACED = """
insert into knowledge_revisions (tenant_id, revision, replaced)
select owner.id, 1, array(
    select distinct g.ref from kb_articles g join kb_articles o on o.tenant_id = owner.id and o.status = 'published'
        and (o.ref = g.ref or g.ref = any(o.supersedes))
    where g.tenant_id = %(global)s order by g.ref)
from unnest(%(tenants)s::uuid[]) owner(id)
on conflict (tenant_id) do update
    set replaced = excluded.replaced, revision = knowledge_revisions.revision + 1
    where knowledge_revisions.replaced <> excluded.replaced
"""
_TEXT = f"""
select v.version, a.ref, {", ".join(f"v.{name}" for name in (*_SAID, *_OF_VERSION))}
from kb_article_versions v join kb_articles a on a.id = v.article_id and a.tenant_id = v.tenant_id
where v.tenant_id = %s and v.article_id = %s and v.version = %s
"""


async def stored_articles(
    connection: Connection, tenant_id: UUID, refs: Sequence[str] | None = None
) -> dict[str, StoredArticle]:
    """Of the tenant, by ref, whatever their state; all of them, or those named."""
    cursor = await connection.execute(
        f"select {_COLUMNS} from kb_articles where tenant_id = %(tenant)s"
        " and (%(refs)s::text[] is null or ref = any(%(refs)s::text[]))",
        {"tenant": tenant_id, "refs": None if refs is None else list(refs)},
    )
    return {row["ref"]: _stored(row) for row in await cursor.fetchall()}


async def lock_article(connection: Connection, tenant_id: UUID, ref: str) -> StoredArticle | None:
    """The article as it is now, which nobody else changes, or writes where there is none, until the transaction ends."""
    await connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"article:{tenant_id}:{ref}",))
    cursor = await connection.execute(
        f"select {_COLUMNS} from kb_articles where tenant_id = %s and ref = %s for no key update", (tenant_id, ref)
    )
    row = await cursor.fetchone()
    return _stored(row) if row else None


async def article_text(connection: Connection, tenant_id: UUID, article_id: UUID, version: int) -> ArticleFile | None:
    """One version as its author wrote it."""
    row = await (await connection.execute(_TEXT, (tenant_id, article_id, version))).fetchone()
    if row is None:
        return None
    fields: dict[str, Any] = {name: row[name] for name in ("ref", *_SAID, *_OF_VERSION)}
    fields |= {name: tuple(row[name]) for name in ("audience", "tags", "supersedes")}
    return ArticleFile(path="", **fields)


async def keep_article(
    connection: Connection, tenant_id: UUID, collection: str, article: ArticleFile, *, article_id: UUID, version: int,
    author: str, status: str = "published", draft: int | None = None, file_hash: str = "", note: str = "",
) -> None:  # fmt: skip
    """Let this text hold as this version; one that is not stored yet becomes a version, which nothing changes."""
    values = _values(tenant_id, article, article_id=article_id, version=version, author=author, note=note)
    values |= {"collection": collection, "status": status, "draft": draft, "file_hash": file_hash}
    await connection.execute(_KEEP, values)
    await connection.execute(_ADD_VERSION, values)


async def add_draft(
    connection: Connection, tenant_id: UUID, stored: StoredArticle, article: ArticleFile, *, author: str,
    note: str = "", file_hash: str | None = None,
) -> int:  # fmt: skip
    """Put a text beside what holds; the number of its version. An article that was never published becomes this text."""
    version = stored.latest + 1
    if stored.status == "draft":
        await keep_article(
            connection, tenant_id, stored.collection, replace_path(article, stored.path), article_id=stored.id,
            version=version, author=author, status="draft", draft=version, note=note,
            file_hash=stored.file_hash if file_hash is None else file_hash,
        )  # fmt: skip
        return version
    values = _values(tenant_id, article, article_id=stored.id, version=version, author=author, note=note)
    await connection.execute(_ADD_VERSION, values)
    await connection.execute(
        "update kb_articles set latest = %(version)s, draft = %(version)s, updated_at = now(),"
        " file_hash = coalesce(%(file_hash)s, file_hash) where tenant_id = %(tenant_id)s and id = %(id)s",
        {"version": version, "file_hash": file_hash, "tenant_id": tenant_id, "id": stored.id},
    )
    return version


async def set_state(connection: Connection, tenant_id: UUID, ref: str, **columns: Any) -> None:
    """Change `status`, `draft`, `path` or `file_hash`; passages are the index's to remove, versions stay."""
    assert columns.keys() <= {"status", "draft", "path", "file_hash"}
    named = ", ".join(f"{name} = %({name})s" for name in columns)
    await connection.execute(
        f"update kb_articles set {named}, updated_at = now() where tenant_id = %(tenant)s and ref = %(ref)s",
        {**columns, "tenant": tenant_id, "ref": ref},
    )


async def validity(connection: Connection, tenant_id: UUID, refs: Collection[str]) -> Mapping[str, Validity]:
    """Of those of the articles that exist: whether another one replaces it, and until when it holds."""
    cursor = await connection.execute(_VALIDITY, (tenant_id, list(refs)))
    return {
        row["ref"]: Validity(active=not row["replaced"], until=_earliest(row["own_end"], row["replaced_from"]))
        for row in await cursor.fetchall()
    }


async def refresh_replaced(connection: Connection, tenants: Collection[UUID]) -> None:
    """Note which global articles these tenants' own ones replace."""
    await connection.execute(
        _REPLACED, {"global": GLOBAL_TENANT, "tenants": [each for each in tenants if each != GLOBAL_TENANT]}
    )


def replace_path(article: ArticleFile, path: str) -> ArticleFile:
    """The same text as of another file; empty for none."""
    return article if article.path == path else replace(article, path=path)


def _values(
    tenant_id: UUID, article: ArticleFile, *, article_id: UUID, version: int, author: str, note: str
) -> dict[str, Any]:
    said: dict[str, Any] = {name: _plain(getattr(article, name)) for name in (*_SAID, *_OF_VERSION, "ref", "path")}
    return said | {
        "id": article_id, "tenant_id": tenant_id, "version": version, "version_id": new_id(), "author": author,
        "note": note, "content_hash": article.content_hash,
    }  # fmt: skip


def _plain(value: str | date | tuple[str, ...] | None) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _stored(row: Mapping[str, Any]) -> StoredArticle:
    return StoredArticle(**{**row, "supersedes": tuple(row["supersedes"])})


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)
