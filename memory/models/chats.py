"""Conversations: sessions, their messages, the numbered events that watchers follow, and customers' facts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index
from sqlmodel import Field

from memory.models.base import (
    Row,
    TenantOwned,
    json_object,
    long_text,
    named_by_tenant,
    of_tenant,
    optional_time,
    timestamp,
)


class ChatSession(Row, TenantOwned, table=True):
    """One conversation. `epoch` rises when a human takes over, which fences off whatever the bot still writes."""

    __tablename__ = "chat_sessions"
    __table_args__ = (
        Index("chat_sessions_customer", "tenant_id", "customer_id", "id"),
        Index("chat_sessions_recent", "tenant_id", "last_message_at"),
        of_tenant("customer_id", "customers"),
        named_by_tenant(),
    )

    customer_id: UUID
    user_label: str | None = Field(default=None, description="the unverified `user_id` of the request")
    title: str = ""
    status: str = Field(default="open", description="open | closed")
    mode: str = Field(default="bot", description="bot | human")
    epoch: int = 0
    last_n: int = Field(default=0, description="number of the newest event")
    summary: str = long_text()
    summary_upto: int = Field(default=0, description="`n` of the last message that the summary covers")
    language: str | None = None
    attributes: dict[str, Any] = json_object()
    """What the tenant's site says about the visit: its plan, its page. Shown to colleagues."""
    last_message_at: datetime = timestamp()
    closed_at: datetime | None = optional_time()


class ChatMessage(Row, TenantOwned, table=True):
    __tablename__ = "chat_messages"
    __table_args__ = (
        Index("chat_messages_session", "session_id", "n", unique=True),
        of_tenant("session_id", "chat_sessions"),
        named_by_tenant(),
    )

    session_id: UUID
    n: int = Field(description="number of the event that announced it: the order of the conversation")
    author: str = Field(description="customer | bot | agent | system")
    author_id: UUID | None = None
    content: str = long_text()
    status: str = Field(default="complete", description="complete | incomplete")
    turn_id: UUID | None = Field(default=None, index=True, description="the turn that answers it, or wrote it")
    details: dict[str, Any] = json_object()
    prompt_version_id: UUID | None = None


class SessionEvent(TenantOwned, table=True):
    """A durable event: written in the transaction that it reports, numbered without gaps."""

    __tablename__ = "session_events"
    __table_args__ = (of_tenant("session_id", "chat_sessions"),)

    session_id: UUID = Field(primary_key=True)
    n: int = Field(primary_key=True)
    type: str
    data: dict[str, Any] = json_object()
    created_at: datetime = timestamp()


class Fact(Row, TenantOwned, table=True):
    """Something worth remembering about a customer; only that customer's own turns see it."""

    __tablename__ = "facts"
    __table_args__ = (Index("facts_customer", "tenant_id", "customer_id", "id"), of_tenant("customer_id", "customers"))

    customer_id: UUID
    text: str = long_text()
    digest: str = Field(description="of the normalised text, so that a fact is kept once")
    turn_id: UUID | None = None
