"""Examples and corrections in the hands of an admin: found, edited, taken out of training, turned into each other.

Every change is of the row, whose version rises; the index is brought up to it afterwards. What an admin types is
redacted as what was learned is: no customer's address gets in by hand, and what is public of the team stays.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from memory import audit
from memory.database import Connection
from memory.errors import Conflict, Invalid, NotFound
from memory.models import LearnedReply
from memory.tenancy import Principal
from tools.contacts import NOTHING_PUBLIC, Contacts
from tools.learning.lessons import LessonKind
from tools.learning.public import without_customers
from tools.learning.redaction import redact
from tools.learning.texts import text_of, title_of, without_headings

PARTS = ("subject", "issue", "wrong", "reply", "notes")


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonFilters:
    """What a list shall hold; None leaves open."""

    kind: LessonKind
    status: str | None = "active"
    intent: str | None = None
    ticket_id: UUID | None = None
    customer_id: UUID | None = None
    words: str | None = None
    """Of subject, issue or reply, as one piece."""
    before: UUID | None = None
    limit: int = 20


async def list_lessons(connection: Connection, filters: LessonFilters) -> list[LearnedReply]:
    """Newest first."""
    values = {name: getattr(filters, name) for name in (*CONDITIONS, "kind", "limit")}
    conditions = [condition for name, condition in CONDITIONS.items() if values[name] is not None]
    query = LIST.format(conditions="".join(f" and {condition}" for condition in conditions))
    return [LearnedReply(**row) for row in await (await connection.execute(query, values)).fetchall()]


async def get_lesson(connection: Connection, kind: LessonKind, lesson_id: UUID, *, lock: bool = False) -> LearnedReply:
    """One of this kind, whatever its status. Raises NotFound."""
    query = f"{GET} for update" if lock else GET
    row = await (await connection.execute(query, (lesson_id, kind))).fetchone()
    if row is None:
        raise NotFound(f"no such {kind}")
    return LearnedReply(**row)


async def change_lesson(
    connection: Connection, principal: Principal, kind: LessonKind, lesson_id: UUID, changes: dict[str, Any], *,
    version: int | None = None, public: Contacts = NOTHING_PUBLIC, **trace: Any,
) -> LearnedReply:  # fmt: skip
    """Edit its parts, or take it out of training and back. Raises NotFound, Conflict, and Invalid for a part that this
    kind does not have."""
    lesson = await _held(connection, kind, lesson_id, version)
    if kind == "example" and (changes.get("wrong") or changes.get("notes")):
        raise Invalid("an example has no wrong reply and no notes; turn it into a correction")
    before = {name: getattr(lesson, name) for name in changes}
    texts = {name: value for name, value in changes.items() if name in PARTS}
    known = await without_customers(connection, public, texts.values(), lesson.customer_id)
    lesson.sqlmodel_update({**changes, **{name: redact(text, public=known) for name, text in texts.items()}})
    changed = sorted(name for name in changes if getattr(lesson, name) != before[name])
    if changed:
        await _save(connection, principal, lesson)
        told = {name: getattr(lesson, name) if name == "status" else "changed" for name in changed}
        await audit.write(connection, principal, f"{kind}.changed", kind, lesson_id, changes=told, **trace)
    return await get_lesson(connection, kind, lesson_id)


async def convert(
    connection: Connection, principal: Principal, kind: LessonKind, lesson_id: UUID, *, reply: str, notes: str,
    version: int | None = None, public: Contacts = NOTHING_PUBLIC, **trace: Any,
) -> LearnedReply:  # fmt: skip
    """Turn an example into a correction, where `reply` is what should have been said and its own reply was wrong; or a
    correction into an example of its correct reply, or of another one. Raises NotFound, Conflict and Invalid."""
    lesson = await _held(connection, kind, lesson_id, version)
    known = await without_customers(connection, public, (reply, notes), lesson.customer_id)
    given, why = redact(reply, public=known), redact(notes, public=known)
    if kind == "example":
        if not given or given == lesson.reply:
            raise Invalid("a correction needs another reply than the one that was wrong")
        lesson.sqlmodel_update({"kind": "correction", "wrong": lesson.reply, "reply": given, "notes": why})
    else:
        lesson.sqlmodel_update({"kind": "example", "wrong": "", "reply": given or lesson.reply, "notes": ""})
    await _save(connection, principal, lesson)
    told = {"kind": lesson.kind}
    await audit.write(connection, principal, f"{kind}.converted", kind, lesson_id, changes=told, **trace)
    return await get_lesson(connection, "correction" if kind == "example" else "example", lesson_id)


async def _held(connection: Connection, kind: LessonKind, lesson_id: UUID, version: int | None) -> LearnedReply:
    lesson = await get_lesson(connection, kind, lesson_id, lock=True)
    if version is not None and version != lesson.version:
        raise Conflict(f"somebody has changed this {kind} meanwhile; its version is {lesson.version}")
    return lesson


async def _save(connection: Connection, principal: Principal, lesson: LearnedReply) -> None:
    lesson.sqlmodel_update({name: without_headings(getattr(lesson, name)) for name in ("subject", "issue")})
    parts = {name: getattr(lesson, name) for name in PARTS}
    values = {
        **parts, "id": lesson.id, "kind": lesson.kind, "status": lesson.status, "by": principal.user_id,
        "title": title_of(lesson.subject), "text": text_of(lesson.kind, **parts),
    }  # fmt: skip
    await connection.execute(SAVE, values)


CONDITIONS = {
    "status": "status = %(status)s",
    "intent": "intent = %(intent)s",
    "ticket_id": "ticket_id = %(ticket_id)s",
    "customer_id": "customer_id = %(customer_id)s",
    "words": "(strpos(lower(subject || ' ' || issue || ' ' || reply), lower(%(words)s)) > 0)",
    "before": "id < %(before)s",
}
LIST = """
select * from learned_replies where tenant_id = current_tenant() and kind = %(kind)s{conditions}
order by id desc limit %(limit)s
"""
GET = "select * from learned_replies where id = %s and kind = %s and tenant_id = current_tenant()"
SAVE = """
update learned_replies set kind = %(kind)s, status = %(status)s, title = %(title)s, text = %(text)s,
    subject = %(subject)s, issue = %(issue)s, wrong = %(wrong)s, reply = %(reply)s, notes = %(notes)s,
    version = version + 1, changed_by = %(by)s, updated_at = now()
where id = %(id)s and tenant_id = current_tenant()
"""
