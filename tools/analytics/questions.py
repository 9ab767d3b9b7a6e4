"""Every figure that is counted of a day, as one question to the database each.

A question answers rows of (day, key, count, total). Ids are ordered by time, which is what makes a day quick to find;
they are made by the application's clock, so a day more is looked at on either side, and the row's own time decides.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

MARGIN = timedelta(days=1)
ANSWER_S = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Upper bounds of the buckets in which the durations of answers are counted."""
SILENT_AFTER = "24 hours"
"""A conversation in which nobody asked for more for so long has settled its matter in silence."""


def window(first: date, last: date) -> dict[str, Any]:
    """The values of a question about the days from `first` to `last`, both included."""
    since = datetime.combine(first, time.min, UTC)
    until = datetime.combine(last + timedelta(days=1), time.min, UTC)
    return {
        "since": since, "until": until, "low": id_at(since - MARGIN), "high": id_at(until + MARGIN),
        "bounds": list(ANSWER_S), "silent": SILENT_AFTER,
    }  # fmt: skip


def id_at(moment: datetime) -> UUID:
    """The least id that can have been made at this time (UUIDv7)."""
    return UUID(int=max(0, int(moment.timestamp() * 1000)) << 80)


def _rows(table: str) -> str:
    """A table's rows of these days, under the name `r`."""
    return f"""(
    select *, (created_at at time zone 'UTC')::date as day from {table}
    where tenant_id = current_tenant() and id >= %(low)s and id < %(high)s
          and created_at >= %(since)s and created_at < %(until)s) r"""


def _count(table: str, key: str = "''", total: str = "0", where: str = "true") -> str:
    return (
        f"select day, {key} as key, count(*), coalesce(sum({total}), 0) from {_rows(table)} where {where} group by 1, 2"
    )


_ANSWERS = "author = 'bot' and turn_id is not null"
_LEVEL = "details -> 'confidence' ->> 'level'"
_THUMB = f"""
select m.day, {{key}} as key, count(*), sum(f.value) from (select * from {_rows("chat_messages")} where author = 'bot') m
join feedback f on f.tenant_id = current_tenant() and f.message_id = m.id {{more}} where {{where}} group by 1, 2
"""
_SESSION_OUTCOME = f"""
select day, outcome, count(*), 0 from (
    select r.day, case
        when f.value = 1 then case when h.session_id is null then 'confirmed' else 'confirmed_by_person' end
        when f.value = 0 then 'unresolved'
        when h.session_id is not null then 'handed_over'
        when not exists (select 1 from chat_messages m where m.session_id = r.id and m.author = 'customer') then 'nothing_asked'
        when r.status = 'closed' or r.last_message_at < now() - %(silent)s::interval then 'silent'
        else 'open' end as outcome
    from {_rows("chat_sessions")}
    left join feedback f on f.tenant_id = r.tenant_id and f.session_id = r.id and f.kind = 'resolved' and f.message_id is null
    left join lateral (select session_id from handoffs where tenant_id = r.tenant_id and session_id = r.id limit 1) h on true
) s group by 1, 2
"""
_REOPENED = f"""
select r.day, '' as key, count(*), 0 from {_rows("chat_sessions")}
where exists (
    select 1 from (
        select m.author, m.created_at, lag(m.created_at) over (order by m.n) as before
        from chat_messages m where m.tenant_id = r.tenant_id and m.session_id = r.id) said
    where said.author = 'customer' and said.before < said.created_at - %(silent)s::interval)
or exists (
    select 1 from session_events e
    join chat_messages m on m.tenant_id = e.tenant_id and m.session_id = e.session_id and m.author = 'customer'
        and m.created_at > e.created_at
    where e.tenant_id = r.tenant_id and e.session_id = r.id and e.type = 'session.closed')
group by 1, 2
"""
"""Conversations that were over, by their end or in silence, and that their customer came back to."""
_FIRST_REPLY = f"""
select r.day, '' as key, count(*), sum(extract(epoch from r.created_at - t.created_at))
from {_rows("ticket_events")} join tickets t on t.tenant_id = r.tenant_id and t.id = r.ticket_id
where r.type = 'reply' and r.data ->> 'author' = 'agent' and not exists (
    select 1 from ticket_events e where e.ticket_id = r.ticket_id and e.id < r.id and e.type = 'reply'
    and e.data ->> 'author' = 'agent')
group by 1, 2
"""
_RESOLVED = f"""
select r.day, '' as key, count(*), sum(extract(epoch from r.created_at - t.created_at))
from {_rows("ticket_events")} join tickets t on t.tenant_id = r.tenant_id and t.id = r.ticket_id
where r.type = 'status_changed' and r.data ->> 'to' = 'resolved' group by 1, 2
"""
_TARGETS = f"""
select r.day, c.clock || case when c.clock = any(r.missed) then ':missed' when c.met is not null then ':met' else ':open' end,
       count(*), 0
from {_rows("tickets")} cross join lateral (values
    ('first_response', r.first_response_due, r.first_responded_at), ('resolution', r.resolution_due, r.resolved_at)
) c (clock, due, met) where c.due is not null group by 1, 2
"""
_SOURCES = f"""
select m.day, k.source, count(distinct m.id), coalesce(sum(f.value), 0)
from (select * from {_rows("chat_messages")} where {_ANSWERS}) m
join kb_references k on k.message_id = m.id and k.tenant_id = current_tenant()
left join feedback f on f.message_id = m.id and f.tenant_id = current_tenant() group by 1, 2
"""
_DECIDED = f"""
select r.day, d.level || case when r.distance = 0 then ':unchanged' else ':edited' end, count(*), sum(r.similarity)
from {_rows("approved_replies")} join drafts d on d.tenant_id = r.tenant_id and d.id = r.draft_id group by 1, 2
"""
_DRAFT_SOURCES = f"""
select r.day, k.source || case when r.distance = 0 then ':unchanged' else ':edited' end, count(distinct r.id),
       sum(r.similarity)
from {_rows("approved_replies")} join kb_references k on k.tenant_id = r.tenant_id and k.draft_id = r.draft_id group by 1, 2
"""
_DRAFT_STEPS = f"""
select r.day, s.key, count(*), sum(s.value::float)
from {_rows("drafts")} cross join lateral jsonb_each_text(r.steps_ms) s where s.value ~ '^[0-9.]+$' group by 1, 2
"""
_SECONDS = "extract(epoch from ended_at - created_at)"

QUESTIONS: dict[str, str] = {
    "messages": _count("chat_messages", "author"),
    "sessions": _count("chat_sessions"),
    "session_outcomes": _SESSION_OUTCOME,
    "sessions_reopened": _REOPENED,
    "answers": _count("chat_messages", "coalesce(details ->> 'outcome', '')", where=_ANSWERS),
    "withheld": _count("chat_messages", total="(details ->> 'withheld')::int", where=f"{_ANSWERS} and details ? 'withheld'"),
    "confidence": _count(
        "chat_messages", _LEVEL, "(details -> 'confidence' ->> 'score')::float", f"{_ANSWERS} and {_LEVEL} is not null"
    ),
    "confidence_thumbs": _THUMB.format(
        key=f"m.{_LEVEL} || case when f.value > 0 then ':up' else ':down' end", more="", where=f"m.{_LEVEL} is not null"
    ),
    "thumbs": _THUMB.format(key="case when f.value > 0 then 'up' else 'down' end", more="", where="true"),
    "intents": _count("chat_messages", "coalesce(details ->> 'intent', '')", where=_ANSWERS),
    "intents_escalated": _count(
        "chat_messages", "coalesce(details ->> 'intent', '')", where=f"{_ANSWERS} and details ->> 'requires_escalation' = 'true'"
    ),
    "input_tokens": _count(
        "chat_messages", total="(details -> 'tokens' ->> 'input')::float", where=f"{_ANSWERS} and details ? 'tokens'"
    ),
    "output_tokens": _count(
        "chat_messages", total="(details -> 'tokens' ->> 'output')::float", where=f"{_ANSWERS} and details ? 'tokens'"
    ),
    "turns": _count("turns", "status || coalesce(':' || reason, '')"),
    "answer_s": _count("turns", f"width_bucket({_SECONDS}::float, %(bounds)s)::text", _SECONDS, "status = 'completed'"),
    "handoffs": _count("handoffs", "reason"),
    "handoff_outcomes": _count("handoffs", "status"),
    "handoff_wait_s": _count("handoffs", total="extract(epoch from claimed_at - created_at)", where="claimed_at is not null"),
    "tickets": _count("tickets", "opened_by"),
    "ticket_severity": _count("tickets", "severity"),
    "first_reply_s": _FIRST_REPLY,
    "resolution_s": _RESOLVED,
    "tickets_reopened": _count("ticket_events", where="type = 'reopened'"),
    "targets": _TARGETS,
    "csat": _count("feedback", "value::text", "value", "kind = 'csat'"),
    "guardrails": _count("guardrail_events", "category || ':' || action"),
    "sources": _SOURCES,
    "drafts": _count("drafts", "level || ':' || status", "score"),
    "approved": _DECIDED,
    "edit_distance": _count("approved_replies", "learned", "distance"),
    "draft_sources": _DRAFT_SOURCES,
    "draft_steps_ms": _DRAFT_STEPS,
    "draft_input_tokens": _count("drafts", total="coalesce((usage ->> 'input')::float, 0)"),
    "draft_output_tokens": _count("drafts", total="coalesce((usage ->> 'output')::float, 0)"),
}  # fmt: skip
