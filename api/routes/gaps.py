"""What the knowledge base has no answer to. Colleagues read; admins decide, and have the missing article drafted."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response, status

from agent.article_writing import write_article
from api import PREFIX
from api.dependencies import Admin, Colleague, Res, trace
from api.errors import responses
from api.idempotency import IdempotentRoute
from api.routes.kb import read_detail
from api.schemas.common import CleanText, Limit, Page
from api.schemas.kb import ArticleDetail, DismissIn, GapOut, GapResolveIn
from tools.articles import finding
from tools.gaps import drafting, listing
from tools.gaps.drafting import Material
from tools.gaps.looking import look

router = APIRouter(prefix=f"{PREFIX}/kb/gaps", tags=["knowledge"], route_class=IdempotentRoute)
LOOKED_AT = 100
"""New questions that a list waits for; the rest are a job's."""


@router.get("", responses=responses(401, 403))
async def list_gaps(
    principal: Colleague, resources: Res, limit: Limit = 20,
    cursor: Annotated[CleanText | None, Query(max_length=200, description="`next_cursor` of the page before")] = None,
    days: Annotated[int, Query(ge=1, le=365)] = 30,
    min_size: Annotated[int, Query(ge=1, le=10_000, description="least number of questions in these days")] = 3,
    state: Annotated[listing.Status, Query(alias="status")] = "open",
    language: Annotated[CleanText | None, Query(max_length=10)] = None,
) -> Page[GapOut]:  # fmt: skip
    """Questions without a good answer by what they are about, the most frequent first."""
    await look(resources.database, resources.embedder, principal.tenant_id, most=LOOKED_AT)
    filters = listing.GapFilters(
        days=days, min_size=min_size, status=state, language=language, cursor=cursor, limit=limit
    )
    async with resources.database.connection(principal.tenant_id) as connection:
        found, following = await listing.list_gaps(connection, filters)
    return Page(items=[GapOut.of(row) for row in found], next_cursor=following)


@router.get("/{gap_id}", responses=responses(401, 403, 404))
async def read_gap(gap_id: UUID, principal: Colleague, resources: Res) -> GapOut:
    async with resources.database.connection(principal.tenant_id) as connection:
        return GapOut.of(await listing.get_gap(connection, gap_id))


@router.post("/{gap_id}/dismiss", responses=responses(401, 403, 404))
async def dismiss(
    gap_id: UUID, principal: Admin, resources: Res, request: Request, body: DismissIn | None = None
) -> GapOut:
    """Set it aside: later questions like these are not shown."""
    note = body.note if body else ""
    return GapOut.of(
        await listing.decide(
            resources.database, principal, gap_id, "dismissed", note=note, article_id=None, **trace(request)
        )
    )


@router.post("/{gap_id}/resolve", responses=responses(401, 403, 404))
async def resolve(
    gap_id: UUID, principal: Admin, resources: Res, request: Request, body: GapResolveIn | None = None
) -> GapOut:
    """It is answered now. Where the question comes up without an answer later, the gap opens again."""
    wish = body or GapResolveIn()
    if wish.article_id:
        enabled = await finding.enabled_collections(resources.database, principal)
        async with resources.knowledge.connection(principal.tenant_id) as connection:
            await finding.must_be_readable(connection, enabled, wish.article_id)
    row = await listing.decide(
        resources.database, principal, gap_id, "resolved", note=wish.note, article_id=wish.article_id, **trace(request)
    )
    return GapOut.of(row)


@router.post("/{gap_id}/reopen", responses=responses(401, 403, 404))
async def reopen(gap_id: UUID, principal: Admin, resources: Res, request: Request) -> GapOut:
    return GapOut.of(
        await listing.decide(resources.database, principal, gap_id, "open", article_id=None, **trace(request))
    )


@router.post("/{gap_id}/draft", status_code=status.HTTP_201_CREATED, responses=responses(401, 403, 404, 409))
async def draft_article(
    gap_id: UUID, principal: Admin, resources: Res, request: Request, response: Response
) -> ArticleDetail:
    """Draft the missing article from what colleagues answered in these conversations, for a person to edit."""

    async def write(material: Material) -> str | None:
        return await write_article(resources.models, material)

    article_id = await drafting.draft_article(resources.shelf, principal, gap_id, write=write, **trace(request))
    return await read_detail(resources, principal, article_id, response)
