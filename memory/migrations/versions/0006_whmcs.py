"""Connections to WHMCS and what was synchronised"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

GLOBAL = "'00000000-0000-0000-0000-000000000000'::uuid"
OWN = ("whmcs_connections", "whmcs_syncs")

# Questions across tenants, as in the first schema: they run as the owner and return ids only.
LOOKUPS = (
    """
    create function due_whmcs_syncs(most integer) returns table (tenant_id uuid)
        language sql stable security definer set search_path = public, pg_temp as $$
        select c.tenant_id
        from whmcs_connections c join tenants t on t.id = c.tenant_id and t.status = 'active'
        left join whmcs_syncs s on s.tenant_id = c.tenant_id and s.state = 'running'
        where c.removed_at is null
              and (s.lease_until <= clock_timestamp() or (s.id is null and c.next_sync_at <= clock_timestamp()))
        order by c.next_sync_at nulls first limit most
    $$
    """,
)


def upgrade() -> None:
    op.create_table(
        "whmcs_connections",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("url", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("identifier", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("secret", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("access_key", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("options", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("history_until", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("next_sync_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("synced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_code", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("error", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id"),
    )
    op.create_index(
        "whmcs_connections_due",
        "whmcs_connections",
        ["next_sync_at"],
        unique=False,
        postgresql_where=sa.text("next_sync_at is not null"),
    )
    op.create_table(
        "whmcs_syncs",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("state", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("asked_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("owner", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("listed", sa.Integer(), nullable=False),
        sa.Column("opened", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("report", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("error_code", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("whmcs_syncs_newest", "whmcs_syncs", ["tenant_id", "id"], unique=False)
    op.create_index(
        "whmcs_syncs_running",
        "whmcs_syncs",
        ["tenant_id"],
        unique=True,
        postgresql_where=sa.text("state = 'running'"),
    )
    text = sqlmodel.sql.sqltypes.AutoString()
    op.add_column("tickets", sa.Column("source", text, server_default="helpdesk", nullable=False))
    op.add_column("tickets", sa.Column("external_id", text, nullable=True))
    op.add_column("tickets", sa.Column("external_number", text, server_default="", nullable=False))
    op.add_column("tickets", sa.Column("external_status", text, server_default="", nullable=False))
    op.add_column("tickets", sa.Column("external_client", text, server_default="", nullable=False))
    op.add_column("tickets", sa.Column("external_mark", text, server_default="", nullable=False))
    op.add_column("tickets", sa.Column("external_seen_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "tickets_external",
        "tickets",
        ["tenant_id", "source", "external_id"],
        unique=True,
        postgresql_where=sa.text("external_id is not null"),
    )
    op.add_column("ticket_events", sa.Column("external_id", text, nullable=True))
    op.create_index(
        "ticket_events_external",
        "ticket_events",
        ["tenant_id", "external_id"],
        unique=True,
        postgresql_where=sa.text("external_id is not null"),
    )
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
