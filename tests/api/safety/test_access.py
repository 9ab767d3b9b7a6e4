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
from memory.models import Alert, Gap, GapQuestion, Tenant, Turn, new_id
from memory.tenancy import Role
from tests.product import PASSWORD, SECRET, Product, Visitor
from tests.reply_desk import placed, sent_badly, taught
from tests.ticket_desk import opened
from tests.whmcs_server import IDENTIFIER, WhmcsServer, whmcs_server
from tests.whmcs_server import SECRET as WHMCS_SECRET
from tools.outbound import Outbound

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
    ("post", "/api/v1/auth/renew"): STAFF,  # and customers with an account
    ("post", "/api/v1/auth/logout"): STAFF,
    ("put", "/api/v1/auth/password"): STAFF,
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
    **{
        ("get", f"/api/v1/analytics/{name}"): STAFF
        for name in ("dashboard", "metrics", "history", "guardrails", "sources", "calibration", "alerts")
    },
    ("post", "/api/v1/analytics/alerts/{alert_id}/acknowledge"): STAFF_OBJECT,
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
    ("get", "/api/v1/replies"): STAFF,
    ("post", "/api/v1/replies/generate"): STAFF_OBJECT,
    ("get", "/api/v1/replies/pending"): STAFF,
    ("post", "/api/v1/replies/approve"): STAFF_OBJECT,
    ("get", "/api/v1/replies/{draft_id}"): STAFF_OBJECT,
    ("post", "/api/v1/replies/{draft_id}/reject"): STAFF_OBJECT,
    ("post", "/api/v1/replies/{draft_id}/regenerate"): STAFF_OBJECT,
    ("post", "/api/v1/replies/{draft_id}/sending"): STAFF_OBJECT,
    ("get", "/api/v1/examples"): STAFF,
    ("post", "/api/v1/examples/rebuild"): ADMIN_LIST,
    ("get", "/api/v1/examples/{example_id}"): STAFF_OBJECT,
    ("patch", "/api/v1/examples/{example_id}"): ADMIN,
    ("delete", "/api/v1/examples/{example_id}"): ADMIN,
    ("post", "/api/v1/examples/{example_id}/convert"): ADMIN,
    ("get", "/api/v1/corrections"): STAFF,
    ("post", "/api/v1/corrections/rebuild"): ADMIN_LIST,
    ("get", "/api/v1/corrections/{correction_id}"): STAFF_OBJECT,
    ("patch", "/api/v1/corrections/{correction_id}"): ADMIN,
    ("delete", "/api/v1/corrections/{correction_id}"): ADMIN,
    ("post", "/api/v1/corrections/{correction_id}/convert"): ADMIN,
    ("post", "/api/v1/playground"): STAFF,
    ("get", "/api/v1/prompts"): STAFF,
    ("post", "/api/v1/prompts"): ADMIN_LIST,
    ("get", "/api/v1/prompts/active"): STAFF,
    ("get", "/api/v1/prompts/{version_id}"): STAFF_OBJECT,
    ("get", "/api/v1/prompts/{version_id}/versions"): STAFF_OBJECT,
    ("post", "/api/v1/prompts/{version_id}/versions"): ADMIN,
    ("get", "/api/v1/prompts/{version_id}/diff"): STAFF_OBJECT,
    ("post", "/api/v1/prompts/{version_id}/duplicate"): ADMIN,
    ("post", "/api/v1/prompts/{version_id}/activate"): ADMIN,
    ("post", "/api/v1/prompts/{version_id}/deactivate"): ADMIN,
    ("get", "/api/v1/replays"): STAFF,
    ("post", "/api/v1/replays"): ADMIN_LIST,
    ("get", "/api/v1/replays/{replay_id}"): STAFF_OBJECT,
    ("get", "/api/v1/replays/{replay_id}/cases"): STAFF_OBJECT,
    ("post", "/api/v1/replays/{replay_id}/cancel"): ADMIN,
    ("get", "/api/v1/weights"): STAFF,
    ("put", "/api/v1/weights"): ADMIN_LIST,
    ("get", "/api/v1/weights/history"): STAFF,
    ("get", "/api/v1/weights/recommend"): STAFF,
    ("post", "/api/v1/weights/reset"): ADMIN_LIST,
    ("post", "/api/v1/weights/apply"): {**ADMIN_LIST, "admin": 409, "foreign_admin": 409},  # nothing is recommended
    ("get", "/api/v1/webhook-events"): ADMIN_LIST,
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
    ("get", "/api/v1/whmcs/config"): ADMIN,
    ("put", "/api/v1/whmcs/config"): ADMIN_LIST,
    ("delete", "/api/v1/whmcs/config"): ADMIN,
    ("post", "/api/v1/whmcs/config/test"): ADMIN,
    ("get", "/api/v1/whmcs/sync"): STAFF,
    ("post", "/api/v1/whmcs/sync"): STAFF_OBJECT,
    ("get", "/api/v1/whmcs/sync/{sync_id}"): STAFF_OBJECT,
    ("get", "/api/v1/whmcs/tickets"): STAFF,
    ("get", "/api/v1/whmcs/clients/{client_id}"): STAFF_OBJECT,
    ("get", "/api/v1/whmcs/clients/{client_id}/invoices"): STAFF_OBJECT,
    ("get", "/api/v1/kb/articles"): STAFF,
    ("post", "/api/v1/kb/articles"): ADMIN_LIST,
    ("post", "/api/v1/kb/articles/upload"): ADMIN_LIST,
    ("get", "/api/v1/kb/articles/{article_id}"): STAFF_OBJECT,
    ("patch", "/api/v1/kb/articles/{article_id}"): ADMIN,
    ("delete", "/api/v1/kb/articles/{article_id}"): ADMIN,
    ("post", "/api/v1/kb/articles/{article_id}/publish"): ADMIN,
    ("post", "/api/v1/kb/articles/{article_id}/withdraw"): ADMIN,
    ("post", "/api/v1/kb/articles/{article_id}/discard"): ADMIN,
    ("get", "/api/v1/kb/articles/{article_id}/versions"): STAFF_OBJECT,
    ("get", "/api/v1/kb/articles/{article_id}/diff"): STAFF_OBJECT,
    ("get", "/api/v1/kb/articles/{article_id}/relied-on"): STAFF_OBJECT,
    ("post", "/api/v1/kb/index"): ADMIN_LIST,
    ("post", "/api/v1/kb/rebuild"): ADMIN_LIST,
    ("get", "/api/v1/kb/status"): STAFF,
    ("get", "/api/v1/kb/imports"): STAFF,
    ("get", "/api/v1/kb/imports/{import_id}"): STAFF_OBJECT,
    ("get", "/api/v1/kb/imports/{import_id}/files"): STAFF_OBJECT,
    ("get", "/api/v1/kb/gaps"): STAFF,
    ("get", "/api/v1/kb/gaps/{gap_id}"): STAFF_OBJECT,
    ("post", "/api/v1/kb/gaps/{gap_id}/dismiss"): ADMIN,
    ("post", "/api/v1/kb/gaps/{gap_id}/resolve"): ADMIN,
    ("post", "/api/v1/kb/gaps/{gap_id}/reopen"): ADMIN,
    ("post", "/api/v1/kb/gaps/{gap_id}/draft"): ADMIN,
    ("get", "/api/v1/audit"): ADMIN_LIST,
    ("get", "/api/v1/audit/export"): ADMIN_LIST,
}

ENDING_SIGN_INS = ("/api/v1/auth/logout", "/api/v1/auth/password")

BODIES: dict[tuple[str, str], Callable[[], dict[str, Any]]] = {
    ("post", "/api/v1/auth/login"): lambda: {"email": next(World.sign_in), "password": PASSWORD},
    ("post", "/api/v1/auth/register"): lambda: {"email": f"{secrets.token_hex(6)}@example.com", "password": PASSWORD},
    ("post", "/api/v1/users"): lambda: {
        "email": f"{secrets.token_hex(6)}@example.com",
        "password": PASSWORD,
        "role": "agent",
    },
    ("patch", "/api/v1/users/{user_id}"): lambda: {"name": "Renamed"},
    ("put", "/api/v1/auth/password"): lambda: {"current_password": PASSWORD, "new_password": f"{PASSWORD}, newer"},
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
    ("post", "/api/v1/replies/generate"): lambda: {"ticket_id": World.ticket},
    ("post", "/api/v1/replies/approve"): lambda: {"draft_id": World.draft, "version": 1},
    ("post", "/api/v1/replies/{draft_id}/reject"): lambda: {"reason": "no"},
    ("post", "/api/v1/replies/{draft_id}/regenerate"): lambda: {"instruction": "shorter"},
    ("post", "/api/v1/replies/{draft_id}/sending"): lambda: {"outcome": "arrived"},
    ("patch", "/api/v1/examples/{example_id}"): lambda: {"reply": "Something else."},
    ("post", "/api/v1/examples/{example_id}/convert"): lambda: {"reply": "Something else."},
    ("patch", "/api/v1/corrections/{correction_id}"): lambda: {"reply": "Something else."},
    ("post", "/api/v1/corrections/{correction_id}/convert"): lambda: {"reply": "Something else."},
    ("post", "/api/v1/playground"): lambda: {"message": "How do I pay an invoice?"},
    ("post", "/api/v1/prompts"): lambda: {
        "name": secrets.token_hex(6),
        "system_prompt": "Be kind.",
        "context_template": "{context}",
        "task_template": "{content}",
    },
    ("post", "/api/v1/prompts/{version_id}/versions"): lambda: {"system_prompt": "Be brief."},
    ("post", "/api/v1/replays"): lambda: {"threads": 1, "drafts": 0},
    ("put", "/api/v1/weights"): lambda: {"rerank": False},
    ("post", "/api/v1/kb/articles"): lambda: {"title": "Vouchers", "body": "Ten euros.", "publish": True},
    ("patch", "/api/v1/kb/articles/{article_id}"): lambda: {"body": "Twenty euros."},
    ("post", "/api/v1/webhooks"): lambda: {"url": "https://hooks.acme.example/x", "events": ["ticket.linked"]},
    ("patch", "/api/v1/webhooks/{endpoint_id}"): lambda: {"description": "changed"},
    ("post", "/api/v1/webhooks/{endpoint_id}/replay"): lambda: {"since": "2026-01-01T00:00:00Z"},
    ("put", "/api/v1/whmcs/config"): lambda: {"url": World.whmcs.url, "identifier": IDENTIFIER, "secret": WHMCS_SECRET},
}

FILES: dict[tuple[str, str], dict[str, Any]] = {
    ("post", "/api/v1/attachments"): {"file": ("note.txt", b"a note")},
    ("post", "/api/v1/kb/articles/upload"): {"files": ("note.md", b"a note")},
}


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
    draft: ClassVar[str]
    """Made anew for each who may approve it."""
    whmcs: ClassVar[WhmcsServer]
    sign_in: ClassVar[Iterator[str]]
    """Addresses of colleagues, in turn: one alone would soon have signed in too often."""

    def path(self, template: str, ids: dict[str, str] | None = None) -> str:
        return template.format(**(ids or self.ids))

    async def renew(self, template: str, principal: str) -> None:
        """Make the objects of a route anew, for one whose call uses them up."""
        if template in ENDING_SIGN_INS and principal.endswith(("agent", "admin")):
            home = "foreign_admin" if principal.startswith("foreign") else "admin"
            made = await self.product.http.post(
                "/api/v1/users", headers=self.headers[home],
                json={**BODIES["post", "/api/v1/users"](), "role": principal.removeprefix("foreign_")},
            )  # fmt: skip
            self.headers = {**self.headers, principal: await self.product.sign_in(made.json()["email"])}
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

        if "{alert_id}" in template:
            async with self.product.resources.database.transaction(self.tenant.id) as session:
                alert = Alert(kind="model_errors", subject=secrets.token_hex(4))
                session.add(alert)
            self.ids["alert_id"] = str(alert.id)
        if "{article_id}" in template:
            url, admin = "/api/v1/kb/articles", self.headers["admin"]
            made = await self.product.http.post(url, json=BODIES["post", url](), headers=admin)
            self.ids["article_id"] = made.json()["id"]
            await self.product.http.patch(f"{url}/{made.json()['id']}", json={"body": "Five euros."}, headers=admin)
        if "{import_id}" in template:
            made = await self.product.http.post("/api/v1/kb/index", headers=self.headers["admin"])
            self.ids["import_id"] = made.json()["id"]
        if "{gap_id}" in template:
            session_id = UUID(self.owner.session_id)
            turn = Turn(session_id=session_id, status="completed")
            gap = Gap(embedder="-", centroid=b"", members=1)
            question = GapQuestion(
                id=turn.id, turn_id=turn.id, session_id=session_id, gap_id=gap.id, reason="no_answer"
            )
            async with self.product.resources.database.transaction(self.tenant.id) as session:
                for row in (turn, gap, question):
                    session.add(row)
                    await session.flush()
            self.ids["gap_id"] = str(gap.id)
        if "{version_id}" in template:
            url = "/api/v1/prompts"
            made = await self.product.http.post(url, json=BODIES["post", url](), headers=self.headers["admin"])
            self.ids["version_id"] = made.json()["id"]

        if "/replays" in template:  # a tenant has one under way
            url, admin = "/api/v1/replays", self.headers["admin"]
            for each in (await self.product.http.get(url, headers=admin)).json()["items"]:
                await self.product.http.post(f"{url}/{each['id']}/cancel", headers=admin)
            if "{replay_id}" in template:
                made = await self.product.http.post(url, json=BODIES["post", url](), headers=admin)
                self.ids["replay_id"] = made.json()["id"]

        if "/whmcs/" in template:  # connected at home alone
            url = "/api/v1/whmcs/config"
            await self.product.http.delete(url, headers=self.headers["foreign_admin"])
            await self.product.http.put(url, json=BODIES["put", url](), headers=self.headers["admin"])
            if "{sync_id}" in template:
                made = await self.product.http.post("/api/v1/whmcs/sync", headers=self.headers["admin"])
                self.ids["sync_id"] = made.json()["id"]

        if "{ticket_id}" in template:
            self.ids["ticket_id"] = (await opened(self.product, self.owner.headers))["id"]

        if "{draft_id}" in template or template.endswith("/approve"):
            ticket = await opened(self.product, self.owner.headers)
            World.draft = self.ids["draft_id"] = str(await placed(self.product, self.tenant, ticket["id"]))
            if template.endswith("/sending"):
                await sent_badly(self.product, self.tenant, UUID(World.draft))
        for kind in ("example", "correction"):
            if f"{{{kind}_id}}" in template:
                self.ids[f"{kind}_id"] = str(await taught(self.product, self.tenant, kind))

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
async def whmcs(product: Product) -> AsyncIterator[WhmcsServer]:
    """A WHMCS that the product may call as long as this module runs."""
    resources, before = product.resources, product.resources.outbound
    async with whmcs_server() as server:
        resources.outbound = resources.syncs.outbound = Outbound(allowed=frozenset({server.host}))
        yield server
        resources.outbound = resources.syncs.outbound = before


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(product: Product, whmcs: WhmcsServer) -> AsyncIterator[World]:
    World.whmcs = whmcs
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
            "client_id": "1",
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
    deviations, headers = {}, world.headers
    ordered = sorted(PRINCIPALS, key=lambda name: expected[name] == OK)  # those who may change something come last
    for place, principal in enumerate(ordered):
        if place == 0 or (method != "get" and expected[principal] == OK):
            await world.renew(template, principal)
        status = await world.call(method, template, principal)
        wanted = expected[principal]
        if not (200 <= status < 300 if wanted == OK else status == wanted):
            deviations[principal] = (status, wanted)
    world.headers = headers
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
