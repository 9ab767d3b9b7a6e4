"""Signing in and out. Tokens are short, and end at once when their user signs out or gets another role or password."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, status

from agent.resources import Resources
from api import PREFIX
from api.dependencies import (
    AnyOne,
    Colleague,
    Limits,
    Res,
    TokenMaker,
    WidgetKey,
    anonymous_tenant,
    bearer_of,
    network_of,
    trace,
)
from api.errors import responses
from api.schemas.people import LoginIn, LogoutIn, MeChange, MeOut, PasswordChange, RegisterIn, TokenOut, UserOut
from api.tokens import Claims, Tokens
from memory.errors import NotAllowed
from memory.models import User
from memory.tenancy import Principal
from tools import tenants
from tools.identity import accounts, principals

router = APIRouter(prefix=f"{PREFIX}/auth", tags=["auth"])
LOGINS_PER_MINUTE = 10


@router.post("/login", responses=responses(401))
async def login(
    body: LoginIn, request: Request, resources: Res, tokens: TokenMaker, limits: Limits, widget_key: WidgetKey = None
) -> TokenOut:
    """Staff sign in by address alone; a customer's account is found in the tenant of the widget key."""
    await limits.check("anonymous", network_of(request), resources.settings.http.requests_per_minute)
    await limits.check("login", f"{network_of(request)} {body.email.lower()}", LOGINS_PER_MINUTE)
    tenant_id = await principals.tenant_of_widget_key(resources.database, widget_key) if widget_key else None
    user = await accounts.sign_in(resources.database, body.email, body.password, tenant_id=tenant_id)
    return _token(tokens, user)


@router.post("/renew", responses=responses(401, 403))
async def renew(principal: AnyOne, request: Request, tokens: TokenMaker) -> TokenOut:
    """Another token in the place of one that still holds, without the password, for half a day after it was given. A changed
    role ends it as it ends the one before."""
    _sign_in_of(principal, request, tokens)
    return TokenOut(access_token=tokens.renew(bearer_of(request)), expires_in=tokens.lifetime_s("access"))


@router.post("/logout", status_code=status.HTTP_204_NO_CONTENT, responses=responses(401, 403))
async def logout(
    principal: AnyOne, request: Request, resources: Res, tokens: TokenMaker, body: LogoutIn | None = None
) -> None:
    """End the sign-in that the token came of, with every token renewed from it, or all sign-ins of its user."""
    held = _sign_in_of(principal, request, tokens)
    everywhere = body is not None and body.everywhere
    await accounts.sign_out(
        resources.database, principal, "" if everywhere else held.sign_in, until=tokens.last_end(held), **trace(request)
    )


@router.put("/password", responses=responses(401, 403, 409))
async def change_password(
    body: PasswordChange, principal: AnyOne, request: Request, resources: Res, tokens: TokenMaker, limits: Limits
) -> TokenOut:
    """Change one's own password. Every sign-in of this user ends; the answer begins a new one."""
    _sign_in_of(principal, request, tokens)
    await limits.check("login", str(principal.user_id), LOGINS_PER_MINUTE)
    user = await accounts.change_password(
        resources.database, principal, current=body.current_password, new=body.new_password, **trace(request)
    )
    return _token(tokens, user)


@router.post("/register", status_code=status.HTTP_201_CREATED, responses=responses(401, 403, 409))
async def register(
    body: RegisterIn, tenant_id: Annotated[UUID, Depends(anonymous_tenant)], request: Request, resources: Res,
    tokens: TokenMaker, limits: Limits,
) -> TokenOut:  # fmt: skip
    """Make a customer's own account in the tenant of the widget key."""
    await limits.check("register", network_of(request), LOGINS_PER_MINUTE)
    user = await accounts.register(
        resources.database, tenant_id, email=body.email, password=body.password, name=body.name
    )
    return _token(tokens, user)


@router.get("/me", responses=responses(401, 403))
async def me(principal: AnyOne, resources: Res) -> MeOut:
    """Who the credential belongs to."""
    user = None
    if principal.user_id:
        user = UserOut.model_validate(
            await accounts.get_user(resources.database, principal.tenant_id, principal.user_id)
        )
    return await _me(resources, principal, user)


@router.patch("/me", responses=responses(401, 403))
async def change_me(body: MeChange, principal: Colleague, resources: Res, request: Request) -> MeOut:
    """Go on or off duty: who is not available gets no turn of a team's tickets."""
    user = await accounts.set_available(resources.database, principal, body.is_available, **trace(request))
    return await _me(resources, principal, UserOut.model_validate(user))


def _sign_in_of(principal: Principal, request: Request, tokens: Tokens) -> Claims:
    """What the token of somebody who signed in says. Raises NotAllowed for every other credential."""
    if principal.user_id is None or tokens.kind_of(token := bearer_of(request)) != "access":
        raise NotAllowed("this is for who signed in with a password")
    return tokens.check(token, "access")


async def _me(resources: Resources, principal: Principal, user: UserOut | None) -> MeOut:
    async with resources.database.connection(principal.tenant_id) as connection:
        tenant_name = await tenants.name_of(connection, principal.tenant_id)
    return MeOut(
        tenant_id=principal.tenant_id, tenant_name=tenant_name,
        role=principal.role, user=user, customer_id=principal.customer_id,
        audience=sorted(principal.audience),
    )  # fmt: skip


def _token(tokens: TokenMaker, user: User) -> TokenOut:
    token = tokens.issue("access", tenant_id=user.tenant_id, subject=user.id, epoch=user.token_epoch)
    return TokenOut(access_token=token, expires_in=tokens.lifetime_s("access"))
