"""What became of the answers and drafts that relied on each source: decisions of colleagues, thumbs of customers.

    draft approved        how much of it was kept: the Levenshtein similarity of draft and sent text, 1 where unchanged
    draft rejected        0
    answer with a thumb   1 or 0

Each credits the sources of its references by their scores. What relied on no source, and what nobody has judged, says
nothing here.
"""

from uuid import UUID

from kbs.passages import Source
from memory.database import Connection
from tools.ranking.effectiveness import Outcome

WINDOW = "180 days"
"""Older outcomes are about another knowledge base."""
MOST = 20_000
LEAST_SCORE = 0.01


async def load_outcomes(connection: Connection) -> list[Outcome]:
    """The tenant's outcomes within the window, at most the newest `MOST` of either kind."""
    values = {"window": WINDOW, "most": MOST, "least": LEAST_SCORE, "sources": [source.value for source in Source]}
    judged: dict[UUID, tuple[float, dict[Source, float]]] = {}
    for query in (DRAFTS, ANSWERS):
        for row in await (await connection.execute(query, values)).fetchall():
            _, credit = judged.setdefault(row["id"], (float(row["value"]), {}))
            credit[Source(row["source"])] = float(row["score"])
    return [_outcome(value, credit) for value, credit in judged.values()]


def _outcome(value: float, credit: dict[Source, float]) -> Outcome:
    total = sum(credit.values())
    shares = {source: score / total for source, score in credit.items()}
    return Outcome(value=min(max(value, 0.0), 1.0), shares=shares)


DRAFTS = """
with judged as (
    select d.id, case d.status when 'rejected' then 0 else a.similarity end as value
    from drafts d left join approved_replies a on a.draft_id = d.id and a.tenant_id = d.tenant_id
    where d.tenant_id = current_tenant() and d.status in ('approved', 'rejected')
          and d.decided_at > now() - %(window)s::interval
    order by d.id desc limit %(most)s)
select j.id, j.value, r.source, sum(greatest(r.score, %(least)s)) as score
from judged j join kb_references r on r.draft_id = j.id and r.tenant_id = current_tenant()
where r.source = any(%(sources)s) and j.value is not null
group by j.id, j.value, r.source
"""
ANSWERS = """
with judged as (
    select f.message_id as id, case when f.value > 0 then 1 else 0 end as value
    from feedback f
    where f.tenant_id = current_tenant() and f.kind = 'thumb' and f.message_id is not null
          and f.created_at > now() - %(window)s::interval
    order by f.id desc limit %(most)s)
select j.id, j.value, r.source, sum(greatest(r.score, %(least)s)) as score
from judged j join kb_references r on r.message_id = j.id and r.tenant_id = current_tenant()
where r.source = any(%(sources)s)
group by j.id, j.value, r.source
"""
