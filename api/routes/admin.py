"""What admins manage: users and their roles, API keys, and the tenant's settings. Every change is in the audit log."""

from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Request, status

from api import PREFIX
from api.dependencies import Admin, Res, trace
from api.errors import responses
from api.idempotency import IdempotentRoute
from api.schemas.common import Cursor, Limit, Page, page_of
from api.schemas.people import ApiKeyIn, ApiKeyOut, NewApiKeyOut, UserChange, UserIn, UserOut, role_of
from api.schemas.settings import SettingsChange, SettingsOut
from tools import tenants
from tools.identity import accounts, api_keys
from tools.search import check_collections

router = APIRouter(prefix=PREFIX, tags=["admin"], route_class=IdempotentRoute)


@router.get("/users", responses=responses(401, 403))
async def list_users(
    principal: Admin, resources: Res, kind: Literal["staff", "customers"] | None = None, limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[UserOut]:  # fmt: skip
    """Who has a password: colleagues, customers with an account, or both."""
    users = await accounts.list_users(resources.database, principal, kind=kind, before=cursor, limit=limit)
    return page_of([UserOut.model_validate(user) for user in users], limit, users[-1].id if users else None)


@router.post("/users", status_code=status.HTTP_201_CREATED, responses=responses(401, 403, 409))
async def add_user(body: UserIn, principal: Admin, resources: Res, request: Request) -> UserOut:
    user = await accounts.add_user(
        resources.database, principal, email=body.email, password=body.password, name=body.name,
        role=role_of(body.role), **trace(request),
    )  # fmt: skip
    return UserOut.model_validate(await accounts.get_user(resources.database, principal.tenant_id, user.id))


@router.get("/users/{user_id}", responses=responses(401, 403, 404))
async def read_user(user_id: UUID, principal: Admin, resources: Res) -> UserOut:
    return UserOut.model_validate(await accounts.get_user(resources.database, principal.tenant_id, user_id))


@router.patch("/users/{user_id}", responses=responses(401, 403, 404, 409))
async def change_user(user_id: UUID, body: UserChange, principal: Admin, resources: Res, request: Request) -> UserOut:
    """Change a name, role, audience, teams, availability or the active flag; a role or that flag ends older tokens."""
    changes = body.model_dump(exclude_unset=True, exclude_none=True)
    if body.role is not None:
        changes["role"] = role_of(body.role)
    user = await accounts.change_user(resources.database, principal, user_id, changes, **trace(request))
    return UserOut.model_validate(user)


@router.get("/api-keys", responses=responses(401, 403))
async def list_api_keys(principal: Admin, resources: Res, limit: Limit = 50, cursor: Cursor = None) -> Page[ApiKeyOut]:
    keys = await api_keys.list_api_keys(resources.database, principal, before=cursor, limit=limit)
    return page_of([ApiKeyOut.model_validate(key) for key in keys], limit, keys[-1].id if keys else None)


@router.post("/api-keys", status_code=status.HTTP_201_CREATED, responses=responses(401, 403, 409))
async def add_api_key(body: ApiKeyIn, principal: Admin, resources: Res, request: Request) -> NewApiKeyOut:
    """A key for the tenant's own servers; its secret is in this answer and nowhere else."""
    key, secret = await api_keys.add_api_key(
        resources.database, principal, name=body.name, scopes=sorted(set(body.scopes)), **trace(request)
    )
    return NewApiKeyOut(**ApiKeyOut.model_validate(key).model_dump(), secret=secret)


@router.delete("/api-keys/{key_id}", status_code=status.HTTP_204_NO_CONTENT, responses=responses(401, 403, 404))
async def revoke_api_key(key_id: UUID, principal: Admin, resources: Res, request: Request) -> None:
    """Revoke a key at once; doing it again changes nothing."""
    await api_keys.revoke_api_key(resources.database, principal, key_id, **trace(request))


@router.get("/settings", responses=responses(401, 403))
async def read_settings(principal: Admin, resources: Res) -> SettingsOut:
    return SettingsOut.of(await tenants.read_settings(resources.database, principal.tenant_id))


@router.patch("/settings", responses=responses(401, 403))
async def change_settings(body: SettingsChange, principal: Admin, resources: Res, request: Request) -> SettingsOut:
    """Change the named settings, leave the others; the identity secret can be set and never read."""
    changes = body.model_dump(exclude_unset=True, exclude={"identity_secret"})
    if "collections" in changes:
        await check_collections(resources.knowledge, changes["collections"])
    secret = body.identity_secret
    changed = await tenants.change_settings(
        resources.database, principal, changes,
        identity_secret=resources.cipher.encrypt(secret.get_secret_value()) if secret else None, **trace(request),
    )  # fmt: skip
    resources.identity_secrets.forget(principal.tenant_id)
    return SettingsOut.of(changed)
