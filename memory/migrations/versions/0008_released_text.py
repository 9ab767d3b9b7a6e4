"""A piece of an answer is stored in one message instead of three"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# As the application's role and under its policies: it enters the tenant itself, and no other than the one it is in.
RELEASE_TEXT = """
create function release_text(tenant uuid, turn uuid, held_fence integer, held_epoch integer, words text)
    returns boolean language plpgsql as $$
begin
    if current_tenant() is distinct from tenant then
        if current_tenant() is not null then
            return false;
        end if;
        perform set_config('app.tenant', tenant::text, true);
    end if;
    update turns t set partial = t.partial || words from chat_sessions s
    where t.id = turn and t.tenant_id = tenant and t.fence = held_fence and t.epoch = held_epoch
        and t.status = 'running' and s.id = t.session_id and s.tenant_id = t.tenant_id and s.mode = 'bot'
        and s.epoch = t.epoch;
    return found;
end
$$
"""


def upgrade() -> None:
    op.execute(RELEASE_TEXT)


def downgrade() -> None:
    op.execute("drop function release_text")
