"""Tickets: customers open, read and answer their own; colleagues work on all of the tenant's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response, status
from pydantic import Field

from agent.resources import Resources
from api import PREFIX
from api.dependencies import Colleague, Res, TicketUser, trace
from api.errors import responses
from api.forms import B, read_body, taken_as
from api.idempotency import IdempotentRoute
from api.schemas.common import CleanText, Cursor, Limit, Page, page_of
from api.schemas.tickets import (
    EventOut,
    MergeIn,
    NoteIn,
    StaffEventOut,
    StaffTicketOut,
    TicketChange,
    TicketEscalateIn,
    TicketIn,
    TicketOut,
    TicketReplyIn,
    TicketReplyOut,
)
from memory.database import Connection
from memory.errors import Invalid, NotAllowed
from memory.models import TicketEvent
from memory.tenancy import Principal
from tools.attachments.sending import sending
from tools.conversations import seen_by
from tools.ticket_rules import HIGHEST_TIER, Priority, SeverityName
from tools.tickets import changing, customers, links, talking
from tools.tickets.events import Order, list_events
from tools.tickets.finding import TicketFilters, find_tickets
from tools.tickets.reading import get_ticket, read_ticket
from tools.tickets.status import Status

router = APIRouter(prefix=f"{PREFIX}/tickets", tags=["tickets"], route_class=IdempotentRoute)
Ticket = StaffTicketOut | TicketOut
Event = StaffEventOut | EventOut
TierNumber = Annotated[int, Field(ge=0, le=HIGHEST_TIER)]
IfMatch = Annotated[str | None, Header(max_length=40, description="the ticket's version, as `ETag` told it")]
Text = Annotated[CleanText | None, Query(max_length=60)]
Moment = Annotated[datetime | None, Query(description="RFC 3339, with a time zone")]
Assignee = Annotated[Literal["me", "none"] | UUID | None, Query(description="`me`, `none`, or a colleague's id")]


@router.get("", responses=responses(401, 403))
async def list_tickets(
    principal: TicketUser, resources: Res, limit: Limit = 20,
    cursor: Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before")] = None,
    state: Annotated[list[Status] | None, Query(alias="status")] = None,
    priority: Annotated[list[Priority] | None, Query()] = None,
    severity: Annotated[list[SeverityName] | None, Query()] = None,
    tier: Annotated[list[TierNumber] | None, Query()] = None,
    intent: Text = None, department: Text = None, team: Text = None, assignee: Assignee = None,
    customer_id: UUID | None = None,
    user_id: Annotated[CleanText | None, Query(max_length=200, description="the customer's id in your system")] = None,
    session_id: UUID | None = None,
    late: Annotated[bool | None, Query(description="a target is missed and not yet met")] = None,
    created_from: Moment = None, created_to: Moment = None, updated_from: Moment = None, updated_to: Moment = None,
    q: Annotated[CleanText, Query(max_length=200, description='words of subject and text, "a phrase", -not; or #12')] = "",
    sort: Annotated[Literal["newest", "deadline"], Query()] = "newest",
) -> Page[Ticket]:  # fmt: skip
    """Newest first, or by the next deadline. Customers see their own."""
    if not principal.role.is_staff and (
        team or assignee or late is not None or customer_id or user_id or sort != "newest"
    ):
        raise NotAllowed("this filter is for colleagues")
    times = (created_from, created_to, updated_from, updated_to)
    if any(time is not None and time.tzinfo is None for time in times):
        raise Invalid("times need a time zone")
    async with resources.database.connection(principal.tenant_id) as connection:
        if user_id:
            customer_id = await customers.customer_named(connection, user_id) or UUID(int=0)
        filters = TicketFilters(
            customer_id=seen_by(principal) or customer_id, statuses=tuple(state or ()), priorities=tuple(priority or ()),
            severities=tuple(severity or ()), tiers=tuple(tier or ()), intent=intent, department=department, team=team,
            assignee_id=principal.user_id if assignee == "me" else assignee if isinstance(assignee, UUID) else None,
            unassigned=assignee == "none", session_id=session_id, late=late, created_from=created_from,
            created_to=created_to, updated_from=updated_from, updated_to=updated_to, q=q, sort=sort, cursor=cursor,
            limit=limit,
        )  # fmt: skip
        found, following = await find_tickets(connection, filters)
    return Page(items=[_shown(principal, row) for row in found], next_cursor=following)


@router.post(
    "", status_code=status.HTTP_201_CREATED, responses=responses(401, 403, 404, 409, 415),
    openapi_extra=taken_as(TicketIn),
)  # fmt: skip
async def open_ticket(principal: TicketUser, resources: Res, request: Request, response: Response) -> Ticket:
    """Open a ticket for oneself, or as a colleague or server for a customer."""
    async with (
        _with_files(request, resources, principal, TicketIn) as (body, files),
        resources.database.connection(principal.tenant_id) as connection,
    ):
        asked = customers.Asked(**{**body.model_dump(), "attachment_ids": files})
        ticket = await customers.open_for(connection, principal, asked, **trace(request))
        return await _read(connection, principal, ticket.id, response)


@router.get("/{ticket_id}", responses=responses(401, 403, 404))
async def read(ticket_id: UUID, principal: TicketUser, resources: Res, response: Response) -> Ticket:
    async with resources.database.connection(principal.tenant_id) as connection:
        return await _read(connection, principal, ticket_id, response)


@router.get("/{ticket_id}/events", responses=responses(401, 403, 404))
async def read_events(
    ticket_id: UUID, principal: TicketUser, resources: Res, limit: Limit = 50, cursor: Cursor = None,
    order: Annotated[Order, Query(description="what comes first")] = "oldest",
) -> Page[Event]:  # fmt: skip
    """The history; what is internal only for colleagues."""
    async with resources.database.connection(principal.tenant_id) as connection:
        await get_ticket(connection, ticket_id, customer_id=seen_by(principal))
        found = await list_events(
            connection, ticket_id, internal=principal.is_colleague, order=order, after=cursor, limit=limit
        )
    return page_of([_told(principal, event) for event in found], limit, found[-1].id if found else None)


@router.patch("/{ticket_id}", responses=responses(401, 403, 404, 409))
async def change(
    ticket_id: UUID, body: TicketChange, principal: Colleague, resources: Res, request: Request, response: Response,
    if_match: IfMatch = None,
) -> Ticket:  # fmt: skip
    """Assign it, move it on, correct it. With a `version`, or `If-Match`, only if nobody changed it since."""
    version = _version(body.version, if_match)
    async with resources.database.connection(principal.tenant_id) as connection:
        await changing.change_ticket(
            connection, principal, ticket_id, body.changes(), version=version, **trace(request)
        )
        return await _read(connection, principal, ticket_id, response)


@router.post(
    "/{ticket_id}/reply", status_code=status.HTTP_201_CREATED, responses=responses(401, 403, 404, 409, 415),
    openapi_extra=taken_as(TicketReplyIn),
)  # fmt: skip
async def reply(
    ticket_id: UUID, principal: TicketUser, resources: Res, request: Request, response: Response
) -> TicketReplyOut:
    """Answer. A customer's reply opens again what was resolved, or closed less than seven days ago."""
    async with (
        _with_files(request, resources, principal, TicketReplyIn, ticket_id) as (body, files),
        resources.database.connection(principal.tenant_id) as connection,
    ):
        event = await talking.reply(
            connection, principal, ticket_id, body.message, status=body.status, version=body.version,
            attachment_ids=files, **trace(request),
        )  # fmt: skip
        return TicketReplyOut(
            event=_told(principal, event), ticket=await _read(connection, principal, ticket_id, response)
        )


@router.post(
    "/{ticket_id}/notes", status_code=status.HTTP_201_CREATED, responses=responses(401, 403, 404, 415),
    openapi_extra=taken_as(NoteIn),
)  # fmt: skip
async def note(ticket_id: UUID, principal: Colleague, resources: Res, request: Request) -> StaffEventOut:
    """Write something that only colleagues see."""
    async with (
        _with_files(request, resources, principal, NoteIn, ticket_id) as (body, files),
        resources.database.connection(principal.tenant_id) as connection,
    ):
        event = await talking.note(
            connection, principal, ticket_id, body.message, attachment_ids=files, **trace(request)
        )
        return StaffEventOut.of(event)


@router.post("/{ticket_id}/escalate", responses=responses(401, 403, 404, 409))
async def escalate(
    ticket_id: UUID, body: TicketEscalateIn, principal: Colleague, resources: Res, request: Request, response: Response
) -> Ticket:
    """Hand it up to the next tier, with the reason."""
    async with resources.database.connection(principal.tenant_id) as connection:
        await changing.escalate_ticket(
            connection, principal, ticket_id, reason=body.reason, version=body.version, **trace(request)
        )
        return await _read(connection, principal, ticket_id, response)


@router.post("/{ticket_id}/merge", responses=responses(401, 403, 404, 409))
async def merge(
    ticket_id: UUID, body: MergeIn, principal: Colleague, resources: Res, request: Request, response: Response
) -> Ticket:
    """Close it in favour of another of the same customer; each keeps its own history."""
    async with resources.database.connection(principal.tenant_id) as connection:
        await links.merge_ticket(
            connection, principal, ticket_id, into=body.into, version=body.version, **trace(request)
        )
        return await _read(connection, principal, ticket_id, response)


@asynccontextmanager
async def _with_files(
    request: Request, resources: Resources, principal: Principal, model: type[B], ticket_id: UUID | None = None
) -> AsyncIterator[tuple[B, list[UUID]]]:
    """A body, and the ids of all its files, those that came with it included. Nothing is stored for a ticket that the
    caller may not see. Raises NotFound."""
    limits = resources.attachment_limits
    async with read_body(request, model, limits.most_files) as given:
        if given.uploads and ticket_id:
            async with resources.database.connection(principal.tenant_id) as connection:
                await get_ticket(connection, ticket_id, customer_id=seen_by(principal))
        async with sending(resources.database, resources.files, limits, principal, given.uploads) as new:
            yield given.body, [*given.body.attachment_ids, *new]


async def _read(connection: Connection, principal: Principal, ticket_id: UUID, response: Response) -> Ticket:
    found = _shown(principal, await read_ticket(connection, ticket_id, customer_id=seen_by(principal)))
    response.headers["ETag"] = f'"{found.version}"'
    return found


def _shown(principal: Principal, row: object) -> Ticket:
    return (StaffTicketOut if principal.is_colleague else TicketOut).model_validate(row)


def _told(principal: Principal, event: TicketEvent) -> Event:
    return StaffEventOut.of(event) if principal.is_colleague else EventOut.of(event)


def _version(in_body: int | None, if_match: str | None) -> int | None:
    """The version that the caller has seen, from either place. Raises Invalid."""
    if if_match is None or if_match.strip() == "*":
        return in_body
    given = if_match.strip().removeprefix("W/").strip('"')
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise Invalid("If-Match must be a ticket's version, as its ETag says")
    if in_body is not None and in_body != int(given):
        raise Invalid("If-Match and version name different versions")
    return int(given)
