"""The clocks of a ticket: targets, pauses, and what is late."""

import asyncio

import pytest

from memory.models import Tenant
from memory.tenancy import Role
from tests.product import Product, Visitor
from tests.ticket_desk import Headers, Json, call, earlier, events, kinds, listed, minutes_between, opened
from tools.tickets import mark_late

SLA = {
    "urgent": {"first_response": 10, "resolution": 60, "count": "always"},
    "normal": {"first_response": 30, "resolution": 240},
}


@pytest.fixture
async def tenant(product: Product) -> Tenant:
    return await product.tenant(sla=SLA)


class TestClocks:
    async def seen(self, product: Product, ada: Headers, ticket: Json) -> Json:
        found: Json = await call(product, "GET", f"/{ticket['id']}", ada)
        return found

    async def test_both_run_from_the_opening_and_each_is_met_once(
        self, product: Product, ada: Headers, customer: Visitor
    ) -> None:
        ticket = await opened(product, customer.headers)
        now = await self.seen(product, ada, ticket)
        assert minutes_between(now["created_at"], now["first_response_due"]) == 30
        assert minutes_between(now["created_at"], now["resolution_due"]) == 240
        assert now["next_deadline"] == now["first_response_due"]
        await call(product, "POST", f"/{ticket['id']}/reply", customer.headers, 201, message="hello?")
        assert (await self.seen(product, ada, ticket))["first_responded_at"] is None
        said = await call(product, "POST", f"/{ticket['id']}/reply", ada, 201, message="hello")
        assert said["ticket"]["next_deadline"] == now["resolution_due"]
        ended = await call(product, "PATCH", f"/{ticket['id']}", ada, status="resolved")
        assert ended["next_deadline"] is None

    async def test_waiting_for_the_customer_moves_what_is_due(
        self, product: Product, tenant: Tenant, ada: Headers, customer: Visitor
    ) -> None:
        ticket = await opened(product, customer.headers)
        before = await self.seen(product, ada, ticket)
        paused = await call(product, "PATCH", f"/{ticket['id']}", ada, status="waiting_customer")
        assert paused["next_deadline"] is None
        await earlier(product, tenant, ticket, "3 hours")
        assert await mark_late(product.resources.database) == 0
        await call(product, "POST", f"/{ticket['id']}/reply", customer.headers, 201, message="here I am")
        after = await self.seen(product, ada, ticket)
        for clock in ("first_response_due", "resolution_due"):
            moved = minutes_between(before[clock], after[clock])
            assert moved == pytest.approx(0, abs=0.1)  # three hours back, and three hours on
        assert after["next_deadline"] == after["first_response_due"]
        assert after["missed"] == []

    async def test_what_is_late_is_told_once_by_however_many_look(
        self, product: Product, tenant: Tenant, ada: Headers, customer: Visitor
    ) -> None:
        ticket = await opened(product, customer.headers)
        await opened(product, customer.headers, "in time")
        await earlier(product, tenant, ticket, "31 minutes")
        assert await listed(product, ada, late=True) == ["Broken"]
        database = product.resources.database
        assert sum(await asyncio.gather(*(mark_late(database) for _ in range(5)))) == 1
        assert await mark_late(database) == 0
        now = await self.seen(product, ada, ticket)
        assert (now["missed"], now["late"], now["version"]) == (["first_response"], True, 1)
        assert now["next_deadline"] == now["resolution_due"]
        assert await listed(product, ada, sort="deadline") == ["Broken", "in time"]
        await earlier(product, tenant, ticket, "4 hours")
        assert await mark_late(database) == 1
        assert await mark_late(database) == 0
        missed = [event for event in await events(product, ada, ticket) if event["type"] == "sla_missed"]
        assert [event["data"]["clock"] for event in missed] == ["first_response", "resolution"]
        assert "sla_missed" not in await kinds(product, customer.headers, ticket)

    async def test_an_answer_that_comes_too_late_for_the_sweep_is_late_nevertheless(
        self, product: Product, tenant: Tenant, ada: Headers, customer: Visitor
    ) -> None:
        ticket = await opened(product, customer.headers)
        await earlier(product, tenant, ticket, "31 minutes")
        said = await call(product, "POST", f"/{ticket['id']}/reply", ada, 201, message="sorry")
        assert (said["ticket"]["missed"], said["ticket"]["late"]) == (["first_response"], False)
        assert await mark_late(product.resources.database) == 0
        assert (await kinds(product, ada, ticket)).count("sla_missed") == 1

    async def test_another_priority_has_other_targets_less_the_pauses(
        self, product: Product, tenant: Tenant, ada: Headers, customer: Visitor
    ) -> None:
        ticket = await opened(product, customer.headers)
        path = f"/{ticket['id']}"
        await call(product, "PATCH", path, ada, status="waiting_customer")
        await earlier(product, tenant, ticket, "2 hours")
        await call(product, "PATCH", path, ada, status="open")
        now = await call(product, "PATCH", path, ada, priority="urgent")
        assert minutes_between(now["created_at"], now["first_response_due"]) == pytest.approx(130, abs=0.1)
        assert minutes_between(now["created_at"], now["resolution_due"]) == pytest.approx(180, abs=0.1)
        none = await call(product, "PATCH", path, ada, priority="low")
        assert (none["first_response_due"], none["resolution_due"], none["next_deadline"]) == (None, None, None)

    async def test_reopening_starts_the_clocks_that_are_not_met_anew(
        self, product: Product, tenant: Tenant, ada: Headers, customer: Visitor
    ) -> None:
        ticket = await opened(product, customer.headers)
        await call(product, "POST", f"/{ticket['id']}/reply", ada, 201, message="done", status="resolved")
        await earlier(product, tenant, ticket, "5 hours")
        said = await call(product, "POST", f"/{ticket['id']}/reply", customer.headers, 201, message="no")
        now = await self.seen(product, ada, ticket)
        assert said["ticket"]["status"] == "open"
        assert minutes_between(now["updated_at"], now["resolution_due"]) == pytest.approx(240, abs=0.1)
        assert (now["missed"], now["next_deadline"]) == ([], now["resolution_due"])

    async def test_hours_in_which_nobody_works_do_not_count(self, product: Product) -> None:
        closed = await product.tenant(sla=SLA, business_hours={"timezone": "Europe/Berlin"})
        ada, visitor = await product.staff(closed, Role.AGENT), await product.visitor(closed)
        ticket = await opened(product, visitor.headers)
        now = await self.seen(product, ada, ticket)
        assert (now["first_response_due"], now["next_deadline"]) == (None, None)
        urgent = await call(product, "PATCH", f"/{ticket['id']}", ada, priority="urgent")
        assert minutes_between(urgent["created_at"], urgent["first_response_due"]) == 10
