"""Bodies of drafts: what colleagues see of one, and what they decide."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from api.schemas.common import Body, CleanText, MessageText, Out, Time
from api.schemas.tickets import Version
from tools.ticket_rules import SeverityName
from tools.tickets.status import Status

DraftStatus = Literal["pending", "approved", "rejected", "superseded"]
Level = Literal["high", "medium", "low", "very_low"]
Sending = Literal["pending", "sending", "sent", "unknown", "failed"]
Instruction = Annotated[CleanText, StringConstraints(max_length=1000)]
Wish = Annotated[MessageText, StringConstraints(max_length=1000)]
DraftVersion = Annotated[Version, Field(description="of the draft as read before; 409 where it has changed")]


class GenerateIn(Body):
    ticket_id: UUID
    instruction: Instruction = Field(default="", description="what you want to be different from the draft that waits")


class RegenerateIn(Body):
    instruction: Wish = Field(description="what you want to be different")
    version: DraftVersion | None = None


class ApproveIn(Body):
    draft_id: UUID
    version: DraftVersion
    content: MessageText | None = Field(default=None, description="the reply as you want it sent; null: as it stands")
    edit_notes: Annotated[CleanText, StringConstraints(max_length=2000)] = Field(
        default="", description="why you changed it; else the difference is summed up"
    )
    status: Literal["in_progress", "waiting_customer", "resolved"] | None = Field(
        default=None, description="what the ticket becomes with it"
    )
    even_though_outdated: bool = Field(
        default=False, description="you know that the customer has written since, or a colleague has answered"
    )
    learn: bool = Field(default=True, description="false: nothing is learned from this one")


class RejectIn(Body):
    reason: Wish
    version: DraftVersion | None = None


class SettleIn(Body):
    outcome: Literal["arrived", "send_again"] = Field(
        description="what you have seen in the other system: it stands there, or it does not and goes out again"
    )


class TicketOfDraft(Out):
    id: UUID
    number: int
    subject: str
    status: Status
    department: str
    team: str
    customer_id: UUID


class SentReply(Out):
    """What was approved, and whether it arrived."""

    id: UUID
    content: str
    similarity: float = Field(description="Levenshtein similarity of draft and reply, 0 to 1")
    distance: int
    edit_notes: str
    learned: Literal["example", "correction", ""] = Field(description="what it taught")
    channel: str
    sending: Sending = Field(description="`unknown`: please check the ticket in the other system")
    attempts: int
    error: str | None
    sent_at: Time | None


class ApprovalOut(Out):
    """How probable it is that the draft is approved unchanged, as it was known when it was written."""

    probability: float | None = Field(description="0 to 1; null where the decisions so far are too few to tell")
    outcomes: int = Field(description="decisions that it rests on")
    basis: Literal["prior", "slope", "steps"] = Field(
        description="`prior`: nothing of yours yet; `slope`: a curve through few decisions; `steps`: what was observed"
    )
    reason: str = Field(description="why there is no number")


class DraftOut(Out):
    """A draft as it stands in a list."""

    id: UUID
    ticket: TicketOfDraft
    status: DraftStatus
    version: int
    content: str = Field(description="as it would be sent")
    outdated: bool = Field(description="the customer has written since, or a colleague has answered")
    language: str | None
    intent: str | None
    severity: SeverityName
    tier: int
    confidence: dict[str, Any] = Field(description="score, level and parts, and what was found")
    approval: ApprovalOut | None = Field(description="null for a draft from before there was such a figure")
    warnings: dict[str, Any]
    instruction: str
    replaces: UUID | None
    created_by: str
    created_at: Time
    decided_by: UUID | None
    decided_by_name: str | None
    decided_at: Time | None
    reason: str
    reply: SentReply | None

    @classmethod
    def of(cls, row: dict[str, Any]) -> "DraftOut":
        return cls.model_validate(_parts(row))


class DraftSourceOut(Out):
    """What the draft rests on; `number` is that of its marks."""

    number: int = Field(validation_alias="rank")
    source: str
    id: str = Field(validation_alias="ref")
    article_id: UUID | None
    title: str
    version: int
    content: str = Field(validation_alias="quoted")
    score: float


class LookupOut(Out):
    """Something that the model looked up before it wrote; what it drew on stands among the sources."""

    tool: str
    query: str
    ok: bool
    error: str = Field(description="why it could not be looked up")
    refs: list[str] = Field(description="what it gave, as the sources name it")
    ms: float


class DraftDetail(DraftOut):
    """One draft with all that led to it."""

    marked: str = Field(description="the text with `[n]` where it rests on the n-th of its sources")
    question: str = Field(description="the words that it answers")
    sources: list[DraftSourceOut]
    model: str
    prompt_version_id: UUID | None
    prompt_name: str | None
    steps_ms: dict[str, float]
    usage: dict[str, int]
    lookups: list[LookupOut]

    @classmethod
    def of(cls, row: dict[str, Any]) -> "DraftDetail":
        return cls.model_validate({**_parts(row), "sources": row["references"]})


def _parts(row: dict[str, Any]) -> dict[str, Any]:
    """A row of drafts joined with its ticket and its reply, as the three that it is."""
    ticket = {name: row[name] for name in ("department", "team", "customer_id")}
    ticket |= {"id": row["ticket_id"], **{name: row[f"ticket_{name}"] for name in ("number", "subject", "status")}}
    reply = None
    if row["reply_id"]:
        names = SentReply.model_fields.keys() - {"id", "content"}
        reply = {"id": row["reply_id"], "content": row["reply_content"], **{name: row[name] for name in names}}
    confidence = {name: value for name, value in row["confidence"].items() if name != "approval"}
    approval = row["confidence"].get("approval")
    return {**row, "ticket": ticket, "reply": reply, "confidence": confidence, "approval": approval}
