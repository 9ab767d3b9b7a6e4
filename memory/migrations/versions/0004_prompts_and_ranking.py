"""Prompts with a library and a history, replays of a candidate, and ranking with reasons"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

GLOBAL = "'00000000-0000-0000-0000-000000000000'::uuid"
OWN = ("replays", "replay_cases")
UNDER_WAY = sa.text("status in ('queued', 'running')")
# A replay whose job was lost between two statements, or given up: whoever looks hands it to the workers again.
STALLED = """
create function stalled_replays(quiet interval, most integer) returns table (tenant_id uuid, replay_id uuid)
    language sql stable security definer set search_path = public, pg_temp as $$
    select r.tenant_id, r.id from replays r
    where r.status in ('queued', 'running') and r.updated_at < now() - quiet order by r.updated_at limit most
$$
"""


def upgrade() -> None:
    for name in ("description", "note"):
        op.add_column("prompt_versions", sa.Column(name, sa.Text(), server_default="", nullable=False))
    op.add_column("prompt_versions", sa.Column("based_on", sa.Uuid(), nullable=True))
    op.add_column("prompt_versions", sa.Column("created_by", sa.Uuid(), nullable=True))
    op.add_column(
        "retrieval_settings",
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), server_default="set", nullable=False),
    )
    op.add_column("retrieval_settings", sa.Column("reason", sa.Text(), server_default="", nullable=False))
    op.create_table(
        "replays",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("status", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("prompt_version_id", sa.Uuid(), nullable=True),
        sa.Column("ranking", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("baseline", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("summary", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=True),
        sa.Column("error", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "id"),
    )
    op.create_index("replays_newest", "replays", ["tenant_id", "id"], unique=False)
    op.create_index("replays_under_way", "replays", ["tenant_id"], unique=True, postgresql_where=UNDER_WAY)
    op.create_index("replays_stalled", "replays", ["updated_at"], unique=False, postgresql_where=UNDER_WAY)
    op.create_table(
        "replay_cases",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("replay_id", sa.Uuid(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("ticket_id", sa.Uuid(), nullable=True),
        sa.Column("answer_id", sa.Uuid(), nullable=False),
        sa.Column("status", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("cause", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("changed", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("stored", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("current", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("candidate", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("error", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id", "replay_id"], ["replays.tenant_id", "replays.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "session_id"], ["chat_sessions.tenant_id", "chat_sessions.id"], ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id", "ticket_id"], ["tickets.tenant_id", "tickets.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("replay_cases_place", "replay_cases", ["replay_id", "ordinal"], unique=True)
    op.create_index("replay_cases_session", "replay_cases", ["session_id"], unique=False)
    op.create_index("replay_cases_ticket", "replay_cases", ["ticket_id"], unique=False)
    op.create_check_constraint("replay_cases_of_one_at_most", "replay_cases", "num_nonnulls(session_id, ticket_id) < 2")
    op.execute(STALLED)
    for table in OWN:
        op.execute(f"alter table {table} enable row level security")
        op.execute(
            f"create policy tenant on {table} using (tenant_id = (select current_tenant()))"
            f" with check (tenant_id = (select current_tenant()) and tenant_id <> {GLOBAL})"
        )


def downgrade() -> None:
    raise NotImplementedError("what people wrote since would be lost; restore a backup instead")
