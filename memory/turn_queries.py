"""What a turn says to the database. Each statement names the tenant: a layer of its own besides row-level security."""

GET = "select * from turns where id = %(id)s and tenant_id = current_tenant()"
QUEUED = "select id from turns where session_id = %(id)s and tenant_id = current_tenant() and status = 'queued'"
UNFINISHED = """
select * from turns where session_id = %s and tenant_id = current_tenant() and status in ('running', 'queued')
"""
HAD_EFFECTS = "select 1 from tool_effects where turn_id = %(id)s and tenant_id = current_tenant() limit 1"
QUESTIONS = """
select id, n, content from chat_messages
where turn_id = %s and tenant_id = current_tenant() and author = 'customer' order by n
"""
UNANSWERED = """
select id from chat_messages where session_id = %(session)s and tenant_id = current_tenant() and author = 'customer'
       and n > (select coalesce(max(n), 0) from chat_messages
                where session_id = %(session)s and tenant_id = current_tenant()
                      and (author = 'agent' or author = 'bot' and status = 'complete'))
"""
GIVE_TO = "update chat_messages set turn_id = %s where id = any(%s) and tenant_id = current_tenant()"
AND_TURN_STARTED = """, started as (
    update turns set started_n = (select n from event) where id = %(turn)s and tenant_id = current_tenant()
)
select n, created_at from event
"""
BEGIN = """
insert into turns (id, tenant_id, session_id, status, fence, epoch, attempts, partial, details, owner, lease_until)
values (%(id)s, %(tenant)s, %(session)s, 'running', 1, %(epoch)s, 1, '', '{}', %(owner)s,
        clock_timestamp() + make_interval(secs => %(lease)s))
"""
INSERT = """
insert into turns (id, tenant_id, session_id, status, fence, epoch, attempts, partial, details)
values (%(id)s, %(tenant)s, %(session)s, 'queued', 0, 0, 0, '', '{}')
"""
CLAIM = """
update turns t set status = 'running', owner = %(owner)s, fence = t.fence + 1, attempts = t.attempts + 1,
       epoch = s.epoch, lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
from chat_sessions s
where t.id = %(id)s and t.tenant_id = current_tenant() and s.id = t.session_id and s.tenant_id = t.tenant_id and (
    (t.status = 'running' and t.lease_until < clock_timestamp())
    or (t.status = 'queued' and s.mode = 'bot'
        and not exists (select 1 from turns r where r.session_id = t.session_id and r.status = 'running')))
returning t.*
"""
RENEW = """
update turns set lease_until = clock_timestamp() + make_interval(secs => %s)
where id = %s and tenant_id = current_tenant() and fence = %s and status = 'running'
"""
HOLD = """
with s as materialized (
    select id, mode, epoch from chat_sessions where id = %s and tenant_id = current_tenant() for update)
select 1 from turns t, s
where t.id = %s and t.tenant_id = current_tenant() and t.fence = %s and t.epoch = %s and t.status = 'running'
      and s.id = t.session_id and s.mode = 'bot' and s.epoch = t.epoch
for update of t
"""
RELEASE = """
update turns t set partial = t.partial || %s from chat_sessions s
where t.id = %s and t.tenant_id = current_tenant() and t.fence = %s and t.epoch = %s and t.status = 'running'
      and s.id = t.session_id and s.tenant_id = t.tenant_id and s.mode = 'bot' and s.epoch = t.epoch
"""
STOP = """
update turns set fence = fence + 1, reason = %(reason)s
where session_id = %(session)s and tenant_id = current_tenant() and status = 'running' returning *
"""
AND_TURN_ENDED = """, ended as (
    update turns set status = %(status)s, reason = %(reason)s, answer_id = %(answer)s, ended_at = clock_timestamp(),
           lease_until = null, owner = null
    where id = %(id)s and tenant_id = current_tenant()
), due as (
    update turns set lease_until = clock_timestamp() + interval '2 seconds'
    where session_id = %(session)s and tenant_id = current_tenant() and status = 'queued' and id <> %(id)s
    returning 1
)
select n, created_at, exists (select from due) as waiting from event
"""
"""Whoever ends a turn starts the one that waits; should it die before, another process takes it up at once."""
EFFECT = """
insert into tool_effects (turn_id, ordinal, tenant_id, tool, result) values (%s, %s, %s, %s, %s)
on conflict do nothing
"""
