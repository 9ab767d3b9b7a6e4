"""Lists of tickets: filters, search, and pages."""

import base64

import pytest

from memory.models import Tenant, new_id
from memory.tenancy import Role
from tests.product import Product, Visitor
from tests.ticket_desk import URL, Headers, Json, call, listed, me, opened


class TestFinding:
    async def test_filters(self, product: Product, tenant: Tenant, ada: Headers, customer: Visitor) -> None:
        other = await product.visitor(tenant)
        await opened(product, customer.headers, "plain")
        billed = await opened(product, customer.headers, "billed", content="My invoice is wrong", department="Sales")
        theirs = await opened(product, other.headers, "theirs", session_id=other.session_id)
        await call(product, "PATCH", f"/{billed['id']}", ada, assignee_id=await me(product, ada), tier=3)
        await call(product, "PATCH", f"/{theirs['id']}", ada, status="waiting_customer", priority="high", team="web")
        await call(product, "PATCH", f"/{theirs['id']}", ada, severity="CRITICAL")
        whose = (await call(product, "GET", f"/{theirs['id']}", ada))["customer_id"]
        for filters, wanted in (
            ({}, ["theirs", "billed", "plain"]),
            ({"status": ["open", "resolved"]}, ["billed", "plain"]),
            ({"priority": "high"}, ["theirs"]),
            ({"severity": "CRITICAL"}, ["theirs"]),
            ({"tier": 3}, ["billed"]),
            ({"intent": "billing"}, ["billed"]),
            ({"department": "sales"}, ["billed"]),
            ({"team": "web"}, ["theirs"]),
            ({"assignee": "me"}, ["billed"]),
            ({"assignee": "none"}, ["theirs", "plain"]),
            ({"assignee": await me(product, ada)}, ["billed"]),
            ({"customer_id": whose}, ["theirs"]),
            ({"session_id": other.session_id}, ["theirs"]),
            ({"late": True}, []),
            ({"late": False, "status": "waiting_customer"}, ["theirs"]),
            ({"created_from": billed["created_at"], "created_to": theirs["created_at"]}, ["billed"]),
            ({"updated_from": theirs["updated_at"]}, ["theirs", "billed"]),
        ):
            assert await listed(product, ada, **filters) == wanted, filters

    async def test_customers_filter_by_what_they_see(self, product: Product, customer: Visitor) -> None:
        await opened(product, customer.headers, "mine")
        assert await listed(product, customer.headers, status="open", q="mine") == ["mine"]
        for filters in ({"assignee": "none"}, {"team": "x"}, {"late": False}, {"customer_id": str(new_id())}):
            answer = await product.http.get(URL, headers=customer.headers, params=filters)
            assert answer.status_code == 403, filters

    async def test_times_without_a_zone_and_false_cursors_are_refused(self, product: Product, ada: Headers) -> None:
        for filters in (
            {"created_from": "2026-01-01T00:00:00"}, {"cursor": "nonsense"}, {"cursor": "x", "sort": "deadline"},
            {"cursor": str(new_id()), "sort": "deadline"}, {"cursor": "MjAyNi0wMS0wMX4=", "sort": "deadline"},
        ):  # fmt: skip
            answer = await product.http.get(URL, headers=ada, params=filters)
            assert answer.status_code == 422, filters

    async def test_search(self, product: Product, ada: Headers, customer: Visitor) -> None:
        who = customer.headers
        await opened(product, who, "Mail", content="The mailboxes of wp-config.php are not delivering any messages.")
        await opened(product, who, "Rechnung", content="Die Rechnungen für meine Domains sind leider alle falsch.")
        third = await opened(product, who, "Domain", content="Please transfer the domains of my 2 accounts, thank you.")
        for q, wanted in (
            ("mailbox", ["Mail"]),
            ("delivered message", ["Mail"]),
            ("wp-config.php", ["Mail"]),
            ("config-wp", []),
            ('"delivering any messages"', ["Mail"]),
            ('"messages delivering"', []),
            ("Rechnung", ["Rechnung"]),
            ("domain", ["Domain", "Rechnung"]),
            ("domain -transfer", ["Rechnung"]),
            ("mailbox or rechnung", ["Rechnung", "Mail"]),
            (f"#{third['number']}", ["Domain"]),
            ("2", ["Domain", "Rechnung"]),
            ("#99", []),
            ("#99999999999999999999", []),
        ):
            assert await listed(product, ada, q=q) == wanted, q

    @pytest.mark.parametrize(
        "q", ["'", '"', "\\", "!!!", "&|!()", ":*", "a:*", "<->", "-", "--", "%", "100%", "or or", "' or 1=1 --", "the",
              "%(q)s", "{0}", "💥", "a\tb", "#", "-#12", '-"', "\u202e", "𝔘𝔫𝔦", "(" * 200]
    )  # fmt: skip
    async def test_any_words_are_safe_to_search(self, product: Product, ada: Headers, q: str) -> None:
        answer = await product.http.get(URL, headers=ada, params={"q": q})
        assert answer.status_code == 200

    @pytest.mark.parametrize("sort", ["newest", "deadline"])
    async def test_pages_hold_each_ticket_once(self, product: Product, sort: str) -> None:
        tenant = await product.tenant(sla={"high": {"first_response": 30}, "normal": {"resolution": 60}})
        ada, visitor = await product.staff(tenant, Role.AGENT), await product.visitor(tenant)
        own = await opened(product, visitor.headers)
        whose = (await call(product, "GET", f"/{own['id']}", ada))["customer_id"]
        for n in range(9):
            priority = ("high", "low", "normal")[n % 3]
            await opened(product, ada, str(n), customer_id=whose, priority=priority)
        seen: list[Json] = []
        cursor: str | None = ""
        while cursor is not None:
            params = {"sort": sort, "limit": 3, **({"cursor": cursor} if cursor else {})}
            page = (await product.http.get(URL, headers=ada, params=params)).json()
            if not cursor:
                await opened(product, ada, "new meanwhile", customer_id=whose, priority="urgent")
            seen, cursor = seen + page["items"], page["next_cursor"]
        old = [ticket for ticket in seen if ticket["subject"] != "new meanwhile"]
        assert len({ticket["id"] for ticket in seen}) == len(seen)
        assert len(old) == 10
        if sort == "newest":
            assert [ticket["number"] for ticket in old] == list(range(10, 0, -1))
        else:
            deadlines = [ticket["next_deadline"] for ticket in old]
            known = [deadline for deadline in deadlines if deadline]
            assert deadlines[: len(known)] == sorted(known)
            assert len(known) == 7

    @pytest.mark.parametrize("at", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-01T00:00:00Z"])
    async def test_any_time_is_safe_to_ask_for(self, product: Product, ada: Headers, at: str) -> None:
        last = base64.urlsafe_b64encode(f"{at}~{new_id()}".encode()).decode()
        for filters in ({"created_from": at}, {"updated_to": at}, {"cursor": last, "sort": "deadline"}):
            answer = await product.http.get(URL, headers=ada, params=filters)
            assert answer.status_code == 200, (filters, answer.text)
