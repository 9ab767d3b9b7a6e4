"""How probable it is that a draft will be approved unchanged, or that a chat's answer helps: learned from outcomes.

The specification's score (`agent/scoring/confidence.py`) says how good the evidence is, not how often a person was content. So
each decided draft, and each answer that a customer judged, counts as an outcome, and the probability at a score is read
from a curve, one for drafts and one for answers:

    prior      a cautious curve that all tenants start from; it alone holds below FEWEST outcomes
    slope      the prior moved and tilted by the tenant's outcomes: a logistic curve, most probable given both
    steps      where there are enough, the outcomes of each part of the scale, the slope counting as SLOPE_WORTH more,
               made to rise with the score (isotonic), and joined by straight lines

With little data the curve stays near the prior and says so; with more it becomes what was observed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Literal
from uuid import UUID

from memory.database import Connection

FEWEST: Final = 20
"""Outcomes below which nothing is claimed that the tenant's own decisions say."""
ENOUGH: Final = 100
"""Outcomes from which on the curve need not be a logistic one."""
NEWEST: Final = 2000
"""Decisions that count: older ones are about an older knowledge base."""
WAITING: Final = 200
"""Drafts without a decision that are looked at: each asks for what was said on its ticket."""
PER_STEP: Final = 25
MOST_STEPS: Final = 20
SLOPE_WORTH: Final = 4.0
PRIOR: Final = (-3.0, 4.0)
"""Log odds at score 0, and what the whole scale adds: 0.05 at 0, 0.27 at 50, 0.5 at 75, 0.73 at 100."""
PRIOR_SPREAD: Final = (1.5, 2.0)
"""How far a tenant's own curve may well be from that, as standard deviations."""
CERTAIN_AT_MOST: Final = 0.99

Basis = Literal["prior", "slope", "steps"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A draft that was decided on, or an answer that was judged."""

    score: int
    """Its confidence, 0 to 100."""
    approved: bool
    """A draft: as it was, without an edit; an edited or rejected one is not. An answer: it helped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """A probability with what it rests on."""

    probability: float
    outcomes: int
    basis: Basis

    def as_dict(self) -> dict[str, Any]:
        """As it goes over the wire, beside the score."""
        return {"probability": round(self.probability, 4), "outcomes": self.outcomes, "basis": self.basis}


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A tenant's curve: points (score, probability) in rising order, joined by straight lines."""

    points: tuple[tuple[float, float], ...]
    outcomes: int
    basis: Basis

    def at(self, score: float) -> Calibrated:
        return Calibrated(probability=_between(self.points, score), outcomes=self.outcomes, basis=self.basis)


def calibrate(outcomes: Sequence[Outcome]) -> Calibration:
    """The curve that these outcomes give."""
    if len(outcomes) < FEWEST:
        return Calibration(points=_logistic_points(PRIOR), outcomes=len(outcomes), basis="prior")
    curve = _most_probable(outcomes)
    if len(outcomes) < ENOUGH:
        return Calibration(points=_logistic_points(curve), outcomes=len(outcomes), basis="slope")
    return Calibration(points=_steps(outcomes, curve), outcomes=len(outcomes), basis="steps")


async def load_calibration(connection: Connection, tenant_id: UUID) -> Calibration:
    """The curve of a tenant's newest decisions. To write one's own words while a draft waits is one against it."""
    return await _learned(connection, DECISIONS, tenant_id)


async def load_answer_calibration(connection: Connection, tenant_id: UUID) -> Calibration:
    """The curve of what customers said last of a tenant's answers.

    A thumb is about its answer. Whether the matter was resolved, and else how the conversation was rated, is about the
    last answer; three stars of five say neither.
    """
    return await _learned(connection, JUDGEMENTS, tenant_id)


async def _learned(connection: Connection, query: str, tenant_id: UUID) -> Calibration:
    rows = await (
        await connection.execute(query, {"tenant": tenant_id, "newest": NEWEST, "waiting": WAITING})
    ).fetchall()
    return calibrate([Outcome(score=row["score"], approved=row["approved"]) for row in rows])


def _most_probable(outcomes: Sequence[Outcome]) -> tuple[float, float]:
    """The logistic curve that is most probable given the prior and the outcomes, by Newton's steps."""
    start, rise = PRIOR
    for _ in range(50):
        slopes = [(PRIOR[0] - start) / PRIOR_SPREAD[0] ** 2, (PRIOR[1] - rise) / PRIOR_SPREAD[1] ** 2]
        aa, ab, bb = 1 / PRIOR_SPREAD[0] ** 2, 0.0, 1 / PRIOR_SPREAD[1] ** 2
        for outcome in outcomes:
            x = outcome.score / 100
            told = _sigmoid(start + rise * x)
            slopes[0] += outcome.approved - told
            slopes[1] += (outcome.approved - told) * x
            weight = told * (1 - told)
            aa, ab, bb = aa + weight, ab + weight * x, bb + weight * x * x
        determinant = aa * bb - ab * ab
        step = ((bb * slopes[0] - ab * slopes[1]) / determinant, (aa * slopes[1] - ab * slopes[0]) / determinant)
        start, rise = start + max(-3.0, min(3.0, step[0])), rise + max(-3.0, min(3.0, step[1]))
        if max(abs(step[0]), abs(step[1])) < 1e-6:
            break
    return start, max(rise, 0.0)


def _steps(outcomes: Sequence[Outcome], curve: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    """Parts of the scale with about as many outcomes each, made to rise, each at its mean score."""
    ordered = sorted(outcomes, key=lambda outcome: outcome.score)
    size = max(PER_STEP, math.ceil(len(ordered) / MOST_STEPS))
    parts: list[list[Outcome]] = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    if len(parts) > 1 and len(parts[-1]) < size / 2:
        parts[-2:] = [parts[-2] + parts[-1]]
    found = []
    for part in parts:
        score = sum(outcome.score for outcome in part) / len(part)
        supposed = _sigmoid(curve[0] + curve[1] * score / 100)
        weight = len(part) + SLOPE_WORTH
        found.append((score, (sum(outcome.approved for outcome in part) + SLOPE_WORTH * supposed) / weight, weight))
    return _distinct(_rising(found))


def _rising(points: Sequence[tuple[float, float, float]]) -> list[tuple[float, float]]:
    """Neighbours that fall are given their common mean (pool adjacent violators); points are (x, y, weight)."""
    pools: list[tuple[float, float, list[float]]] = []
    for x, y, weight in points:
        mean, total, members = y, weight, [x]
        while pools and pools[-1][0] >= mean:
            above = pools.pop()
            mean = (above[0] * above[1] + mean * total) / (above[1] + total)
            total, members = above[1] + total, above[2] + members
        pools.append((mean, total, members))
    return [(x, mean) for mean, _, members in pools for x in members]


def _distinct(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """One point for each score: the highest of equals."""
    return tuple(sorted({x: min(y, CERTAIN_AT_MOST) for x, y in points}.items()))


def _logistic_points(curve: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    return tuple((float(x), min(_sigmoid(curve[0] + curve[1] * x / 100), CERTAIN_AT_MOST)) for x in range(0, 101, 5))


def _between(points: Sequence[tuple[float, float]], score: float) -> float:
    """On the line through the points; beyond the ends the end's."""
    if score <= points[0][0]:
        return points[0][1]
    for (x, y), (next_x, next_y) in pairwise(points):
        if score <= next_x:
            return y + (next_y - y) * (score - x) / (next_x - x)
    return points[-1][1]


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, value))))


DECIDED = """
select d.score, d.status = 'approved' and coalesce(r.distance, 1) = 0 as approved, d.decided_at as at
from drafts d left join approved_replies r on r.draft_id = d.id and r.tenant_id = d.tenant_id
where d.tenant_id = %(tenant)s and d.status in ('approved', 'rejected')
order by d.decided_at desc nulls last limit %(newest)s
"""
PASSED_BY = """
select d.score, bool_or(said.text = d.content) as approved, min(said.created_at) as at
from (select * from drafts where tenant_id = %(tenant)s and status in ('pending', 'superseded')
      order by id desc limit %(waiting)s) d
join tickets t on t.id = d.ticket_id and t.tenant_id = d.tenant_id
cross join lateral (
    select e.data ->> 'text' as text, e.created_at from ticket_events e
    where e.ticket_id = t.id and e.tenant_id = t.tenant_id and e.type = 'reply' and e.data ->> 'author' = 'agent'
    union all
    select m.content, m.created_at from chat_messages m
    where m.session_id = t.session_id and m.tenant_id = t.tenant_id and m.author = 'agent'
) said
where said.created_at between d.created_at and coalesce(d.decided_at, 'infinity')
      and length(said.text) * 3 >= length(d.content)
group by d.id, d.score
"""
"""A colleague answered the customer while the draft waited: in their own words, or with a copy of it. A greeting, or any
words much shorter than the draft, are no answer in its place."""
DECISIONS = f"""
select score, approved from (({DECIDED}) union all ({PASSED_BY})) outcomes order by at desc nulls last limit %(newest)s
"""
JUDGEMENTS = """
select distinct on (m.id) round((m.details -> 'confidence' ->> 'score')::float)::int as score,
       case f.kind when 'csat' then f.value > 3 else f.value > 0 end as approved
from (
    select * from feedback where tenant_id = %(tenant)s and not (kind = 'csat' and value = 3)
    order by id desc limit %(newest)s
) f cross join lateral (
    select * from chat_messages
    where tenant_id = f.tenant_id and session_id = f.session_id and author = 'bot' and details -> 'confidence' ? 'score'
          and id = coalesce(f.message_id, id)
    order by n desc limit 1
) m
order by m.id, array_position(array['thumb', 'resolved', 'csat'], f.kind)
"""
