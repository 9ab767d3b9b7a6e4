"""What a turn says to the database. Each statement names the tenant: a layer of its own besides row-level security."""

from memory.events import BEFORE, COUNTED, EVENTS
from memory.idempotency import CLAIMED
from memory.pipeline import statement

GET = "select * from turns where id = %(id)s and tenant_id = current_tenant()"
QUEUED = "select id from turns where session_id = %(id)s and tenant_id = current_tenant() and status = 'queued'"
_UNFINISHED = """
select from turns where session_id = %(session)s and tenant_id = current_tenant() and status in ('running', 'queued')
"""
HAD_EFFECTS = """
select 1 from tool_effects where turn_id = %(id)s and tenant_id = current_tenant()
union all
select 1 from handoffs
where turn_id = %(id)s and session_id = (select session_id from turns where id = %(id)s)
      and tenant_id = current_tenant() and status in ('requested', 'claimed')
limit 1
"""
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
BEGIN = statement(f"""
with s as (
    update chat_sessions set {COUNTED}, title = case title when '' then %(title)s else title end
    where id = %(session)s and tenant_id = current_tenant() and status = 'open' and mode = 'bot'
          and (%(customer)s::uuid is null or customer_id = %(customer)s)
          and not exists ({_UNFINISHED}) and not exists ({CLAIMED})
    returning tenant_id, id, customer_id, epoch, {BEFORE} as before
), t as (
    insert into turns (id, tenant_id, session_id, status, fence, epoch, attempts, partial, details, owner, lease_until,
                       started_n)
    select %(turn)s, tenant_id, id, 'running', 1, epoch, 1, '', '{{}}', %(owner)s,
           clock_timestamp() + make_interval(secs => %(lease)s), before + 2 from s
), m as (
    insert into chat_messages (tenant_id, id, session_id, n, author, author_id, content, status, turn_id, details)
    select tenant_id, %(message)s, id, before + 1, 'customer', customer_id, %(content)s, 'complete', %(turn)s,
           %(details)s from s
), event as ({EVENTS})
select n, created_at, (select epoch from s) as epoch from event order by n
""")
"""A message and the turn that answers it at once, in a session that this transaction has locked before, so that no other
turn begins meanwhile."""
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
GIVE_BACK = """
update turns set lease_until = clock_timestamp()
where id = %s and tenant_id = current_tenant() and fence = %s and status = 'running'
"""
LOCK = statement("select 1 from chat_sessions where id = %(session)s and tenant_id = current_tenant() for update")
HELD = """
mode = 'bot' and epoch = %(epoch)s and exists (
    select 1 from turns t where t.id = %(turn)s and t.tenant_id = current_tenant() and t.session_id = %(session)s
        and t.fence = %(fence)s and t.epoch = %(epoch)s and t.status = 'running')
"""
"""A turn may be written by whoever says so, in a session that this transaction has locked before: what was lost never
comes back, and nobody ends a turn without that lock."""
HOLD = statement(f"""
select 1 as held from chat_sessions where id = %(session)s and tenant_id = current_tenant() and {HELD}
""")
RELEASE = statement("select release_text(%(tenant)s, %(turn)s, %(fence)s, %(epoch)s, %(text)s) as held")
"""A function, since four of these in a turn would each need a `begin` and a `commit`."""
KEEP = statement(f"""
with replaced as (
    delete from checkpoints where thread_id = %(thread)s and checkpoint_ns = ''
        and exists (select from chat_sessions where id = %(session)s and tenant_id = current_tenant() and {HELD}))
insert into checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
select %(thread)s, '', %(checkpoint_id)s, %(parent)s, %(checkpoint)s, %(metadata)s from chat_sessions
where id = %(session)s and tenant_id = current_tenant() and {HELD}
""")
STOP = """
update turns set fence = fence + 1, reason = %(reason)s
where session_id = %(session)s and tenant_id = current_tenant() and status = 'running' returning *
"""
ENDED = """, ended as (
    update turns set status = %(status)s, reason = %(reason)s, answer_id = %(message)s, ended_at = clock_timestamp(),
           lease_until = null, owner = null
    where id = %(turn)s and tenant_id = current_tenant() and exists (select from s)
), due as (
    update turns set lease_until = clock_timestamp() + interval '2 seconds'
    where session_id = %(session)s and tenant_id = current_tenant() and status = 'queued' and id <> %(turn)s
          and exists (select from s)
    returning 1
)"""
"""Whoever ends a turn starts the one that waits; should it die before, another process takes it up at once."""
FINISH = statement(f"""
with s as (
    update chat_sessions set {COUNTED}, language = coalesce(%(language)s, language)
    where id = %(session)s and tenant_id = current_tenant() and {HELD} returning tenant_id, id, {BEFORE} as before
), m as (
    insert into chat_messages (tenant_id, id, session_id, n, author, content, status, turn_id, details,
                               prompt_version_id)
    select tenant_id, %(message)s, id, before + 1, 'bot', %(content)s, %(kept)s, %(turn)s, %(details)s, %(prompt)s
    from s
), r as (
    insert into kb_references (id, tenant_id, message_id, article_id, ref, title, version, passage_digest, quoted, rank,
                               score, source)
    select f.id, s.tenant_id, %(message)s, f.article_id, f.ref, f.title, f.version, f.passage_digest, f.quoted, f.rank,
           f.score, f.source from s, jsonb_populate_recordset(null::kb_references, %(references)s) f
){ENDED}, event as ({EVENTS})
select n, created_at, exists (select from due) as waiting from event order by n
""")
"""An answer with what it cites, and the end of its turn."""
AND_TURN_ENDED = f"""{ENDED}
select n, created_at, exists (select from due) as waiting from event
"""
EFFECT = """
insert into tool_effects (turn_id, ordinal, tenant_id, tool, result) values (%s, %s, %s, %s, %s)
on conflict do nothing
"""
