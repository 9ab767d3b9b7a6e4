"""Examples: replies that people approved, which similar tickets learn from. Colleagues read them, admins manage them."""

from uuid import UUID

from fastapi import APIRouter, Request, Response, status

from api import PREFIX, lessons
from api.dependencies import Admin, Colleague, Res, trace
from api.errors import responses
from api.idempotency import IdempotentRoute
from api.lessons import Asked
from api.paths import segment
from api.schemas.common import Page, page_of
from api.schemas.learning import CorrectionOut, ExampleChange, ExampleOut, RebuildOut, ToCorrection

router = APIRouter(prefix=f"{PREFIX}/examples", tags=["examples"], route_class=IdempotentRoute)
EXAMPLE = segment("example_id")


@router.get("", responses=responses(401, 403))
async def list_examples(principal: Colleague, resources: Res, asked: Asked) -> Page[ExampleOut]:
    """Newest first."""
    found = [ExampleOut.of(lesson) for lesson in await lessons.found(resources, principal, "example", asked)]
    return page_of(found, asked["limit"], found[-1].id if found else None)


@router.post("/rebuild", status_code=status.HTTP_202_ACCEPTED, responses=responses(401, 403))
async def rebuild(principal: Admin, resources: Res, request: Request) -> RebuildOut:
    """Have all of them indexed anew, in the background."""
    return RebuildOut(queued=await resources.desk.rebuild(principal, "example", **trace(request)))


@router.get(EXAMPLE, responses=responses(401, 403, 404))
async def read(example_id: UUID, principal: Colleague, resources: Res) -> ExampleOut:
    return ExampleOut.of(await lessons.one(resources, principal, "example", example_id))


@router.patch(EXAMPLE, responses=responses(401, 403, 404, 409))
async def change(
    example_id: UUID, body: ExampleChange, principal: Admin, resources: Res, request: Request
) -> ExampleOut:
    """Edit it, take it out of training, or take it back in."""
    return ExampleOut.of(
        await lessons.changed(resources, request, principal, "example", example_id, body.changes(), body.version)
    )


@router.delete(EXAMPLE, status_code=status.HTTP_204_NO_CONTENT, responses=responses(401, 403, 404))
async def remove(example_id: UUID, principal: Admin, resources: Res, request: Request) -> Response:
    """Take it out of training; it stays to be read, and can be taken back in."""
    await lessons.changed(resources, request, principal, "example", example_id, {"status": "removed"})
    return Response(status_code=status.HTTP_204_NO_CONTENT)


@router.post(f"{EXAMPLE}/convert", responses=responses(401, 403, 404, 409))
async def turn_into_correction(
    example_id: UUID, body: ToCorrection, principal: Admin, resources: Res, request: Request
) -> CorrectionOut:
    """Its reply was wrong: from now on it is a correction, under the same id."""
    return CorrectionOut.of(
        await lessons.converted(
            resources, request, principal, "example", example_id, reply=body.reply, notes=body.notes,
            version=body.version,
        )
    )  # fmt: skip
