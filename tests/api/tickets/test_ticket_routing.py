"""Who gets a ticket: rules, turns, who is available, and the settings for it."""

import asyncio
import secrets
from typing import Any

import pytest

from memory.models import Tenant
from memory.tenancy import Role
from tests.product import PASSWORD, Product
from tests.ticket_desk import Headers, Json, call, events, opened


class TestRouting:
    async def members(self, product: Product, tenant: Tenant, admin: Headers, *teams: list[str]) -> list[Json]:
        found = []
        for of in teams:
            body = {"email": f"{secrets.token_hex(6)}@example.com", "password": PASSWORD, "role": "agent"}
            user = (await product.http.post("/api/v1/users", json=body, headers=admin)).json()
            changed = await product.http.patch(f"/api/v1/users/{user['id']}", json={"teams": of}, headers=admin)
            assert changed.json()["teams"] == of
            found.append(changed.json())
        return found

    async def set(self, product: Product, admin: Headers, **options: Any) -> None:
        answer = await product.http.patch("/api/v1/settings", json=options, headers=admin)
        assert answer.status_code == 200, answer.text

    async def test_the_first_rule_that_fits_wins_and_says_why(self, product: Product, tenant: Tenant) -> None:
        admin, visitor = await product.staff(tenant, Role.ADMIN), await product.visitor(tenant)
        [bert] = await self.members(product, tenant, admin, ["web"])
        await self.set(
            product, admin,
            routing=[
                {"when": {"department": ["Sales", "Presales"]}, "to": bert["email"].upper()},
                {"when": {"intent": "billing", "language": ["en"]}, "to": "accounts"},
                {"when": {"severity": ["CRITICAL"]}, "to": bert["id"]},
                {"when": {"priority": "low"}, "to": "gone@example.com"},
            ],
        )  # fmt: skip
        for body, team, assignee, because in (
            ({"department": " sales"}, "", bert["id"], f"rule 1: department Sales or Presales, to {bert['email']}"),
            (
                {"content": "My invoice is wrong."},
                "accounts",
                None,
                "rule 2: intent billing, language en, to team accounts",
            ),
            ({}, "", None, "no rule fits"),
        ):
            ticket = await call(product, "GET", f"/{(await opened(product, visitor.headers, **body))['id']}", admin)
            assert (ticket["team"], ticket["assignee_id"], ticket["routed_because"]) == (team, assignee, because)
            told = [event["data"] for event in await events(product, admin, ticket) if event["type"] == "routed"]
            assert [event["because"] for event in told] == ([because] if team or assignee else [])
        gone = await opened(product, admin, priority="low")
        assert gone["routed_because"].endswith("but its colleague is not there any more")

    async def test_turns_are_equal_however_many_tickets_come_at_once(self, product: Product, tenant: Tenant) -> None:
        admin, visitor = await product.staff(tenant, Role.ADMIN), await product.visitor(tenant)
        web = await self.members(product, tenant, admin, ["web"], ["web", "mail"], ["web"], ["mail"])
        await self.set(product, admin, routing=[{"to": "web", "round_robin": True}])
        await asyncio.gather(*(opened(product, visitor.headers) for _ in range(30)))
        rows = await product.rows(tenant, "select assignee_id, count(*) as n from tickets group by 1")
        assert {str(row["assignee_id"]): row["n"] for row in rows} == {user["id"]: 10 for user in web[:3]}

    async def test_only_who_is_available_gets_a_turn(self, product: Product, tenant: Tenant) -> None:
        admin, visitor = await product.staff(tenant, Role.ADMIN), await product.visitor(tenant)
        first, second, third = await self.members(product, tenant, admin, ["web"], ["web"], ["web"])
        await self.set(product, admin, routing=[{"to": "web", "round_robin": True}])
        own = await product.sign_in(second["email"])
        away = await product.http.patch("/api/v1/auth/me", json={"is_available": False}, headers=own)
        assert away.json()["user"]["is_available"] is False
        await product.http.patch(f"/api/v1/users/{third['id']}", json={"is_active": False}, headers=admin)
        for _ in range(2):
            ticket = await opened(product, visitor.headers)
            assert (await call(product, "GET", f"/{ticket['id']}", own))["assignee_id"] == first["id"]
        await product.http.patch(f"/api/v1/users/{first['id']}", json={"is_available": False}, headers=admin)
        ticket = await call(product, "GET", f"/{(await opened(product, visitor.headers))['id']}", own)
        assert (ticket["team"], ticket["assignee_id"]) == ("web", None)
        assert ticket["routed_because"] == "rule 1: everything, to team web, where nobody is available"
        audited = await product.rows(tenant, "select actor from audit_log where changes ? 'is_available' order by id")
        assert audited[0]["actor"] == f"user:{second['id']}"

    async def test_customers_are_in_no_team(self, product: Product, tenant: Tenant) -> None:
        admin = await product.staff(tenant, Role.ADMIN)
        body = {"email": f"{secrets.token_hex(6)}@example.com", "password": PASSWORD, "role": "customer"}
        user = (await product.http.post("/api/v1/users", json=body, headers=admin)).json()
        answer = await product.http.patch(f"/api/v1/users/{user['id']}", json={"teams": ["web"]}, headers=admin)
        assert answer.status_code == 409

    @pytest.mark.parametrize(
        "options",
        [
            {"routing": [{"to": ""}]},
            {"routing": [{"to": "web", "when": {"mood": "bad"}}]},
            {"routing": [{"to": "web", "when": {"tier": 9}}]},
            {"routing": [{"to": "web"}] * 101},
            {"routing": [{"to": "a\u0000b"}]},
            {"routing": None},
            {"sla": {"normal": {"first_response": 0}}},
            {"sla": {"soon": {}}},
            {"sla": {"normal": {"count": "sometimes"}}},
            {"business_hours": {"timezone": "Mars/Olympus"}},
            {"business_hours": {"weekly": {"mon": ["17:00-09:00"]}}},
            {"handoff_return_s": 0},
            {"handoff_return_s": True},
        ],
    )
    async def test_settings_that_mean_nothing_are_refused(
        self, product: Product, tenant: Tenant, options: Json
    ) -> None:
        admin = await product.staff(tenant, Role.ADMIN)
        answer = await product.http.patch("/api/v1/settings", json=options, headers=admin)
        assert answer.status_code == 422
        assert "Mars" not in answer.text

    async def test_settings_are_kept_as_they_were_given(self, product: Product, tenant: Tenant) -> None:
        admin = await product.staff(tenant, Role.ADMIN)
        before = (await product.http.get("/api/v1/settings", headers=admin)).json()
        assert (before["business_hours"], before["routing"], before["handoff_return_s"]) == (None, [], 600)
        options = {
            "business_hours": {"timezone": "Europe/Berlin", "weekly": {"mon": ["09:00-17:00"]}, "holidays": ["2026-12-25"]},
            "sla": {"urgent": {"first_response": 15, "count": "always"}},
            "routing": [{"when": {"tier": [3, 4]}, "to": "specialists", "round_robin": True}],
            "handoff_return_s": 300,
        }  # fmt: skip
        await self.set(product, admin, **options)
        after = (await product.http.get("/api/v1/settings", headers=admin)).json()
        assert after["business_hours"]["weekly"]["mon"] == ["09:00-17:00"]
        assert after["sla"]["urgent"] == {"first_response": 15, "resolution": None, "count": "always"}
        assert after["routing"][0]["when"]["tier"] == [3, 4]
        await self.set(product, admin, business_hours=None)
        assert (await product.http.get("/api/v1/settings", headers=admin)).json()["business_hours"] is None
