"""Every refusal leaves a row: what was stopped, by which rule, in which session; never the words themselves."""

from memory.events import Journal
from memory.models import new_id
from tools.context import TurnContext
from tools.guardrails import Verdict


async def record_verdict(context: TurnContext, verdict: Verdict) -> None:
    async def keep(entry: Journal) -> None:
        await entry.connection.execute(
            INSERT,
            (
                new_id(), entry.tenant_id, context.session_id, context.lease.turn_id, verdict.action, verdict.category,
                verdict.rule, verdict.reason,
            ),
        )  # fmt: skip

    told = {"action": verdict.action, "category": verdict.category, "rule": verdict.rule}
    await context.act("record_refusal", told, keep, rehearsed=lambda _: None)


INSERT = """
insert into guardrail_events (id, tenant_id, session_id, turn_id, action, category, rule, reason)
values (%s, %s, %s, %s, %s, %s, %s, %s)
"""
