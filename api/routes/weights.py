"""Weights of the four sources, rerank and its limits: read by colleagues, changed by admins, every change kept."""

from fastapi import APIRouter, Request

from api import PREFIX
from api.dependencies import Admin, Colleague, Res, trace
from api.errors import responses
from api.idempotency import IdempotentRoute
from api.schemas.common import Cursor, Limit, Page, page_of
from api.schemas.weights import ApplyIn, RankingChange, RankingOut, RecommendationOut, ResetIn
from kbs.search.retrieval import RetrievalOptions
from tools.ranking import advice, settings

router = APIRouter(prefix=f"{PREFIX}/weights", tags=["weights"], route_class=IdempotentRoute)


@router.get("", responses=responses(401, 403))
async def read_weights(principal: Colleague, resources: Res) -> RankingOut:
    """What ranks your searches now; the weights sum to 1."""
    async with resources.database.connection(principal.tenant_id) as connection:
        return RankingOut.of(await settings.read_ranking(connection, principal.tenant_id))


@router.put("", responses=responses(401, 403, 409))
async def set_weights(body: RankingChange, principal: Admin, resources: Res, request: Request) -> RankingOut:
    """Change what is named, from the next search on."""
    changed = await settings.change_ranking(
        resources.database,
        principal,
        body.changes(),
        version=body.version if "version" in body.model_fields_set else "any",
        reason=body.reason,
        kind="set",
        **trace(request),
    )
    return RankingOut.of(changed)


@router.get("/history", responses=responses(401, 403))
async def read_history(
    principal: Colleague, resources: Res, limit: Limit = 50, cursor: Cursor = None
) -> Page[RankingOut]:
    """Every change, newest first."""
    async with resources.database.connection(principal.tenant_id) as connection:
        found = await settings.list_history(connection, before=cursor, limit=limit)
    return page_of([RankingOut.of_row(row) for row in found], limit, found[-1]["id"] if found else None)


@router.post("/reset", responses=responses(401, 403))
async def reset(principal: Admin, resources: Res, request: Request, body: ResetIn | None = None) -> RankingOut:
    """Back to the defaults; the history stays."""
    defaults = settings.as_dict(RetrievalOptions())
    changed = await settings.change_ranking(
        resources.database, principal, defaults, version="any", reason=body.reason if body else "", kind="reset",
        **trace(request),
    )  # fmt: skip
    return RankingOut.of(changed)


@router.get("/recommend", responses=responses(401, 403))
async def recommend(principal: Colleague, resources: Res) -> RecommendationOut:
    """What the outcomes of drafts and answers so far speak for, with how sure that is; with few outcomes: to keep what is
    there."""
    async with resources.database.connection(principal.tenant_id) as connection:
        found = await advice.advise(connection, principal.tenant_id)
    return RecommendationOut.of(found)


@router.post("/apply", responses=responses(401, 403, 409))
async def apply(principal: Admin, resources: Res, request: Request, body: ApplyIn | None = None) -> RankingOut:
    """Set the recommended weights. 409 where nothing is recommended, or something else than you read."""
    wanted = body.recommendation if body else None
    return RankingOut.of(await advice.apply_advice(resources.database, principal, wanted, **trace(request)))
