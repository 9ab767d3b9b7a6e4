"""What the routes of examples and corrections share: the filters of a list, and changes that the index follows."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query, Request

from agent.resources import Resources
from api.dependencies import trace
from api.schemas.common import CleanText, Cursor, Limit
from api.schemas.learning import LessonStatus
from memory.models import LearnedReply
from memory.tenancy import Principal
from tools.learning import managing
from tools.learning.lessons import LessonKind

Filters = dict[str, Any]


async def filters(
    limit: Limit = 20, cursor: Cursor = None,
    status: LessonStatus = "active",
    intent: Annotated[CleanText | None, Query(max_length=60)] = None,
    ticket_id: UUID | None = None, customer_id: UUID | None = None,
    q: Annotated[CleanText | None, Query(min_length=2, max_length=200, description="a piece of its text")] = None,
) -> Filters:  # fmt: skip
    return {
        "status": status, "intent": intent, "ticket_id": ticket_id, "customer_id": customer_id, "words": q,
        "before": cursor, "limit": limit,
    }  # fmt: skip


Asked = Annotated[Filters, Depends(filters)]


async def found(resources: Resources, principal: Principal, kind: LessonKind, asked: Filters) -> list[LearnedReply]:
    async with resources.database.connection(principal.tenant_id) as connection:
        return await managing.list_lessons(connection, managing.Wanted(kind=kind, **asked))


async def one(resources: Resources, principal: Principal, kind: LessonKind, lesson_id: UUID) -> LearnedReply:
    async with resources.database.connection(principal.tenant_id) as connection:
        return await managing.get_lesson(connection, kind, lesson_id)


async def changed(
    resources: Resources, request: Request, principal: Principal, kind: LessonKind, lesson_id: UUID,
    changes: dict[str, Any], version: int | None = None,
) -> LearnedReply:  # fmt: skip
    async with resources.database.connection(principal.tenant_id) as connection:
        lesson = await managing.change_lesson(
            connection, principal, kind, lesson_id, changes, version=version, **trace(request)
        )
    await resources.desk.changed(principal.tenant_id, lesson_id)
    return lesson


async def converted(
    resources: Resources, request: Request, principal: Principal, kind: LessonKind, lesson_id: UUID, *, reply: str = "",
    notes: str = "", version: int | None = None,
) -> LearnedReply:  # fmt: skip
    async with resources.database.connection(principal.tenant_id) as connection:
        lesson = await managing.convert(
            connection, principal, kind, lesson_id, reply=reply, notes=notes, version=version, **trace(request)
        )
    await resources.desk.changed(principal.tenant_id, lesson_id)
    return lesson
