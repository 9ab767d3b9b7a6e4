"""What a turn asks most often is one message to Postgres instead of three"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# Each is a transaction by itself where it is called outside of one. They run as the application's role and under its
# policies: they enter the tenant, and never another one than the one they are in. `or replace`, since for some hours
# these stood in 0008.
FUNCTIONS = (
    """
    create or replace function enter_tenant(tenant uuid) returns boolean language plpgsql as $$
    begin
        if current_tenant() is null then
            perform set_config('app.tenant', tenant::text, true);
        end if;
        return current_tenant() = tenant;
    end
    $$
    """,
    """
    create or replace function release_text(tenant uuid, turn uuid, held_fence integer, held_epoch integer, words text)
        returns boolean language plpgsql as $$
    begin
        if not enter_tenant(tenant) then
            return false;
        end if;
        update turns t set partial = t.partial || words from chat_sessions s
        where t.id = turn and t.tenant_id = tenant and t.fence = held_fence and t.epoch = held_epoch
            and t.status = 'running' and s.id = t.session_id and s.tenant_id = t.tenant_id and s.mode = 'bot'
            and s.epoch = t.epoch;
        return found;
    end
    $$
    """,
    """
    create or replace function knowledge_state(tenant uuid, everyone uuid) returns text language plpgsql as $$
    begin
        if not enter_tenant(tenant) then
            return null;
        end if;
        return concat_ws('.',
            coalesce((select revision from knowledge_revisions where tenant_id = tenant), 0),
            coalesce((select revision from knowledge_revisions where tenant_id = everyone), 0),
            (select count(*) filter (where effective_from <= now()) + count(*) filter (where effective_until <= now())
             from passages where tenant_id in (tenant, everyone)
                 and (effective_from is not null or effective_until is not null)));
    end
    $$
    """,
    """
    create or replace function visitor_of_token(tenant uuid, customer uuid, epoch integer)
        returns table (id uuid, tenant_id uuid, user_id uuid, audience text[]) language plpgsql as $$
    begin
        if not enter_tenant(tenant) or not tenant_is_active(tenant) then
            return;
        end if;
        return query select c.id, c.tenant_id, c.user_id, c.audience from customers c
            where c.id = customer and c.tenant_id = tenant and c.visitor_epoch = epoch and not exists (
                select 1 from tenant_settings s
                where s.tenant_id = tenant and (s.options ->> 'require_identity')::boolean);
    end
    $$
    """,
)


def upgrade() -> None:
    for function in FUNCTIONS:
        op.execute(function)


def downgrade() -> None:
    """`release_text` stays, with the function that it calls: it is 0008's, and does here what it did there."""
    for name in ("visitor_of_token", "knowledge_state"):
        op.execute(f"drop function {name}")
