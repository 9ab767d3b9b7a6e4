"""Every route of the OpenAPI document as every principal: one table, and a route without a row fails.

Another tenant's object and one that does not exist look alike: 404.
"""

import itertools
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import jwt
import pytest
import pytest_asyncio

from api.tokens import _derive
from memory.models import Tenant, new_id
from memory.tenancy import Role
from tests.product import PASSWORD, SECRET, Product, Visitor

OK = "2xx"
PRINCIPALS = (
    "anonymous", "widget", "owner", "other", "agent", "admin", "chat_server", "search_server", "foreign_visitor",
    "foreign_agent", "foreign_admin", "disabled", "expired", "wrong_audience",
)  # fmt: skip
INVALID = {"disabled": 401, "expired": 401, "wrong_audience": 401}
NOBODY = {"anonymous": 401, "widget": 401, **INVALID}
Row = dict[str, Any]

OPEN: Row = dict.fromkeys(PRINCIPALS, OK)
SELF: Row = {**dict.fromkeys(PRINCIPALS, OK), **NOBODY, "chat_server": 403, "search_server": 403}
OWN_LIST: Row = {**dict.fromkeys(PRINCIPALS, OK), **NOBODY, "search_server": 403}
OWN: Row = {
    **OWN_LIST, "other": 404, "foreign_visitor": 404, "foreign_agent": 404, "foreign_admin": 404,
}  # fmt: skip
SPEAK: Row = {**OWN, "agent": 403, "admin": 403}
STAFF: Row = {
    **dict.fromkeys(PRINCIPALS, 403), **NOBODY, "agent": OK, "admin": OK, "foreign_agent": OK, "foreign_admin": OK,
}  # fmt: skip
STAFF_OBJECT: Row = {**STAFF, "foreign_agent": 404, "foreign_admin": 404}
ADMIN_LIST: Row = {**dict.fromkeys(PRINCIPALS, 403), **NOBODY, "admin": OK, "foreign_admin": OK}
ADMIN: Row = {**ADMIN_LIST, "foreign_admin": 404}
TICKETS_LIST: Row = {**OWN_LIST, "chat_server": 403}
TICKETS: Row = {**OWN, "chat_server": 403}
ANONYMOUS_ONLY: Row = {**dict.fromkeys(PRINCIPALS, 401), "widget": OK}

TABLE: dict[tuple[str, str], Row] = {
    ("get", "/livez"): OPEN,
    ("get", "/readyz"): OPEN,
    ("get", "/metrics"): OPEN,
    # With a widget key it is a customer's account that is looked for; the body names a colleague's.
    ("post", "/api/v1/auth/login"): {**OPEN, "widget": 401},
    ("post", "/api/v1/auth/register"): ANONYMOUS_ONLY,
    ("get", "/api/v1/auth/me"): SELF,
    ("patch", "/api/v1/auth/me"): STAFF,
    ("get", "/api/v1/users"): ADMIN_LIST,
    ("post", "/api/v1/users"): ADMIN_LIST,
    ("get", "/api/v1/users/{user_id}"): ADMIN,
    ("patch", "/api/v1/users/{user_id}"): ADMIN,
    ("get", "/api/v1/api-keys"): ADMIN_LIST,
    ("post", "/api/v1/api-keys"): ADMIN_LIST,
    ("delete", "/api/v1/api-keys/{key_id}"): ADMIN,
    ("get", "/api/v1/settings"): ADMIN_LIST,
    ("patch", "/api/v1/settings"): ADMIN_LIST,
    ("post", "/api/v1/chat/sessions"): {**OWN_LIST, "widget": OK},
    ("get", "/api/v1/chat/sessions"): OWN_LIST,
    ("get", "/api/v1/chat/sessions/{session_id}"): OWN,
    ("patch", "/api/v1/chat/sessions/{session_id}"): OWN,
    ("get", "/api/v1/chat/sessions/{session_id}/messages"): OWN,
    ("post", "/api/v1/chat/sessions/{session_id}/messages"): SPEAK,
    ("get", "/api/v1/chat/sessions/{session_id}/events"): OWN,
    ("post", "/api/v1/chat/sessions/{session_id}/cancel"): OWN,
    ("post", "/api/v1/chat/sessions/{session_id}/close"): OWN,
    ("post", "/api/v1/chat/sessions/{session_id}/escalate"): OWN,
    ("post", "/api/v1/chat/sessions/{session_id}/feedback"): SPEAK,
    ("get", "/api/v1/feedback"): STAFF,
    ("post", "/api/v1/attachments"): OWN_LIST,
    ("get", "/api/v1/attachments/{attachment_id}"): OWN,
    ("get", "/api/v1/handoffs"): STAFF,
    ("get", "/api/v1/handoffs/colleagues"): STAFF,
    ("get", "/api/v1/handoffs/{handoff_id}"): STAFF_OBJECT,
    ("post", "/api/v1/handoffs/{handoff_id}/claim"): STAFF_OBJECT,
    ("post", "/api/v1/handoffs/{handoff_id}/messages"): STAFF_OBJECT,
    ("post", "/api/v1/handoffs/{handoff_id}/notes"): STAFF_OBJECT,
    ("post", "/api/v1/handoffs/{handoff_id}/reassign"): STAFF_OBJECT,
    ("post", "/api/v1/handoffs/{handoff_id}/release"): STAFF_OBJECT,
    ("post", "/api/v1/handoffs/{handoff_id}/resolve"): STAFF_OBJECT,
    ("post", "/api/v1/search/global"): {**STAFF, "search_server": OK},
    ("post", "/api/v1/search/tenant"): {**STAFF, "search_server": OK},
    ("post", "/api/v1/search/unified"): {**STAFF, "search_server": OK},
    ("get", "/api/v1/tickets"): TICKETS_LIST,
    ("post", "/api/v1/tickets"): TICKETS_LIST,
    ("get", "/api/v1/tickets/{ticket_id}"): TICKETS,
    ("patch", "/api/v1/tickets/{ticket_id}"): STAFF_OBJECT,
    ("get", "/api/v1/tickets/{ticket_id}/events"): TICKETS,
    ("post", "/api/v1/tickets/{ticket_id}/reply"): TICKETS,
    ("post", "/api/v1/tickets/{ticket_id}/notes"): STAFF_OBJECT,
    ("post", "/api/v1/tickets/{ticket_id}/escalate"): STAFF_OBJECT,
    ("post", "/api/v1/tickets/{ticket_id}/merge"): STAFF_OBJECT,
    ("get", "/api/v1/webhooks"): ADMIN_LIST,
    ("post", "/api/v1/webhooks"): ADMIN_LIST,
    ("get", "/api/v1/webhooks/{endpoint_id}"): ADMIN,
    ("patch", "/api/v1/webhooks/{endpoint_id}"): ADMIN,
    ("delete", "/api/v1/webhooks/{endpoint_id}"): ADMIN,
    ("post", "/api/v1/webhooks/{endpoint_id}/rotate"): ADMIN,
    ("post", "/api/v1/webhooks/{endpoint_id}/test"): ADMIN,
    ("post", "/api/v1/webhooks/{endpoint_id}/replay"): ADMIN,
    ("get", "/api/v1/webhooks/{endpoint_id}/deliveries"): ADMIN,
    ("get", "/api/v1/webhooks/{endpoint_id}/deliveries/{delivery_id}"): ADMIN,
    ("post", "/api/v1/webhooks/{endpoint_id}/deliveries/{delivery_id}/replay"): ADMIN,
    ("get", "/api/v1/audit"): ADMIN_LIST,
    ("get", "/api/v1/audit/export"): ADMIN_LIST,
}

BODIES: dict[tuple[str, str], Callable[[], dict[str, Any]]] = {
    ("post", "/api/v1/auth/login"): lambda: {"email": next(World.sign_in), "password": PASSWORD},
    ("post", "/api/v1/auth/register"): lambda: {"email": f"{secrets.token_hex(6)}@example.com", "password": PASSWORD},
    ("post", "/api/v1/users"): lambda: {
        "email": f"{secrets.token_hex(6)}@example.com",
        "password": PASSWORD,
        "role": "agent",
    },
    ("patch", "/api/v1/users/{user_id}"): lambda: {"name": "Renamed"},
    ("post", "/api/v1/api-keys"): lambda: {"name": "key", "scopes": ["chat"]},
    ("patch", "/api/v1/settings"): lambda: {"people_available": True},
    ("patch", "/api/v1/chat/sessions/{session_id}"): lambda: {"attributes": {"plan": "pro"}},
    ("post", "/api/v1/chat/sessions/{session_id}/messages"): lambda: {"message": "hello"},
    ("post", "/api/v1/chat/sessions/{session_id}/feedback"): lambda: {"kind": "csat", "value": 5},
    ("post", "/api/v1/handoffs/{handoff_id}/messages"): lambda: {"message": "hello"},
    ("post", "/api/v1/handoffs/{handoff_id}/notes"): lambda: {"message": "a note"},
    ("post", "/api/v1/handoffs/{handoff_id}/reassign"): lambda: {"user_id": World.colleague},
    ("post", "/api/v1/search/global"): lambda: {"query": "invoice"},
    ("post", "/api/v1/search/tenant"): lambda: {"query": "invoice"},
    ("post", "/api/v1/search/unified"): lambda: {"query": "invoice"},
    ("post", "/api/v1/tickets"): lambda: {"subject": "Help", "content": "Please"},
    ("patch", "/api/v1/auth/me"): lambda: {"is_available": True},
    ("patch", "/api/v1/tickets/{ticket_id}"): lambda: {"team": "billing"},
    ("post", "/api/v1/tickets/{ticket_id}/reply"): lambda: {"message": "hello"},
    ("post", "/api/v1/tickets/{ticket_id}/notes"): lambda: {"message": "a note"},
    ("post", "/api/v1/tickets/{ticket_id}/escalate"): lambda: {"reason": "too hard"},
    ("post", "/api/v1/tickets/{ticket_id}/merge"): lambda: {"into": World.ticket},
    ("post", "/api/v1/webhooks"): lambda: {"url": "https://hooks.acme.example/x", "events": ["ticket.linked"]},
    ("patch", "/api/v1/webhooks/{endpoint_id}"): lambda: {"description": "changed"},
    ("post", "/api/v1/webhooks/{endpoint_id}/replay"): lambda: {"since": "2026-01-01T00:00:00Z"},
}

FILES: dict[tuple[str, str], dict[str, Any]] = {("post", "/api/v1/attachments"): {"file": ("note.txt", b"a note")}}


@dataclass
class World:
    """Two tenants full of principals, and the objects of `owner` in the first."""

    product: Product
    tenant: Tenant
    owner: Visitor
    headers: dict[str, dict[str, str]]
    ids: dict[str, str]
    colleague: ClassVar[str]
    ticket: ClassVar[str]
    """One that stays as it is, of the owner."""
    sign_in: ClassVar[Iterator[str]]
    """Addresses of colleagues, in turn: one alone would soon have signed in too often."""

    def path(self, template: str, ids: dict[str, str] | None = None) -> str:
        return template.format(**(ids or self.ids))

    async def renew(self, template: str, principal: str) -> None:
        """Objects that a call uses up are made anew for each."""
        if "{handoff_id}" in template:
            visitor = await self.product.visitor(self.tenant)
            asked = await self.product.http.post(f"{visitor.url}/escalate", headers=visitor.headers)
            self.ids["handoff_id"] = asked.json()["handoff_id"]
            if template.endswith("/release"):
                claim = "/api/v1/handoffs/{handoff_id}/claim"
                await self.product.http.post(self.path(claim), headers=self.headers[principal])

        if "{endpoint_id}" in template:
            url, admin = "/api/v1/webhooks", self.headers["admin"]
            if "endpoint_id" in self.ids:  # a tenant has few
                await self.product.http.delete(f"{url}/{self.ids['endpoint_id']}", headers=admin)
            made = await self.product.http.post(url, json=BODIES["post", url](), headers=admin)
            self.ids["endpoint_id"] = made.json()["id"]
            sent = await self.product.http.post(f"{url}/{self.ids['endpoint_id']}/test", headers=admin)
            self.ids["delivery_id"] = sent.json()["id"]

        if "{ticket_id}" in template:
            body = {"subject": "Again", "content": "x"}
            opened = await self.product.http.post("/api/v1/tickets", json=body, headers=self.owner.headers)
            self.ids["ticket_id"] = opened.json()["id"]

    async def call(self, method: str, template: str, principal: str, ids: dict[str, str] | None = None) -> int:
        body, files = BODIES.get((method, template)), FILES.get((method, template))
        request = self.product.http.build_request(
            method.upper(), self.path(template, ids), json=body() if body else None, files=files,
            headers=self.headers[principal],
        )  # fmt: skip
        answer = await self.product.http.send(request, stream=True)  # an event stream has no end to wait for
        await answer.aclose() if template.endswith("/events") else await answer.aread()
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
        return answer.status_code


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(product: Product) -> AsyncIterator[World]:
    home, abroad = await product.tenant(), await product.tenant()
    owner, other, foreign = await product.visitor(home), await product.visitor(home), await product.visitor(abroad)
    admin = await product.staff(home, Role.ADMIN)
    disabled = await product.staff(home, Role.ADMIN)
    me = (await product.http.get("/api/v1/auth/me", headers=disabled)).json()
    changed = await product.http.patch(f"/api/v1/users/{me['user']['id']}", json={"is_active": False}, headers=admin)
    assert changed.status_code == 200
    agent = await product.staff(home, Role.AGENT)
    keys = {}
    for scope in ("chat", "search"):
        made = await product.http.post("/api/v1/api-keys", json={"name": scope, "scopes": [scope]}, headers=admin)
        keys[scope] = made.json()
    ticket = await product.http.post("/api/v1/tickets", json={"subject": "Mine", "content": "x"}, headers=owner.headers)
    spare = await product.http.post(
        "/api/v1/users", json={"email": f"{secrets.token_hex(6)}@example.com", "password": PASSWORD, "role": "agent"},
        headers=admin,
    )  # fmt: skip
    second = await product.http.post(
        "/api/v1/users", json={"email": f"{secrets.token_hex(6)}@example.com", "password": PASSWORD, "role": "agent"},
        headers=admin,
    )  # fmt: skip
    World.sign_in = itertools.cycle([spare.json()["email"], second.json()["email"]])
    World.colleague = second.json()["id"]
    World.ticket = ticket.json()["id"]
    doomed = await product.http.post("/api/v1/api-keys", json={"name": "doomed", "scopes": ["chat"]}, headers=admin)
    file = {"message": (None, "see this"), "attachments[]": ("log.txt", b"a line")}
    await product.http.post(f"{owner.url}/messages", files=file, headers=owner.headers)
    [sent] = [message for message in await owner.history() if message["attachments"]]
    yield World(
        product=product,
        tenant=home,
        owner=owner,
        headers={
            "anonymous": {},
            "widget": {"X-Widget-Key": home.widget_key},
            "owner": owner.headers,
            "other": other.headers,
            "agent": agent,
            "admin": admin,
            "chat_server": {"Authorization": f"Bearer {keys['chat']['secret']}"},
            "search_server": {"Authorization": f"Bearer {keys['search']['secret']}"},
            "foreign_visitor": foreign.headers,
            "foreign_agent": await product.staff(abroad, Role.AGENT),
            "foreign_admin": await product.staff(abroad, Role.ADMIN),
            "disabled": disabled,
            "expired": {"Authorization": f"Bearer {forged(home.id, timedelta(hours=-1))}"},
            "wrong_audience": {"Authorization": f"Bearer {forged(home.id, audience='helpdesk:visitor')}"},
        },
        ids={
            "session_id": owner.session_id,
            "user_id": spare.json()["id"],
            "key_id": doomed.json()["id"],
            "ticket_id": ticket.json()["id"],
            "attachment_id": sent["attachments"][0]["id"],
        },
    )


def forged(tenant_id: UUID, life: timedelta = timedelta(hours=1), audience: str = "helpdesk:access") -> str:
    """A token with the right key that must not hold."""
    now = datetime.now(UTC)
    claims = {
        "iss": "helpdesk", "aud": audience, "sub": str(new_id()), "tenant_id": str(tenant_id), "epoch": 0, "iat": now,
        "exp": now + life,
    }  # fmt: skip
    return jwt.encode(claims, _derive(SECRET, "access"), "HS256", headers={"kid": "access"})


def operations(product: Product) -> set[tuple[str, str]]:
    return {(method, path) for path, found in product.app.openapi()["paths"].items() for method in found}


async def test_every_route_has_a_row(product: Product) -> None:
    assert operations(product) == set(TABLE)


@pytest.mark.parametrize(("method", "template"), [*sorted(TABLE)], ids=lambda part: str(part))
async def test_every_principal_reaches_what_the_table_says(world: World, method: str, template: str) -> None:
    expected = TABLE[method, template]
    deviations = {}
    ordered = sorted(PRINCIPALS, key=lambda name: expected[name] == OK)  # those who may change something come last
    for principal in ordered:
        await world.renew(template, principal)
        status = await world.call(method, template, principal)
        wanted = expected[principal]
        if not (200 <= status < 300 if wanted == OK else status == wanted):
            deviations[principal] = (status, wanted)
    assert deviations == {}


@pytest.mark.parametrize(("method", "template"), [key for key in sorted(TABLE) if "{" in key[1]], ids=str)
async def test_a_missing_object_looks_like_a_foreign_one(world: World, method: str, template: str) -> None:
    await world.renew(template, "admin")
    missing = {name: str(new_id()) for name in world.ids}
    assert await world.call(method, template, "foreign_admin") == 404
    assert await world.call(method, template, "foreign_admin", missing) == 404
    assert await world.call(method, template, "admin", missing) == 404


async def test_fields_that_are_not_the_callers_to_set_are_refused(world: World) -> None:
    for extra in ({"tenant_id": str(new_id())}, {"role": "admin"}, {"customer_id": str(new_id())}):
        answer = await world.product.http.post(
            "/api/v1/auth/register", headers=world.headers["widget"],
            json={"email": f"{secrets.token_hex(6)}@example.com", "password": PASSWORD, **extra},
        )  # fmt: skip
        assert answer.status_code == 422
