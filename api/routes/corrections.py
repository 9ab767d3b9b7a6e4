"""Corrections: drafts that people had to change much, and what was right. Colleagues read them, admins manage them."""

from uuid import UUID

from fastapi import APIRouter, Request, Response, status

from api import PREFIX, lessons
from api.dependencies import Admin, Colleague, Res, trace
from api.errors import responses
from api.idempotency import IdempotentRoute
from api.lessons import Asked
from api.paths import segment
from api.schemas.common import Page, page_of
from api.schemas.learning import CorrectionChange, CorrectionOut, ExampleOut, RebuildOut, ToExample

router = APIRouter(prefix=f"{PREFIX}/corrections", tags=["corrections"], route_class=IdempotentRoute)
CORRECTION = segment("correction_id")


@router.get("", responses=responses(401, 403))
async def list_corrections(principal: Colleague, resources: Res, asked: Asked) -> Page[CorrectionOut]:
    """Newest first."""
    found = [CorrectionOut.of(lesson) for lesson in await lessons.found(resources, principal, "correction", asked)]
    return page_of(found, asked["limit"], found[-1].id if found else None)


@router.post("/rebuild", status_code=status.HTTP_202_ACCEPTED, responses=responses(401, 403))
async def rebuild(principal: Admin, resources: Res, request: Request) -> RebuildOut:
    """Have all of them indexed anew, in the background."""
    return RebuildOut(queued=await resources.desk.rebuild(principal, "correction", **trace(request)))


@router.get(CORRECTION, responses=responses(401, 403, 404))
async def read(correction_id: UUID, principal: Colleague, resources: Res) -> CorrectionOut:
    return CorrectionOut.of(await lessons.one(resources, principal, "correction", correction_id))


@router.patch(CORRECTION, responses=responses(401, 403, 404, 409))
async def change(
    correction_id: UUID, body: CorrectionChange, principal: Admin, resources: Res, request: Request
) -> CorrectionOut:
    """Edit it, take it out of training, or take it back in."""
    return CorrectionOut.of(
        await lessons.changed(resources, request, principal, "correction", correction_id, body.changes(), body.version)
    )


@router.delete(CORRECTION, status_code=status.HTTP_204_NO_CONTENT, responses=responses(401, 403, 404))
async def remove(correction_id: UUID, principal: Admin, resources: Res, request: Request) -> Response:
    """Take it out of training; it stays to be read, and can be taken back in."""
    await lessons.changed(resources, request, principal, "correction", correction_id, {"status": "removed"})
    return Response(status_code=status.HTTP_204_NO_CONTENT)


@router.post(f"{CORRECTION}/convert", responses=responses(401, 403, 404, 409))
async def turn_into_example(
    correction_id: UUID, body: ToExample, principal: Admin, resources: Res, request: Request
) -> ExampleOut:
    """Its correct reply is an example from now on, under the same id."""
    return ExampleOut.of(
        await lessons.converted(
            resources, request, principal, "correction", correction_id, reply=body.reply or "", version=body.version
        )
    )
