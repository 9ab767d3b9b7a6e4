"""Work on the knowledge base: imports and rebuilds with their progress, and the questions that had no good answer."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, LargeBinary, text
from sqlmodel import Field

from memory.models.base import (
    Row,
    TenantOwned,
    long_text,
    named_by_tenant,
    of_tenant,
    optional_time,
    text_list,
    timestamp,
)


class KnowledgeImport(Row, TenantOwned, table=True):
    """A job on the knowledge base: an upload of files, indexing what is not indexed, a rebuild of everything."""

    __tablename__ = "kb_imports"
    __table_args__ = (
        Index("kb_imports_newest", "tenant_id", "id"),
        Index(
            "kb_imports_running", "tenant_id", "kind", unique=True,
            postgresql_where=text("status in ('queued', 'running') and kind <> 'upload'"),
        ),
        named_by_tenant(),
    )  # fmt: skip

    kind: str = Field(description="upload | index | rebuild")
    status: str = Field(default="queued", description="queued | running | done | failed")
    collection: str = ""
    category: str = ""
    tags: list[str] = text_list()
    audience: list[str] = text_list()
    publish: bool = True
    requested_by: str
    total: int = 0
    done: int = 0
    passages: int = 0
    error: str = ""
    touched_at: datetime = timestamp()
    """When it was last heard of; a job that has been silent is queued again."""
    ended_at: datetime | None = optional_time()


class ImportedFile(Row, TenantOwned, table=True):
    """One file of an upload. Its bytes stay until it is read, its outcome for good."""

    __tablename__ = "kb_import_files"
    __table_args__ = (
        Index("kb_import_files_order", "import_id", "position", unique=True),
        of_tenant("import_id", "kb_imports"),
    )

    import_id: UUID
    position: int
    name: str
    size: int = 0
    content: bytes | None = Field(default=None, sa_type=LargeBinary, nullable=True)
    outcome: str = Field(default="waiting", description="waiting | added | changed | unchanged | failed")
    detail: str = long_text()
    article_id: UUID | None = None
    version: int | None = None


class Gap(Row, TenantOwned, table=True):
    """Questions about one matter that had no good answer. `centroid` is the sum of their vectors, as 32-bit floats."""

    __tablename__ = "kb_gaps"
    __table_args__ = (Index("kb_gaps_status", "tenant_id", "status", "id"), named_by_tenant())

    status: str = Field(default="open", description="open | dismissed | resolved")
    embedder: str
    centroid: bytes = Field(sa_type=LargeBinary)
    members: int = 0
    """Vectors that the centroid sums up."""
    article_id: UUID | None = None
    """Of the knowledge base: the article that was drafted for it, or that answers it."""
    note: str = long_text()
    decided_by: UUID | None = None
    decided_at: datetime | None = optional_time()
    updated_at: datetime = timestamp()


class GapQuestion(TenantOwned, table=True):
    """One unanswered question: of a conversation by the turn, of a ticket by the draft that should have answered it. Its
    words stay where they were said."""

    __tablename__ = "kb_gap_questions"
    __table_args__ = (
        Index("kb_gap_questions_gap", "gap_id", "asked_at"),
        Index("kb_gap_questions_session", "session_id"),
        Index("kb_gap_questions_draft", "draft_id", postgresql_where=text("draft_id is not null")),
        CheckConstraint("num_nonnulls(turn_id, draft_id) < 2", name="kb_gap_questions_of_one_at_most"),
        of_tenant("session_id", "chat_sessions"),
        of_tenant("turn_id", "turns"),
        of_tenant("draft_id", "drafts"),
        of_tenant("gap_id", "kb_gaps"),
    )

    id: UUID = Field(primary_key=True)
    """The turn's, or that of the customer's word on the ticket: however often that was drafted for, it is one."""
    session_id: UUID | None = None
    turn_id: UUID | None = None
    draft_id: UUID | None = None
    gap_id: UUID
    reason: str = Field(description="no_answer | clarified | thumbs_down | handed_over | by_hand")
    language: str = ""
    fit: float = Field(
        default=0.0, description="cosine with the gap's centroid when it joined: the best are its examples"
    )
    asked_at: datetime = timestamp()


class GapSearch(TenantOwned, table=True):
    """How far a tenant's conversations were looked through for gaps."""

    __tablename__ = "kb_gap_searches"

    tenant_id: UUID = Field(primary_key=True, foreign_key="tenants.id", ondelete="CASCADE")
    looked_until: UUID
    """Id of the newest message that was looked at."""
