"""What the routes of examples and corrections share: list, read, remove and rebuild, and changes that the index follows."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response, status

from agent.resources import Resources
from api import PREFIX
from api.dependencies import Admin, Colleague, Res, trace
from api.errors import responses
from api.idempotency import IdempotentRoute
from api.paths import segment
from api.schemas.common import CleanText, Cursor, Limit, Page, page_of
from api.schemas.learning import ExampleOut, LessonStatus, RebuildOut
from memory.models import LearnedReply
from memory.tenancy import Principal
from tools.contacts import NOTHING_PUBLIC
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


def routes_of(kind: LessonKind, out: type[ExampleOut], page: type[Page[Any]]) -> APIRouter:
    """What colleagues and admins do with either kind; what an edit and a conversion are given differs."""
    router = APIRouter(prefix=f"{PREFIX}/{kind}s", tags=[f"{kind}s"], route_class=IdempotentRoute)
    one_of_them = segment(f"{kind}_id")
    lesson_id_in_path = Path(alias=f"{kind}_id")

    @router.get("", name=f"list_{kind}s", response_model=page, responses=responses(401, 403))
    async def list_lessons(principal: Colleague, resources: Res, asked: Asked) -> Any:
        """Newest first."""
        async with resources.database.connection(principal.tenant_id) as connection:
            found = await managing.list_lessons(connection, managing.LessonFilters(kind=kind, **asked))
        return page_of([out.of(lesson) for lesson in found], asked["limit"], found[-1].id if found else None)

    @router.post("/rebuild", status_code=status.HTTP_202_ACCEPTED, responses=responses(401, 403))
    async def rebuild(principal: Admin, resources: Res, request: Request) -> RebuildOut:
        """Have all of them indexed anew, in the background."""
        return RebuildOut(queued=await resources.desk.rebuild(principal, kind, **trace(request)))

    @router.get(one_of_them, response_model=out, responses=responses(401, 403, 404))
    async def read(lesson_id: Annotated[UUID, lesson_id_in_path], principal: Colleague, resources: Res) -> ExampleOut:
        async with resources.database.connection(principal.tenant_id) as connection:
            return out.of(await managing.get_lesson(connection, kind, lesson_id))

    @router.delete(one_of_them, status_code=status.HTTP_204_NO_CONTENT, responses=responses(401, 403, 404))
    async def remove(
        lesson_id: Annotated[UUID, lesson_id_in_path], principal: Admin, resources: Res, request: Request
    ) -> Response:
        """Take it out of training; it stays to be read, and can be taken back in."""
        await changed(resources, request, principal, kind, lesson_id, {"status": "removed"})
        return Response(status_code=status.HTTP_204_NO_CONTENT)

    return router


async def changed(
    resources: Resources, request: Request, principal: Principal, kind: LessonKind, lesson_id: UUID,
    changes: dict[str, Any], version: int | None = None,
) -> LearnedReply:  # fmt: skip
    written = not changes.keys().isdisjoint(managing.PARTS)
    public = await resources.desk.public(principal.tenant_id) if written else NOTHING_PUBLIC
    async with resources.database.connection(principal.tenant_id) as connection:
        lesson = await managing.change_lesson(
            connection, principal, kind, lesson_id, changes, version=version, public=public, **trace(request)
        )
    await resources.desk.changed(principal.tenant_id, lesson_id)
    return lesson


async def converted(
    resources: Resources, request: Request, principal: Principal, kind: LessonKind, lesson_id: UUID, *, reply: str = "",
    notes: str = "", version: int | None = None,
) -> LearnedReply:  # fmt: skip
    public = await resources.desk.public(principal.tenant_id)
    async with resources.database.connection(principal.tenant_id) as connection:
        lesson = await managing.convert(
            connection,
            principal,
            kind,
            lesson_id,
            reply=reply,
            notes=notes,
            version=version,
            public=public,
            **trace(request),
        )
    await resources.desk.changed(principal.tenant_id, lesson_id)
    return lesson
