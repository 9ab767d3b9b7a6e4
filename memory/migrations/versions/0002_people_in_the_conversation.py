"""People in the conversation: tickets with clocks and routes, attachments, feedback, webhooks"""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

GLOBAL = "'00000000-0000-0000-0000-000000000000'::uuid"
OWN = ("attachments", "feedback", "webhook_deliveries", "webhook_endpoints")

# Deliveries are written with the event that they tell of, so that neither can be without the other. The trigger runs as
# whoever writes, inside the tenant; an event of which no endpoint wants to hear costs one look at the endpoints' index.
# The endpoints are locked against removal until the end: one that is being removed must not fail the event.
# A note is for colleagues alone, also outside. What is marked as history happened elsewhere before we knew of it.
WEBHOOKS = (
    """
    create function time_ordered_id() returns uuid language sql volatile parallel safe as $$
        select encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) placing
            substring(int8send(floor(extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6),
            52, 1), 53, 1), 'hex')::uuid
    $$
    """,
    """
    create function webhook_payload(kind text, at timestamptz, data jsonb) returns jsonb language sql stable as $$
        select jsonb_build_object('type', kind, 'data', data,
                                  'timestamp', to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
    $$
    """,
    """
    create function tell_endpoints(tenant uuid, kind text, at timestamptz, data jsonb) returns void language sql as $$
        insert into webhook_deliveries (id, tenant_id, endpoint_id, event_type, payload, status, attempts)
        select time_ordered_id(), e.tenant_id, e.id, kind, webhook_payload(kind, at, data), 'pending', 0
        from webhook_endpoints e
        where e.tenant_id = tenant and e.status = 'active' and (kind = any(e.events) or '*' = any(e.events))
        for key share of e
    $$
    """,
    """
    create function session_event_told() returns trigger language plpgsql as $$
    begin
        if exists (select 1 from webhook_endpoints where tenant_id = new.tenant_id) then
            perform tell_endpoints(new.tenant_id, new.type, new.created_at,
                                   new.data || jsonb_build_object('session_id', new.session_id, 'n', new.n));
        end if;
        return null;
    end
    $$
    """,
    """
    create function ticket_event_told() returns trigger language plpgsql as $$
    begin
        if new.type <> 'note' and not new.data ? 'history' and exists (select 1 from webhook_endpoints where tenant_id = new.tenant_id) then
            perform tell_endpoints(new.tenant_id, 'ticket.' || new.type, new.created_at,
                (select new.data || jsonb_build_object('ticket_id', t.id, 'number', t.number, 'status', t.status,
                        'subject', t.subject, 'priority', t.priority, 'customer_id', t.customer_id,
                        'session_id', t.session_id, 'actor', new.actor)
                 from tickets t where t.tenant_id = new.tenant_id and t.id = new.ticket_id));
        end if;
        return null;
    end
    $$
    """,
    "create trigger session_events_tell after insert on session_events for each row execute function session_event_told()",
    "create trigger ticket_events_tell after insert on ticket_events for each row execute function ticket_event_told()",
)

# Questions across tenants, as in the first schema: they run as the owner and return ids only. `due_deliveries` steps from
# endpoint to endpoint through the index, so that a million deliveries to one that is down hide nobody else's.
LOOKUPS = (
    """
    create function due_deliveries(most integer, per_endpoint integer, busy uuid[])
        returns table (tenant_id uuid, endpoint_id uuid, delivery_id uuid)
        language sql stable security definer set search_path = public, pg_temp as $$
        with recursive waiting as (
            (select d.tenant_id, d.endpoint_id from webhook_deliveries d
             where d.status = 'pending' order by d.endpoint_id limit 1)
            union all
            select n.tenant_id, n.endpoint_id from waiting w cross join lateral (
                select d.tenant_id, d.endpoint_id from webhook_deliveries d
                where d.status = 'pending' and d.endpoint_id > w.endpoint_id order by d.endpoint_id limit 1) n
        )
        select w.tenant_id, w.endpoint_id, due.id
        from waiting w
        join tenants t on t.id = w.tenant_id and t.status = 'active'
        join webhook_endpoints e on e.tenant_id = w.tenant_id and e.id = w.endpoint_id
        cross join lateral (
            select d.id, d.next_attempt_at from webhook_deliveries d
            where d.status = 'pending' and d.endpoint_id = w.endpoint_id and d.next_attempt_at <= clock_timestamp()
            order by d.next_attempt_at limit case when e.rests_until is null then per_endpoint else 1 end) due
        where e.id <> all (busy) and e.tenant_id <> all (busy)
              and (e.rests_until is null or e.rests_until <= clock_timestamp())
        order by due.next_attempt_at limit most
    $$
    """,
    """
    create function late_tickets(most integer) returns table (tenant_id uuid, ticket_id uuid)
        language sql stable security definer set search_path = public, pg_temp as $$
        select t.tenant_id, t.id from tickets t
        where t.next_deadline <= clock_timestamp() order by t.next_deadline limit most
    $$
    """,
    """
    create function neglected_handoffs(default_s integer, most integer)
        returns table (tenant_id uuid, session_id uuid, handoff_id uuid)
        language sql stable security definer set search_path = public, pg_temp as $$
        select h.tenant_id, h.session_id, h.id
        from handoffs h left join tenant_settings s on s.tenant_id = h.tenant_id
        where h.status = 'claimed' and h.waiting_since is not null and h.waiting_since <= clock_timestamp()
            - make_interval(secs => coalesce((s.options ->> 'handoff_return_s')::integer, default_s))
        order by h.waiting_since limit most
    $$
    """,
)


def upgrade() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("url", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("description", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("events", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("secret", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("previous_secret", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("previous_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("disabled_because", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("rests_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "id"),
    )
    op.create_index("webhook_endpoints_tenant", "webhook_endpoints", ["tenant_id", "id"], unique=False)
    op.create_table(
        "webhook_deliveries",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("event_type", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("status", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "endpoint_id"], ["webhook_endpoints.tenant_id", "webhook_endpoints.id"], ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "webhook_deliveries_due",
        "webhook_deliveries",
        ["endpoint_id", "next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index("webhook_deliveries_endpoint", "webhook_deliveries", ["endpoint_id", "id"], unique=False)
    op.create_table(
        "attachments",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=True),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("ticket_id", sa.Uuid(), nullable=True),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("event_id", sa.Uuid(), nullable=True),
        sa.Column("internal", sa.Boolean(), nullable=False),
        sa.Column("uploaded_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("media_type", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("extraction", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "customer_id"], ["customers.tenant_id", "customers.id"], ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "message_id"], ["chat_messages.tenant_id", "chat_messages.id"], ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "session_id"], ["chat_sessions.tenant_id", "chat_sessions.id"], ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id", "ticket_id"], ["tickets.tenant_id", "tickets.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "id"),
    )
    op.create_index("attachments_content", "attachments", ["tenant_id", "sha256"], unique=False)
    op.create_index("attachments_customer", "attachments", ["tenant_id", "customer_id", "id"], unique=False)
    op.create_index(
        "attachments_message", "attachments", ["message_id"], unique=False,
        postgresql_where=sa.text("message_id is not null"),
    )  # fmt: skip
    op.create_index(
        "attachments_unsent", "attachments", ["tenant_id", "uploaded_by"], unique=False,
        postgresql_where=sa.text("message_id is null and event_id is null"),
    )  # fmt: skip
    op.create_index("attachments_session", "attachments", ["session_id", "id"], unique=False)
    op.create_index("attachments_ticket", "attachments", ["ticket_id", "id"], unique=False)
    op.create_table(
        "feedback",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "message_id"], ["chat_messages.tenant_id", "chat_messages.id"], ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "session_id"], ["chat_sessions.tenant_id", "chat_sessions.id"], ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "feedback_message", "feedback", ["message_id"], unique=True, postgresql_where=sa.text("message_id is not null")
    )
    op.create_index("feedback_newest", "feedback", ["tenant_id", "id"], unique=False)
    op.create_index(
        "feedback_session",
        "feedback",
        ["session_id", "kind"],
        unique=True,
        postgresql_where=sa.text("message_id is null"),
    )
    op.create_index("audit_log_actor", "audit_log", ["tenant_id", "actor", "id"], unique=False)
    op.create_index("audit_log_object", "audit_log", ["tenant_id", "object_id", "id"], unique=False)
    op.add_column(
        "chat_sessions",
        sa.Column("attributes", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
    )
    op.add_column("handoffs", sa.Column("assigned_to", sa.Uuid(), nullable=True))
    op.add_column("handoffs", sa.Column("waiting_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("handoffs", sa.Column("returned", sa.Integer(), server_default="0", nullable=False))
    op.add_column("handoffs", sa.Column("outcome", sqlmodel.sql.sqltypes.AutoString(), nullable=True))
    op.create_index(
        "handoffs_waiting",
        "handoffs",
        ["waiting_since"],
        unique=False,
        postgresql_where=sa.text("waiting_since is not null"),
    )
    op.create_unique_constraint(None, "handoffs", ["tenant_id", "id"])
    op.create_foreign_key(
        None, "handoffs", "users", ["tenant_id", "assigned_to"], ["tenant_id", "id"], ondelete="SET NULL (assigned_to)"
    )
    op.add_column("ticket_events", sa.Column("internal", sa.Boolean(), server_default="true", nullable=False))
    op.add_column("tickets", sa.Column("version", sa.Integer(), server_default="1", nullable=False))
    op.add_column(
        "tickets", sa.Column("priority", sqlmodel.sql.sqltypes.AutoString(), server_default="normal", nullable=False)
    )
    op.add_column("tickets", sa.Column("team", sqlmodel.sql.sqltypes.AutoString(), server_default="", nullable=False))
    op.add_column("tickets", sa.Column("assignee_id", sa.Uuid(), nullable=True))
    op.add_column(
        "tickets", sa.Column("routed_because", sqlmodel.sql.sqltypes.AutoString(), server_default="", nullable=False)
    )
    op.add_column(
        "tickets", sa.Column("classified", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False)
    )
    op.add_column("tickets", sa.Column("merged_into", sa.Uuid(), nullable=True))
    op.add_column("tickets", sa.Column("duplicate_of", sa.Uuid(), nullable=True))
    op.add_column("tickets", sa.Column("first_response_due", sa.DateTime(timezone=True), nullable=True))
    op.add_column("tickets", sa.Column("first_responded_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("tickets", sa.Column("resolution_due", sa.DateTime(timezone=True), nullable=True))
    op.add_column("tickets", sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("tickets", sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("tickets", sa.Column("next_deadline", sa.DateTime(timezone=True), nullable=True))
    op.add_column("tickets", sa.Column("missed", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False))
    op.add_column("tickets", sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("tickets", sa.Column("reopened", sa.Integer(), server_default="0", nullable=False))
    op.add_column(
        "tickets",
        sa.Column(
            "tsv",
            postgresql.TSVECTOR(),
            sa.Computed("passage_words(coalesce(language, 'en'), subject || ' ' || content)", persisted=True),
            nullable=True,
        ),
    )
    op.create_index("tickets_assignee", "tickets", ["tenant_id", "assignee_id", "id"], unique=False)
    op.create_index(
        "tickets_clocks",
        "tickets",
        ["next_deadline"],
        unique=False,
        postgresql_where=sa.text("next_deadline is not null"),
    )
    op.create_index("tickets_queue", "tickets", ["tenant_id", "status", "id"], unique=False)
    op.create_foreign_key(
        None, "tickets", "tickets", ["tenant_id", "merged_into"], ["tenant_id", "id"], ondelete="SET NULL (merged_into)"
    )
    op.create_foreign_key(
        None, "tickets", "users", ["tenant_id", "assignee_id"], ["tenant_id", "id"], ondelete="SET NULL (assignee_id)"
    )
    op.create_foreign_key(
        None,
        "tickets",
        "tickets",
        ["tenant_id", "duplicate_of"],
        ["tenant_id", "id"],
        ondelete="SET NULL (duplicate_of)",
    )
    op.add_column("users", sa.Column("teams", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False))
    op.add_column("users", sa.Column("is_available", sa.Boolean(), server_default="true", nullable=False))
    op.add_column("users", sa.Column("last_assigned_at", sa.DateTime(timezone=True), nullable=True))
    for statement in (*WEBHOOKS, *LOOKUPS):
        op.execute(statement)
    for table in OWN:
        op.execute(f"alter table {table} enable row level security")
        op.execute(
            f"create policy tenant on {table} using (tenant_id = (select current_tenant()))"
            f" with check (tenant_id = (select current_tenant()) and tenant_id <> {GLOBAL})"
        )


def downgrade() -> None:
    raise NotImplementedError("what people wrote since would be lost; restore a backup instead")
