"""Handoffs: the queue, and what a colleague does with a conversation. They follow it on the session's own stream."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, status

from api import PREFIX
from api.dependencies import Colleague, Res, few_enough, trace
from api.errors import responses
from api.idempotency import IdempotentRoute
from api.schemas.common import CleanText, Cursor, Limit, Page, page_of
from api.schemas.handoffs import (
    HandoffDetail,
    HandoffMessageOut,
    HandoffNoteIn,
    HandoffReplyIn,
    HandoffResolveIn,
    QueuedOut,
    ReassignIn,
    Status,
)
from api.schemas.people import ColleagueOut
from memory.tenancy import Principal
from tools import staff
from tools.handoffs.queue import HandoffFilters, list_handoffs, read_handoff

router = APIRouter(prefix=f"{PREFIX}/handoffs", tags=["handoffs"], route_class=IdempotentRoute)


@router.get("", responses=responses(401, 403))
async def list_queue(
    principal: Colleague, resources: Res, limit: Limit = 20, cursor: Cursor = None,
    state: Annotated[list[Status] | None, Query(alias="status", description="default: requested and claimed")] = None,
    reason: Annotated[CleanText | None, Query(max_length=60)] = None,
    severity: Annotated[Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"] | None, Query()] = None,
    language: Annotated[str | None, Query(pattern=r"^[a-z]{2,3}$")] = None,
    mine: Annotated[bool, Query(description="only what I have claimed")] = False,
    for_me: Annotated[bool, Query(description="only what the queue keeps for me")] = False,
    session_id: Annotated[UUID | None, Query(description="only those of this conversation")] = None,
) -> Page[QueuedOut]:  # fmt: skip
    """Who waits for a person: what is critical first, then who has waited longest."""
    filters = HandoffFilters(
        statuses=tuple(state) if state else ("requested", "claimed"), reason=reason, severity=severity,
        language=language, claimed_by=principal.user_id if mine else None,
        assigned_to=principal.user_id if for_me else None, session_id=session_id, after=cursor, limit=limit,
    )  # fmt: skip
    async with resources.database.connection(principal.tenant_id) as connection:
        found = await list_handoffs(connection, filters)
    return page_of([QueuedOut.model_validate(row) for row in found], limit, found[-1]["id"] if found else None)


@router.get("/colleagues", responses=responses(401, 403))
async def list_colleagues(principal: Colleague, resources: Res) -> Page[ColleagueOut]:
    """To whom something can be given: whoever is available and has least to do first."""
    async with resources.database.connection(principal.tenant_id) as connection:
        found = await staff.list_colleagues(connection)
    return Page(items=[ColleagueOut.model_validate(each) for each in found], next_cursor=None)


@router.get("/{handoff_id}", responses=responses(401, 403, 404))
async def read(handoff_id: UUID, principal: Colleague, resources: Res) -> HandoffDetail:
    return await _detail(resources, principal, handoff_id)


@router.post("/{handoff_id}/claim", responses=responses(401, 403, 404, 409))
async def claim(handoff_id: UUID, principal: Colleague, resources: Res, request: Request) -> HandoffDetail:
    """Take the conversation: the bot falls silent at once. 409 names the colleague who was faster."""
    await resources.handoffs.claim(principal, handoff_id, **trace(request))
    return await _detail(resources, principal, handoff_id)


@router.post("/{handoff_id}/messages", status_code=status.HTTP_201_CREATED, responses=responses(401, 403, 404, 409))
async def say(handoff_id: UUID, body: HandoffReplyIn, principal: Colleague, resources: Res) -> HandoffMessageOut:
    """Speak to the customer; the first words also claim the conversation."""
    files = few_enough(resources, body.attachment_ids)
    change = await resources.handoffs.say(principal, handoff_id, body.message, files)
    assert change.message_id is not None  # saying stores a message
    return HandoffMessageOut(message_id=change.message_id, handoff_id=handoff_id, status=change.handoff.status)


@router.post("/{handoff_id}/notes", status_code=status.HTTP_201_CREATED, responses=responses(401, 403, 404, 409))
async def note(handoff_id: UUID, body: HandoffNoteIn, principal: Colleague, resources: Res) -> HandoffDetail:
    """Write something that only colleagues see."""
    await resources.handoffs.note(principal, handoff_id, body.message)
    return await _detail(resources, principal, handoff_id)


@router.post("/{handoff_id}/reassign", responses=responses(401, 403, 404, 409))
async def reassign(
    handoff_id: UUID, body: ReassignIn, principal: Colleague, resources: Res, request: Request
) -> HandoffDetail:
    """Give it to a colleague; while nobody has claimed it, the queue keeps it for them."""
    await resources.handoffs.reassign(principal, handoff_id, body.user_id, **trace(request))
    return await _detail(resources, principal, handoff_id)


@router.post("/{handoff_id}/release", responses=responses(401, 403, 404, 409))
async def release(handoff_id: UUID, principal: Colleague, resources: Res, request: Request) -> HandoffDetail:
    """Give the conversation back to the bot, which has read what was said."""
    await resources.handoffs.release(principal, handoff_id, **trace(request))
    return await _detail(resources, principal, handoff_id)


@router.post("/{handoff_id}/resolve", responses=responses(401, 403, 404, 409))
async def resolve(
    handoff_id: UUID, principal: Colleague, resources: Res, request: Request, body: HandoffResolveIn | None = None
) -> HandoffDetail:
    """End the matter; a conversation that a person had ends with it."""
    await resources.handoffs.resolve(principal, handoff_id, outcome=body.outcome if body else "", **trace(request))
    return await _detail(resources, principal, handoff_id)


async def _detail(resources: Res, principal: Principal, handoff_id: UUID) -> HandoffDetail:
    async with resources.database.connection(principal.tenant_id) as connection:
        return HandoffDetail.model_validate(await read_handoff(connection, handoff_id))
