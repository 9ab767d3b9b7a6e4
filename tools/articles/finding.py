"""Lists of articles and single ones, as this caller may see them: the tenant's own, and the global ones it has enabled.

`version` is the number of the newest text, `published_version` of the one that answers are made from. A draft beside a
published text is what is shown, unless another version is asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from memory.database import Connection, Database
from memory.errors import NotAllowed, NotFound
from memory.models import GLOBAL_TENANT
from memory.tenancy import Principal
from tools.tenants import load_options

Owner = Literal["tenant", "global", "all"]
Status = Literal["draft", "published", "withdrawn", "deleted"]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleFilters:
    """What a list shall hold; None and empty leave open. Deleted articles only where their status is named."""

    owner: Owner = "tenant"
    statuses: tuple[Status, ...] = ()
    collection: str | None = None
    category: str | None = None
    tag: str | None = None
    audience: str | None = None
    language: str | None = None
    has_draft: bool | None = None
    q: str = ""
    before: UUID | None = None
    limit: int = 50


async def enabled_collections(database: Database, principal: Principal) -> list[str]:
    """Global collections that the tenant uses."""
    async with database.connection(principal.tenant_id) as connection:
        return list((await load_options(connection, principal.tenant_id)).collections)


async def list_articles(connection: Connection, enabled: Sequence[str], filters: ArticleFilters) -> list[Row]:
    """Newest first."""
    values = {name: getattr(filters, name) for name in CONDITIONS if getattr(filters, name) not in (None, (), "")}
    conditions = [OWNERS[filters.owner], *(CONDITIONS[name] for name in values)]
    if not filters.statuses:
        conditions.append("a.status <> 'deleted'")
    if "statuses" in values:
        values["statuses"] = list(filters.statuses)
    query = f"select {SHOWN} from kb_articles a where {' and '.join(conditions)} order by a.id desc limit %(limit)s"
    everything = {**values, "enabled": list(enabled), "everyone": GLOBAL_TENANT, "limit": filters.limit}
    return await (await connection.execute(query, everything)).fetchall()


async def read_article(
    connection: Connection, enabled: Sequence[str], article_id: UUID, version: int | None = None
) -> Row:
    """An article with one of its texts: the newest, or the version named. Raises NotFound."""
    values = {"id": article_id, "enabled": list(enabled), "everyone": GLOBAL_TENANT, "version": version}
    row = await (await connection.execute(READ, values)).fetchone()
    if row is None:
        raise NotFound("no such article")
    return row


async def must_be_readable(connection: Connection, enabled: Sequence[str], article_id: UUID) -> Row:
    """The article's row without a text, which an erased one has not. Raises NotFound."""
    values = {"id": article_id, "enabled": list(enabled), "everyone": GLOBAL_TENANT}
    row = await (await connection.execute(ONE, values)).fetchone()
    if row is None:
        raise NotFound("no such article")
    return row


async def must_be_writable(connection: Connection, enabled: Sequence[str], article_id: UUID) -> Row:
    """As `must_be_readable`, and the tenant's own. Raises NotAllowed for a global one."""
    row = await must_be_readable(connection, enabled, article_id)
    if row["owner"] == "global":
        raise NotAllowed("global articles can't be changed; write one of your own that supersedes it")
    return row


_OF_ARTICLE = """
a.id, a.ref, a.collection, a.path, a.status, a.latest as version,
case a.status when 'published' then a.version end as published_version, a.draft as draft_version,
a.created_at, a.updated_at, case a.tenant_id when current_tenant() then 'tenant' else 'global' end as owner
"""
_SAID = ("title", "category", "audience", "tags", "supersedes", "language", "effective_from", "effective_until")
SHOWN = f"{_OF_ARTICLE}, {', '.join(f'a.{name}' for name in _SAID)}"
_OWN = "a.tenant_id = current_tenant()"
_GLOBAL = "(a.tenant_id = %(everyone)s and a.status = 'published' and a.collection = any(%(enabled)s::text[]))"
OWNERS: dict[Owner, str] = {"tenant": _OWN, "global": _GLOBAL, "all": f"({_OWN} or {_GLOBAL})"}
CONDITIONS = {
    "statuses": "a.status = any(%(statuses)s)",
    "collection": "a.collection = %(collection)s",
    "category": "a.category = %(category)s",
    "tag": "%(tag)s = any(a.tags)",
    "audience": "%(audience)s = any(a.audience)",
    "language": "a.language = %(language)s",
    "has_draft": "(a.draft is not null) = %(has_draft)s",
    "q": """(strpos(lower(a.title || ' ' || a.ref), lower(%(q)s)) > 0 or exists (
        select 1 from kb_article_versions v where v.tenant_id = a.tenant_id and v.article_id = a.id
            and v.version in (a.version, a.draft) and strpos(lower(v.title || ' ' || v.body), lower(%(q)s)) > 0))""",
    "before": "a.id < %(before)s",
}
ONE = f"select {SHOWN} from kb_articles a where a.id = %(id)s and {OWNERS['all']}"
_SAID_THEN = ", ".join(f"case when v.id is null then a.{name} else v.{name} end as {name}" for name in _SAID)
READ = f"""
select {_OF_ARTICLE}, v.version as shown_version, coalesce(v.body, '') as body, v.label, v.last_updated, v.author, v.note,
       v.created_at as written_at, {_SAID_THEN}
from kb_articles a left join kb_article_versions v
    on v.tenant_id = a.tenant_id and v.article_id = a.id
        and v.version = coalesce(%(version)s::int, a.draft, a.version)
where a.id = %(id)s and {OWNERS["all"]} and (v.id is not null or (a.status = 'deleted' and %(version)s::int is null))
      and (a.tenant_id = current_tenant() or v.version = a.version)
"""
"""Of a global article only what is published: older texts are its maintainers'. An erased one has no text."""
