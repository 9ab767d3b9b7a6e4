"""Drafts of replies: written, read, approved or not. Nothing goes to a customer without a colleague's approval."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, status

from agent.resources import Resources
from api import PREFIX
from api.dependencies import Colleague, Res, trace
from api.errors import responses
from api.idempotency import IdempotentRoute
from api.paths import segment
from api.schemas.common import CleanText, Cursor, Limit, Page, page_of
from api.schemas.replies import (
    ApproveIn,
    DraftDetail,
    DraftOut,
    DraftStatus,
    GenerateIn,
    Level,
    RegenerateIn,
    RejectIn,
    Sending,
    SettleIn,
)
from memory.errors import Invalid
from memory.tenancy import Principal
from tools.drafts import outbox
from tools.drafts.deciding import Approval
from tools.drafts.reading import DraftFilters, find_drafts, read_draft
from tools.ticket_rules import SeverityName

router = APIRouter(prefix=f"{PREFIX}/replies", tags=["replies"], route_class=IdempotentRoute)
DRAFT = segment("draft_id")
Text = Annotated[CleanText | None, Query(max_length=60)]
Moment = Annotated[datetime | None, Query(description="RFC 3339, with a time zone")]
Assignee = Annotated[Literal["me"] | UUID | None, Query(description="of the ticket: `me`, or a colleague's id")]


@router.post("/generate", status_code=status.HTTP_201_CREATED, responses=responses(401, 403, 404, 409))
async def generate(body: GenerateIn, principal: Colleague, resources: Res, request: Request) -> DraftDetail:
    """Write a draft for a ticket. The one that waits comes back as it is, where it still answers the last word and no
    instruction asks for another."""
    draft_id = await resources.desk.generate(principal, body.ticket_id, instruction=body.instruction, **trace(request))
    return await _read(resources, principal, draft_id)


@router.get("/pending", responses=responses(401, 403))
async def list_pending(
    principal: Colleague, resources: Res, limit: Limit = 20, cursor: Cursor = None,
    level: Annotated[list[Level] | None, Query()] = None,
    severity: Annotated[list[SeverityName] | None, Query()] = None,
    intent: Text = None, department: Text = None, team: Text = None, assignee: Assignee = None,
    ticket_id: UUID | None = None,
    outdated: Annotated[bool | None, Query(description="the customer has written since, or a colleague has answered")] = None,
    created_from: Moment = None, created_to: Moment = None,
) -> Page[DraftOut]:  # fmt: skip
    """What waits for a decision, newest first; nothing of tickets that have ended."""
    filters = DraftFilters(
        statuses=("pending",), tickets_that_go_on=True, levels=tuple(level or ()), severities=tuple(severity or ()),
        intent=intent, department=department, team=team, ticket_id=ticket_id, outdated=outdated,
        assignee_id=principal.user_id if assignee == "me" else assignee, created_from=created_from,
        created_to=created_to, before=cursor, limit=limit,
    )  # fmt: skip
    return await _page(resources, principal, filters)


@router.get("", responses=responses(401, 403))
async def list_drafts(
    principal: Colleague, resources: Res, limit: Limit = 20, cursor: Cursor = None, ticket_id: UUID | None = None,
    state: Annotated[list[DraftStatus] | None, Query(alias="status")] = None,
    sending: Annotated[list[Sending] | None, Query(description="of the approved reply")] = None,
    created_from: Moment = None, created_to: Moment = None,
) -> Page[DraftOut]:  # fmt: skip
    """All drafts, or those of a ticket, newest first; by `sending` those whose reply has not arrived."""
    filters = DraftFilters(
        statuses=tuple(state or ()), ticket_id=ticket_id, sending=tuple(sending or ()), created_from=created_from,
        created_to=created_to, before=cursor, limit=limit,
    )  # fmt: skip
    return await _page(resources, principal, filters)


@router.post("/approve", responses=responses(401, 403, 404, 409))
async def approve(body: ApproveIn, principal: Colleague, resources: Res, request: Request) -> DraftDetail:
    """Approve a draft, as it stands or as you edited it, and have it sent. Of two at once one wins, the other gets 409
    with the winner's name; so does who has not seen that the customer wrote again, or that a colleague has answered."""
    approval = Approval(
        draft_id=body.draft_id, version=body.version, content=body.content, notes=body.edit_notes, status=body.status,
        even_though_outdated=body.even_though_outdated, teach=body.learn,
    )  # fmt: skip
    await resources.desk.approve(principal, approval, **trace(request))
    return await _read(resources, principal, body.draft_id)


@router.get(DRAFT, responses=responses(401, 403, 404))
async def read(draft_id: UUID, principal: Colleague, resources: Res) -> DraftDetail:
    return await _read(resources, principal, draft_id)


@router.post(f"{DRAFT}/reject", responses=responses(401, 403, 404, 409))
async def reject(draft_id: UUID, body: RejectIn, principal: Colleague, resources: Res, request: Request) -> DraftDetail:
    """Nothing of it is sent; the reason is kept."""
    await resources.desk.reject(principal, draft_id, version=body.version, reason=body.reason, **trace(request))
    return await _read(resources, principal, draft_id)


@router.post(f"{DRAFT}/regenerate", status_code=status.HTTP_201_CREATED, responses=responses(401, 403, 404, 409))
async def regenerate(
    draft_id: UUID, body: RegenerateIn, principal: Colleague, resources: Res, request: Request
) -> DraftDetail:
    """Have it written again as you want it; the answer is the new draft, the old one is superseded."""
    new_id = await resources.desk.regenerate(
        principal, draft_id, instruction=body.instruction, version=body.version, **trace(request)
    )
    return await _read(resources, principal, new_id)


@router.post(f"{DRAFT}/sending", responses=responses(401, 403, 404, 409))
async def settle(draft_id: UUID, body: SettleIn, principal: Colleague, resources: Res, request: Request) -> DraftDetail:
    """Say what became of a reply of which the system does not know whether it arrived, or that failed."""
    if body.outcome == "send_again":
        await resources.desk.send_again(principal, draft_id, **trace(request))
    else:
        async with resources.database.connection(principal.tenant_id) as connection:
            await outbox.confirm_sent(connection, principal, draft_id, **trace(request))
    return await _read(resources, principal, draft_id)


async def _read(resources: Resources, principal: Principal, draft_id: UUID) -> DraftDetail:
    async with resources.database.connection(principal.tenant_id) as connection:
        return DraftDetail.of(await read_draft(connection, draft_id))


async def _page(resources: Resources, principal: Principal, filters: DraftFilters) -> Page[DraftOut]:
    if any(time is not None and time.tzinfo is None for time in (filters.created_from, filters.created_to)):
        raise Invalid("times need a time zone")
    async with resources.database.connection(principal.tenant_id) as connection:
        found = [DraftOut.of(row) for row in await find_drafts(connection, filters)]
    return page_of(found, filters.limit, found[-1].id if found else None)
