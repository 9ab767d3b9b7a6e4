"""A turn's lease and outcome, the effects of its tools, and the keys that make a request happen once."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, text
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


class Turn(Row, TenantOwned, table=True):
    """One answer being made. At most one runs and one waits per session; `fence` rises with every owner."""

    __tablename__ = "turns"
    __table_args__ = (
        Index("turns_running", "session_id", unique=True, postgresql_where=text("status = 'running'")),
        Index("turns_queued", "session_id", unique=True, postgresql_where=text("status = 'queued'")),
        Index("turns_lease", "lease_until", postgresql_where=text("status in ('running', 'queued')")),
        of_tenant("session_id", "chat_sessions"),
        named_by_tenant(),
    )

    session_id: UUID = Field(index=True)
    status: str = Field(default="queued", description="queued | running | completed | failed | cancelled")
    reason: str | None = None
    owner: str | None = Field(default=None, description="the process that holds the lease")
    fence: int = 0
    epoch: int = Field(default=0, description="the session's epoch when the turn started")
    lease_until: datetime | None = optional_time()
    attempts: int = 0
    started_n: int | None = Field(default=None, description="number of its `turn.started` event")
    partial: str = long_text()
    answer_id: UUID | None = Field(default=None, description="the message that it wrote")
    details: dict[str, Any] = json_object()
    ended_at: datetime | None = optional_time()


class ToolEffect(TenantOwned, table=True):
    """What a tool did, once per (turn, ordinal): written with the effect, or before a call to the outside."""

    __tablename__ = "tool_effects"
    __table_args__ = (of_tenant("turn_id", "turns"),)

    turn_id: UUID = Field(primary_key=True)
    ordinal: int = Field(primary_key=True)
    tool: str
    result: dict[str, Any] = json_object()
    created_at: datetime = timestamp()


class IdempotencyKey(TenantOwned, table=True):
    __tablename__ = "idempotency_keys"

    tenant_id: UUID = Field(primary_key=True, foreign_key="tenants.id", ondelete="CASCADE")
    principal: str = Field(primary_key=True)
    route: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    body_hash: str
    status_code: int | None = Field(default=None, description="null while the first request still runs")
    body: dict[str, Any] | None = json_object()
    resource_id: UUID | None = Field(default=None, description="the message, where the result is a turn's")
    locked_until: datetime | None = optional_time()
    created_at: datetime = timestamp(index=True)
