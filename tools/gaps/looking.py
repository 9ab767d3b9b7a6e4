"""Looks through conversations and tickets for questions without a good answer (`asking.py`), and puts them into gaps.

Only what is new since the last look is read, embedded and grouped: a gap keeps the sum of its questions' vectors, and who
was dismissed stays dismissed. A gap that was resolved opens again where the question comes up after that.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np

from kbs.embedding.embedder import Embedder
from kbs.index import Vectors
from memory.database import Connection, Database
from memory.models import new_id
from tools.gaps.asking import QUESTION, SETTLED, unanswered
from tools.gaps.clustering import Groups, assign, joined, unit

AT_ONCE = 1000
"""Turns of one look."""
OVERLAP = SETTLED + timedelta(minutes=10)
"""Before the newest message that the next look begins with: ids are made before their transactions commit."""
KNOWN_FOR = "180 days"
"""Without a new question a gap takes in none any more."""
FORGOTTEN = "90 days"
"""A gap of few questions that nobody decided about, after its last one."""
FEW = 2
LONGEST = 600
EXAMPLES = 20


async def look(database: Database, embedder: Embedder, tenant_id: UUID, *, most: int = AT_ONCE) -> int:
    """One look at what is new; how many questions it read, 0 while another process looks."""
    async with database.connection(tenant_id) as connection:
        since = await _looked_until(connection)
        found = await unanswered(connection, since, most)
        newest = await _newest(connection, since, found, most)
    found = [row for row in found if (row["question"] or "").strip()]
    if found:
        await _renew(database, embedder, tenant_id)
    texts = [row["question"][:LONGEST] for row in found]
    vectors = await embedder.embed_texts(texts) if texts else np.zeros((0, embedder.dimensions), np.float32)
    async with database.connection(tenant_id) as connection:
        if not await _alone(connection, tenant_id):
            return 0
        if found:
            found, vectors = await _new_ones(connection, found, vectors)
            await _group(connection, embedder, found, vectors)
        if newest != since:
            await connection.execute(LOOKED, {"until": newest})
        await connection.execute(FORGET, {"after": FORGOTTEN, "few": FEW})
    return len(found)


async def _looked_until(connection: Connection) -> UUID:
    row = await (await connection.execute(SINCE)).fetchone()
    return row["looked_until"] if row else UUID(int=0)


async def _newest(connection: Connection, since: UUID, found: Sequence[dict[str, Any]], most: int) -> UUID:
    """Where the next look begins: behind what was found where there may be more, else shortly before now."""
    row = await (await connection.execute("select clock_timestamp() as now")).fetchone()
    assert row is not None  # a clock always answers
    until = min_id(row["now"] - OVERLAP)
    said = [each["message_id"] for each in found if each["since_last"]]
    if len(said) >= most:
        until = min(until, max(said))
    return max(since, until)


def min_id(moment: datetime) -> UUID:
    """The smallest id that was made at this time or later."""
    milliseconds = int(moment.astimezone(UTC).timestamp() * 1000)
    return UUID(int=milliseconds << 80)


async def _alone(connection: Connection, tenant_id: UUID) -> bool:
    row = await (await connection.execute(ALONE, (f"gaps:{tenant_id}",))).fetchone()
    return bool(row and row["alone"])


async def _new_ones(
    connection: Connection, found: Sequence[dict[str, Any]], vectors: Vectors
) -> tuple[list[dict[str, Any]], Vectors]:
    """Without what another look has put into a gap meanwhile."""
    rows = await (await connection.execute(KNOWN, ([row["id"] for row in found],))).fetchall()
    known = {row["id"] for row in rows}
    new = [n for n, row in enumerate(found) if row["id"] not in known]
    return [found[n] for n in new], vectors[new]


async def _group(connection: Connection, embedder: Embedder, found: Sequence[dict[str, Any]], vectors: Vectors) -> None:
    rows = await (await connection.execute(GAPS, {"embedder": embedder.id, "known": KNOWN_FOR})).fetchall()
    before = len(rows)
    sums = [np.frombuffer(row["centroid"], np.float32) for row in rows]
    groups = Groups(
        sums=np.stack(sums).copy() if sums else np.zeros((0, embedder.dimensions), np.float32),
        sizes=np.array([row["members"] for row in rows], np.int64),
    )
    labels = await asyncio.to_thread(assign, groups, vectors)
    is_open = np.array([row["status"] == "open" for row in rows] + [True] * (len(groups.sizes) - before), bool)
    touched = {int(label) for label in labels}
    moved = await asyncio.to_thread(joined, groups, touched, is_open)
    ids = [row["id"] for row in rows] + [new_id() for _ in range(len(groups.sizes) - before)]
    labels = np.array([moved.get(int(label), int(label)) for label in labels], np.int64)
    changed = {moved.get(group, group) for group in touched} | set(moved.values())
    await _write_gaps(connection, embedder.id, groups, ids, sorted(changed), before)
    gone = {source: target for source, target in moved.items() if source < before}
    await _move(connection, {ids[source]: ids[target] for source, target in gone.items()})
    centres = groups.centres
    fits = [
        float(vector @ centres[label]) if groups.sizes[label] > 1 else 0.0  # alone there is nothing to be near to
        for vector, label in zip(vectors, labels, strict=True)
    ]
    await _write_questions(connection, found, [ids[label] for label in labels], fits)


async def _write_gaps(
    connection: Connection, embedder: str, groups: Groups, ids: Sequence[UUID], changed: Sequence[int], before: int
) -> None:
    values = [
        {
            "id": ids[group], "embedder": embedder, "centroid": groups.sums[group].astype(np.float32).tobytes(),
            "members": int(groups.sizes[group]),
        }
        for group in changed
    ]  # fmt: skip
    async with connection.cursor() as cursor:
        await cursor.executemany(
            ADD_GAP, [value for value, group in zip(values, changed, strict=True) if group >= before]
        )
        await cursor.executemany(
            GROW_GAP, [value for value, group in zip(values, changed, strict=True) if group < before]
        )


async def _move(connection: Connection, moved: dict[UUID, UUID]) -> None:
    if moved:
        values = {"from": list(moved), "to": list(moved.values())}
        await connection.execute(MOVE, values)
        await connection.execute(DROP, values)


async def _write_questions(
    connection: Connection, found: Sequence[dict[str, Any]], gaps: Sequence[UUID], fits: Sequence[float]
) -> None:
    rows = [
        {
            "id": row["id"], "turn": row["turn_id"], "draft": row["draft_id"], "session": row["session_id"], "gap": gap,
            "reason": row["reason"], "language": row["language"] or "", "fit": fit, "at": row["asked_at"],
        }
        for row, gap, fit in zip(found, gaps, fits, strict=True)
    ]  # fmt: skip
    async with connection.cursor() as cursor:
        await cursor.executemany(ADD_QUESTION, rows)
    latest: dict[UUID, datetime] = {}
    for row, gap in zip(found, gaps, strict=True):
        latest[gap] = max(latest.get(gap, row["asked_at"]), row["asked_at"])
    await connection.execute(OPEN_AGAIN, {"gaps": list(latest), "asked": list(latest.values())})


async def _renew(database: Database, embedder: Embedder, tenant_id: UUID) -> None:
    """After a change of the embedder gaps are known by the vectors of their best questions."""
    async with database.connection(tenant_id) as connection:
        rows = await (await connection.execute(STRANGE, {"embedder": embedder.id, "most": EXAMPLES})).fetchall()
    for row in rows:
        vectors = unit(
            np.asarray(await embedder.embed_texts([text[:LONGEST] for text in row["questions"]]), np.float32)
        )
        values = {
            "id": row["id"], "embedder": embedder.id,
            "centroid": (vectors.mean(0) * row["members"]).astype(np.float32).tobytes(),
        }  # fmt: skip
        async with database.connection(tenant_id) as connection:
            await connection.execute(RENEW, values)


SINCE = "select looked_until from kb_gap_searches where tenant_id = current_tenant()"
LOOKED = """
insert into kb_gap_searches (tenant_id, looked_until) values (current_tenant(), %(until)s)
on conflict (tenant_id) do update set looked_until = greatest(kb_gap_searches.looked_until, excluded.looked_until)
"""
ALONE = "select pg_try_advisory_xact_lock(hashtextextended(%s, 0)) as alone"
KNOWN = "select id from kb_gap_questions where tenant_id = current_tenant() and id = any(%s)"
GAPS = """
select id, status, centroid, members from kb_gaps
where tenant_id = current_tenant() and embedder = %(embedder)s
      and (status <> 'open' or updated_at > clock_timestamp() - %(known)s::interval)
order by id
"""
ADD_GAP = """
insert into kb_gaps (id, tenant_id, status, embedder, centroid, members, note)
values (%(id)s, current_tenant(), 'open', %(embedder)s, %(centroid)s, %(members)s, '')
"""
GROW_GAP = """
update kb_gaps set centroid = %(centroid)s, members = %(members)s, updated_at = clock_timestamp()
where tenant_id = current_tenant() and id = %(id)s
"""
RENEW = """
update kb_gaps set centroid = %(centroid)s, embedder = %(embedder)s where tenant_id = current_tenant() and id = %(id)s
"""
MOVE = """
update kb_gap_questions q set gap_id = m.target from unnest(%(from)s::uuid[], %(to)s::uuid[]) m(source, target)
where q.tenant_id = current_tenant() and q.gap_id = m.source
"""
DROP = "delete from kb_gaps where tenant_id = current_tenant() and id = any(%(from)s)"
ADD_QUESTION = """
insert into kb_gap_questions (id, tenant_id, session_id, turn_id, draft_id, gap_id, reason, language, fit, asked_at)
values (%(id)s, current_tenant(), %(session)s, %(turn)s, %(draft)s, %(gap)s, %(reason)s, %(language)s, %(fit)s, %(at)s)
on conflict (id) do nothing
"""
OPEN_AGAIN = """
update kb_gaps g set status = 'open', updated_at = clock_timestamp()
from unnest(%(gaps)s::uuid[], %(asked)s::timestamptz[]) n(id, asked_at)
where g.tenant_id = current_tenant() and g.id = n.id and g.status = 'resolved' and n.asked_at > g.decided_at
"""
STRANGE = f"""
select g.id, g.members, q.questions from kb_gaps g cross join lateral (
    select array_agg(e.question) as questions from (
        select {QUESTION} as question
        from kb_gap_questions q where q.tenant_id = g.tenant_id and q.gap_id = g.id order by q.fit desc limit %(most)s) e
    where e.question is not null) q
where g.tenant_id = current_tenant() and g.embedder <> %(embedder)s and q.questions is not null
"""
FORGET = """
delete from kb_gaps where tenant_id = current_tenant() and status = 'open' and members <= %(few)s
      and updated_at < clock_timestamp() - %(after)s::interval
"""
