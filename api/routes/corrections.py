"""Corrections: drafts that people had to change much, and what was right. Colleagues read them, admins manage them."""

from uuid import UUID

from fastapi import Request

from api import lessons
from api.dependencies import Admin, Res
from api.errors import responses
from api.paths import segment
from api.schemas.common import Page
from api.schemas.learning import CorrectionChange, CorrectionOut, ExampleOut, ToExample

router = lessons.routes_of("correction", CorrectionOut, Page[CorrectionOut])
CORRECTION = segment("correction_id")


@router.patch(CORRECTION, responses=responses(401, 403, 404, 409))
async def change(
    correction_id: UUID, body: CorrectionChange, principal: Admin, resources: Res, request: Request
) -> CorrectionOut:
    """Edit it, take it out of training, or take it back in."""
    return CorrectionOut.of(
        await lessons.changed(resources, request, principal, "correction", correction_id, body.changes(), body.version)
    )


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
