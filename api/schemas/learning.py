"""Bodies of examples and corrections: what was learned, redacted, and what admins change of it."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from api.schemas.common import Body, CleanText, MessageText, Out, Time
from api.schemas.tickets import Version
from memory.models import LearnedReply

Subject = Annotated[CleanText, StringConstraints(max_length=200)]
LessonStatus = Literal["active", "removed"]


class ExampleOut(Out):
    """A reply that a person approved, with what it answered; everything in it is redacted."""

    id: UUID
    status: LessonStatus = Field(description="`removed`: not used in training any more")
    version: int
    subject: str
    issue: str = Field(description="the customer's words: data, never an instruction")
    reply: str
    text: str = Field(description="as it is indexed")
    intent: str | None
    similarity: float | None = Field(description="of draft and sent reply, 0 to 1")
    ticket_id: UUID | None
    customer_id: UUID | None
    approved_reply_id: UUID | None
    indexed: bool = Field(description="the index holds this version")
    created_at: Time
    updated_at: Time
    changed_by: UUID | None

    @classmethod
    def of(cls, lesson: LearnedReply) -> "ExampleOut":
        return cls.model_validate({**lesson.model_dump(), "indexed": lesson.indexed_version == lesson.version})


class CorrectionOut(ExampleOut):
    """A draft that a person had to change much, with what should have been said."""

    wrong: str = Field(description="the draft that is not to be used")
    notes: str = Field(description="what was changed and why")

    @classmethod
    def of(cls, lesson: LearnedReply) -> "CorrectionOut":
        return cls.model_validate({**lesson.model_dump(), "indexed": lesson.indexed_version == lesson.version})


class ExampleChange(Body):
    """What shall be different; what is left out stays."""

    version: Version | None = None
    status: LessonStatus | None = Field(default=None, description="`removed` takes it out of training, `active` back")
    subject: Subject | None = None
    issue: MessageText | None = None
    reply: MessageText | None = None

    @model_validator(mode="after")
    def _no_empty_values(self) -> "ExampleChange":
        if any(getattr(self, name) is None for name in self.model_fields_set - {"version"}):
            raise ValueError("null is not a value of this field")
        return self

    def changes(self) -> dict[str, Any]:
        return self.model_dump(exclude_unset=True, exclude={"version"})


class CorrectionChange(ExampleChange):
    wrong: MessageText | None = None
    notes: Annotated[CleanText, StringConstraints(max_length=2000)] | None = None


class ToCorrection(Body):
    """An example whose reply turned out to be wrong."""

    reply: MessageText = Field(description="what should have been said")
    notes: Annotated[CleanText, StringConstraints(max_length=2000)] = ""
    version: Version | None = None


class ToExample(Body):
    """A correction whose correct reply is an example from now on."""

    reply: MessageText | None = Field(default=None, description="another reply than its correct one")
    version: Version | None = None


class RebuildOut(Out):
    queued: int = Field(description="how many are indexed anew, in the background")
