"""One replay, case by case: each is answered again, compared and kept in a transaction of its own, so that whoever goes
on after a crash begins with the first that is open."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import structlog
from psycopg.types.json import Jsonb

from agent import metrics
from agent.answer.answering import Wording
from agent.drafts.composing import compose
from agent.drafts.shapes import ComposedDraft
from agent.parts import Parts
from agent.prompting import DEFAULT_PROMPT, PromptParts
from agent.replays.comparing import Given, Tally, differences, judge, similarity
from agent.replays.past import PastAnswer, PastDraft, changed_since, past_answer, past_draft
from agent.turns.rehearsal import Outline, rehearse
from agent.turns.results import result
from agent.turns.scenes import Setting, prompt_of
from kbs.search.retrieval import RetrievalOptions
from memory.database import Connection
from memory.errors import Conflict, NotFound, Unavailable
from tools.prompts.versions import get_version
from tools.ranking.settings import merged
from tools.tenants import load_options

log = structlog.get_logger()
Row = dict[str, Any]
KEPT = 20
"""Replays of a tenant whose cases are kept; of older ones the sums are."""


class ModelAway(Exception):
    """The model gave no answer to compare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """The two settings that are compared; the same one twice where nothing is a candidate."""

    tenant_id: UUID
    baseline: Setting
    candidate: Setting
    in_force: Row
    """The baseline as the replay's row names it."""

    @property
    def differ(self) -> bool:
        return (self.baseline.prompt, self.baseline.ranking) != (self.candidate.prompt, self.candidate.ranking)


async def run_replay(parts: Parts, tenant_id: UUID, replay_id: UUID) -> None:
    """Work on a replay until no case is open or it was cancelled. Safe to begin again; raises Unavailable where the
    database is away."""
    async with parts.database.connection(tenant_id) as connection:
        replay = await (await connection.execute(BEGIN, (replay_id,))).fetchone()
        if replay is None:  # it has ended, or was cancelled
            return
    try:
        async with parts.database.connection(tenant_id) as connection:
            sides = await _sides(connection, tenant_id, replay)
    except Unavailable:
        raise
    except Exception:  # trying again would change nothing
        log.exception("a replay could not begin", replay=str(replay_id))
        await _end(parts, tenant_id, replay_id, "failed", error="internal_error")
        return
    while True:
        async with parts.database.connection(tenant_id) as connection:
            case = await (await connection.execute(NEXT, (replay_id,))).fetchone()
        if case is None:
            break
        found = await _case(parts, sides, case)
        async with parts.database.connection(tenant_id) as connection:
            kept = await connection.execute(KEEP, {**found, "id": case["id"]})
            await connection.execute(TOUCH, (replay_id,))
        if kept.rowcount:
            metrics.replay_cases_total.labels(_result(found)).inc()
    await _end(parts, tenant_id, replay_id, "completed")


async def _sides(connection: Connection, tenant_id: UUID, replay: Row) -> Sides:
    baseline = replay["baseline"]
    prompt = await _prompt(connection, baseline["prompt_version_id"])
    wanted = await _prompt(connection, replay["prompt_version_id"]) if replay["prompt_version_id"] else prompt
    ranking = merged(RetrievalOptions(), baseline["ranking"])
    setting = Setting(options=await load_options(connection, tenant_id), prompt=prompt, ranking=ranking)
    changed = merged(ranking, replay["ranking"]) if replay["ranking"] else ranking
    return Sides(
        tenant_id=tenant_id, baseline=setting, candidate=replace(setting, prompt=wanted, ranking=changed),
        in_force=baseline,
    )  # fmt: skip


async def _prompt(connection: Connection, version_id: UUID | str | None) -> PromptParts:
    if version_id is None:
        return DEFAULT_PROMPT
    return prompt_of(await get_version(connection, UUID(str(version_id))))


async def _case(parts: Parts, sides: Sides, case: Row) -> Row:
    """What becomes of a case, as its row. A case that can't be replayed fails alone."""
    try:
        return await _compared(parts, sides, case)
    except (NotFound, Conflict) as error:
        return _failed(error.code)
    except (ModelAway, Unavailable):
        return _failed("unavailable")
    except Exception:
        log.exception("a case of a replay failed", case=str(case["id"]))
        return _failed("internal_error")


async def _compared(parts: Parts, sides: Sides, case: Row) -> Row:
    async with parts.database.connection(sides.tenant_id) as connection:
        past: PastAnswer | PastDraft
        if case["session_id"]:
            past = await past_answer(connection, case["session_id"], case["answer_id"])
        else:
            past = await past_draft(connection, sides.tenant_id, case["answer_id"])
    since = await changed_since(parts, sides.tenant_id, past, sides.in_force)
    candidate = await _answer(parts, past, sides.candidate)
    current = (
        await _answer(parts, past, sides.baseline) if sides.differ and differences(past.given, candidate) else None
    )
    verdict = judge(past.given, candidate, current, since)
    return {
        "status": "done", "cause": verdict.cause, "changed": list(verdict.changed), "error": None,
        "stored": Jsonb({**past.given.as_dict(), "question": past.question, "since": list(since)}),
        "current": Jsonb(current.as_dict()) if current else None,
        "candidate": Jsonb({**candidate.as_dict(), "similarity": similarity(current or past.given, candidate)}),
    }  # fmt: skip


async def _answer(parts: Parts, past: PastAnswer | PastDraft, setting: Setting) -> Given:
    """What this setting answers to it today. Raises ModelAway."""
    if isinstance(past, PastAnswer):
        return given(await rehearse(parts, past.scene, setting, before=past.before, ticket=past.ticket))
    composed = await compose(
        parts, past.request, prompt=setting.prompt, ranking=setting.ranking, options=setting.options
    )
    return _drafted(composed)


def given(outline: Outline) -> Given:
    """A rehearsed answer as it is compared. Raises ModelAway where it is none of the candidate's doing."""
    state, answer = outline.state, outline.answer
    if state.get("outcome") == "model_failed":
        raise ModelAway
    told = result(state, answer)
    confidence = told["confidence"] or {}
    return Given(
        answer=answer.text, sources=_cited(answer), confidence=confidence.get("score"),
        level=confidence.get("level"), outcome=state.get("outcome"), escalates=told["requires_escalation"],
        input_tokens=outline.tokens.input, output_tokens=outline.tokens.output,
    )  # fmt: skip


def _cited(answer: Wording) -> tuple[tuple[str, int], ...]:
    return tuple((passage.ref, passage.version) for passage in answer.cited)


def _drafted(composed: ComposedDraft) -> Given:
    return Given(
        answer=composed.text, sources=tuple((passage.ref, passage.version) for passage in composed.sources),
        confidence=composed.confidence.score, level=composed.confidence.level,
        outcome="answered" if composed.answered else "honest_no", escalates=composed.escalation.escalate,
        input_tokens=composed.usage.get("input", 0), output_tokens=composed.usage.get("output", 0),
    )  # fmt: skip


def _result(found: Row) -> str:
    return "failed" if found["status"] == "failed" else "changed" if found["cause"] else "same"


def _failed(error: str) -> Row:
    return {
        "status": "failed", "cause": None, "changed": [], "error": error, "stored": Jsonb({}), "current": None,
        "candidate": Jsonb({}),
    }  # fmt: skip


async def _end(parts: Parts, tenant_id: UUID, replay_id: UUID, status: str, *, error: str | None = None) -> None:
    tally = Tally()
    async with parts.database.connection(tenant_id) as connection:
        for case in await (await connection.execute(RESULTS, (replay_id,))).fetchall():
            tally.add(case)
        values = {"id": replay_id, "status": status, "summary": Jsonb(tally.as_dict()), "error": error}
        ended = await (await connection.execute(END, values)).fetchone()
        await connection.execute(FORGET, (KEPT,))
    if ended:
        metrics.replays_total.labels(ended["status"]).inc()


BEGIN = """
update replays set status = 'running', updated_at = now()
where id = %s and tenant_id = current_tenant() and status in ('queued', 'running') returning *
"""
NEXT = """
select c.* from replay_cases c join replays r on r.id = c.replay_id and r.tenant_id = c.tenant_id
where c.replay_id = %s and c.tenant_id = current_tenant() and c.status = 'pending' and r.status = 'running'
order by c.ordinal limit 1
"""
KEEP = """
update replay_cases set status = %(status)s, cause = %(cause)s, changed = %(changed)s::text[], stored = %(stored)s,
                        current = %(current)s, candidate = %(candidate)s, error = %(error)s
where id = %(id)s and tenant_id = current_tenant() and status = 'pending'
"""
TOUCH = "update replays set updated_at = now() where id = %s and tenant_id = current_tenant()"
RESULTS = """
select status, cause, changed, stored, current, candidate from replay_cases
where replay_id = %s and tenant_id = current_tenant() and status <> 'pending'
"""
FORGET = """
delete from replay_cases where tenant_id = current_tenant() and replay_id in (
    select id from replays where tenant_id = current_tenant() order by id desc offset %s)
"""
END = """
update replays set status = case status when 'running' then %(status)s else status end, summary = %(summary)s,
                   error = %(error)s, updated_at = now(), ended_at = coalesce(ended_at, now())
where id = %(id)s and tenant_id = current_tenant() and status in ('running', 'cancelled') returning status
"""
