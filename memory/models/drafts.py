"""Drafts of replies, the people's decisions about them, and what the system learned from these."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Float, Index, text
from sqlmodel import Field

from memory.models.base import (
    Row,
    TenantOwned,
    json_list,
    json_object,
    long_text,
    named_by_tenant,
    of_tenant,
    optional_time,
    timestamp,
)


class Draft(Row, TenantOwned, table=True):
    """A reply that nobody has sent yet. At most one of a ticket waits for a decision."""

    __tablename__ = "drafts"
    __table_args__ = (
        Index("drafts_pending", "ticket_id", unique=True, postgresql_where=text("status = 'pending'")),
        Index("drafts_queue", "tenant_id", "status", "id"),
        Index("drafts_ticket", "ticket_id", "id"),
        Index(
            "drafts_poor",
            "tenant_id",
            "id",
            postgresql_where=text("level in ('low', 'very_low') or warnings ? 'missing_knowledge'"),
        ),
        of_tenant("ticket_id", "tickets"),
        named_by_tenant(),
    )

    ticket_id: UUID
    status: str = Field(default="pending", description="pending | approved | rejected | superseded")
    version: int = Field(default=1, description="rises with every change; a decision about an older one is refused")
    content: str = long_text()
    marked: str = long_text()
    """The same with `[n]` where it rests on the n-th of its references."""
    question: str = long_text()
    """The customer's words that it answers, as they were."""
    answers_event_id: UUID | None = None
    """The last word of the customer when it was written; a later one makes it out of date."""
    language: str | None = None
    instruction: str = long_text()
    """What a colleague asked to be different, where it was written again."""
    replaces: UUID | None = None
    prompt_version_id: UUID | None = None
    model: str = ""
    intent: str | None = None
    severity: str = "LOW"
    tier: int = 0
    score: int = Field(default=0, description="confidence, 0 to 100")
    level: str = Field(default="very_low", description="high | medium | low | very_low")
    confidence: dict[str, Any] = json_object()
    """The score with its parts, and the calibrated probability where there is one."""
    warnings: dict[str, Any] = json_object()
    """Corrections that are near, withheld sentences, missing knowledge: what a colleague should look at."""
    steps_ms: dict[str, Any] = json_object()
    usage: dict[str, Any] = json_object()
    """Tokens in and out, per model."""
    lookups: list[dict[str, Any]] = json_list()
    """What the model looked up before it wrote, accounts in other systems among it; its results are references."""
    created_by: str = Field(default="", description="`user:<id>`, or `job` where nobody asked for it")
    decided_by: UUID | None = None
    decided_at: datetime | None = optional_time()
    reason: str = long_text()
    """Why it was rejected."""


class ApprovedReply(Row, TenantOwned, table=True):
    """What a person approved of a draft, on its way to the customer: sent at most once."""

    __tablename__ = "approved_replies"
    __table_args__ = (
        Index("approved_replies_draft", "draft_id", unique=True),
        Index("approved_replies_newest", "tenant_id", "id"),
        Index(
            "approved_replies_sending",
            "sending",
            "id",
            postgresql_where=text("sending in ('pending', 'sending', 'unknown')"),
        ),
        Index("approved_replies_ticket", "ticket_id", "id"),
        of_tenant("draft_id", "drafts"),
        of_tenant("ticket_id", "tickets"),
        named_by_tenant(),
    )

    draft_id: UUID
    ticket_id: UUID
    approved_by: UUID
    content: str = long_text()
    similarity: float = Field(sa_type=Float, description="Levenshtein similarity of draft and sent text, 0 to 1")
    distance: int = Field(default=0, description="edits between the two, in characters")
    edit_notes: str = long_text()
    learned: str = Field(default="", description="example | correction | empty where nothing was learned from it")
    channel: str = Field(default="ticket", description="ticket | whmcs")
    sending: str = Field(default="pending", description="pending | sending | sent | unknown | failed")
    ticket_status: str = Field(default="", description="what the ticket becomes with it; empty leaves it to the rules")
    attempts: int = 0
    tried_at: datetime | None = optional_time()
    """When the last attempt began, by the database's clock."""
    external_id: str | None = None
    error: str | None = None
    event_id: UUID | None = Field(default=None, description="the ticket's event that shows it")
    sent_at: datetime | None = optional_time()


class LearnedReply(Row, TenantOwned, table=True):
    """An example or a correction: `title` and `text`, redacted, are what the index holds; the rest is its making."""

    __tablename__ = "learned_replies"
    __table_args__ = (
        Index("learned_replies_newest", "tenant_id", "kind", "id"),
        Index("learned_replies_reply", "approved_reply_id", unique=True,
              postgresql_where=text("approved_reply_id is not null")),
        Index("learned_replies_customer", "tenant_id", "customer_id", postgresql_where=text("customer_id is not null")),
        Index("learned_replies_unindexed", "id", postgresql_where=text("indexed_version <> version")),
        of_tenant("approved_reply_id", "approved_replies", "SET NULL"),
        of_tenant("ticket_id", "tickets", "SET NULL"),
        of_tenant("customer_id", "customers", "SET NULL"),
    )  # fmt: skip

    kind: str = Field(description="example | correction")
    title: str
    text: str = long_text()
    status: str = Field(default="active", description="active | removed")
    version: int = 1
    indexed_version: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    """The version that the index holds; another one than `version` is still to be brought there."""
    approved_reply_id: UUID | None = None
    ticket_id: UUID | None = None
    customer_id: UUID | None = None
    """Whose words it was learned from: erased with them."""
    subject: str = ""
    issue: str = long_text()
    wrong: str = long_text()
    """The draft that was not to be used, of a correction."""
    reply: str = long_text()
    notes: str = long_text()
    intent: str | None = None
    similarity: float | None = None
    changed_by: UUID | None = None
    updated_at: datetime = timestamp()
