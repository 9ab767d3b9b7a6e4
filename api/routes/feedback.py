"""Feedback: given by whoever sees the conversation, read by colleagues."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, status

from api import PREFIX
from api.dependencies import Chatter, Colleague, Res
from api.errors import responses
from api.idempotency import IdempotentRoute
from api.schemas.common import Cursor, Limit, Page, page_of
from api.schemas.feedback import FeedbackIn, FeedbackOut, Kind
from tools import feedback

router = APIRouter(prefix=PREFIX, tags=["feedback"], route_class=IdempotentRoute)


@router.post(
    "/chat/sessions/{session_id}/feedback", status_code=status.HTTP_201_CREATED,
    responses=responses(401, 403, 404, 409),
)  # fmt: skip
async def give(session_id: UUID, body: FeedbackIn, principal: Chatter, resources: Res) -> FeedbackOut:
    """Judge an answer or the conversation; judging again replaces the earlier word."""
    kept = await feedback.give_feedback(
        resources.database, principal, session_id, kind=body.kind, value=body.value, message_id=body.message_id,
        comment=body.comment,
    )  # fmt: skip
    return FeedbackOut.model_validate(kept)


@router.get("/feedback", responses=responses(401, 403))
async def read(
    principal: Colleague, resources: Res, limit: Limit = 20, cursor: Cursor = None,
    kind: Annotated[Kind | None, Query()] = None, session_id: Annotated[UUID | None, Query()] = None,
) -> Page[FeedbackOut]:  # fmt: skip
    """What customers thought, newest first."""
    found = await feedback.list_feedback(
        resources.database, principal.tenant_id, kind=kind, session_id=session_id, before=cursor, limit=limit
    )
    return page_of([FeedbackOut.model_validate(row) for row in found], limit, found[-1].id if found else None)
