"""Work on the knowledge base as jobs: uploads of many files, indexing, rebuilds, and the state of it all."""

from typing import Annotated, Any, Literal
from uuid import UUID

import structlog
from fastapi import APIRouter, Query, Request, status
from procrastinate.exceptions import ConnectorException

from agent.resources import Resources
from api import PREFIX
from api.body_limit import MULTIPART
from api.dependencies import Admin, Colleague, Limits, Res, trace
from api.errors import responses
from api.forms import read_files
from api.idempotency import IdempotentRoute
from api.schemas.common import Cursor, Limit, Page, page_of
from api.schemas.kb import UPLOAD_FORM, ImportedFileOut, ImportOut, KnowledgeStatus, Outcome, UploadFields
from memory.tenancy import Principal
from tools.articles import upkeep, uploading
from tools.articles.converting import Defaults


class _UploadRoute(IdempotentRoute):
    most_files = uploading.MOST_FILES


log = structlog.get_logger()
uploads = APIRouter(prefix=f"{PREFIX}/kb", tags=["knowledge"], route_class=_UploadRoute)
router = APIRouter(prefix=f"{PREFIX}/kb", tags=["knowledge"], route_class=IdempotentRoute)


@uploads.post(
    "/articles/upload",
    status_code=status.HTTP_202_ACCEPTED,
    responses=responses(401, 403, 409, 415),
    openapi_extra={"requestBody": {"required": True, "content": {MULTIPART: {"schema": UPLOAD_FORM}}}},
)
async def upload(principal: Admin, resources: Res, limits: Limits, request: Request) -> ImportOut:
    """Send up to 1000 files of Markdown, HTML, Word (docx) or PDF; a job reads them, and tells what became of each."""
    await limits.check("uploads", principal.key, resources.settings.http.messages_per_minute)
    async with read_files(request, UploadFields, uploading.MOST_FILES) as (fields, files):
        wish = uploading.Wish(
            collection=fields.collection, publish=fields.publish == "true",
            defaults=Defaults(
                category=fields.category, tags=tuple(fields.tags), audience=tuple(fields.audience)
            ),
        )  # fmt: skip
        row = await uploading.begin_upload(
            resources.database, principal, files, wish, most_bytes=resources.attachment_limits.most_bytes,
            **trace(request),
        )  # fmt: skip
    return await _begun(resources, principal, row)


@router.post("/index", status_code=status.HTTP_202_ACCEPTED, responses=responses(401, 403))
async def index(principal: Admin, resources: Res, request: Request) -> ImportOut:
    """Index what is published and not indexed. While such a job runs, it is the one that is answered."""
    return await _work(resources, principal, "index", request)


@router.post("/rebuild", status_code=status.HTTP_202_ACCEPTED, responses=responses(401, 403))
async def rebuild(principal: Admin, resources: Res, request: Request) -> ImportOut:
    """Make all passages and vectors anew from the articles and what was learned; searches go on meanwhile."""
    return await _work(resources, principal, "rebuild", request)


@router.get("/status", responses=responses(401, 403))
async def read_status(principal: Colleague, resources: Res) -> KnowledgeStatus:
    return KnowledgeStatus.model_validate(await upkeep.state_of(resources.shelf, principal))


@router.get("/imports", responses=responses(401, 403))
async def list_imports(
    principal: Colleague, resources: Res, limit: Limit = 20, cursor: Cursor = None
) -> Page[ImportOut]:
    """Uploads, indexings and rebuilds, newest first."""
    async with resources.database.connection(principal.tenant_id) as connection:
        found = await uploading.list_imports(connection, before=cursor, limit=limit)
    return page_of([ImportOut.model_validate(row) for row in found], limit, found[-1]["id"] if found else None)


@router.get("/imports/{import_id}", responses=responses(401, 403, 404))
async def read_import(import_id: UUID, principal: Colleague, resources: Res) -> ImportOut:
    async with resources.database.connection(principal.tenant_id) as connection:
        return ImportOut.model_validate(await uploading.find_import(connection, import_id))


@router.get("/imports/{import_id}/files", responses=responses(401, 403, 404))
async def list_files(
    import_id: UUID, principal: Colleague, resources: Res, limit: Limit = 100, cursor: Cursor = None,
    outcome: Annotated[Outcome | None, Query()] = None,
) -> Page[ImportedFileOut]:  # fmt: skip
    """What became of each file of an upload, in the order that they were sent."""
    async with resources.database.connection(principal.tenant_id) as connection:
        found = await uploading.list_files(connection, import_id, outcome=outcome, after=cursor, limit=limit)
    return page_of([ImportedFileOut.model_validate(row) for row in found], limit, found[-1]["id"] if found else None)


async def _work(
    resources: Resources, principal: Principal, kind: Literal["index", "rebuild"], request: Request
) -> ImportOut:
    row = await upkeep.begin(resources.shelf, principal, kind, **trace(request))
    return await _begun(resources, principal, row)


async def _begun(resources: Resources, principal: Principal, row: dict[str, Any]) -> ImportOut:
    """Queue what was put down; where that fails now, `look_after_knowledge` does it within minutes."""
    try:
        await resources.jobs.knowledge.begin(principal.tenant_id, row["id"])
    except ConnectorException as error:
        log.warning("a job on the knowledge base is queued later", error=type(error).__name__)
    return ImportOut.model_validate(row)
