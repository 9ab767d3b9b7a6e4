"""Lists of tickets: filters, search in subject and content, and pages that neither skip nor repeat.

Words are searched as people type them into search engines: all of them, "as a phrase", this or that, -not this. They are
read in the language of each ticket, as its text was. `#12` is the ticket of that number; 12 alone is also a word.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from memory.database import Connection
from memory.errors import Invalid
from tools.tickets.reading import LATE, SHOWN, WITH_NAMES

Sort = Literal["newest", "deadline"]
_NUMBER = re.compile(r"(#?)(\d{1,18})")
_WORDS = re.compile(r'(-?)(?:"([^"]*)"?|(\S+))')
_GLUE = re.compile(r"[-_./:@\\=<>#\"]+")
"""Parts what stands between is found by, as in `passage_words`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketFilters:
    """What a list shall hold; None and empty leave open."""

    customer_id: UUID | None = None
    statuses: tuple[str, ...] = ()
    priorities: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    tiers: tuple[int, ...] = ()
    intent: str | None = None
    department: str | None = None
    team: str | None = None
    assignee_id: UUID | None = None
    unassigned: bool = False
    session_id: UUID | None = None
    source: str | None = None
    late: bool | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    updated_from: datetime | None = None
    updated_to: datetime | None = None
    q: str = ""
    sort: Sort = "newest"
    cursor: str | None = None
    limit: int = 20


async def find_tickets(connection: Connection, filters: TicketFilters) -> tuple[list[dict[str, Any]], str | None]:
    """A page of tickets as colleagues see them, and the cursor of the next. Raises Invalid for a false cursor."""
    conditions, values = _conditions(filters)
    place = _read_cursor(filters.cursor, filters.sort) if filters.cursor else None
    if place:
        conditions.append(_AFTER[filters.sort, place[0] is not None])
        values |= {"after_deadline": place[0], "after_id": place[1]}
    query = f"{_FOUND} where {' and '.join(conditions)} {_ORDER[filters.sort]} limit %(limit)s"
    rows = await (
        await connection.execute(query, {**values, "q": words_of(filters.q), "limit": filters.limit})
    ).fetchall()
    full = len(rows) == filters.limit
    return rows, _cursor_of(rows[-1], filters.sort) if full else None


def _conditions(filters: TicketFilters) -> tuple[list[str], dict[str, Any]]:
    """Conditions for what is asked; each names its column itself, so that no input becomes a part of the query."""
    values = {name: getattr(filters, name) for name in CONDITIONS if getattr(filters, name) not in (None, (), "")}
    conditions = ["t.tenant_id = current_tenant()", *(CONDITIONS[name] for name in values)]
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    if filters.unassigned:
        conditions.append("t.assignee_id is null")
    if filters.late is not None:
        conditions.append(LATE if filters.late else f"not ({LATE})")
    if filters.q.strip():
        number = _NUMBER.fullmatch(filters.q.strip())
        values["number"] = int(number[2]) if number else None
        conditions.append("t.number = %(number)s" if number and number[1] else f"(t.number = %(number)s or {_MATCHES})")
    return conditions, values


def words_of(q: str) -> str:
    """The search as `websearch_to_tsquery` reads it, with glued words as phrases: that is how tickets are indexed."""
    found = []
    for sign, phrase, word in _WORDS.findall(q):
        parts = _GLUE.sub(" ", phrase or word).split()
        if parts:
            found.append(f'{sign}"{" ".join(parts)}"' if phrase or len(parts) > 1 else f"{sign}{parts[0]}")
    return " ".join(found)


def _cursor_of(row: dict[str, Any], sort: Sort) -> str:
    if sort == "newest":
        return str(row["id"])
    deadline = row["deadline"].isoformat() if row["deadline"] else ""
    return base64.urlsafe_b64encode(f"{deadline}~{row['id']}".encode()).decode()


def _read_cursor(cursor: str, sort: Sort) -> tuple[datetime | None, UUID]:
    try:
        if sort == "newest":
            return None, UUID(cursor)
        deadline, _, last = base64.urlsafe_b64decode(cursor).decode("ascii").partition("~")
        found = datetime.fromisoformat(deadline) if deadline else None
        if found and found.tzinfo is None:
            raise ValueError
        return found, UUID(last)
    except (ValueError, binascii.Error) as error:
        raise Invalid("the cursor is not one of this list") from error


_STEMMERS = {
    "en": "english", "de": "german", "fr": "french", "es": "spanish", "ru": "russian", "it": "italian",
    "pt": "portuguese", "nl": "dutch", "": "simple",
}  # fmt: skip
"""As in `passage_words`; other languages are searched by whole words."""
_ASKED = f"""
with asked as materialized (
    select {", ".join(f"websearch_to_tsquery('pg_catalog.{name}', %(q)s) as {name}" for name in _STEMMERS.values())}
)
"""
_CASES = " ".join(f"when '{code}' then asked.{name}" for code, name in _STEMMERS.items() if code)
_MATCHES = f"t.tsv @@ case coalesce(t.language, 'en') {_CASES} else asked.simple end"
_DEADLINE = """
case when t.status not in ('resolved', 'closed') and t.paused_at is null
     then least(case when t.first_responded_at is null then t.first_response_due end, t.resolution_due) end
"""
"""What is late stays on top: not the next clock, but the earliest that is not met."""
_FOUND = f"{_ASKED} select {SHOWN}, {_DEADLINE} as deadline from asked cross join {WITH_NAMES}"
_ORDER = {"newest": "order by t.id desc", "deadline": "order by deadline nulls last, t.id"}
_AFTER = {
    ("newest", False): "t.id < %(after_id)s",
    ("deadline", True): f"(({_DEADLINE}) is null or (({_DEADLINE}), t.id) > (%(after_deadline)s, %(after_id)s))",
    ("deadline", False): f"(({_DEADLINE}) is null and t.id > %(after_id)s)",
}
CONDITIONS = {
    "customer_id": "t.customer_id = %(customer_id)s",
    "statuses": "t.status = any(%(statuses)s)",
    "priorities": "t.priority = any(%(priorities)s)",
    "severities": "t.severity = any(%(severities)s)",
    "tiers": "t.tier = any(%(tiers)s)",
    "intent": "t.intent = %(intent)s",
    "department": "lower(t.department) = lower(%(department)s)",
    "team": "t.team = %(team)s",
    "assignee_id": "t.assignee_id = %(assignee_id)s",
    "session_id": "t.session_id = %(session_id)s",
    "source": "t.source = %(source)s",
    "created_from": "t.created_at >= %(created_from)s",
    "created_to": "t.created_at < %(created_to)s",
    "updated_from": "t.updated_at >= %(updated_from)s",
    "updated_to": "t.updated_at < %(updated_to)s",
}
