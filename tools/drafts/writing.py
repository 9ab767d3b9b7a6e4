"""A composed draft becomes a row, with the passages that it rests on. At most one of a ticket waits for a decision."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from kbs.passages import Passage
from memory.database import Connection
from memory.errors import Conflict
from memory.models import new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDraft:
    """What is kept of a composed draft."""

    ticket_id: UUID
    content: str
    marked: str
    question: str
    answers_event_id: UUID
    created_by: str
    sources: Sequence[Passage]
    created_at: datetime | None = None
    """When its ticket was read; else now."""
    language: str | None = None
    instruction: str = ""
    prompt_version_id: UUID | None = None
    model: str = ""
    intent: str | None = None
    severity: str = "LOW"
    tier: int = 0
    score: int = 0
    level: str = "very_low"
    confidence: dict[str, Any] = field(default_factory=dict)
    warnings: dict[str, Any] = field(default_factory=dict)
    steps_ms: dict[str, Any] = field(default_factory=dict)
    usage: dict[str, Any] = field(default_factory=dict)
    lookups: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A draft that waits, as it was seen."""

    id: UUID
    version: int
    created_by: str
    outdated: bool


async def put_draft(connection: Connection, tenant_id: UUID, new: NewDraft, *, replaces: Waiting | None) -> UUID | None:
    """Keep a draft and return its id; None where another one of the ticket waits already. The one that it replaces ends.

    Raises Conflict where that one was decided about or changed meanwhile.
    """
    if replaces:
        ended = await connection.execute(SUPERSEDE, (replaces.id, replaces.version))
        if not ended.rowcount:
            raise Conflict("somebody has decided about this draft meanwhile, or has had it written again")
    draft_id = new_id()
    columns = {name: getattr(new, name) for name in COLUMNS}
    jsons = {name: Jsonb(value) for name, value in columns.items() if isinstance(value, dict | list)}
    values = {**columns, **jsons, "id": draft_id, "tenant_id": tenant_id, "created_at": new.created_at}
    values["replaces"] = replaces.id if replaces else None
    inserted = await connection.execute(INSERT, values)
    if not inserted.rowcount:
        return None
    for rank, passage in enumerate(new.sources, 1):
        reference = (
            new_id(), tenant_id, draft_id, passage.article_id, passage.ref, passage.title, passage.version,
            passage.digest, passage.text, rank, passage.score, passage.origin,
        )  # fmt: skip
        await connection.execute(REFERENCE, reference)
    return draft_id


COLUMNS = (
    "ticket_id", "content", "marked", "question", "answers_event_id", "created_by", "language", "instruction",
    "prompt_version_id", "model", "intent", "severity", "tier", "score", "level", "confidence", "warnings", "steps_ms",
    "usage", "lookups",
)  # fmt: skip
_ALL = ("id", "tenant_id", "replaces", *COLUMNS)
SUPERSEDE = """
update drafts set status = 'superseded', version = version + 1, decided_at = now()
where id = %s and tenant_id = current_tenant() and status = 'pending' and version = %s
"""
INSERT = f"""
insert into drafts ({", ".join(_ALL)}, created_at, status, version, reason)
values ({", ".join(f"%({name})s" for name in _ALL)}, coalesce(%(created_at)s, now()), 'pending', 1, '')
on conflict (ticket_id) where status = 'pending' do nothing
"""
REFERENCE = """
insert into kb_references (id, tenant_id, draft_id, article_id, ref, title, version, passage_digest, quoted, rank,
                           score, source)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
