"""The article that a gap asks for, as a draft for a person to edit: from what colleagues answered in these conversations
and on the tickets that were solved.

What belongs to one person is taken out first and leaves a mark. With a model the draft is written by it, and what it
wrote goes through the same; without one, or where it is away, the questions and the answers are set in order. Customers'
and colleagues' words are material: the model is told so, and nothing is published without a person.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from kbs.articles.reading import ArticleFile, BadArticle, tidy
from memory.errors import Conflict
from memory.tenancy import Principal
from tools.articles import removing, writing
from tools.articles.shelf import Shelf
from tools.contacts import Contacts
from tools.gaps.clustering import Groups, assign
from tools.gaps.listing import get_gap
from tools.learning.public import public_contacts
from tools.learning.redaction import redact

COLLECTION = "articles"
TAG = "gap"
MOST_REPLIES = 60
LONGEST_REPLY = 4000
LONGEST_TITLE = 120
SHOWN_QUESTIONS = 8

Writer = Callable[["Material"], Awaitable[str | None]]
"""Writes the article in Markdown, its title as first heading; None where it cannot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What there is about the matter, with nothing of one person in it."""

    questions: tuple[str, ...]
    replies: tuple[tuple[str, int], ...]
    """What colleagues answered, with how often nearly the same was said; the most frequent first."""


async def draft_article(
    shelf: Shelf, principal: Principal, gap_id: UUID, *, write: Writer | None = None, **who: Any
) -> UUID:
    """Draft the article of a gap; its id. Raises NotFound, and Conflict where there is one already."""
    async with shelf.database.connection(principal.tenant_id) as connection:
        gap = await get_gap(connection, gap_id)
    await _must_have_none(shelf, principal, gap["article_id"])
    public = await public_contacts(shelf.database, shelf.knowledge, principal.tenant_id)
    public = replace(public, domains=frozenset())  # who of all these is a customer with a mailbox there is not asked
    material = await _material(shelf, principal, gap, public)
    text = await write(material) if write else None
    title, body = parted(redact(text, public=public)) if text else ("", "")
    article = ArticleFile(
        path="", ref="", title=title or title_of(material), body=tidied(body) or set_in_order(material), tags=(TAG,),
        language="",
    )  # fmt: skip
    note = f"drafted from {gap['questions']} questions and {len(material.replies)} answers of colleagues"
    article_id = await writing.create(shelf, principal, article, collection=COLLECTION, publish=False, note=note, **who)
    async with shelf.database.connection(principal.tenant_id) as connection:
        values = {"id": gap_id, "article": article_id, "before": gap["article_id"]}
        first = (await connection.execute(NAME, values)).rowcount
    if not first:
        await removing.delete(shelf, principal, article_id, **who)
        raise Conflict(ALREADY)
    return article_id


def set_in_order(material: Material) -> str:
    """The questions, and what colleagues answered, for a person to make an article of."""
    lines = ["## Questions", *(f"- {_one_line(question)}" for question in material.questions), "", "## Answers"]
    for reply, times in material.replies:
        lines += ["", *([f"Said {times} times:", ""] if times > 1 else []), reply]
    if not material.replies:
        lines += ["", "No colleague has answered this yet."]
    return "\n".join(lines)


def title_of(material: Material) -> str:
    question = _one_line(material.questions[0]) if material.questions else "A question without an answer"
    return question if len(question) <= LONGEST_TITLE else f"{question[: LONGEST_TITLE - 1].rstrip()}…"


def parted(text: str) -> tuple[str, str]:
    """A text's title, where it begins with a heading, and the rest."""
    first, _, rest = text.strip().partition("\n")
    if first.startswith("#"):
        return " ".join(first.lstrip("#").split())[:LONGEST_TITLE], rest.strip()
    return "", text.strip()


def tidied(body: str) -> str:
    """Empty for what can't be an article's text."""
    try:
        return tidy(body, "draft").strip()[: writing.LONGEST_BODY]
    except BadArticle:
        return ""


async def _must_have_none(shelf: Shelf, principal: Principal, article_id: UUID | None) -> None:
    """Raises Conflict for a gap that has an article, unless that was deleted."""
    async with shelf.knowledge.connection(principal.tenant_id) as connection:
        if article_id and await (await connection.execute(STANDS, (article_id,))).fetchone():
            raise Conflict(ALREADY)


async def _material(shelf: Shelf, principal: Principal, gap: dict[str, Any], public: Contacts) -> Material:
    async with shelf.database.connection(principal.tenant_id) as connection:
        rows = await (await connection.execute(REPLIES, {"gap": gap["id"], "most": MOST_REPLIES})).fetchall()
        named = await (await connection.execute(NAMES, {"gap": gap["id"]})).fetchall()
    names = sorted({row["name"] for row in named if row["name"].strip()}, key=len, reverse=True)
    replies = [redact(row["text"][:LONGEST_REPLY].strip(), names=names, public=public) for row in rows]
    questions = [redact(question, names=names, public=public) for question in gap["examples"]]
    return Material(
        questions=tuple(dict.fromkeys(questions))[:SHOWN_QUESTIONS], replies=await _distinct(shelf, replies)
    )


async def _distinct(shelf: Shelf, replies: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """One of each group of replies that say nearly the same, the longest, with the size of its group."""
    replies = [reply for reply in replies if reply]
    if not replies:
        return ()
    vectors = await shelf.library.embedder.embed_texts(list(replies))
    labels = assign(Groups.none(vectors.shape[1]), vectors).tolist()
    groups: dict[int, list[str]] = {}
    for label, reply in zip(labels, replies, strict=True):
        groups.setdefault(label, []).append(reply)
    found = [(max(group, key=len), len(group)) for group in groups.values()]
    return tuple(sorted(found, key=lambda each: -each[1]))


def _one_line(text: str) -> str:
    return " ".join(text.split())


ALREADY = "an article was drafted for this gap, or answers it, already"
STANDS = "select 1 from kb_articles where id = %s and status <> 'deleted'"
"""Of the tenant or of everyone, as row-level security shows them."""
_ASKED = """
asked as (
    select q.session_id, q.draft_id, coalesce(max(m.n), 0) as n from kb_gap_questions q
    left join chat_messages m on m.tenant_id = q.tenant_id and m.turn_id = q.turn_id
    where q.tenant_id = current_tenant() and q.gap_id = %(gap)s group by q.id
    order by q.id desc limit 500)
"""
REPLIES = f"""
with {_ASKED},
told as (
    select m.content as text, m.created_at from (select session_id, min(n) as n from asked group by session_id) a
    join chat_messages m on m.tenant_id = current_tenant() and m.session_id = a.session_id and m.author = 'agent'
        and m.n > a.n
    union all
    select e.data ->> 'text', e.created_at from (select distinct session_id from asked) a
    join tickets t on t.tenant_id = current_tenant() and t.session_id = a.session_id
        and t.status in ('resolved', 'closed')
    join ticket_events e on e.tenant_id = t.tenant_id and e.ticket_id = t.id and e.type = 'reply'
        and e.data ->> 'author' = 'agent'
    union all
    select e.data ->> 'text', e.created_at from asked a
    join drafts d on d.tenant_id = current_tenant() and d.id = a.draft_id
    join tickets t on t.tenant_id = d.tenant_id and t.id = d.ticket_id and t.status in ('resolved', 'closed')
    join ticket_events e on e.tenant_id = t.tenant_id and e.ticket_id = t.id and e.type = 'reply'
        and e.data ->> 'author' = 'agent' and e.created_at > d.created_at
    union all
    select m.content, m.created_at from asked a
    join drafts d on d.tenant_id = current_tenant() and d.id = a.draft_id
    join tickets t on t.tenant_id = d.tenant_id and t.id = d.ticket_id and t.status in ('resolved', 'closed')
    join chat_messages m on m.tenant_id = t.tenant_id and m.session_id = t.session_id and m.author = 'agent'
        and m.created_at > d.created_at)
select text, max(created_at) as created_at from told where btrim(text) <> ''
group by text order by created_at desc limit %(most)s
"""
NAMES = f"""
with {_ASKED}
select distinct c.name from asked a join chat_sessions s on s.tenant_id = current_tenant() and s.id = a.session_id
join customers c on c.tenant_id = s.tenant_id and c.id = s.customer_id where c.name <> ''
union
select distinct c.name from asked a join drafts d on d.tenant_id = current_tenant() and d.id = a.draft_id
join tickets t on t.tenant_id = d.tenant_id and t.id = d.ticket_id
join customers c on c.tenant_id = t.tenant_id and c.id = t.customer_id where c.name <> ''
union
select distinct u.name from users u where u.tenant_id = current_tenant() and u.name <> ''
"""
NAME = """
update kb_gaps set article_id = %(article)s, updated_at = clock_timestamp()
where tenant_id = current_tenant() and id = %(id)s and article_id is not distinct from %(before)s::uuid
"""
