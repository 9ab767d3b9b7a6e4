"""Drafts of replies, their approval, and what is learned from it"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

GLOBAL = "'00000000-0000-0000-0000-000000000000'::uuid"
OWN = ("approved_replies", "drafts")

# Questions across tenants, as in the first schema: they run as the owner and return ids only.
# A reply that waits is left alone for a while that doubles with each attempt; one whose attempt has not ended in 90 s has
# lost its process; one of which nobody knows whether it arrived is looked for from the second minute on, for an hour.
LOOKUPS = (
    """
    create function unsettled_replies(most integer) returns table (tenant_id uuid, reply_id uuid)
        language sql stable security definer set search_path = public, pg_temp as $$
        select r.tenant_id, r.id from approved_replies r join tenants t on t.id = r.tenant_id and t.status = 'active'
        where (r.sending = 'pending' and coalesce(r.tried_at, r.created_at)
                   <= clock_timestamp() - make_interval(secs => 30 * power(2, least(r.attempts, 7))))
           or (r.sending = 'sending' and r.tried_at <= clock_timestamp() - interval '90 s')
           or (r.sending = 'unknown' and r.tried_at <= clock_timestamp() - interval '2 min'
               and r.tried_at > clock_timestamp() - interval '1 h')
        order by r.id limit most
    $$
    """,
    """
    create function unindexed_lessons(most integer) returns table (tenant_id uuid, lesson_id uuid)
        language sql stable security definer set search_path = public, pg_temp as $$
        select l.tenant_id, l.id from learned_replies l join tenants t on t.id = l.tenant_id and t.status = 'active'
        where l.indexed_version <> l.version order by l.id limit most
    $$
    """,
    """
    create function auto_drafting_tenants() returns setof uuid
        language sql stable security definer set search_path = public, pg_temp as $$
        select t.id from tenants t join tenant_settings s on s.tenant_id = t.id
        where t.status = 'active' and s.options @> '{"auto_draft": true}'
    $$
    """,
)


def upgrade() -> None:
    op.create_table(
        "drafts",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ticket_id", sa.Uuid(), nullable=False),
        sa.Column("status", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("marked", sa.Text(), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("answers_event_id", sa.Uuid(), nullable=True),
        sa.Column("language", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("instruction", sa.Text(), nullable=False),
        sa.Column("replaces", sa.Uuid(), nullable=True),
        sa.Column("prompt_version_id", sa.Uuid(), nullable=True),
        sa.Column("model", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("intent", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("severity", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("tier", sa.Integer(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("level", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("confidence", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("warnings", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("steps_ms", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("usage", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("lookups", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("created_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id", "ticket_id"], ["tickets.tenant_id", "tickets.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "id"),
    )
    op.create_index(
        "drafts_pending", "drafts", ["ticket_id"], unique=True, postgresql_where=sa.text("status = 'pending'")
    )
    op.create_index("drafts_queue", "drafts", ["tenant_id", "status", "id"], unique=False)
    op.create_index("drafts_ticket", "drafts", ["ticket_id", "id"], unique=False)
    op.create_index(
        "drafts_poor", "drafts", ["tenant_id", "id"], unique=False,
        postgresql_where=sa.text("level in ('low', 'very_low') or warnings ? 'missing_knowledge'"),
    )  # fmt: skip
    op.create_table(
        "approved_replies",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("draft_id", sa.Uuid(), nullable=False),
        sa.Column("ticket_id", sa.Uuid(), nullable=False),
        sa.Column("approved_by", sa.Uuid(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("similarity", sa.Float(), nullable=False),
        sa.Column("distance", sa.Integer(), nullable=False),
        sa.Column("edit_notes", sa.Text(), nullable=False),
        sa.Column("learned", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("channel", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("sending", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("ticket_status", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("external_id", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("error", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("event_id", sa.Uuid(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id", "draft_id"], ["drafts.tenant_id", "drafts.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant_id", "ticket_id"], ["tickets.tenant_id", "tickets.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "id"),
    )
    op.create_index("approved_replies_draft", "approved_replies", ["draft_id"], unique=True)
    op.create_index("approved_replies_newest", "approved_replies", ["tenant_id", "id"], unique=False)
    op.create_index(
        "approved_replies_sending",
        "approved_replies",
        ["sending", "id"],
        unique=False,
        postgresql_where=sa.text("sending in ('pending', 'sending', 'unknown')"),
    )
    op.create_index("approved_replies_ticket", "approved_replies", ["ticket_id", "id"], unique=False)
    op.add_column("kb_references", sa.Column("draft_id", sa.Uuid(), nullable=True))
    op.alter_column("kb_references", "message_id", existing_type=sa.UUID(), nullable=True)
    op.create_index(op.f("ix_kb_references_draft_id"), "kb_references", ["draft_id"], unique=False)
    op.create_foreign_key(
        None, "kb_references", "drafts", ["tenant_id", "draft_id"], ["tenant_id", "id"], ondelete="CASCADE"
    )
    op.add_column("learned_replies", sa.Column("version", sa.Integer(), server_default="1", nullable=False))
    op.add_column("learned_replies", sa.Column("indexed_version", sa.Integer(), server_default="0", nullable=False))
    op.add_column("learned_replies", sa.Column("approved_reply_id", sa.Uuid(), nullable=True))
    op.add_column("learned_replies", sa.Column("ticket_id", sa.Uuid(), nullable=True))
    op.add_column("learned_replies", sa.Column("customer_id", sa.Uuid(), nullable=True))
    op.add_column(
        "learned_replies", sa.Column("subject", sqlmodel.sql.sqltypes.AutoString(), server_default="", nullable=False)
    )
    op.add_column("learned_replies", sa.Column("issue", sa.Text(), server_default="", nullable=False))
    op.add_column("learned_replies", sa.Column("wrong", sa.Text(), server_default="", nullable=False))
    op.add_column("learned_replies", sa.Column("reply", sa.Text(), server_default="", nullable=False))
    op.add_column("learned_replies", sa.Column("notes", sa.Text(), server_default="", nullable=False))
    op.add_column("learned_replies", sa.Column("intent", sqlmodel.sql.sqltypes.AutoString(), nullable=True))
    op.add_column("learned_replies", sa.Column("similarity", sa.Float(), nullable=True))
    op.add_column("learned_replies", sa.Column("changed_by", sa.Uuid(), nullable=True))
    op.add_column(
        "learned_replies",
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.create_index("learned_replies_newest", "learned_replies", ["tenant_id", "kind", "id"], unique=False)
    op.create_index(
        "learned_replies_customer",
        "learned_replies",
        ["tenant_id", "customer_id"],
        unique=False,
        postgresql_where=sa.text("customer_id is not null"),
    )
    op.create_index(
        "learned_replies_unindexed",
        "learned_replies",
        ["id"],
        unique=False,
        postgresql_where=sa.text("indexed_version <> version"),
    )
    op.create_index(
        "learned_replies_reply",
        "learned_replies",
        ["approved_reply_id"],
        unique=True,
        postgresql_where=sa.text("approved_reply_id is not null"),
    )
    op.create_foreign_key(
        None,
        "learned_replies",
        "customers",
        ["tenant_id", "customer_id"],
        ["tenant_id", "id"],
        ondelete="SET NULL (customer_id)",
    )
    op.create_foreign_key(
        None,
        "learned_replies",
        "approved_replies",
        ["tenant_id", "approved_reply_id"],
        ["tenant_id", "id"],
        ondelete="SET NULL (approved_reply_id)",
    )
    op.create_foreign_key(
        None,
        "learned_replies",
        "tickets",
        ["tenant_id", "ticket_id"],
        ["tenant_id", "id"],
        ondelete="SET NULL (ticket_id)",
    )
    op.create_check_constraint("kb_references_of_one", "kb_references", "num_nonnulls(message_id, draft_id) = 1")
    for statement in LOOKUPS:
        op.execute(statement)
    for table in OWN:
        op.execute(f"alter table {table} enable row level security")
        op.execute(
            f"create policy tenant on {table} using (tenant_id = (select current_tenant()))"
            f" with check (tenant_id = (select current_tenant()) and tenant_id <> {GLOBAL})"
        )


def downgrade() -> None:
    raise NotImplementedError("what people wrote since would be lost; restore a backup instead")
