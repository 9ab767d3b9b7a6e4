"""A year of a support desk, made in the database: ten messages in a conversation, a ticket and a decided draft for each,
every twenty-fifth handed over, with the intents, levels, steps, thumbs, stars and refusals that a year has.
"""

from uuid import UUID

from memory.database import Database

_ID = """
(lpad(to_hex((extract(epoch from {at}) * 1000)::bigint), 12, '0') || '7' || substr(md5(random()::text), 1, 3) || '8'
 || substr(md5(random()::text || {at}::text), 1, 15))::uuid
"""
ID = _ID.format(at="at")
"""An id of that moment."""
LEVEL = "(array['high', 'medium', 'low', 'very_low'])[1 + i % 4]"
MADE = f"""
create temp table made on commit drop as
select i, at, {ID} as customer, {ID} as session, {ID} as turn, {ID} as ticket, {ID} as draft from (
    select i, now() - interval '365 days' + (i::float / {{sessions}}) * interval '365 days' as at
    from generate_series(1, {{sessions}}) i) moments
"""
ANSWER = """
jsonb_build_object(
    'outcome', (array['answered', 'answered', 'answered', 'honest_no', 'clarified'])[1 + i % 5],
    'intent', (array['billing', 'email', 'ssl', 'dns', 'domain', 'backup', 'database'])[1 + i % 7],
    'tokens', jsonb_build_object('input', 900, 'output', 90), 'withheld', i % 3, 'requires_escalation', i % 25 = 0,
    'confidence', jsonb_build_object('score', 20 + i % 80, 'level', {level}))
"""
STEPS = '{"embed": 20, "retrieve": 30, "rerank": 1, "classify": 4, "confidence": 1, "prompt": 1, "generate": 900, "verify": 9}'
ROWS = (
    "insert into customers (id, tenant_id, email_verified, name, visitor_epoch, created_at)"
    " select customer, '{tenant}', false, '', 0, at from made",
    "insert into chat_sessions (id, tenant_id, customer_id, title, status, mode, epoch, last_n, summary, summary_upto,"
    " created_at, last_message_at) select session, '{tenant}', customer, '', 'open', 'bot', 0, 10, '', 0, at, at from made",
    "insert into turns (id, tenant_id, session_id, status, fence, epoch, attempts, partial, created_at, ended_at)"
    " select turn, '{tenant}', session, 'completed', 1, 0, 1, '', at, at + interval '2 seconds' from made",
    "insert into chat_messages (id, tenant_id, session_id, n, author, content, status, turn_id, details, created_at)"
    " select {id}, '{tenant}', session, n, case when n % 2 = 0 then 'bot' else 'customer' end, 'words of a message',"
    " 'complete', turn, case when n % 2 = 0 then {answer} else '{{}}' end, at from made, generate_series(1, 10) n",
    "insert into tickets (id, tenant_id, number, customer_id, subject, content, department, status, severity, tier,"
    " opened_by, created_at) select ticket, '{tenant}', i, customer, 'Broken', 'words', '', 'resolved',"
    " (array['LOW', 'MEDIUM', 'HIGH', 'CRITICAL'])[1 + i % 4], 1, 'customer', at from made",
    "insert into ticket_events (id, tenant_id, ticket_id, type, actor, data, created_at)"
    " select {id}, '{tenant}', ticket, 'reply', 'x', '{{\"author\": \"agent\"}}', at + interval '30 minutes' from made",
    "insert into ticket_events (id, tenant_id, ticket_id, type, actor, data, created_at)"
    " select {id}, '{tenant}', ticket, 'status_changed', 'x', '{{\"to\": \"resolved\"}}', at + interval '1 hour' from made",
    "insert into drafts (id, tenant_id, ticket_id, status, version, content, marked, question, instruction, model, severity,"
    " tier, score, level, steps_ms, usage, created_by, reason, created_at, decided_at)"
    " select draft, '{tenant}', ticket, 'approved', 2, 'words', '', '', '', 'm', 'LOW', 1, i % 100, {level}, '{steps}',"
    " '{{\"input\": 900, \"output\": 200}}', 'job', '', at, at from made",
    "insert into approved_replies (id, tenant_id, draft_id, ticket_id, approved_by, content, similarity, distance, edit_notes,"
    " learned, channel, sending, ticket_status, attempts, created_at) select {id}, '{tenant}', draft, ticket, customer,"
    " 'words', case when i % 2 = 0 then 1 else 0.6 end, (i % 2) * 40, '',"
    " case when i % 2 = 0 then 'example' else 'correction' end, 'ticket', 'sent', '', 0, at from made",
    "insert into kb_references (id, tenant_id, draft_id, ref, title, version, passage_digest, quoted, rank, score, source)"
    " select {id}, '{tenant}', draft, 'a', 'A', 1, '-', '', 1, 0.5, (array['tenant_kb', 'example'])[1 + i % 2] from made",
    "insert into feedback (id, tenant_id, session_id, kind, value, comment, created_at)"
    " select {id}, '{tenant}', session, 'csat', 1 + i % 5, '', at from made where i % 5 = 0",
    "insert into guardrail_events (id, tenant_id, session_id, action, category, rule, reason, created_at)"
    " select {id}, '{tenant}', session, 'refuse', 'injection', 'r', '', at from made where i % 50 = 0",
    "insert into handoffs (id, tenant_id, session_id, status, reason, summary, created_at, claimed_at)"
    " select {id}, '{tenant}', session, 'resolved', (array['human_requested', 'low_confidence'])[1 + i % 2], '', at,"
    " at + interval '1 minute' from made where i % 25 = 0",
)


async def plant_year(owner: Database, tenant_id: UUID, messages: int) -> None:
    """A tenth as many conversations as messages."""
    words = {
        "tenant": tenant_id, "id": ID, "level": LEVEL, "answer": ANSWER.format(level=LEVEL), "steps": STEPS,
        "sessions": messages // 10,
    }  # fmt: skip
    async with owner.connection(tenant_id) as connection:
        for statement in (MADE, *ROWS):
            await connection.execute(statement.format(**words))
    async with owner.lookup() as connection:
        await connection.execute("analyze")
