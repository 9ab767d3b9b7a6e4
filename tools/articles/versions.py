"""What an article's text was, and what changed between two of its versions, line by line."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from rapidfuzz.distance import Indel

from memory.database import Connection
from memory.errors import NotFound
from tools.articles.finding import Row

COMPARED = (
    "title", "category", "audience", "tags", "supersedes", "language", "effective_from", "effective_until", "label",
    "last_updated",
)  # fmt: skip
MOST_LINES = 10_000
"""Of either text; of a longer one it is only said that it was replaced. Comparing takes memory of their product."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Lines that went and lines that came in their place; lines are counted from 1."""

    from_line: int
    to_line: int
    removed: tuple[str, ...]
    added: tuple[str, ...]


async def list_versions(connection: Connection, article_id: UUID, *, before: UUID | None, limit: int) -> list[Row]:
    """Newest first, without their texts; of the tenant's own articles."""
    values = {"article": article_id, "before": before, "limit": limit}
    return await (await connection.execute(LIST, values)).fetchall()


async def compare(connection: Connection, article_id: UUID, *, older: int | None, newer: int | None) -> dict[str, Any]:
    """What changed from one version to another: by default from what holds to the newest, or else from the one before.

    Raises NotFound where the article has no such version.
    """
    row = await (await connection.execute(NUMBERS, (article_id,))).fetchone()
    if row is None:
        raise NotFound("no such article")
    to = newer if newer is not None else row["latest"]
    base = older if older is not None else row["version"] if row["version"] < to else max(1, to - 1)
    before, after = await _text(connection, article_id, base), await _text(connection, article_id, to)
    changes = await asyncio.to_thread(lambda: list(changed_lines(before["body"], after["body"])))
    fields = {name: {"from": before[name], "to": after[name]} for name in COMPARED if before[name] != after[name]}
    return {"from_version": base, "to_version": to, "fields": fields, "changes": changes}


def changed_lines(before: str, after: str) -> Iterator[Change]:
    """The shortest way from one text to the other in whole lines."""
    old, new = before.split("\n"), after.split("\n")
    if max(len(old), len(new)) > MOST_LINES:
        if old != new:
            yield Change(from_line=1, to_line=1, removed=tuple(old), added=tuple(new))
        return
    for start, end, other, other_end in _blocks(old, new):
        yield Change(
            from_line=start + 1, to_line=other + 1, removed=tuple(old[start:end]), added=tuple(new[other:other_end])
        )


def _blocks(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    """Runs of deletions and insertions that touch each other, as one."""
    run: tuple[int, int, int, int] | None = None
    for step in Indel.opcodes(old, new):
        if step.tag == "equal":
            if run:
                yield run
            run = None
        elif run:
            run = (run[0], step.src_end, run[2], step.dest_end)
        else:
            run = (step.src_start, step.src_end, step.dest_start, step.dest_end)
    if run:
        yield run


async def _text(connection: Connection, article_id: UUID, version: int) -> Row:
    row = await (await connection.execute(TEXT, (article_id, version))).fetchone()
    if row is None:
        raise NotFound("no such version")
    return row


LIST = """
select v.id, v.version, v.title, v.label, v.author, v.note, v.created_at, length(v.body) as length,
       a.status = 'published' and a.version = v.version as published, a.draft is not distinct from v.version as draft
from kb_article_versions v join kb_articles a on a.tenant_id = v.tenant_id and a.id = v.article_id
where v.tenant_id = current_tenant() and v.article_id = %(article)s and (%(before)s::uuid is null or v.id < %(before)s)
order by v.id desc limit %(limit)s
"""
NUMBERS = "select version, latest from kb_articles where id = %s and tenant_id = current_tenant()"
TEXT = f"""
select body, {", ".join(COMPARED)} from kb_article_versions
where article_id = %s and version = %s and tenant_id = current_tenant()
"""
