"""What routes are given: the resources, and the caller as the credential and the database say.

Authorization: Bearer <access token>      a user who signed in
Authorization: Bearer <visitor token>     a customer without an account
Authorization: Bearer <identity token>    with X-Widget-Key: a customer whom the tenant's site vouches for
Authorization: Bearer hk_...              a tenant's own server, within the scopes of its key
X-Widget-Key                              nobody yet: may only open a session, register or sign in
"""

from collections.abc import Callable, Coroutine
from ipaddress import IPv6Address, IPv6Network
from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import Depends, Header, Request
from fastapi.security import HTTPBearer

from agent.resources import Resources
from api.limits import Limiter
from api.tokens import Tokens
from memory.errors import HelpdeskError, Invalid, NotAllowed, NotAuthenticated
from memory.tenancy import Principal, Role
from tools.identity import api_keys, principals

bearer = HTTPBearer(auto_error=False, description="access, visitor or identity token, or a secret API key")
Bearer = Annotated[Any, Depends(bearer)]
"""Of a route's description; `bearer_of` reads it."""
WidgetKey = Annotated[str | None, Header(alias="X-Widget-Key", max_length=200)]


def resources_of(request: Request) -> Resources:
    return cast(Resources, request.app.state.resources)


def tokens_of(request: Request) -> Tokens:
    return cast(Tokens, request.app.state.tokens)


def limiter_of(request: Request) -> Limiter:
    return cast(Limiter, request.app.state.limiter)


# A dependency that is not a coroutine is given a thread of its own for each request.
async def _resources(request: Request) -> Resources:
    return resources_of(request)


async def _tokens(request: Request) -> Tokens:
    return tokens_of(request)


async def _limiter(request: Request) -> Limiter:
    return limiter_of(request)


Res = Annotated[Resources, Depends(_resources)]
TokenMaker = Annotated[Tokens, Depends(_tokens)]
Limits = Annotated[Limiter, Depends(_limiter)]


async def authenticate(request: Request, resources: Resources, widget_key: str | None) -> Principal | None:
    """The caller, or None without any credential of a person or server. Raises NotAuthenticated for a false one."""
    if not request.headers.get("authorization"):
        return None
    token = bearer_of(request)
    if token.startswith(api_keys.KEY_PREFIX):
        return await api_keys.principal_of_api_key(resources.database, token)
    tokens = tokens_of(request)
    kind = tokens.kind_of(token)
    if kind is None:
        return await _identified(resources, tokens, token, widget_key)
    claims = tokens.check(token, kind)
    if kind == "visitor":
        return await principals.principal_of_visitor(resources.database, claims.tenant_id, claims.subject, claims.epoch)
    async with resources.database.connection(claims.tenant_id) as connection:
        return await principals.principal_of_user(connection, claims.subject, claims.epoch, claims.sign_in)


def bearer_of(request: Request) -> str:
    """The token of a request. Raises NotAuthenticated."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > 4096:
        raise NotAuthenticated("send a bearer token")
    return token


async def count_request(limits: Limiter, resources: Resources, principal: Principal) -> None:
    """One request of this caller."""
    await limits.check("requests", principal.key, resources.settings.http.requests_of(principal))


async def still_holds(request: Request, resources: Resources, principal: Principal) -> bool:
    """Whether the credential of a long request still means the same caller."""
    try:
        return await authenticate(request, resources, request.headers.get("x-widget-key")) == principal
    except NotAuthenticated:
        return False
    except HelpdeskError:
        return True  # a database that is away for a moment ends no stream


async def _identified(resources: Resources, tokens: Tokens, token: str, widget_key: str | None) -> Principal:
    if not widget_key:
        raise NotAuthenticated("an identity token needs the X-Widget-Key of its tenant")
    tenant_id = await principals.tenant_of_widget_key(resources.database, widget_key)
    secret = await resources.identity_secrets.of(tenant_id)
    if secret is None:
        raise NotAuthenticated("this tenant signs no identities")
    identity = tokens.check_identity(token, secret)
    async with resources.database.connection(tenant_id) as connection:
        return await principals.principal_of_identity(connection, tenant_id, identity)


async def caller_of(request: Request, widget_key: str | None) -> Principal:
    """The caller, counted against their limit. Raises NotAuthenticated, and TooMany."""
    resources = resources_of(request)
    principal = await authenticate(request, resources, widget_key)
    if principal is None:
        raise NotAuthenticated("sign in, or send a token")
    await count_request(limiter_of(request), resources, principal)
    return principal


async def current_principal(request: Request, _: Bearer, widget_key: WidgetKey = None) -> Principal:
    """The caller of a route that needs one."""
    return await caller_of(request, widget_key)


Caller = Annotated[Principal, Depends(current_principal)]


def require(*roles: Role, scope: str | None = None) -> Callable[..., Coroutine[Any, Any, Principal]]:
    """A caller of one of these roles; an API key passes where it holds `scope`, and nowhere else. It depends on nothing
    else: each dependency costs as much as to check a token."""

    async def check(request: Request, _: Bearer, widget_key: WidgetKey = None) -> Principal:
        principal = await caller_of(request, widget_key)
        if principal.is_server:
            if scope is None or scope not in principal.scopes:
                raise NotAllowed("this key has no scope for that")
            return principal
        principal.must_be(*roles)
        return principal

    return check


async def anonymous_tenant(request: Request, resources: Res, limits: Limits, widget_key: WidgetKey = None) -> UUID:
    """The tenant of a caller who has only a widget key, counted by address."""
    await limits.check("anonymous", network_of(request), resources.settings.http.requests_per_minute)
    if not widget_key:
        raise NotAuthenticated("send the tenant's X-Widget-Key")
    return await principals.tenant_of_widget_key(resources.database, widget_key)


def address_of(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def network_of(request: Request) -> str:
    """Whom a limit by address counts. Who has one IPv6 address has the 2^64 of its network to ask from; an IPv4 address
    within one is itself."""
    address = address_of(request)
    try:
        found = IPv6Address(address)
    except ValueError:
        return address
    return str(found.ipv4_mapped or IPv6Network((int(found) >> 64 << 64, 64)))


def few_enough(resources: Resources, attachment_ids: list[UUID]) -> list[UUID]:
    """No more uploads than a message may carry. Raises Invalid."""
    if len(attachment_ids) > resources.attachment_limits.most_files:
        raise Invalid(f"a message takes at most {resources.attachment_limits.most_files} attachments")
    return attachment_ids


def trace(request: Request) -> dict[str, str]:
    """Where a change came from, for the audit log."""
    return {"request_id": request.state.request_id, "address": address_of(request)}


EVERYONE = (Role.CUSTOMER, Role.AGENT, Role.ADMIN)
STAFF = (Role.AGENT, Role.ADMIN)
AnyOne = Annotated[Principal, Depends(require(*EVERYONE))]
Chatter = Annotated[Principal, Depends(require(*EVERYONE, scope="chat"))]
Searcher = Annotated[Principal, Depends(require(*STAFF, scope="search"))]
TicketUser = Annotated[Principal, Depends(require(*EVERYONE, scope="tickets"))]
Colleague = Annotated[Principal, Depends(require(*STAFF))]
Admin = Annotated[Principal, Depends(require(Role.ADMIN))]
