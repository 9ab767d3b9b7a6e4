"""Bodies of tickets: what customers see of theirs, and what colleagues see besides."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from api.schemas.attachments import AttachmentOut
from api.schemas.common import Body, CleanText, Line, MessageText, Out, Time
from memory.models import TicketEvent
from tools.numbers import Whole
from tools.ticket_rules import Language, Name, Priority, SeverityName, Tier
from tools.tickets.status import Status

DepartmentText = Annotated[CleanText, StringConstraints(max_length=60)]
Version = Annotated[Whole, Field(ge=1, le=2**31 - 1, description="as read before; 409 where somebody was faster")]
Uploads = Annotated[list[UUID], Field(max_length=20, description="your uploads by `POST attachments` that go with it")]
NULLABLE = frozenset({"intent", "language", "assignee_id", "duplicate_of"})


class TicketIn(Body):
    subject: Line
    content: MessageText
    department: DepartmentText = ""
    session_id: UUID | None = Field(default=None, description="the customer's conversation that it is about")
    customer_id: UUID | None = Field(default=None, description="on whose behalf; for colleagues and servers")
    user_id: Line | None = Field(default=None, description="the customer's id in your system; with a secret API key")
    priority: Priority | None = Field(default=None, description="for colleagues and servers; default by severity")
    attachment_ids: Uploads = []


class TicketOut(Out):
    """A ticket as its customer sees it."""

    id: UUID
    number: int
    version: int
    subject: str
    content: str
    department: str
    status: Status
    priority: Priority
    severity: SeverityName
    tier: int
    intent: str | None
    session_id: UUID | None
    merged_into: UUID | None
    reopened: int = Field(description="how often")
    created_at: Time
    updated_at: Time
    resolved_at: Time | None
    closed_at: Time | None


class StaffTicketOut(TicketOut):
    """A ticket as colleagues see it."""

    customer_id: UUID
    customer_name: str | None
    customer_email: str | None
    customer_verified: bool = Field(description="the address is theirs, by the word of your site")
    customer_external_id: str | None = Field(description="the customer's id in your system")
    language: str | None
    opened_by: Literal["customer", "agent", "api", "model", "escalation"]
    team: str
    assignee_id: UUID | None
    assignee_name: str | None
    routed_because: str
    classified: dict[str, Any] = Field(description="the machine's word, whatever people corrected it to")
    duplicate_of: UUID | None
    source: Literal["helpdesk", "whmcs"] = Field(description="where it came from, and is answered")
    external_id: str | None = Field(description="its id there")
    external_number: str = Field(description="its number there, as its customer knows it")
    external_status: str = Field(description="its status there, when last looked")
    external_client: str = Field(description="id of the client there whose ticket it is; empty: nobody's")
    first_response_due: Time | None
    first_responded_at: Time | None
    resolution_due: Time | None
    paused_at: Time | None = Field(description="since when the clocks stand still")
    next_deadline: Time | None = Field(description="the next clock that may run out")
    missed: list[Literal["first_response", "resolution"]] = Field(description="clocks that were found late")
    late: bool = Field(description="a target is missed and not yet met")


class TicketChange(Body):
    """What shall be different; what is left out stays. Null clears an intent, language, assignee or duplicate."""

    version: Version | None = None
    status: Status | None = None
    priority: Priority | None = None
    department: DepartmentText | None = None
    intent: Name | None = None
    severity: SeverityName | None = None
    tier: Tier | None = None
    language: Language | None = None
    team: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9_-]*)?$", max_length=60)] | None = None
    assignee_id: UUID | None = None
    duplicate_of: UUID | None = None

    @model_validator(mode="after")
    def _no_empty_values(self) -> "TicketChange":
        if any(getattr(self, name) is None for name in self.model_fields_set - NULLABLE - {"version"}):
            raise ValueError("null is not a value of this field")
        return self

    def changes(self) -> dict[str, Any]:
        return self.model_dump(exclude_unset=True, exclude={"version"})


class TicketReplyIn(Body):
    message: MessageText
    attachment_ids: Uploads = []
    status: Literal["in_progress", "waiting_customer", "resolved"] | None = Field(
        default=None, description="for colleagues: what the ticket becomes with it"
    )
    version: Version | None = None


class NoteIn(Body):
    message: MessageText
    attachment_ids: Uploads = []


class TicketEscalateIn(Body):
    reason: Line
    version: Version | None = None


class MergeIn(Body):
    into: UUID = Field(description="the ticket that stays, of the same customer")
    version: Version | None = None


class EventOut(Out):
    """An entry of a ticket's history as its customer sees it."""

    id: UUID
    type: str
    author: Literal["customer", "agent", "bot"] | None
    name: str | None = Field(description="the colleague who wrote it")
    text: str | None
    attachments: list[AttachmentOut] = []
    data: dict[str, Any]
    created_at: Time

    @classmethod
    def of(cls, event: TicketEvent) -> "EventOut":
        return cls(**_event_fields(event, SHOWN.get(event.type, frozenset())))


class StaffEventOut(EventOut):
    internal: bool
    actor: str

    @classmethod
    def of(cls, event: TicketEvent) -> "StaffEventOut":
        shown = frozenset(event.data) - {"text", "name", "author", "attachments"}
        return cls(**_event_fields(event, shown), internal=event.internal, actor=event.actor)


SHOWN: dict[str, frozenset[str]] = {
    "status_changed": frozenset({"from", "to"}),
    "reopened": frozenset({"from", "to"}),
    "merged": frozenset({"into", "into_number", "merged", "merged_number"}),
}
"""Of an event's data, what customers see besides author, name and text."""


def _event_fields(event: TicketEvent, shown: frozenset[str]) -> dict[str, Any]:
    spoken = "agent" if event.type == "reply" else None  # in the ticket's conversation, where only colleagues reply
    return {
        "id": event.id, "type": event.type, "created_at": event.created_at, "name": event.data.get("name"),
        "author": event.data.get("author", spoken), "text": event.data.get("text"),
        "attachments": event.data.get("attachments", []),
        "data": {name: value for name, value in event.data.items() if name in shown},
    }  # fmt: skip


class TicketReplyOut(Out):
    """What was written, and the ticket after it."""

    event: StaffEventOut | EventOut
    ticket: StaffTicketOut | TicketOut
