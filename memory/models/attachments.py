"""Files that people sent: stored by content outside of any web root, read only by those who may see the conversation."""

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index
from sqlalchemy import text as sql_text
from sqlmodel import Field

from memory.models.base import Row, TenantOwned, json_object, long_text, named_by_tenant, of_tenant


class Attachment(Row, TenantOwned, table=True):
    """One file of a message or a ticket. The bytes lie in the tenant's folder under their SHA-256."""

    __tablename__ = "attachments"
    __table_args__ = (
        Index("attachments_session", "session_id", "id"),
        Index("attachments_ticket", "ticket_id", "id"),
        Index("attachments_content", "tenant_id", "sha256"),
        Index("attachments_customer", "tenant_id", "customer_id", "id"),
        Index("attachments_message", "message_id", postgresql_where=sql_text("message_id is not null")),
        Index("attachments_unsent", "tenant_id", "uploaded_by",
              postgresql_where=sql_text("message_id is null and event_id is null")),
        of_tenant("customer_id", "customers"),
        of_tenant("session_id", "chat_sessions"),
        of_tenant("ticket_id", "tickets"),
        of_tenant("message_id", "chat_messages"),
        named_by_tenant(),
    )  # fmt: skip

    customer_id: UUID | None = Field(default=None, description="whose it is; of a colleague's upload once it is sent")
    session_id: UUID | None = None
    ticket_id: UUID | None = None
    message_id: UUID | None = None
    event_id: UUID | None = Field(default=None, description="the ticket's event that it came with")
    internal: bool = Field(default=False, description="of an internal note: not for customers")
    uploaded_by: str
    name: str = Field(description="as shown; never part of a path")
    media_type: str = Field(description="sniffed from the content")
    size: int = Field(sa_type=BigInteger)
    sha256: str
    extraction: str = Field(default="pending", description="pending | done | empty | failed | unsupported")
    text: str = long_text()
    details: dict[str, Any] = json_object()
