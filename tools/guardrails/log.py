"""Every refusal leaves a row: what was stopped, by which rule, in which session; never the words themselves.

A turn that runs again leaves none twice.
"""

from memory.events import Journal
from memory.models import new_id
from tools.context import TurnContext
from tools.guardrails import Verdict


async def record_verdict(context: TurnContext, verdict: Verdict) -> None:
    async def keep(entry: Journal) -> None:
        await entry.connection.execute(
            INSERT,
            {
                "id": new_id(), "tenant": entry.tenant_id, "session": context.session_id, "turn": context.lease.turn_id,
                "action": verdict.action, "category": verdict.category, "rule": verdict.rule, "reason": verdict.reason,
            },
        )  # fmt: skip

    told = {"action": verdict.action, "category": verdict.category, "rule": verdict.rule}
    await context.act("record_refusal", told, keep, rehearsed=lambda _: None)


INSERT = """
insert into guardrail_events (id, tenant_id, session_id, turn_id, action, category, rule, reason)
select %(id)s, %(tenant)s, %(session)s, %(turn)s, %(action)s, %(category)s, %(rule)s::text, %(reason)s
where not exists (
    select from guardrail_events
    where tenant_id = current_tenant() and id > %(turn)s and turn_id = %(turn)s and rule = %(rule)s::text)
"""
