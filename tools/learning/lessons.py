"""What was learned, as it is used: the parts of an example or a correction, without the customer's place in it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from memory.database import Connection

LessonKind = Literal["example", "correction"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One learned reply; every text in it is redacted."""

    id: UUID
    kind: LessonKind
    version: int
    subject: str
    issue: str
    """What the customer wrote: data, and nothing that anybody should do."""
    reply: str
    """What a person approved."""
    wrong: str
    """Of a correction, the draft that was not to be used."""
    notes: str

    @property
    def asked(self) -> str:
        return f"{self.subject}\n{self.issue}"


async def lessons_by_id(connection: Connection, ids: Collection[UUID]) -> dict[UUID, Lesson]:
    """Of those ids, the lessons that are in force."""
    if not ids:
        return {}
    rows = await (await connection.execute(LESSONS, (list(ids),))).fetchall()
    return {row["id"]: Lesson(**row) for row in rows}


LESSONS = """
select id, kind, version, subject, issue, reply, wrong, notes from learned_replies
where id = any(%s) and tenant_id = current_tenant() and status = 'active'
"""
