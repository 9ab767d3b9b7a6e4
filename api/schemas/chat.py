"""Bodies of conversations."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from api.schemas.attachments import AttachmentOut
from api.schemas.common import Body, CleanText, Line, MessageText, Out, Time
from kbs.passages import Source
from memory.models import ChatMessage
from tools.numbers import Whole

Attributes = Annotated[
    dict[
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,59}$")],
        Annotated[CleanText, StringConstraints(max_length=200)]
        | bool
        | Annotated[float, Field(allow_inf_nan=False)]
        | None,
    ],
    Field(max_length=20, description="what your site says about the visit; shown to colleagues"),
]


class SessionIn(Body):
    user_id: Line | None = Field(
        default=None, description="an unverified label; with a secret API key the customer's id in your system"
    )
    attributes: Attributes = {}


class AttributesIn(Body):
    attributes: Attributes


class SessionCreated(Out):
    session_id: UUID
    thread_id: UUID
    message: str = Field(description="the greeting")
    visitor_token: str | None = Field(default=None, description="bearer token of a visitor's later calls")


class SessionOut(Out):
    id: UUID
    customer_id: UUID
    title: str
    status: Literal["open", "closed"]
    mode: Literal["bot", "human"]
    last_n: int
    attributes: dict[str, Any]
    created_at: Time
    last_message_at: Time
    closed_at: Time | None


class MessageIn(Body):
    message: MessageText
    attachment_ids: list[UUID] = Field(
        default=[], max_length=20, description="your uploads by `POST attachments` that go with it"
    )


class SourceOut(Out):
    id: str
    content: str
    metadata: dict[str, Any]
    distance: float


class ConfidenceOut(Out):
    score: int
    level: Literal["high", "medium", "low", "very_low"]
    parts: dict[str, float]


class GuardrailOut(Out):
    blocked: bool
    reason: str | None


class AnswerOut(Out):
    """The answer to a message; `status` cancelled or failed says why in `reason`."""

    message_id: UUID | None
    turn_id: UUID
    status: Literal["complete", "incomplete", "cancelled", "failed"]
    reason: str | None = None
    message: str
    sources: list[SourceOut] = []
    requires_escalation: bool = False
    confidence: ConfidenceOut | None = None
    intent: str | None = None
    severity: Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"] | None = None
    tier: int | None = None
    guardrail: GuardrailOut | None = None
    ticket_id: UUID | None = None


class AcceptedOut(Out):
    """The message is stored; its answer comes on the session's events. Without a turn a person has the session."""

    message_id: UUID
    turn_id: UUID | None
    status: Literal["accepted"] = "accepted"
    mode: Literal["bot", "human"]


class MessageOut(Out):
    id: UUID
    n: int
    author: Literal["customer", "bot", "agent", "system"]
    name: str | None = Field(default=None, description="the colleague who wrote it")
    content: str
    status: Literal["complete", "incomplete"]
    turn_id: UUID | None
    sources: list[SourceOut]
    attachments: list[AttachmentOut] = []
    created_at: Time

    @classmethod
    def of(cls, message: ChatMessage) -> "MessageOut":
        told = {name: message.details.get(name, []) for name in ("sources", "attachments")}
        return cls(**message.model_dump(), **told, name=message.details.get("name"))


class EscalateIn(Body):
    reason: Annotated[CleanText, StringConstraints(max_length=500)] = ""


class HandoffOut(Out):
    handoff_id: UUID
    status: Literal["requested", "claimed"]
    ticket_id: UUID
    ticket_number: int
    message: str


class StateOut(Out):
    """What a command came to."""

    status: str


class SearchIn(Body):
    query: MessageText
    limit: Whole = Field(default=10, ge=1, le=100)
    mode: Literal["hybrid", "dense", "lexical"] = "hybrid"


class HitOut(Out):
    id: str
    passage_id: UUID
    source: str
    title: str
    heading: str
    content: str
    score: float
    similarity: float
    collection: str
    version: int


class SourceOfHits(Out):
    """What one source gave."""

    hits: int = Field(description="of the items")
    best_score: float | None = Field(description="by which its best item was ranked")
    best_similarity: float | None = Field(
        description="raw cosine of its best passage, whether it is among the items or not; null in the lexical mode"
    )


class SearchOut(Out):
    items: list[HitOut]
    sources: dict[Source, SourceOfHits] = Field(description="by source, those that were searched")
    took_ms: float
