"""What relied on an article: which answers, replies, drafts and learned texts, and whose proof is gone.

Every answer keeps the passages that it quoted, word for word. A quote still stands where its words follow each other in
the text that holds now; headings, marks and line breaks do not count, so an article may be cut, ordered and formatted
anew. Where the article was withdrawn, replaced or has expired, none of its quotes stands. Only what quoted something that
no longer stands is affected: the rest of what relied on the article needs no look.

Searches kept by the cache are not listed: the revision in their keys makes them unreachable with the change itself.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from kbs.articles.rows import article_text, validity
from memory.database import Connection
from memory.models import GLOBAL_TENANT
from memory.tenancy import Principal
from tools.articles.finding import enabled_collections, must_be_readable
from tools.articles.shelf import Shelf

Kind = Literal["answer", "ticket_reply", "draft", "example", "correction"]
Standing = Literal["published", "draft", "withdrawn", "deleted", "replaced", "expired"]
Row = dict[str, Any]
MOST_SENTENCES = 5
SHORTEST = 3
"""Words of a sentence that is looked for in an answer; shorter ones are in every text."""

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}#{1,6}(?:\s|$)")
_WORD = re.compile(r"\w+|[%€$£=<>≤≥±]")
_TABLE = re.compile(r"[\s|:-]*-[\s|:-]*")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class RelianceFilters:
    """Which of what relied on the article to list."""

    since_version: int = 1
    """Only what quoted this version or a newer one."""
    unaffected: bool = False
    """Also what quoted nothing that is gone."""
    kind: Kind | None = None
    before: UUID | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliance:
    """A page of what relied on the article, newest first, with the counts of all of it by kind."""

    standing: Standing
    version: int | None
    items: list[Row]
    counts: dict[Kind, dict[str, int]]


class Text:
    """The text that holds, as quotes are looked up in it."""

    def __init__(self, markdown: str) -> None:
        self._with_headings = words_of(markdown, headings=True)
        self._without = words_of(markdown, headings=False)

    def has(self, quote: str) -> bool:
        """Whether the words of the quote follow each other in it."""
        header, rest = _parted_table(quote)
        return all(self._follows(words_of(part, headings=True)) for part in (header, rest))

    def _follows(self, words: str) -> bool:
        return words in self._without or words in self._with_headings


async def relied_on(shelf: Shelf, principal: Principal, article_id: UUID, filters: RelianceFilters) -> Reliance:
    """Raises NotFound for an article that the caller can't read."""
    enabled = await enabled_collections(shelf.database, principal)
    async with shelf.knowledge.connection(principal.tenant_id) as connection:
        article = await must_be_readable(connection, enabled, article_id)
        standing, text = await _current(connection, principal, article)
    async with shelf.database.connection(principal.tenant_id) as connection:
        values = {"article": article_id, "since": filters.since_version}
        quotes = await (await connection.execute(QUOTES, values)).fetchall()
        gone = [row["passage_digest"] for row in quotes if text is None or not text.has(row["quoted"])]
        values |= {
            "gone": gone, "unaffected": filters.unaffected, "kind": filters.kind, "before": filters.before,
            "limit": filters.limit,
        }  # fmt: skip
        found = await (await connection.execute(LIST, values)).fetchall()
        counted = await (await connection.execute(COUNTS, values)).fetchall()
    items = [row | {"says": list(_still_said(row, text))} for row in found]
    counts = {row["kind"]: {"affected": row["affected"], "all": row["everything"]} for row in counted}
    return Reliance(standing=standing, version=article["published_version"], items=items, counts=counts)


def words_of(markdown: str, *, headings: bool) -> str:
    """The words of a text in order, each between spaces; without fences, and without headings unless they are wanted."""
    words: list[str] = []
    fence = ""
    for line in markdown.split("\n"):
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        elif headings or fence or not _HEADING.match(line):
            words += _WORD.findall(line.lower())
    return f" {' '.join(words)} " if words else ""


def _parted_table(quote: str) -> tuple[str, str]:
    """A part of a table begins with the table's header, whatever stood before its rows."""
    lines = quote.split("\n")
    if len(lines) > 2 and "|" in lines[0] and _TABLE.fullmatch(lines[1]):
        return lines[0], "\n".join(lines[2:])
    return "", quote


async def _current(connection: Connection, principal: Principal, article: Row) -> tuple[Standing, Text | None]:
    """How the article stands now, and the text that answers may quote; None where they may quote nothing of it."""
    owner = GLOBAL_TENANT if article["owner"] == "global" else principal.tenant_id
    if article["status"] != "published":
        return article["status"], None
    valid = (await validity(connection, owner, (article["ref"],)))[article["ref"]]
    if not valid.active or (article["owner"] == "global" and await _is_hidden(connection, article["ref"])):
        return "replaced", None
    if valid.until and valid.until <= datetime.now(UTC):
        return "expired", None
    found = await article_text(connection, owner, article["id"], article["published_version"])
    return "published", Text(found.body) if found else None


async def _is_hidden(connection: Connection, ref: str) -> bool:
    """Whether an article of the tenant's own replaces this global one."""
    return await (await connection.execute(HIDDEN, (ref,))).fetchone() is not None


def _still_said(row: Row, text: Text | None) -> Iterator[str]:
    """Sentences of the quotes that are gone from the article, and that the answer says word for word."""
    said = words_of(row["text"], headings=True)
    found = 0
    for sentence in _sentences(row["quotes"] or []):
        words = words_of(sentence, headings=True)
        if len(words.split()) >= SHORTEST and words in said and (text is None or not text.has(sentence)):
            yield sentence
            found += 1
            if found == MOST_SENTENCES:
                return


def _sentences(quotes: Sequence[str]) -> Iterator[str]:
    for quote in quotes:
        yield from (sentence.strip() for sentence in _SENTENCE.split(quote) if sentence.strip())


HIDDEN = "select 1 from knowledge_revisions where tenant_id = current_tenant() and %s = any(replaced)"
QUOTES = """
select passage_digest, max(quoted) as quoted from kb_references
where tenant_id = current_tenant() and article_id = %(article)s and version >= %(since)s group by passage_digest
"""
_RELIED = """
with refs as (
    select message_id, draft_id, version, quoted, passage_digest = any(%(gone)s::text[]) as gone from kb_references
    where tenant_id = current_tenant() and article_id = %(article)s and version >= %(since)s),
relied as (
    select 'answer' as kind, r.message_id as id, r.version, r.quoted, r.gone from refs r where r.message_id is not null
    union all
    select 'draft', d.id, r.version, r.quoted, r.gone from refs r join drafts d on d.id = r.draft_id
    where d.tenant_id = current_tenant() and d.status = 'pending'
    union all
    select 'ticket_reply', a.id, r.version, r.quoted, r.gone from refs r join approved_replies a on a.draft_id = r.draft_id
    where a.tenant_id = current_tenant() and a.sending <> 'failed'
    union all
    select l.kind, l.id, r.version, r.quoted, r.gone from refs r join approved_replies a on a.draft_id = r.draft_id
    join learned_replies l on l.approved_reply_id = a.id and l.tenant_id = a.tenant_id
    where a.tenant_id = current_tenant() and l.status = 'active'),
items as (
    select kind, id, max(version) as version, bool_or(gone) as affected,
           array_agg(distinct quoted) filter (where gone) as quotes
    from relied group by kind, id)
"""
LIST = f"""
{_RELIED},
page as (
    select * from items
    where (affected or %(unaffected)s) and (%(kind)s::text is null or kind = %(kind)s)
          and (%(before)s::uuid is null or id < %(before)s)
    order by id desc limit %(limit)s)
select p.*, m.session_id, coalesce(d.ticket_id, a.ticket_id, l.ticket_id) as ticket_id,
       coalesce(m.content, d.content, a.content, nullif(l.reply, ''), l.text, '') as text,
       coalesce(m.created_at, d.created_at, a.sent_at, a.created_at, l.created_at) as written_at,
       case p.kind when 'answer' then 'sent' when 'draft' then 'open' when 'ticket_reply' then a.sending
                   else 'active' end as state
from page p
left join chat_messages m on p.kind = 'answer' and m.id = p.id and m.tenant_id = current_tenant()
left join drafts d on p.kind = 'draft' and d.id = p.id and d.tenant_id = current_tenant()
left join approved_replies a on p.kind = 'ticket_reply' and a.id = p.id and a.tenant_id = current_tenant()
left join learned_replies l on p.kind in ('example', 'correction') and l.id = p.id and l.tenant_id = current_tenant()
order by p.id desc
"""
COUNTS = f"""
{_RELIED}
select kind, count(*) filter (where affected) as affected, count(*) as everything from items group by kind
"""
