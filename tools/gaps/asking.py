"""Which questions had no good answer: those of conversations, and those of tickets that colleagues answered by hand.

no_answer     the answer was an honest no
clarified     it was a question back, after which no answer came
handed_over   it went to people because there was no answer
thumbs_down   the customer did not like the answer
by_hand       a ticket's draft found little (a low score, or nothing that is known), and a colleague did not send it but
              wrote another reply, on the ticket or in its conversation, or as good as another one

A turn counts once, for the worst of these; a word of a customer on a ticket once, however many
drafts there were for it, and not where it was counted in its conversation.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from memory.database import Connection
from tools.learning.comparing import EXAMPLE_FROM

SETTLED = timedelta(minutes=30)
"""After which a question back is one that was not answered."""


async def unanswered(connection: Connection, since: UUID, most: int) -> list[dict[str, Any]]:
    """What was not looked at yet, at most so much of each kind; `since` is the message that the last look ended with."""
    values = {"since": since, "most": most, "settled": SETTLED, "own_words": EXAMPLE_FROM}
    found = await (await connection.execute(IN_CHAT, values)).fetchall()
    return [*found, *await (await connection.execute(ON_TICKETS, values)).fetchall()]


_SAID = """
(select string_agg(q.content, E'\\n' order by q.n) from chat_messages q
 where q.turn_id = m.turn_id and q.tenant_id = current_tenant() and q.author = 'customer')
"""
_NOT_KNOWN = """
not exists (select 1 from kb_gap_questions k where k.tenant_id = current_tenant() and k.id = m.turn_id)
"""
IN_CHAT = f"""
with said as (
    (select m.id, true as since_last,
            case m.details ->> 'outcome' when 'honest_no' then 'no_answer' else 'clarified' end as reason
     from chat_messages m
     where m.tenant_id = current_tenant() and m.id > %(since)s and m.author = 'bot' and m.turn_id is not null
           and (m.details ->> 'outcome' = 'honest_no' or (
                m.details ->> 'outcome' = 'clarified' and m.created_at < clock_timestamp() - %(settled)s::interval
                and not exists (select 1 from chat_messages a where a.tenant_id = current_tenant()
                    and a.session_id = m.session_id and a.n > m.n and a.details ->> 'outcome' = 'answered')))
           and {_NOT_KNOWN}
     order by m.id limit %(most)s)
    union all
    (select m.id, false, 'handed_over' from handoffs h join chat_messages m
        on m.tenant_id = h.tenant_id and m.turn_id = h.turn_id and m.author = 'bot'
     where h.tenant_id = current_tenant() and h.reason in ('repeated_failure', 'sensitive_unanswered')
           and h.created_at > clock_timestamp() - interval '90 days' and {_NOT_KNOWN} limit %(most)s)
    union all
    (select m.id, false, 'thumbs_down' from feedback f join chat_messages m
        on m.tenant_id = f.tenant_id and m.id = f.message_id and m.author = 'bot'
     where f.tenant_id = current_tenant() and f.kind = 'thumb' and f.value < 0 and m.turn_id is not null
           and f.created_at > clock_timestamp() - interval '90 days' and {_NOT_KNOWN} limit %(most)s)),
first as (
    select distinct on (m.turn_id) m.turn_id as id, m.turn_id, null::uuid as draft_id, m.id as message_id,
           m.session_id, m.created_at as asked_at,
           bool_or(s.since_last) over (partition by m.turn_id) as since_last, s.reason,
           m.details ->> 'language' as language, {_SAID} as question
    from said s join chat_messages m on m.id = s.id and m.tenant_id = current_tenant()
    order by m.turn_id, array_position(array['thumbs_down', 'handed_over', 'no_answer', 'clarified'], s.reason))
select * from first order by message_id
"""
ON_TICKETS = """
select distinct on (d.answers_event_id) d.answers_event_id as id, null::uuid as turn_id, d.id as draft_id,
       null::uuid as session_id, null::uuid as message_id, false as since_last, 'by_hand' as reason, d.language,
       d.created_at as asked_at, concat_ws(E'\\n', nullif(t.subject, ''), d.question) as question
from drafts d
join tickets t on t.tenant_id = d.tenant_id and t.id = d.ticket_id
left join approved_replies r on r.tenant_id = d.tenant_id and r.draft_id = d.id
where d.tenant_id = current_tenant() and (d.level in ('low', 'very_low') or d.warnings ? 'missing_knowledge')
      and d.answers_event_id is not null
      and d.created_at > clock_timestamp() - interval '90 days'
      and case when r.id is not null then r.similarity < %(own_words)s
               else exists (select 1 from ticket_events e
                            where e.tenant_id = d.tenant_id and e.ticket_id = d.ticket_id and e.type = 'reply'
                                  and e.data ->> 'author' = 'agent' and e.created_at > d.created_at
                                  and not exists (select 1 from approved_replies a
                                                  where a.tenant_id = e.tenant_id and a.event_id = e.id
                                                        and a.similarity >= %(own_words)s))
                    or exists (select 1 from chat_messages m
                               where m.tenant_id = d.tenant_id and m.session_id = t.session_id and m.author = 'agent'
                                     and m.created_at > d.created_at and not m.details ? 'ticket_id') end
      and not exists (select 1 from kb_gap_questions k where k.tenant_id = d.tenant_id and k.id = d.answers_event_id)
      and not exists (select 1 from kb_gap_questions k
                      where k.tenant_id = d.tenant_id and t.session_id is not null and k.session_id = t.session_id)
order by d.answers_event_id, d.id desc limit %(most)s
"""
QUESTION = """
coalesce(
    (select string_agg(m.content, E'\\n' order by m.n) from chat_messages m
     where m.turn_id = q.turn_id and m.tenant_id = current_tenant() and m.author = 'customer'),
    (select concat_ws(E'\\n', nullif(t.subject, ''), d.question) from drafts d
     join tickets t on t.tenant_id = d.tenant_id and t.id = d.ticket_id
     where d.id = q.draft_id and d.tenant_id = current_tenant()))
"""
"""The words of the question `q`."""
