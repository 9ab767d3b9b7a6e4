"""Replays: what a prompt or a ranking would have changed in real conversations and drafts, before it is activated."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, status

from agent.replays import rows
from agent.replays.comparing import Cause
from api import PREFIX
from api.dependencies import Admin, Colleague, Res, trace
from api.errors import responses
from api.idempotency import IdempotentRoute
from api.schemas.common import Cursor, Limit, Page, page_of
from api.schemas.replays import CaseOut, ReplayIn, ReplayOut

router = APIRouter(prefix=f"{PREFIX}/replays", tags=["replays"], route_class=IdempotentRoute)


@router.get("", responses=responses(401, 403))
async def list_replays(
    principal: Colleague, resources: Res, limit: Limit = 20, cursor: Cursor = None
) -> Page[ReplayOut]:
    """Newest first."""
    async with resources.database.connection(principal.tenant_id) as connection:
        found = await rows.list_replays(connection, before=cursor, limit=limit)
    return page_of(
        [ReplayOut.of(row, resources.settings.models.prices) for row in found],
        limit,
        found[-1]["id"] if found else None,
    )


@router.post("", status_code=status.HTTP_202_ACCEPTED, responses=responses(401, 403, 404, 409))
async def start(principal: Admin, resources: Res, request: Request, body: ReplayIn | None = None) -> ReplayOut:
    """Have a candidate answer again what was really asked. It runs in the background; nothing of it reaches anybody."""
    started = await resources.replays.start(principal, (body or ReplayIn()).wish, **trace(request))
    return ReplayOut.of(started, resources.settings.models.prices)


@router.get("/{replay_id}", responses=responses(401, 403, 404))
async def read(replay_id: UUID, principal: Colleague, resources: Res) -> ReplayOut:
    """How far it is, and what it came to."""
    async with resources.database.connection(principal.tenant_id) as connection:
        found = await rows.get_replay(connection, replay_id)
    return ReplayOut.of(found, resources.settings.models.prices)


@router.get("/{replay_id}/cases", responses=responses(401, 403, 404))
async def list_cases(
    replay_id: UUID, principal: Colleague, resources: Res, limit: Limit = 50, cursor: Cursor = None,
    changed: Annotated[bool | None, Query(description="only those that differ, or only those that do not")] = None,
    cause: Annotated[Cause | None, Query()] = None, session_id: Annotated[UUID | None, Query()] = None,
) -> Page[CaseOut]:  # fmt: skip
    """Answer by answer, the newest conversation first: what was said, and what would be."""
    async with resources.database.connection(principal.tenant_id) as connection:
        found = await rows.list_cases(
            connection, replay_id, changed=changed, cause=cause, session_id=session_id, after=cursor, limit=limit
        )
    return page_of(
        [CaseOut.of(row, resources.settings.models.prices) for row in found], limit, found[-1]["id"] if found else None
    )


@router.post("/{replay_id}/cancel", responses=responses(401, 403, 404))
async def cancel(replay_id: UUID, principal: Admin, resources: Res, request: Request) -> ReplayOut:
    """Stop it after the case at hand; what is done stays to be read."""
    found = await rows.cancel(resources.database, principal, replay_id, **trace(request))
    return ReplayOut.of(found, resources.settings.models.prices)
