"""A conversation of a colleague who has left goes back to the queue, whether or not its customer waits"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

WITH_WHO_HAS_LEFT = """
create or replace function neglected_handoffs(default_s integer, most integer)
    returns table (tenant_id uuid, session_id uuid, handoff_id uuid)
    language sql stable security definer set search_path = public, pg_temp as $$
    select h.tenant_id, h.session_id, h.id
    from handoffs h
    left join users u on u.id = h.claimed_by and u.tenant_id = h.tenant_id
    left join tenant_settings s on s.tenant_id = h.tenant_id
    where h.status = 'claimed' and (not coalesce(u.is_active, false) or h.waiting_since <= clock_timestamp()
        - make_interval(secs => coalesce((s.options ->> 'handoff_return_s')::integer, default_s)))
    order by h.waiting_since nulls last limit most
$$
"""
WAITING_ALONE = """
create or replace function neglected_handoffs(default_s integer, most integer)
    returns table (tenant_id uuid, session_id uuid, handoff_id uuid)
    language sql stable security definer set search_path = public, pg_temp as $$
    select h.tenant_id, h.session_id, h.id
    from handoffs h left join tenant_settings s on s.tenant_id = h.tenant_id
    where h.status = 'claimed' and h.waiting_since is not null and h.waiting_since <= clock_timestamp()
        - make_interval(secs => coalesce((s.options ->> 'handoff_return_s')::integer, default_s))
    order by h.waiting_since limit most
$$
"""


def upgrade() -> None:
    op.execute(WITH_WHO_HAS_LEFT)


def downgrade() -> None:
    op.execute(WAITING_ALONE)
