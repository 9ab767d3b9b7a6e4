"""The knowledge base: articles and their versions, uploads, indexing. Admins write, colleagues read."""

from typing import Annotated
from uuid import UUID

import structlog
from fastapi import APIRouter, Query, Request, Response, status
from starlette.convertors import Convertor, register_url_convertor

from agent.resources import Resources
from api import PREFIX
from api.dependencies import Admin, Colleague, Res, trace
from api.errors import responses
from api.idempotency import IdempotentRoute
from api.schemas.common import CleanText, Cursor, Limit, Page, page_of
from api.schemas.kb import (
    ArticleChange,
    ArticleDetail,
    ArticleDiffOut,
    ArticleIn,
    ArticleOut,
    PublishIn,
    RelianceCount,
    RelianceOut,
    ReliedOut,
    VersionIn,
    VersionOut,
)
from kbs.articles.reading import ArticleFile
from memory.tenancy import Principal
from tools.articles import finding, removing, versions, writing
from tools.articles import reliance as answer_recall
from tools.articles.finding import Owner, Status
from tools.articles.reliance import Kind


class _ArticleId(Convertor[str]):
    """Any segment but the name of the route beside it, so that this one answers 405 to what it does not take."""

    regex = "(?!upload$)[^/]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("article", _ArticleId())
log = structlog.get_logger()
router = APIRouter(prefix=f"{PREFIX}/kb", tags=["knowledge"], route_class=IdempotentRoute)
ARTICLE = "/articles/{article_id:article}"
VersionNumber = Annotated[int, Query(ge=1, le=2**31 - 1)]
Which = Annotated[VersionNumber | None, Query(description="the newest that you have seen; 409 where there is a newer")]
Filter = Annotated[CleanText | None, Query(max_length=60)]


@router.get("/articles", responses=responses(401, 403))
async def list_articles(
    principal: Colleague, resources: Res, limit: Limit = 50, cursor: Cursor = None,
    owner: Annotated[Owner, Query(description="whose: the tenant's own, the global ones it uses, or both")] = "tenant",
    state: Annotated[list[Status] | None, Query(alias="status")] = None,
    collection: Filter = None, category: Filter = None, tag: Filter = None, audience: Filter = None,
    language: Filter = None,
    has_draft: Annotated[bool | None, Query(description="a newer text waits")] = None,
    q: Annotated[CleanText, Query(max_length=200, description="in ref, title and text")] = "",
) -> Page[ArticleOut]:  # fmt: skip
    """Newest first; deleted ones only where `status` names them."""
    filters = finding.ArticleFilters(
        owner=owner, statuses=tuple(state or ()), collection=collection, category=category, tag=tag,
        audience=audience.lower() if audience else None, language=language, has_draft=has_draft, q=q.strip(),
        before=cursor, limit=limit,
    )  # fmt: skip
    enabled = await finding.enabled_collections(resources.database, principal)
    async with resources.knowledge.connection(principal.tenant_id) as connection:
        found = await finding.list_articles(connection, enabled, filters)
    return page_of([ArticleOut.model_validate(row) for row in found], limit, found[-1]["id"] if found else None)


@router.post("/articles", status_code=status.HTTP_201_CREATED, responses=responses(401, 403, 409))
async def create_article(
    body: ArticleIn, principal: Admin, resources: Res, request: Request, response: Response
) -> ArticleDetail:
    """Write an article: as a draft, or published at once."""
    article = ArticleFile(
        path="", ref=body.ref or "", title=body.title, body=body.body, label=body.label, category=body.category,
        tags=tuple(body.tags), audience=tuple(body.audience), supersedes=tuple(body.supersedes),
        language=body.language or "", effective_from=body.effective_from, effective_until=body.effective_until,
    )  # fmt: skip
    article_id = await writing.create(
        resources.shelf, principal, article, collection=body.collection, publish=body.publish, note=body.note,
        **trace(request),
    )  # fmt: skip
    return await read_detail(resources, principal, article_id, response)


@router.get(ARTICLE, responses=responses(401, 403, 404))
async def read_article(
    article_id: UUID, principal: Colleague, resources: Res, response: Response,
    number: Annotated[VersionNumber | None, Query(alias="version", description="which text; the newest if missing")] = None,
) -> ArticleDetail:  # fmt: skip
    return await read_detail(resources, principal, article_id, response, number)


@router.patch(ARTICLE, responses=responses(401, 403, 404, 409))
async def edit_article(
    article_id: UUID, body: ArticleChange, principal: Admin, resources: Res, request: Request, response: Response
) -> ArticleDetail:
    """Write a new version. What is published stays what answers are made from until the new version is published."""
    await writing.edit(
        resources.shelf, principal, article_id, body.changes(), version=body.version, publish=body.publish,
        note=body.note, **trace(request),
    )  # fmt: skip
    return await read_detail(resources, principal, article_id, response)


@router.delete(ARTICLE, status_code=status.HTTP_204_NO_CONTENT, responses=responses(401, 403, 404, 409))
async def delete_article(
    article_id: UUID, principal: Admin, resources: Res, request: Request,
    version: Which = None,
    erase: Annotated[bool, Query(description="also every text of it, and what answers quoted")] = False,
) -> None:  # fmt: skip
    """Withdraw it for good. Its versions stay readable as proof of old answers, unless they are erased."""
    await removing.delete(resources.shelf, principal, article_id, version=version, erase=erase, **trace(request))


@router.post(f"{ARTICLE}/publish", responses=responses(401, 403, 404, 409))
async def publish_article(
    article_id: UUID, principal: Admin, resources: Res, request: Request, response: Response,
    body: PublishIn | None = None,
) -> ArticleDetail:  # fmt: skip
    """Let answers be made from a version: the draft, or any other. From this answer on no search finds the old text."""
    wish = body or PublishIn()
    await writing.publish_version(
        resources.shelf, principal, article_id, number=wish.number, version=wish.version, **trace(request)
    )
    return await read_detail(resources, principal, article_id, response)


@router.post(f"{ARTICLE}/withdraw", responses=responses(401, 403, 404, 409))
async def withdraw_article(
    article_id: UUID, principal: Admin, resources: Res, request: Request, response: Response,
    body: VersionIn | None = None,
) -> ArticleDetail:  # fmt: skip
    """Let no answer be made from it until it is published again."""
    version = body.version if body else None
    await removing.withdraw(resources.shelf, principal, article_id, version=version, **trace(request))
    return await read_detail(resources, principal, article_id, response)


@router.post(f"{ARTICLE}/discard", responses=responses(401, 403, 404, 409))
async def discard_draft(
    article_id: UUID, principal: Admin, resources: Res, request: Request, response: Response,
    body: VersionIn | None = None,
) -> ArticleDetail:  # fmt: skip
    """Drop the text that waits; it stays among the versions."""
    version = body.version if body else None
    await removing.discard(resources.shelf, principal, article_id, version=version, **trace(request))
    return await read_detail(resources, principal, article_id, response)


@router.get(f"{ARTICLE}/versions", responses=responses(401, 403, 404))
async def list_versions(
    article_id: UUID, principal: Colleague, resources: Res, limit: Limit = 50, cursor: Cursor = None
) -> Page[VersionOut]:
    """Newest first; of a global article none but the one that is published."""
    enabled = await finding.enabled_collections(resources.database, principal)
    async with resources.knowledge.connection(principal.tenant_id) as connection:
        await finding.must_be_readable(connection, enabled, article_id)
        found = await versions.list_versions(connection, article_id, before=cursor, limit=limit)
    return page_of([VersionOut.model_validate(row) for row in found], limit, found[-1]["id"] if found else None)


@router.get(f"{ARTICLE}/diff", responses=responses(401, 403, 404))
async def compare_versions(
    article_id: UUID, principal: Colleague, resources: Res,
    older: Annotated[VersionNumber | None, Query(alias="from")] = None,
    newer: Annotated[VersionNumber | None, Query(alias="to")] = None,
) -> ArticleDiffOut:  # fmt: skip
    """What changed between two versions: by default from the published one to the newest."""
    enabled = await finding.enabled_collections(resources.database, principal)
    async with resources.knowledge.connection(principal.tenant_id) as connection:
        await finding.must_be_readable(connection, enabled, article_id)
        return ArticleDiffOut.model_validate(await versions.compare(connection, article_id, older=older, newer=newer))


@router.get(f"{ARTICLE}/relied-on", responses=responses(401, 403, 404))
async def read_reliance(
    article_id: UUID, principal: Colleague, resources: Res, limit: Limit = 50, cursor: Cursor = None,
    since_version: Annotated[int, Query(ge=1, le=2**31 - 1, description="what quoted this version or a newer one")] = 1,
    unaffected: Annotated[bool, Query(description="also what quoted nothing that is gone")] = False,
    kind: Annotated[Kind | None, Query()] = None,
) -> RelianceOut:  # fmt: skip
    """Answers, replies, drafts and learned texts that were made from it, newest first: those whose proof is gone from the
    text that holds now."""
    filters = answer_recall.RelianceFilters(
        since_version=since_version, unaffected=unaffected, kind=kind, before=cursor, limit=limit
    )
    found = await answer_recall.relied_on(resources.shelf, principal, article_id, filters)
    return RelianceOut(
        standing=found.standing, version=found.version,
        counts={name: RelianceCount.model_validate(count) for name, count in found.counts.items()},
        items=[ReliedOut.model_validate(row) for row in found.items],
        next_cursor=str(found.items[-1]["id"]) if len(found.items) == limit else None,
    )  # fmt: skip


async def read_detail(
    resources: Resources, principal: Principal, article_id: UUID, response: Response, number: int | None = None
) -> ArticleDetail:
    """An article as it is answered, with its version as `ETag`."""
    enabled = await finding.enabled_collections(resources.database, principal)
    async with resources.knowledge.connection(principal.tenant_id) as connection:
        row = await finding.read_article(connection, enabled, article_id, number)
    response.headers["ETag"] = f'"{row["version"]}"'
    return ArticleDetail.model_validate(row)
