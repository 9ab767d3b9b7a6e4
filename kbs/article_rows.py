"""Articles in Postgres: their current state, their versions, and which of them another one replaces.

An article is replaced by every published article of its tenant that names it in `supersedes`: at once, or from the
moment that the newer one takes effect. A tenant's article also replaces a global one, in that tenant's searches
alone, if it names it or bears the same id.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from kbs.articles import ArticleFile
from kbs.index import Validity
from memory.database import Connection
from memory.models import GLOBAL_TENANT, new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredArticle:
    id: UUID
    ref: str
    collection: str
    path: str
    published: bool
    version: int
    content_hash: str
    supersedes: tuple[str, ...]


_COLUMNS = "id, ref, collection, path, status, version, content_hash, supersedes"
_UPSERT = """
insert into kb_articles (id, tenant_id, ref, collection, path, title, status, audience, tags, supersedes, language,
                         version, content_hash, effective_from, effective_until)
values (%(id)s, %(tenant_id)s, %(ref)s, %(collection)s, %(path)s, %(title)s, 'published', %(audience)s, %(tags)s,
        %(supersedes)s, %(language)s, %(version)s, %(content_hash)s, %(effective_from)s, %(effective_until)s)
on conflict (tenant_id, ref) do update set
    collection = excluded.collection, path = excluded.path, title = excluded.title, status = 'published',
    audience = excluded.audience, tags = excluded.tags, supersedes = excluded.supersedes,
    language = excluded.language, version = excluded.version, content_hash = excluded.content_hash,
    effective_from = excluded.effective_from, effective_until = excluded.effective_until, updated_at = now()
"""
_ADD_VERSION = """
insert into kb_article_versions (id, tenant_id, article_id, version, label, last_updated, title, body, content_hash)
values (%(version_id)s, %(tenant_id)s, %(id)s, %(version)s, %(label)s, %(last_updated)s, %(title)s, %(body)s,
        %(content_hash)s)
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


async def stored_articles(connection: Connection, tenant_id: UUID) -> dict[str, StoredArticle]:
    """All of the tenant, by ref, withdrawn ones too."""
    cursor = await connection.execute(f"select {_COLUMNS} from kb_articles where tenant_id = %s", (tenant_id,))
    return {
        row["ref"]: StoredArticle(
            id=row["id"], ref=row["ref"], collection=row["collection"], path=row["path"],
            published=row["status"] == "published", version=row["version"], content_hash=row["content_hash"],
            supersedes=tuple(row["supersedes"]),
        )
        for row in await cursor.fetchall()
    }  # fmt: skip


async def save_article(
    connection: Connection, tenant_id: UUID, collection: str, article: ArticleFile, *, article_id: UUID, version: int
) -> None:
    """Write the current state; a text that is not stored yet becomes a version of its own, which nothing changes."""
    values: dict[str, Any] = {
        "id": article_id, "tenant_id": tenant_id, "collection": collection, "version": version,
        "version_id": new_id(), "content_hash": article.content_hash,
        "audience": list(article.audience), "tags": list(article.tags), "supersedes": list(article.supersedes),
    }  # fmt: skip
    for name in (
        "ref",
        "path",
        "title",
        "language",
        "effective_from",
        "effective_until",
        "label",
        "last_updated",
        "body",
    ):
        values[name] = getattr(article, name)
    await connection.execute(_UPSERT, values)
    await connection.execute(f"{_ADD_VERSION} on conflict (article_id, version) do nothing", values)


async def withdraw_article(connection: Connection, tenant_id: UUID, ref: str) -> None:
    """Its passages are the index's to remove; its versions stay."""
    await connection.execute(
        "update kb_articles set status = 'withdrawn', updated_at = now() where tenant_id = %s and ref = %s",
        (tenant_id, ref),
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


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)
