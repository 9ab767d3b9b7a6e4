"""Searching the knowledge base as people of the tenant do: with scores, by source."""

import time

from fastapi import APIRouter

from api import PREFIX
from api.dependencies import Res, Searcher
from api.errors import responses
from api.schemas.chat import HitOut, SearchIn, SearchOut, SourceOfHits
from kbs.passages import Source
from memory.tenancy import Principal
from tools.search import search_sources

router = APIRouter(prefix=f"{PREFIX}/search", tags=["search"])


@router.post("/global", responses=responses(401, 403))
async def search_global(body: SearchIn, principal: Searcher, resources: Res) -> SearchOut:
    """The global collections that this tenant has enabled."""
    return await _search(resources, principal, body, {Source.GLOBAL_KB})


@router.post("/tenant", responses=responses(401, 403))
async def search_tenant(body: SearchIn, principal: Searcher, resources: Res) -> SearchOut:
    """The tenant's own articles, approved examples and corrections."""
    return await _search(resources, principal, body, {Source.TENANT_KB, Source.EXAMPLE, Source.CORRECTION})


@router.post("/unified", responses=responses(401, 403))
async def search_unified(body: SearchIn, principal: Searcher, resources: Res) -> SearchOut:
    """All four sources, weighted and merged as a turn would."""
    return await _search(resources, principal, body, set(Source))


async def _search(resources: Res, principal: Principal, body: SearchIn, sources: set[Source]) -> SearchOut:
    started = time.perf_counter()
    retrieved = await search_sources(
        resources.database, resources.retriever, principal, body.query, sources=frozenset(sources), mode=body.mode,
        limit=body.limit,
    )  # fmt: skip
    items = [
        HitOut(
            id=found.ref, passage_id=found.id, source=found.source.value, title=found.title, heading=found.heading,
            content=found.text, score=found.score, similarity=found.similarity, collection=found.collection,
            version=found.version,
        )
        for found in retrieved.passages
    ]  # fmt: skip
    scores = {source: [hit.score for hit in items if hit.source == source] for source in sorted(sources)}
    by_source = {
        source: SourceOfHits(
            hits=len(scores[source]), best_score=max(scores[source], default=None),
            best_similarity=retrieved.best(source) if source in retrieved.similarities else None,
        )
        for source in scores
    }  # fmt: skip
    return SearchOut(items=items, sources=by_source, took_ms=round((time.perf_counter() - started) * 1000, 1))
