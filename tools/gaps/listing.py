"""Gaps with their counts and examples, largest first, and what people decided about them."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from memory import audit
from memory.database import Connection, Database
from memory.errors import Invalid, NotFound
from memory.tenancy import Principal
from tools.gaps.asking import QUESTION

Status = Literal["open", "dismissed", "resolved"]
Row = dict[str, Any]
EXAMPLES = 3
ACTIONS: dict[Status, str] = {"open": "gap.reopened", "dismissed": "gap.dismissed", "resolved": "gap.resolved"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GapFilters:
    """Which gaps to list: those with at least so many questions within the last days."""

    days: int = 30
    min_size: int = 3
    status: Status = "open"
    language: str | None = None
    cursor: str | None = None
    limit: int = 20


async def list_gaps(connection: Connection, filters: GapFilters) -> tuple[list[Row], str | None]:
    """A page of gaps, and the cursor of the next. Raises Invalid for a false cursor."""
    questions, last = _read_cursor(filters.cursor) if filters.cursor else (None, None)
    values = {
        "days": filters.days, "min_size": filters.min_size, "status": filters.status, "language": filters.language,
        "id": None, "questions": questions, "last": last, "limit": filters.limit, "examples": EXAMPLES,
    }  # fmt: skip
    rows = await (await connection.execute(LIST, values)).fetchall()
    full = len(rows) == filters.limit
    return rows, _cursor_of(rows[-1]) if full else None


async def get_gap(connection: Connection, gap_id: UUID) -> Row:
    """One gap with all of its questions counted. Raises NotFound."""
    values = {
        "days": None, "min_size": 0, "status": None, "language": None, "id": gap_id, "questions": None, "last": None,
        "limit": 1, "examples": 3 * EXAMPLES,
    }  # fmt: skip
    row = await (await connection.execute(LIST, values)).fetchone()
    if row is None:
        raise NotFound("no such gap")
    return row


async def decide(
    database: Database, principal: Principal, gap_id: UUID, status: Status, *, note: str = "",
    article_id: UUID | None = None, **who: Any,
) -> Row:  # fmt: skip
    """Set a gap aside, call it resolved (by an article), or open it again. Raises NotFound."""
    values = {"id": gap_id, "status": status, "note": note, "article": article_id, "by": principal.user_id}
    async with database.connection(principal.tenant_id) as connection:
        await get_gap(connection, gap_id)
        if (await connection.execute(DECIDE, values)).rowcount:
            changes = {"note": note, "article_id": str(article_id) if article_id else None}
            await audit.write(connection, principal, ACTIONS[status], "gap", gap_id, changes=changes, **who)
        return await get_gap(connection, gap_id)


def _cursor_of(row: Row) -> str:
    return base64.urlsafe_b64encode(f"{row['questions']}~{row['id']}".encode()).decode()


def _read_cursor(cursor: str) -> tuple[int, UUID]:
    try:
        questions, _, last = base64.urlsafe_b64decode(cursor).decode("ascii").partition("~")
        if not questions.isdigit() or len(questions) > 9:
            raise ValueError
        return int(questions), UUID(last)
    except (ValueError, binascii.Error) as error:
        raise Invalid("the cursor is not one of this list") from error


LIST = f"""
with counted as (
    select q.gap_id, count(*) as questions, count(distinct q.session_id) as sessions,
           count(q.draft_id) as tickets, min(q.asked_at) as first_seen,
           max(q.asked_at) as last_seen, array_remove(array_agg(distinct q.language), '') as languages,
           count(*) filter (where q.reason = 'no_answer') as no_answer,
           count(*) filter (where q.reason = 'clarified') as clarified,
           count(*) filter (where q.reason = 'thumbs_down') as thumbs_down,
           count(*) filter (where q.reason = 'handed_over') as handed_over,
           count(*) filter (where q.reason = 'by_hand') as by_hand
    from kb_gap_questions q
    where q.tenant_id = current_tenant() and (%(id)s::uuid is null or q.gap_id = %(id)s)
          and (%(days)s::int is null or q.asked_at > clock_timestamp() - make_interval(days => %(days)s))
          and (%(language)s::text is null or q.language = %(language)s)
    group by q.gap_id),
page as (
    select g.id, g.status, g.article_id, g.note, g.decided_at, c.* from kb_gaps g join counted c on c.gap_id = g.id
    where g.tenant_id = current_tenant() and (%(status)s::text is null or g.status = %(status)s)
          and c.questions >= %(min_size)s
          and (%(questions)s::bigint is null or (c.questions, g.id) < (%(questions)s::bigint, %(last)s::uuid))
    order by c.questions desc, g.id desc limit %(limit)s)
select p.*, coalesce(e.examples, '{{}}') as examples from page p cross join lateral (
    select array_agg(x.question order by x.fit desc, x.id) as examples from (
        select q.fit, q.id, left({QUESTION}, 600) as question
        from kb_gap_questions q where q.tenant_id = current_tenant() and q.gap_id = p.id
        order by q.fit desc, q.id limit %(examples)s) x where x.question is not null) e
order by p.questions desc, p.id desc
"""
DECIDE = """
update kb_gaps set status = %(status)s, note = %(note)s, article_id = coalesce(%(article)s, article_id),
       decided_by = %(by)s, decided_at = clock_timestamp()
where tenant_id = current_tenant() and id = %(id)s
      and (status, note, article_id) is distinct from (%(status)s, %(note)s, coalesce(%(article)s::uuid, article_id))
"""
