"""Prompts: the library and the tenant's own, their versions, and which one answers. Read by colleagues, changed by admins."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, status

from api import PREFIX
from api.dependencies import Admin, Colleague, Res, trace
from api.errors import responses
from api.idempotency import IdempotentRoute
from api.schemas.common import Cursor, Limit, Page, page_of
from api.schemas.prompts import ActivateIn, DuplicateIn, PromptDiffOut, PromptEdit, PromptIn, PromptOut
from memory.errors import NotFound
from tools.prompts import choosing, versions
from tools.prompts.diffing import diff
from tools.prompts.versions import Whose, texts_of

router = APIRouter(prefix=f"{PREFIX}/prompts", tags=["prompts"], route_class=IdempotentRoute)


@router.get("", responses=responses(401, 403))
async def list_prompts(
    principal: Colleague, resources: Res, limit: Limit = 50, cursor: Cursor = None,
    whose: Annotated[Whose | None, Query(description="only your tenant's, or only the library")] = None,
) -> Page[PromptOut]:  # fmt: skip
    """The newest version of each prompt, your own and the global library."""
    async with resources.database.connection(principal.tenant_id) as connection:
        found = await versions.list_prompts(connection, whose=whose, before=cursor, limit=limit)
    return page_of([PromptOut.of(row) for row in found], limit, found[-1]["id"] if found else None)


@router.post("", status_code=status.HTTP_201_CREATED, responses=responses(401, 403, 409))
async def create_prompt(body: PromptIn, principal: Admin, resources: Res, request: Request) -> PromptOut:
    """A prompt of your own; it answers once a version of it is activated."""
    row = await versions.create_prompt(
        resources.database, principal, name=body.name, description=body.description, texts=body.texts,
        **trace(request),
    )  # fmt: skip
    return PromptOut.of(row)


@router.get("/active", responses=responses(401, 403, 404))
async def read_active(principal: Colleague, resources: Res) -> PromptOut:
    """The version that answers now: your active one, or else the global default."""
    async with resources.database.connection(principal.tenant_id) as connection:
        row = await versions.in_force(connection)
    if row is None:
        raise NotFound("no prompt was seeded yet; the built-in one answers")
    return PromptOut.of(row)


@router.get("/{version_id}", responses=responses(401, 403, 404))
async def read_prompt(version_id: UUID, principal: Colleague, resources: Res) -> PromptOut:
    async with resources.database.connection(principal.tenant_id) as connection:
        return PromptOut.of(await versions.get_version(connection, version_id))


@router.get("/{version_id}/versions", responses=responses(401, 403, 404))
async def list_versions(
    version_id: UUID, principal: Colleague, resources: Res, limit: Limit = 50, cursor: Cursor = None
) -> Page[PromptOut]:
    """Every version of the prompt that this one belongs to, newest first."""
    async with resources.database.connection(principal.tenant_id) as connection:
        found = await versions.list_versions(connection, version_id, before=cursor, limit=limit)
    return page_of([PromptOut.of(row) for row in found], limit, found[-1]["id"] if found else None)


@router.post(
    "/{version_id}/versions", status_code=status.HTTP_201_CREATED, responses=responses(401, 403, 404, 409)
)  # fmt: skip
async def edit_prompt(
    version_id: UUID, body: PromptEdit, principal: Admin, resources: Res, request: Request
) -> PromptOut:
    """Edit: the next version. 409 where this is no longer the newest one."""
    row = await versions.edit_prompt(
        resources.database, principal, version_id, body.changes(), note=body.note, **trace(request)
    )
    return PromptOut.of(row)


@router.get("/{version_id}/diff", responses=responses(401, 403, 404))
async def read_diff(
    version_id: UUID, principal: Colleague, resources: Res,
    against: Annotated[UUID | None, Query(description="default: the version that it was made from")] = None,
) -> PromptDiffOut:  # fmt: skip
    """What this version changed against another one, of this prompt or of any."""
    async with resources.database.connection(principal.tenant_id) as connection:
        after = await versions.get_version(connection, version_id)
        other = against or after["based_on"] or version_id
        before = await versions.get_version(connection, other)
    names = [f"{row['name']} {row['version']}" for row in (before, after)]
    found = diff(texts_of(before), texts_of(after), old_name=names[0], new_name=names[1])
    return PromptDiffOut(
        before=before["id"], after=after["id"], parts=found.parts, unified=found.unified, added=found.added,
        removed=found.removed,
    )  # fmt: skip


@router.post(
    "/{version_id}/duplicate", status_code=status.HTTP_201_CREATED, responses=responses(401, 403, 404, 409)
)  # fmt: skip
async def duplicate_prompt(
    version_id: UUID, principal: Admin, resources: Res, request: Request, body: DuplicateIn | None = None
) -> PromptOut:
    """A copy of your own to edit, from one of yours or from the global library."""
    name = body.name if body else None
    row = await versions.duplicate_prompt(resources.database, principal, version_id, name=name, **trace(request))
    return PromptOut.of(row)


@router.post("/{version_id}/activate", responses=responses(401, 403, 404, 409))
async def activate(
    version_id: UUID, principal: Admin, resources: Res, request: Request, body: ActivateIn | None = None
) -> PromptOut:
    """Let this version answer from the next message on. Your tenant may require a completed replay of it before (409
    `replay_required`)."""
    instead_of = body.instead_of if body else None
    row = await choosing.activate(resources.database, principal, version_id, instead_of=instead_of, **trace(request))
    return PromptOut.of(row)


@router.post("/{version_id}/deactivate", responses=responses(401, 403, 404))
async def deactivate(version_id: UUID, principal: Admin, resources: Res, request: Request) -> PromptOut:
    """Let the global default answer instead."""
    return PromptOut.of(await choosing.deactivate(resources.database, principal, version_id, **trace(request)))
