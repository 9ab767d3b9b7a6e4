"""A customer's own tickets; colleagues see all of the tenant's."""

from uuid import UUID

from fastapi import APIRouter, status

from api.dependencies import Res, TicketUser
from api.errors import responses
from api.idempotency import IdempotentRoute
from api.schemas.chat import TicketIn, TicketOut
from api.schemas.common import Cursor, Limit, Page, page_of
from memory.errors import NotAllowed
from memory.tenancy import Principal, Role
from tools import principals, tickets

router = APIRouter(prefix="/tickets", tags=["tickets"], route_class=IdempotentRoute)


@router.get("", responses=responses(401, 403))
async def list_tickets(
    principal: TicketUser, resources: Res, limit: Limit = 20, cursor: Cursor = None
) -> Page[TicketOut]:
    async with resources.database.connection(principal.tenant_id) as connection:
        found = await tickets.list_tickets(connection, customer_id=_only(principal), before=cursor, limit=limit)
    return page_of([TicketOut.model_validate(ticket) for ticket in found], limit, found[-1].id if found else None)


@router.post("", status_code=status.HTTP_201_CREATED, responses=responses(401, 403, 409))
async def open_ticket(body: TicketIn, principal: TicketUser, resources: Res) -> TicketOut:
    """Open a ticket for oneself."""
    if principal.is_server:
        raise NotAllowed("a server's key opens tickets only in a customer's conversation")
    async with resources.database.connection(principal.tenant_id) as connection:
        customer = await principals.customer_of_user(connection, principal)
        assert customer.customer_id is not None  # the line above made sure
        ticket = await tickets.open_ticket(
            connection, tenant_id=principal.tenant_id, customer_id=customer.customer_id, subject=body.subject,
            content=body.content, department=body.department, actor=principal.key,
            opened_by="agent" if principal.role.is_staff else "customer",
        )  # fmt: skip
    return TicketOut.model_validate(ticket)


@router.get("/{ticket_id}", responses=responses(401, 403, 404))
async def read_ticket(ticket_id: UUID, principal: TicketUser, resources: Res) -> TicketOut:
    async with resources.database.connection(principal.tenant_id) as connection:
        ticket = await tickets.get_ticket(connection, ticket_id, customer_id=_only(principal))
    return TicketOut.model_validate(ticket)


def _only(principal: Principal) -> UUID | None:
    """Customers see their own; a customer without an id sees nothing."""
    return None if principal.role is not Role.CUSTOMER else principal.customer_id or UUID(int=0)
