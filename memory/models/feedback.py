"""What customers thought of an answer and of a conversation."""

from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import Field

from memory.models.base import Row, TenantOwned, long_text, of_tenant


class Feedback(Row, TenantOwned, table=True):
    """One judgement; judging again replaces it."""

    __tablename__ = "feedback"
    __table_args__ = (
        Index("feedback_message", "message_id", unique=True, postgresql_where=text("message_id is not null")),
        Index("feedback_session", "session_id", "kind", unique=True, postgresql_where=text("message_id is null")),
        Index("feedback_newest", "tenant_id", "id"),
        of_tenant("session_id", "chat_sessions"),
        of_tenant("message_id", "chat_messages"),
    )

    session_id: UUID
    message_id: UUID | None = None
    kind: str = Field(description="thumb | csat | resolved")
    value: int = Field(description="thumb -1 or 1, csat 1 to 5, resolved 0 or 1")
    comment: str = long_text()
