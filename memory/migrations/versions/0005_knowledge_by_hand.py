"""Articles written by hand: drafts of new versions, categories, imports, and what had no good answer"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

GLOBAL = "'00000000-0000-0000-0000-000000000000'::uuid"
OWN = ("kb_gap_questions", "kb_gap_searches", "kb_gaps", "kb_import_files", "kb_imports")
KNOWN_SO_FAR = (
    """
    update kb_articles set latest = version,
           file_hash = case when path <> '' and status = 'published' then content_hash else '' end
    """,
    """
    update kb_article_versions v
    set audience = a.audience, tags = a.tags, supersedes = a.supersedes, language = a.language,
        effective_from = a.effective_from, effective_until = a.effective_until, author = 'file'
    from kb_articles a where a.id = v.article_id
    """,
)
"""Every version there is came from a file and was published at once; what was said about the older ones is not known."""


def upgrade() -> None:
    op.create_table(
        "kb_gap_searches",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("looked_until", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id"),
    )
    op.create_table(
        "kb_gaps",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("status", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("embedder", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("centroid", sa.LargeBinary(), nullable=False),
        sa.Column("members", sa.Integer(), nullable=False),
        sa.Column("article_id", sa.Uuid(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "id"),
    )
    op.create_index("kb_gaps_status", "kb_gaps", ["tenant_id", "status", "id"], unique=False)
    op.create_table(
        "kb_imports",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("status", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("collection", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("category", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("audience", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("publish", sa.Boolean(), nullable=False),
        sa.Column("requested_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("passages", sa.Integer(), nullable=False),
        sa.Column("error", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("touched_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "id"),
    )
    op.create_index("kb_imports_newest", "kb_imports", ["tenant_id", "id"], unique=False)
    op.create_index(
        "kb_imports_running",
        "kb_imports",
        ["tenant_id", "kind"],
        unique=True,
        postgresql_where=sa.text("status in ('queued', 'running') and kind <> 'upload'"),
    )
    op.create_table(
        "kb_import_files",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("outcome", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("article_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "import_id"], ["kb_imports.tenant_id", "kb_imports.id"], ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("kb_import_files_order", "kb_import_files", ["import_id", "position"], unique=True)
    op.create_table(
        "kb_gap_questions",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("turn_id", sa.Uuid(), nullable=True),
        sa.Column("draft_id", sa.Uuid(), nullable=True),
        sa.Column("gap_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("language", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("fit", sa.Float(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("num_nonnulls(turn_id, draft_id) < 2", name="kb_gap_questions_of_one_at_most"),
        sa.ForeignKeyConstraint(["tenant_id", "draft_id"], ["drafts.tenant_id", "drafts.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant_id", "gap_id"], ["kb_gaps.tenant_id", "kb_gaps.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "session_id"], ["chat_sessions.tenant_id", "chat_sessions.id"], ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id", "turn_id"], ["turns.tenant_id", "turns.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("kb_gap_questions_gap", "kb_gap_questions", ["gap_id", "asked_at"], unique=False)
    op.create_index("kb_gap_questions_session", "kb_gap_questions", ["session_id"], unique=False)
    op.create_index(
        "kb_gap_questions_draft", "kb_gap_questions", ["draft_id"], unique=False,
        postgresql_where=sa.text("draft_id is not null"),
    )  # fmt: skip
    op.add_column(
        "kb_article_versions",
        sa.Column("category", sqlmodel.sql.sqltypes.AutoString(), server_default="", nullable=False),
    )
    op.add_column(
        "kb_article_versions", sa.Column("audience", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False)
    )
    op.add_column(
        "kb_article_versions", sa.Column("tags", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False)
    )
    op.add_column(
        "kb_article_versions", sa.Column("supersedes", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False)
    )
    op.add_column(
        "kb_article_versions",
        sa.Column("language", sqlmodel.sql.sqltypes.AutoString(), server_default="en", nullable=False),
    )
    op.add_column("kb_article_versions", sa.Column("effective_from", sa.DateTime(timezone=True), nullable=True))
    op.add_column("kb_article_versions", sa.Column("effective_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "kb_article_versions",
        sa.Column("author", sqlmodel.sql.sqltypes.AutoString(), server_default="", nullable=False),
    )
    op.add_column(
        "kb_article_versions", sa.Column("note", sqlmodel.sql.sqltypes.AutoString(), server_default="", nullable=False)
    )
    op.add_column(
        "kb_articles", sa.Column("category", sqlmodel.sql.sqltypes.AutoString(), server_default="", nullable=False)
    )
    op.add_column("kb_articles", sa.Column("latest", sa.Integer(), server_default="1", nullable=False))
    op.add_column("kb_articles", sa.Column("draft", sa.Integer(), nullable=True))
    op.add_column(
        "kb_articles", sa.Column("file_hash", sqlmodel.sql.sqltypes.AutoString(), server_default="", nullable=False)
    )
    for statement in KNOWN_SO_FAR:
        op.execute(statement)
    for table in OWN:
        op.execute(f"alter table {table} enable row level security")
        op.execute(
            f"create policy tenant on {table} using (tenant_id = (select current_tenant()))"
            f" with check (tenant_id = (select current_tenant()) and tenant_id <> {GLOBAL})"
        )


def downgrade() -> None:
    raise NotImplementedError("what people wrote since would be lost; restore a backup instead")
