"""Tickets with their typed history, and handoffs: the hand over from the bot to people."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Computed, Index, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlmodel import Field

from memory.models.base import (
    Row,
    TenantOwned,
    json_object,
    long_text,
    named_by_tenant,
    of_tenant,
    optional_time,
    text_list,
    timestamp,
)


class TicketCounter(TenantOwned, table=True):
    """The last ticket number of a tenant: numbers are short, per tenant, and never reused."""

    __tablename__ = "ticket_counters"

    tenant_id: UUID = Field(primary_key=True, foreign_key="tenants.id", ondelete="CASCADE")
    last_number: int = Field(default=0, sa_type=BigInteger)


class Ticket(Row, TenantOwned, table=True):
    __tablename__ = "tickets"
    __table_args__ = (
        Index("tickets_number", "tenant_id", "number", unique=True),
        Index("tickets_customer", "tenant_id", "customer_id", "id"),
        Index("tickets_escalation", "session_id", unique=True, postgresql_where=text("opened_by = 'escalation'")),
        of_tenant("customer_id", "customers"),
        Index("tickets_queue", "tenant_id", "status", "id"),
        Index("tickets_assignee", "tenant_id", "assignee_id", "id"),
        Index("tickets_clocks", "next_deadline", postgresql_where=text("next_deadline is not null")),
        Index("tickets_external", "tenant_id", "source", "external_id", unique=True,
              postgresql_where=text("external_id is not null")),
        of_tenant("session_id", "chat_sessions", "SET NULL"),
        of_tenant("assignee_id", "users", "SET NULL"),
        of_tenant("merged_into", "tickets", "SET NULL"),
        of_tenant("duplicate_of", "tickets", "SET NULL"),
        named_by_tenant(),
    )  # fmt: skip

    number: int = Field(sa_type=BigInteger)
    customer_id: UUID
    session_id: UUID | None = None
    subject: str
    content: str = long_text()
    department: str = ""
    status: str = Field(default="open", description="open | in_progress | waiting_customer | resolved | closed")
    severity: str = "LOW"
    tier: int = 1
    intent: str | None = None
    language: str | None = None
    opened_by: str = Field(default="customer", description="customer | agent | api | model | escalation")
    updated_at: datetime = timestamp()
    version: int = Field(default=1, description="rises with every change; a change of an older version is refused")
    priority: str = Field(default="normal", description="low | normal | high | urgent")
    team: str = ""
    assignee_id: UUID | None = None
    routed_because: str = ""
    classified: dict[str, Any] = json_object()
    """What the classifier said, kept beside what people corrected it to."""
    merged_into: UUID | None = None
    duplicate_of: UUID | None = None
    first_response_due: datetime | None = optional_time()
    first_responded_at: datetime | None = optional_time()
    resolution_due: datetime | None = optional_time()
    resolved_at: datetime | None = optional_time()
    paused_at: datetime | None = optional_time()
    """Since when the clocks stand still: the ticket waits for its customer."""
    next_deadline: datetime | None = optional_time()
    """The earliest clock that still runs and was not yet found to be late."""
    missed: list[str] = text_list()
    """Clocks that were found late, each once: first_response, resolution."""
    closed_at: datetime | None = optional_time()
    reopened: int = 0
    source: str = Field(
        default="helpdesk", sa_column_kwargs={"server_default": "helpdesk"}, description="helpdesk | whmcs"
    )
    external_id: str | None = Field(default=None, description="its id in the system that it came from")
    external_number: str = Field(
        default="", sa_column_kwargs={"server_default": ""}, description="as customers know it there"
    )
    external_status: str = Field(
        default="", sa_column_kwargs={"server_default": ""}, description="there, when last looked"
    )
    external_client: str = Field(
        default="", sa_column_kwargs={"server_default": ""}, description="id of the client there whose ticket it is"
    )
    external_mark: str = Field(default="", sa_column_kwargs={"server_default": ""})
    """What the other system's list said of it when it was last taken over; another mark means that it has changed."""
    external_seen_at: datetime | None = optional_time()
    tsv: Any = Field(
        default=None, sa_type=TSVECTOR, nullable=True, exclude=True,
        sa_column_args=[Computed("passage_words(coalesce(language, 'en'), subject || ' ' || content)", persisted=True)],
    )  # fmt: skip


class TicketEvent(Row, TenantOwned, table=True):
    __tablename__ = "ticket_events"
    __table_args__ = (
        Index("ticket_events_ticket", "ticket_id", "id"), Index("ticket_events_newest", "tenant_id", "id"),
        Index("ticket_events_external", "tenant_id", "external_id", unique=True,
              postgresql_where=text("external_id is not null")),
        of_tenant("ticket_id", "tickets"),
    )  # fmt: skip

    ticket_id: UUID
    type: str
    actor: str
    internal: bool = Field(default=True, sa_column_kwargs={"server_default": "true"}, description="not for customers")
    data: dict[str, Any] = json_object()
    external_id: str | None = Field(default=None, description="of the words in the other system: `whmcs:<reply id>`")


class Handoff(Row, TenantOwned, table=True):
    """A request for a person, with what they need to know; at most one is open per session."""

    __tablename__ = "handoffs"
    __table_args__ = (
        Index("handoffs_open", "session_id", unique=True,
              postgresql_where=text("status in ('requested', 'claimed')")),
        Index("handoffs_queue", "tenant_id", "status", "id"),
        of_tenant("session_id", "chat_sessions"),
        of_tenant("ticket_id", "tickets", "SET NULL"),
        Index("handoffs_waiting", "waiting_since", postgresql_where=text("waiting_since is not null")),
        of_tenant("claimed_by", "users", "SET NULL"),
        of_tenant("assigned_to", "users", "SET NULL"),
        named_by_tenant(),
    )  # fmt: skip

    session_id: UUID
    ticket_id: UUID | None = None
    turn_id: UUID | None = None
    status: str = Field(default="requested", description="requested | claimed | released | resolved")
    reason: str
    summary: str = long_text()
    findings: dict[str, Any] = json_object()
    claimed_by: UUID | None = None
    claimed_at: datetime | None = optional_time()
    assigned_to: UUID | None = None
    """For whom the queue keeps it; anybody may still claim it."""
    waiting_since: datetime | None = optional_time()
    """Since when the customer of a claimed session has waited for an answer."""
    returned: int = 0
    """How often it came back because nobody answered."""
    outcome: str | None = None
    ended_at: datetime | None = optional_time()
