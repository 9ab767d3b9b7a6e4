"""Searching the knowledge base, for a turn, a route or a tool: how a tenant ranks, and what a caller may see."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from kbs.index import Scope
from kbs.passages import Source
from kbs.search.cache import Retrieved
from kbs.search.retrieval import Mode, RetrievalOptions, Retriever
from kbs.search.weights import Weights
from memory.database import Connection, Database
from memory.errors import Invalid
from memory.models import GLOBAL_TENANT
from memory.tenancy import Principal
from tools.tenants import TenantOptions, load_options


async def load_retrieval_options(connection: Connection, tenant_id: UUID) -> RetrievalOptions:
    """The newest ranking settings of a tenant, else the specification's."""
    return ranking_of(await (await connection.execute(NEWEST_RANKING, {"tenant": tenant_id})).fetchone())


def ranking_of(row: Mapping[str, Any] | None) -> RetrievalOptions:
    """A row of the settings' history; the specification's where there is none."""
    if row is None:
        return RetrievalOptions()
    weights = Weights(**{source.value: row[f"weight_{source.value}"] for source in Source})
    return RetrievalOptions(weights=weights, rerank=row["rerank"], threshold=row["threshold"], top_k=row["top_k"])


async def check_collections(knowledge: Database, names: Collection[str]) -> None:
    """Refuse a global collection that does not exist: enabling it would quietly leave the tenant without answers."""
    async with knowledge.lookup() as connection:
        rows = await (await connection.execute(COLLECTIONS, (GLOBAL_TENANT,))).fetchall()
    known = sorted(row["collection"] for row in rows)
    if not set(names) <= set(known):
        raise Invalid(f"a collection does not exist; there are {', '.join(known) or 'none yet'}")


def scope_of(principal: Principal, options: TenantOptions) -> Scope:
    """What this caller may search: the tenant's own and its global collections, by the caller's audience."""
    audience = None if principal.role.is_staff else principal.audience
    return Scope(tenant_id=principal.tenant_id, collections=tuple(options.collections), audience=audience)


async def search_sources(
    database: Database,
    retriever: Retriever,
    principal: Principal,
    query: str,
    *,
    sources: frozenset[Source],
    mode: Mode,
    limit: int,
) -> Retrieved:
    """Ranked passages of some sources, as this caller may see them, and how near each source came."""
    async with database.connection(principal.tenant_id) as connection:
        options = await load_options(connection, principal.tenant_id)
        ranking = await load_retrieval_options(connection, principal.tenant_id)
    scope = replace(scope_of(principal, options), sources=sources)
    return await retriever.search(query, scope, ranking, mode=mode, k=limit)


NEWEST_RANKING = "select * from retrieval_settings where tenant_id = %(tenant)s order by id desc limit 1"
COLLECTIONS = "select distinct collection from kb_articles where tenant_id = %s"
