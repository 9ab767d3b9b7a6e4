"""Bodies of feedback."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from api.schemas.common import Body, CleanText, Out, Time
from tools.numbers import Whole

Kind = Literal["thumb", "csat", "resolved"]


class FeedbackIn(Body):
    kind: Kind = "thumb"
    value: Whole = Field(ge=-1, le=5, description="thumb: -1 or 1; csat: 1 to 5; resolved: 0 or 1")
    message_id: UUID | None = Field(default=None, description="of the judged answer; only with a thumb")
    comment: Annotated[CleanText, StringConstraints(max_length=2000)] = ""


class FeedbackOut(Out):
    id: UUID
    session_id: UUID
    message_id: UUID | None
    kind: Kind
    value: int
    comment: str
    created_at: Time
