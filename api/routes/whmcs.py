"""WHMCS: the connection is for admins; colleagues synchronise, and read its tickets, clients and invoices."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response, status

from api import PREFIX
from api.dependencies import Admin, Colleague, Res, trace
from api.errors import responses
from api.idempotency import IdempotentRoute
from api.schemas.common import Cursor, Limit, Page, page_of
from api.schemas.tickets import StaffTicketOut
from api.schemas.whmcs import ClientOut, ConfigIn, ConfigOut, InvoiceOut, SyncDetail, SyncOut, TestOut
from memory.errors import Invalid
from tools.tickets.finding import TicketFilters, find_tickets
from tools.tickets.reading import read_tickets
from tools.tickets.status import Status
from tools.whmcs import clients, connections, runs
from tools.whmcs.errors import error_of

router = APIRouter(prefix=f"{PREFIX}/whmcs", tags=["whmcs"], route_class=IdempotentRoute)
ClientId = Annotated[str, Path(max_length=40, description="as WHMCS numbers its clients")]
INVOICES = 100


@router.get("/config", responses=responses(401, 403, 404))
async def read_config(principal: Admin, resources: Res) -> ConfigOut:
    """The connection, how it is doing, and whether its credentials are set: themselves they are never shown."""
    return ConfigOut.model_validate(await connections.read(resources.database, resources.cipher, principal))


@router.put("/config", responses=responses(401, 403, 409))
async def save_config(body: ConfigIn, principal: Admin, resources: Res, request: Request) -> ConfigOut:
    """Connect, or change the connection; the schedule begins anew."""
    given = connections.ConnectionSettings(
        url=body.url, options=body.options, credentials=body.credentials(), same_installation=body.same_installation,
        version=body.version,
    )  # fmt: skip
    row = await connections.save(
        resources.database, resources.cipher, resources.outbound, principal, given, **trace(request)
    )
    return ConfigOut.model_validate(row)


@router.delete("/config", status_code=status.HTTP_204_NO_CONTENT, responses=responses(401, 403, 404))
async def remove_config(principal: Admin, resources: Res, request: Request) -> None:
    """Forget the credentials and stop; tickets stay, and go on if the connection comes back."""
    await connections.remove(resources.database, principal, **trace(request))


@router.post("/config/test", responses=responses(401, 403, 404, 409))
async def try_config(principal: Admin, resources: Res) -> TestOut:
    """Call WHMCS with what is stored: whether it lets us in, its departments and statuses."""
    found = await connections.try_out(resources.database, resources.cipher, resources.outbound, principal)
    return TestOut.model_validate(found)


@router.post(
    "/sync", responses={**responses(401, 403, 404, 409), 202: {"model": SyncDetail, "description": "it goes on; see its id"}}
)  # fmt: skip
async def sync(principal: Colleague, resources: Res, request: Request, response: Response) -> SyncDetail:
    """Synchronise tickets now, or join a synchronisation that runs: 200 once it is done, 202 after 25 seconds, or at once
    with `Prefer: respond-async`. One that fails is a problem: 409 where WHMCS refused, 503 where it is away."""
    wait = "respond-async" not in request.headers.get("prefer", "").lower()
    row = await resources.syncs.ask(principal, wait=wait, **trace(request))
    if row["state"] == "failed":
        raise error_of(row["error_code"] or "", row["error"])
    if row["state"] == "running":
        response.status_code = status.HTTP_202_ACCEPTED
        response.headers["Location"] = f"{request.url.path}/{row['id']}"
    return await _detail(resources, principal, row)


@router.get("/sync", responses=responses(401, 403))
async def list_syncs(principal: Colleague, resources: Res, limit: Limit = 20, cursor: Cursor = None) -> Page[SyncOut]:
    """Synchronisations, newest first."""
    async with resources.database.connection(principal.tenant_id) as connection:
        found = await runs.list_syncs(connection, before=cursor, limit=limit)
    return page_of([SyncOut.of(row) for row in found], limit, found[-1]["id"] if found else None)


@router.get("/sync/{sync_id}", responses=responses(401, 403, 404))
async def read_sync(sync_id: UUID, principal: Colleague, resources: Res) -> SyncDetail:
    """How far one is, or what came of it."""
    async with resources.database.connection(principal.tenant_id) as connection:
        row = await runs.get_sync(connection, sync_id)
    return await _detail(resources, principal, row)


@router.get("/tickets", responses=responses(401, 403))
async def list_tickets(
    principal: Colleague, resources: Res, limit: Limit = 20,
    cursor: Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before")] = None,
    state: Annotated[list[Status] | None, Query(alias="status")] = None,
) -> Page[StaffTicketOut]:  # fmt: skip
    """Tickets that came from WHMCS, newest first."""
    filters = TicketFilters(source="whmcs", statuses=tuple(state or ()), cursor=cursor, limit=limit)
    async with resources.database.connection(principal.tenant_id) as connection:
        found, following = await find_tickets(connection, filters)
    return Page(items=[StaffTicketOut.model_validate(row) for row in found], next_cursor=following)


@router.get("/clients/{client_id}", responses=responses(401, 403, 404, 409))
async def read_client(client_id: ClientId, principal: Colleague, resources: Res) -> ClientOut:
    """A client, as WHMCS answers now."""
    whmcs, _ = await connections.open_whmcs(
        resources.database, resources.cipher, resources.outbound, principal.tenant_id
    )
    return ClientOut.model_validate(await clients.read_client(whmcs, client_id))


@router.get("/clients/{client_id}/invoices", responses=responses(401, 403, 404, 409))
async def read_invoices(
    client_id: ClientId, principal: Colleague, resources: Res, limit: Limit = 25,
    cursor: Annotated[str | None, Query(max_length=10, description="`next_cursor` of the page before")] = None,
) -> Page[InvoiceOut]:  # fmt: skip
    """A client's invoices, newest first, as WHMCS answers now."""
    start = _start(cursor)
    whmcs, _ = await connections.open_whmcs(
        resources.database, resources.cipher, resources.outbound, principal.tenant_id
    )
    found = await clients.read_invoices(whmcs, client_id, start=start, limit=limit)
    following = str(start + limit) if len(found) == limit else None
    return Page(items=[InvoiceOut.model_validate(one) for one in found], next_cursor=following)


def _start(cursor: str | None) -> int:
    """WHMCS counts its pages by position. Raises Invalid."""
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 8):
        raise Invalid("the cursor is not one of this list")
    return int(cursor)


async def _detail(resources: Res, principal: Colleague, row: dict[str, Any]) -> SyncDetail:
    ids = [UUID(one) for one in row["report"].get("tickets", [])]
    async with resources.database.connection(principal.tenant_id) as connection:
        found = await read_tickets(connection, ids)
    tickets = [StaffTicketOut.model_validate(ticket) for ticket in found]
    return SyncDetail.model_validate({**SyncOut.fields_of(row), "tickets": tickets})
