"""Bodies of handoffs, as colleagues see them."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from api.schemas.common import Body, CleanText, MessageText, Out, Time

Status = Literal["requested", "claimed", "released", "resolved"]


class QueuedOut(Out):
    """A handoff in the queue."""

    id: UUID
    session_id: UUID
    ticket_id: UUID | None
    ticket_number: int | None
    status: Status
    reason: str
    summary: str
    severity: str | None
    language: str | None
    customer_id: UUID
    customer_name: str | None
    claimed_by: UUID | None
    claimed_by_name: str | None
    assigned_to: UUID | None
    created_at: Time
    claimed_at: Time | None
    waiting_since: Time | None = Field(description="since when the customer has waited for the person who has it")
    returned: int = Field(description="how often it came back because nobody answered")
    ended_at: Time | None


class NoteOut(Out):
    id: UUID
    actor: str
    text: str
    created_at: Time


class HandoffDetail(QueuedOut):
    findings: dict[str, Any] = Field(description="what was asked and tried, with sources, and what is still open")
    outcome: str | None
    notes: list[NoteOut]


class HandoffReplyIn(Body):
    message: MessageText
    attachment_ids: list[UUID] = Field(
        default=[], max_length=20, description="your uploads by `POST attachments` that go with it"
    )


class HandoffNoteIn(Body):
    message: MessageText


class HandoffMessageOut(Out):
    message_id: UUID
    handoff_id: UUID
    status: Status


class ReassignIn(Body):
    user_id: UUID


class HandoffResolveIn(Body):
    outcome: Annotated[CleanText, StringConstraints(max_length=500)] = ""
