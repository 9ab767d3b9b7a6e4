"""The audit log, for admins: who changed what, when, and from where."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from agent.resources import Resources
from api import PREFIX
from api.dependencies import Admin, Res
from api.errors import responses
from api.schemas.audit import COLUMNS, AuditOut, csv_lines
from api.schemas.common import CleanText, Cursor, Limit, Page, page_of
from memory import audit
from memory.errors import Invalid
from memory.tenancy import Principal

router = APIRouter(prefix=f"{PREFIX}/audit", tags=["audit"])
EXPORT_PAGE = 1000
EXPORT_MOST = 100_000

Text = Annotated[CleanText | None, Query(min_length=1, max_length=200)]
Moment = Annotated[datetime | None, Query(description="RFC 3339, with a time zone")]


async def wanted_of(
    actor: Annotated[
        CleanText | None,
        Query(min_length=1, max_length=254, description="a user's email, an id of a user, key or customer, or `system`"),
    ] = None,
    action: Annotated[
        CleanText | None, Query(min_length=1, max_length=100, description="`webhook.added`, or all of `webhook.`")
    ] = None,
    object_type: Text = None, object_id: Text = None, created_from: Moment = None, created_to: Moment = None,
) -> audit.AuditFilters:  # fmt: skip
    if any(time is not None and time.tzinfo is None for time in (created_from, created_to)):
        raise Invalid("times need a time zone")
    return audit.AuditFilters(
        actor=actor, action=action, object_type=object_type, object_id=object_id, created_from=created_from,
        created_to=created_to,
    )  # fmt: skip


Asked = Annotated[audit.AuditFilters, Depends(wanted_of)]


@router.get("", responses=responses(401, 403))
async def read_log(
    principal: Admin, resources: Res, asked: Asked, limit: Limit = 50, cursor: Cursor = None
) -> Page[AuditOut]:
    """Newest first."""
    found = await _read(resources, principal, replace(asked, before=cursor, limit=limit))
    return page_of(found, limit, found[-1].id if found else None)


@router.get(
    "/export", response_class=StreamingResponse,
    responses={**responses(401, 403), 200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)  # fmt: skip
async def export_log(principal: Admin, resources: Res, asked: Asked) -> StreamingResponse:
    """The same as CSV, newest first, 100000 entries at most: for more, ask by time."""
    headers = {"Content-Disposition": 'attachment; filename="audit.csv"', "Cache-Control": "no-store"}
    first = await _read(resources, principal, replace(asked, limit=EXPORT_PAGE))  # an error is still an answer here
    lines = _export(resources, principal, replace(asked, limit=EXPORT_PAGE), first)
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)


async def _export(
    resources: Resources, principal: Principal, asked: audit.AuditFilters, page: list[AuditOut]
) -> AsyncIterator[str]:
    """Page by page, so that nothing is held while a slow reader reads."""
    yield ",".join(COLUMNS) + "\r\n"
    written = 0
    while page:
        yield csv_lines(page)
        written += len(page)
        if len(page) < EXPORT_PAGE or written >= EXPORT_MOST:
            break
        page = await _read(resources, principal, replace(asked, before=page[-1].id))


async def _read(resources: Resources, principal: Principal, wanted: audit.AuditFilters) -> list[AuditOut]:
    async with resources.database.connection(principal.tenant_id) as connection:
        return [AuditOut.model_validate(row) for row in await audit.read(connection, wanted)]
