"""What people check later: refusals of the guard, and who changed what."""

from typing import Any
from uuid import UUID

from sqlalchemy import Index

from memory.models.base import Row, TenantOwned, json_object, of_tenant


class GuardrailEvent(Row, TenantOwned, table=True):
    __tablename__ = "guardrail_events"
    __table_args__ = (Index("guardrail_events_newest", "tenant_id", "id"), of_tenant("session_id", "chat_sessions"))

    session_id: UUID | None = None
    turn_id: UUID | None = None
    action: str
    category: str
    rule: str
    reason: str


class AuditEntry(Row, TenantOwned, table=True):
    """Who did what to what; the application's role may add and read, never change."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("audit_log_newest", "tenant_id", "id"),
        Index("audit_log_actor", "tenant_id", "actor", "id"),
        Index("audit_log_object", "tenant_id", "object_id", "id"),
    )

    actor: str
    action: str
    object_type: str
    object_id: str
    changes: dict[str, Any] = json_object()
    request_id: str | None = None
    address: str | None = None
