"""Examples: replies that people approved, which similar tickets learn from. Colleagues read them, admins manage them."""

from uuid import UUID

from fastapi import Request

from api import lessons
from api.dependencies import Admin, Res
from api.errors import responses
from api.paths import segment
from api.schemas.common import Page
from api.schemas.learning import CorrectionOut, ExampleChange, ExampleOut, ToCorrection

router = lessons.routes_of("example", ExampleOut, Page[ExampleOut])
EXAMPLE = segment("example_id")


@router.patch(EXAMPLE, responses=responses(401, 403, 404, 409))
async def change(
    example_id: UUID, body: ExampleChange, principal: Admin, resources: Res, request: Request
) -> ExampleOut:
    """Edit it, take it out of training, or take it back in."""
    return ExampleOut.of(
        await lessons.changed(resources, request, principal, "example", example_id, body.changes(), body.version)
    )


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
