"""Prompts in versions, and replays: what a candidate would have changed in real conversations."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from memory.models.base import (
    Row,
    SharedRead,
    TenantOwned,
    json_object,
    long_text,
    named_by_tenant,
    of_tenant,
    optional_time,
    text_list,
    timestamp,
)


def optional_json() -> Any:
    return Field(default=None, sa_type=JSONB, nullable=True)


class PromptVersion(Row, SharedRead, table=True):
    """A prompt in three parts; rows are never edited, an edit is the next version."""

    __tablename__ = "prompt_versions"
    __table_args__ = (
        Index("prompt_versions_number", "tenant_id", "name", "version", unique=True),
        Index("prompt_versions_active", "tenant_id", unique=True, postgresql_where="is_active"),
    )

    name: str
    version: int = 1
    system_prompt: str = long_text()
    context_template: str = long_text()
    task_template: str = long_text()
    is_active: bool = False
    description: str = long_text()
    """What it is for."""
    note: str = long_text()
    """What this version changed."""
    based_on: UUID | None = Field(default=None, description="the version that it was edited or duplicated from")
    created_by: UUID | None = None


class Replay(Row, TenantOwned, table=True):
    """One run of a candidate over what was really asked. At most one of a tenant is under way."""

    __tablename__ = "replays"
    __table_args__ = (
        Index("replays_under_way", "tenant_id", unique=True, postgresql_where=text("status in ('queued', 'running')")),
        Index("replays_newest", "tenant_id", "id"),
        Index("replays_stalled", "updated_at", postgresql_where=text("status in ('queued', 'running')")),
        named_by_tenant(),
    )

    status: str = Field(default="queued", description="queued | running | completed | cancelled | failed")
    prompt_version_id: UUID | None = Field(default=None, description="the candidate; null: the prompt stays")
    ranking: dict[str, Any] | None = optional_json()
    """The candidate's weights and limits; null: the ranking stays."""
    baseline: dict[str, Any] = json_object()
    """What was in force when it was asked for: `prompt_version_id` and `ranking`."""
    total: int = 0
    summary: dict[str, Any] = json_object()
    """Counts over its cases, once it has ended."""
    requested_by: UUID | None = None
    error: str | None = None
    updated_at: datetime = timestamp()
    ended_at: datetime | None = optional_time()


class ReplayCase(Row, TenantOwned, table=True):
    """One answer or draft: as it was, as it would be. Goes with the conversation or ticket whose words it holds."""

    __tablename__ = "replay_cases"
    __table_args__ = (
        Index("replay_cases_place", "replay_id", "ordinal", unique=True),
        Index("replay_cases_session", "session_id"),
        Index("replay_cases_ticket", "ticket_id"),
        of_tenant("replay_id", "replays"),
        of_tenant("session_id", "chat_sessions"),
        of_tenant("ticket_id", "tickets"),
        CheckConstraint("num_nonnulls(session_id, ticket_id) < 2", name="replay_cases_of_one_at_most"),
    )

    replay_id: UUID
    ordinal: int
    session_id: UUID | None = None
    ticket_id: UUID | None = None
    answer_id: UUID = Field(description="the bot's message, or the draft")
    status: str = Field(default="pending", description="pending | done | failed")
    cause: str | None = Field(
        default=None, description="candidate | knowledge | setting | other; null: nothing differs"
    )
    changed: list[str] = text_list()
    """What differs: answer, sources, confidence, escalation, cost."""
    stored: dict[str, Any] = json_object()
    """What was answered."""
    current: dict[str, Any] | None = optional_json()
    """What would be answered today without the candidate, where that was needed to tell the cause."""
    candidate: dict[str, Any] = json_object()
    """What the candidate answers."""
    error: str | None = None
