"""Webhooks: where a tenant's events go, and the log of what was sent. For admins."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, status

from api import PREFIX
from api.dependencies import Admin, Res, trace
from api.errors import responses
from api.idempotency import IdempotentRoute
from api.schemas.common import CleanText, Cursor, Limit, Page, page_of
from api.schemas.webhooks import (
    DeliveryDetail,
    DeliveryOut,
    DeliveryStatus,
    EndpointChange,
    EndpointIn,
    EndpointOut,
    EventKindOut,
    NewEndpointOut,
    RedeliverIn,
    RedeliverOut,
)
from tools.webhooks import endpoints, log
from tools.webhooks.events import EVENTS

router = APIRouter(prefix=f"{PREFIX}/webhooks", tags=["webhooks"], route_class=IdempotentRoute)
kinds = APIRouter(prefix=f"{PREFIX}/webhook-events", tags=["webhooks"])


@router.get("", responses=responses(401, 403))
async def list_endpoints(
    principal: Admin, resources: Res, limit: Limit = 50, cursor: Cursor = None
) -> Page[EndpointOut]:
    found = await endpoints.list_endpoints(resources.database, principal, before=cursor, limit=limit)
    return page_of([EndpointOut.model_validate(row) for row in found], limit, found[-1]["id"] if found else None)


@router.post("", status_code=status.HTTP_201_CREATED, responses=responses(401, 403, 409))
async def add_endpoint(body: EndpointIn, principal: Admin, resources: Res, request: Request) -> NewEndpointOut:
    """Have events sent to an address; the secret that signs them is in this answer and nowhere else."""
    row, secret = await endpoints.add_endpoint(
        resources.database, resources.cipher, resources.outbound, principal, url=body.url, events=body.events,
        description=body.description, **trace(request),
    )  # fmt: skip
    return _with_secret(row, secret)


@kinds.get("", responses=responses(401, 403))
async def list_events(principal: Admin) -> Page[EventKindOut]:
    """What an endpoint may ask for beside `*`, which is all of it."""
    return Page(items=[EventKindOut(name=name, tells=tells) for name, tells in EVENTS.items()], next_cursor=None)


@router.get("/{endpoint_id}", responses=responses(401, 403, 404))
async def read_endpoint(endpoint_id: UUID, principal: Admin, resources: Res) -> EndpointOut:
    async with resources.database.connection(principal.tenant_id) as connection:
        return EndpointOut.model_validate(await endpoints.get_endpoint(connection, endpoint_id))


@router.patch("/{endpoint_id}", responses=responses(401, 403, 404))
async def change_endpoint(
    endpoint_id: UUID, body: EndpointChange, principal: Admin, resources: Res, request: Request
) -> EndpointOut:
    """Change what is named; disabling ends what waits as failed, enabling forgets the failures."""
    row = await endpoints.change_endpoint(
        resources.database, resources.outbound, principal, endpoint_id, body.model_dump(exclude_unset=True),
        **trace(request),
    )  # fmt: skip
    return EndpointOut.model_validate(row)


@router.delete("/{endpoint_id}", status_code=status.HTTP_204_NO_CONTENT, responses=responses(401, 403, 404))
async def remove_endpoint(endpoint_id: UUID, principal: Admin, resources: Res, request: Request) -> None:
    """Remove an endpoint with its log."""
    await endpoints.remove_endpoint(resources.database, principal, endpoint_id, **trace(request))


@router.post("/{endpoint_id}/rotate", responses=responses(401, 403, 404))
async def rotate_secret(endpoint_id: UUID, principal: Admin, resources: Res, request: Request) -> NewEndpointOut:
    """A new secret, shown this once; the one before signs beside it for 24 hours."""
    row, secret = await endpoints.rotate_secret(
        resources.database, resources.cipher, principal, endpoint_id, **trace(request)
    )
    return _with_secret(row, secret)


@router.post("/{endpoint_id}/test", status_code=status.HTTP_202_ACCEPTED, responses=responses(401, 403, 404, 409))
async def send_test(endpoint_id: UUID, principal: Admin, resources: Res, request: Request) -> DeliveryOut:
    """Have a `webhook.test` sent; what came of it stands in the log."""
    row = await endpoints.send_test(resources.database, principal, endpoint_id, **trace(request))
    return DeliveryOut.model_validate(row)


@router.get("/{endpoint_id}/deliveries", responses=responses(401, 403, 404))
async def list_deliveries(
    endpoint_id: UUID, principal: Admin, resources: Res, limit: Limit = 50, cursor: Cursor = None,
    state: Annotated[DeliveryStatus | None, Query(alias="status")] = None,
    event_type: Annotated[CleanText | None, Query(max_length=60)] = None,
) -> Page[DeliveryOut]:  # fmt: skip
    """What was sent within the last 30 days, newest first."""
    filters = log.DeliveryFilters(
        endpoint_id=endpoint_id, status=state, event_type=event_type, before=cursor, limit=limit
    )
    found = await log.list_deliveries(resources.database, principal, filters)
    return page_of([DeliveryOut.model_validate(row) for row in found], limit, found[-1]["id"] if found else None)


@router.get("/{endpoint_id}/deliveries/{delivery_id}", responses=responses(401, 403, 404))
async def read_delivery(endpoint_id: UUID, delivery_id: UUID, principal: Admin, resources: Res) -> DeliveryDetail:
    """One delivery with what is sent."""
    row = await log.get_delivery(resources.database, principal, endpoint_id, delivery_id)
    return DeliveryDetail.model_validate(row)


@router.post(
    "/{endpoint_id}/deliveries/{delivery_id}/replay", status_code=status.HTTP_202_ACCEPTED,
    responses=responses(401, 403, 404, 409),
)  # fmt: skip
async def replay(
    endpoint_id: UUID, delivery_id: UUID, principal: Admin, resources: Res, request: Request
) -> DeliveryOut:
    """Send it again under the same id; one that waits for its next attempt goes at once."""
    row = await log.replay(resources.database, principal, endpoint_id, delivery_id, **trace(request))
    return DeliveryOut.model_validate(row)


@router.post("/{endpoint_id}/replay", status_code=status.HTTP_202_ACCEPTED, responses=responses(401, 403, 404, 409))
async def replay_failed(
    endpoint_id: UUID, body: RedeliverIn, principal: Admin, resources: Res, request: Request
) -> RedeliverOut:
    """Send everything again that failed since a time, such as the one at which the receiver went down."""
    count = await log.replay_failed(resources.database, principal, endpoint_id, body.since, **trace(request))
    return RedeliverOut(deliveries=count)


def _with_secret(row: dict[str, Any], secret: str) -> NewEndpointOut:
    return NewEndpointOut(**EndpointOut.model_validate(row).model_dump(), secret=secret)
