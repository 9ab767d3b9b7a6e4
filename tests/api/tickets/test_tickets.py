"""Tickets over HTTP: opened, changed, handed up and merged, by whom they may be."""

import asyncio

import httpx
import pytest

from memory.models import Tenant, new_id
from memory.tenancy import Role
from tests.product import Product, Visitor
from tests.ticket_desk import URL, Headers, Json, call, earlier, events, kinds, listed, me, opened, server_of
from tools.tickets.status import STATUSES, TRANSITIONS


class TestOpening:
    async def test_it_is_classified_and_its_customer_sees_it(
        self, product: Product, ada: Headers, customer: Visitor
    ) -> None:
        ticket = await opened(product, customer.headers, "Invoice", content="I was charged twice on my invoice.")
        assert (ticket["number"], ticket["status"], ticket["intent"]) == (1, "open", "billing")
        seen = await call(product, "GET", f"/{ticket['id']}", ada)
        assert seen["classified"]["intent"] == "billing"
        assert seen["classified"]["keywords"]
        assert (seen["language"], seen["opened_by"]) == ("en", "customer")
        assert await kinds(product, ada, ticket) == ["created", "classified"]
        assert await kinds(product, customer.headers, ticket) == ["created"]

    async def test_a_colleague_opens_it_for_a_customer(
        self, product: Product, tenant: Tenant, ada: Headers, customer: Visitor
    ) -> None:
        own = await opened(product, customer.headers)
        customer_id = (await call(product, "GET", f"/{own['id']}", ada))["customer_id"]
        ticket = await opened(product, ada, "For you", customer_id=customer_id, priority="urgent", department="Sales")
        assert (ticket["opened_by"], ticket["priority"], ticket["customer_id"]) == ("agent", "urgent", customer_id)
        assert await listed(product, customer.headers) == ["For you", "Broken"]
        audited = await product.rows(tenant, "select action, object_id from audit_log where action like 'ticket.%%'")
        assert audited == [{"action": "ticket.opened", "object_id": ticket["id"]}]

    async def test_a_server_opens_it_for_its_own_customer(self, product: Product, tenant: Tenant) -> None:
        server = await server_of(product, tenant)
        first = await opened(product, server, "One", user_id="c-42")
        await opened(product, server, "Two", user_id="c-42")
        await opened(product, server, "Three", user_id="c-43")
        assert "assignee_id" not in first
        assert await listed(product, server, user_id="c-42") == ["Two", "One"]
        assert await listed(product, server, user_id="nobody") == []
        await call(product, "POST", "", server, 422, subject="Whose?", content="x")

    async def test_only_colleagues_name_a_customer_or_a_priority(self, product: Product, customer: Visitor) -> None:
        for extra in ({"customer_id": str(new_id())}, {"user_id": "c-1"}, {"priority": "urgent"}):
            await call(product, "POST", "", customer.headers, 422, subject="Mine", content="x", **extra)

    async def test_a_stranger_is_not_found(self, product: Product, ada: Headers, customer: Visitor) -> None:
        abroad = await product.tenant()
        stranger = await opened(product, (await product.visitor(abroad)).headers)
        found = await call(product, "GET", f"/{stranger['id']}", await product.staff(abroad, Role.AGENT))
        for customer_id in (str(new_id()), found["customer_id"]):
            await call(product, "POST", "", ada, 404, subject="x", content="x", customer_id=customer_id)

    async def test_it_may_be_about_ones_own_conversation_only(self, product: Product, tenant: Tenant) -> None:
        mine, other = await product.visitor(tenant), await product.visitor(tenant)
        ticket = await opened(product, mine.headers, session_id=mine.session_id)
        assert ticket["session_id"] == mine.session_id
        body = {"subject": "x", "content": "x", "session_id": other.session_id}
        await call(product, "POST", "", mine.headers, 404, **body)

    async def test_numbers_have_no_gap_however_many_are_opened_at_once(
        self, product: Product, customer: Visitor
    ) -> None:
        tickets = await asyncio.gather(*(opened(product, customer.headers) for _ in range(20)))
        assert sorted(ticket["number"] for ticket in tickets) == list(range(1, 21))


class TestTransitions:
    @pytest.mark.parametrize("before", STATUSES)
    async def test_only_the_steps_of_the_table_are_taken(
        self, product: Product, ada: Headers, customer: Visitor, before: str
    ) -> None:
        for after in set(STATUSES) - {before}:
            ticket = await opened(product, customer.headers)
            if before != "open":
                await call(product, "PATCH", f"/{ticket['id']}", ada, status=before)
            allowed = after in TRANSITIONS[before]
            found = await call(product, "PATCH", f"/{ticket['id']}", ada, 200 if allowed else 409, status=after)
            if allowed:
                assert found["status"] == after
                assert (found["resolved_at"] is not None) == (after in ("resolved", "closed"))
                assert (found["closed_at"] is not None) == (after == "closed")
                assert (found["paused_at"] is not None) == (after == "waiting_customer")

    async def test_a_closed_one_is_opened_again_within_seven_days(
        self, product: Product, tenant: Tenant, ada: Headers, customer: Visitor
    ) -> None:
        ticket = await opened(product, customer.headers)
        await call(product, "PATCH", f"/{ticket['id']}", ada, status="closed")
        await earlier(product, tenant, ticket, "6 days 23 hours")
        again = await call(product, "PATCH", f"/{ticket['id']}", ada, status="open")
        assert (again["reopened"], again["closed_at"]) == (1, None)
        await call(product, "PATCH", f"/{ticket['id']}", ada, status="closed")
        await earlier(product, tenant, ticket, "7 days 1 minute")
        await call(product, "PATCH", f"/{ticket['id']}", ada, 409, status="open")
        assert (await kinds(product, customer.headers, ticket))[1:] == ["status_changed", "reopened", "status_changed"]


class TestChanging:
    async def test_a_correction_keeps_the_machines_word(
        self, product: Product, tenant: Tenant, ada: Headers, customer: Visitor
    ) -> None:
        ticket = await opened(product, customer.headers, content="My invoice is wrong.")
        found = await call(
            product, "PATCH", f"/{ticket['id']}", ada, intent="domain", severity="HIGH", tier=3, language="de"
        )
        assert (found["intent"], found["severity"], found["tier"], found["language"]) == ("domain", "HIGH", 3, "de")
        assert (found["classified"]["intent"], found["classified"]["severity"]) == ("billing", ticket["severity"])
        last = (await events(product, ada, ticket))[-1]
        assert (last["type"], last["data"]["intent"]) == ("corrected", {"from": "billing", "to": "domain"})
        [audited] = await product.rows(tenant, "select * from audit_log where action = 'ticket.changed'")
        assert audited["changes"] == {"intent": "domain", "severity": "HIGH", "tier": 3, "language": "de"}
        assert audited["request_id"]

    async def test_it_is_assigned_to_colleagues_and_teams(
        self, product: Product, tenant: Tenant, ada: Headers, customer: Visitor
    ) -> None:
        ticket = await opened(product, customer.headers)
        path, user = f"/{ticket['id']}", await me(product, ada)
        found = await call(product, "PATCH", path, ada, assignee_id=user, team="web")
        assert (found["assignee_id"], found["team"]) == (user, "web")
        assert found["assignee_name"]
        answer = await product.http.patch(URL + path, headers=ada, json={"assignee_id": None, "team": ""})
        assert (answer.json()["assignee_id"], answer.json()["team"]) == (None, "")
        foreign = await me(product, await product.staff(await product.tenant(), Role.AGENT))
        for nobody in (foreign, str(new_id())):
            await call(product, "PATCH", path, ada, 404, assignee_id=nobody)
        assert (await kinds(product, ada, ticket))[2:] == ["assigned", "assigned"]

    async def test_the_same_again_changes_nothing(self, product: Product, ada: Headers, customer: Visitor) -> None:
        ticket = await opened(product, customer.headers)
        same = {name: ticket[name] for name in ("status", "priority", "intent", "severity", "tier", "department")}
        answer = await product.http.patch(f"{URL}/{ticket['id']}", headers=ada, json=same)
        assert answer.json()["version"] == ticket["version"]
        assert await kinds(product, ada, ticket) == ["created", "classified"]

    @pytest.mark.parametrize(
        "body",
        [{"status": None}, {"priority": None}, {"tier": 5}, {"severity": "low"}, {"status": "done"}, {"version": 0},
         {"team": "Web Team"}, {"subject": "x"}, {"customer_id": str(new_id())}, {"classified": {}}, {"missed": []}],
    )  # fmt: skip
    async def test_what_is_no_change_is_refused(
        self, product: Product, ada: Headers, customer: Visitor, body: Json
    ) -> None:
        ticket = await opened(product, customer.headers)
        answer = await product.http.patch(f"{URL}/{ticket['id']}", headers=ada, json=body)
        assert answer.status_code == 422

    async def test_the_version_that_one_has_seen(self, product: Product, ada: Headers, customer: Visitor) -> None:
        ticket = await opened(product, customer.headers)
        url = f"{URL}/{ticket['id']}"
        read = await product.http.get(url, headers=ada)
        assert read.headers["etag"] == '"1"'
        first = await product.http.patch(url, json={"tier": 2}, headers={**ada, "If-Match": read.headers["etag"]})
        assert (first.status_code, first.headers["etag"]) == (200, '"2"')
        for headers, body, status in (
            ({"If-Match": '"1"'}, {"tier": 3}, 409),
            ({}, {"tier": 3, "version": 1}, 409),
            ({"If-Match": "soon"}, {"tier": 3}, 422),
            ({"If-Match": '"2"'}, {"tier": 3, "version": 1}, 422),
            ({"If-Match": '"2"'}, {"tier": 3, "version": 2}, 200),
            ({"If-Match": "*"}, {"tier": 4}, 200),
            ({}, {"tier": 1}, 200),
        ):
            answer = await product.http.patch(url, json=body, headers={**ada, **headers})
            assert answer.status_code == status, (headers, body, answer.text)

    async def test_of_many_who_change_one_version_at_once_one_wins(
        self, product: Product, tenant: Tenant, customer: Visitor
    ) -> None:
        colleagues = [await product.staff(tenant, Role.AGENT) for _ in range(4)]
        for _ in range(10):
            ticket = await opened(product, customer.headers)
            url, barrier = f"{URL}/{ticket['id']}", asyncio.Barrier(len(colleagues))

            async def change(place: int, url: str = url, barrier: asyncio.Barrier = barrier) -> httpx.Response:
                await barrier.wait()
                body = {"version": 1, "team": f"team-{place}"}
                return await product.http.patch(url, json=body, headers=colleagues[place])

            answers = await asyncio.gather(*(change(place) for place in range(len(colleagues))))
            assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
            winner = next(place for place, answer in enumerate(answers) if answer.status_code == 200)
            now = (await product.http.get(url, headers=colleagues[0])).json()
            assert (now["version"], now["team"]) == (2, f"team-{winner}")
            assert (await kinds(product, colleagues[0], ticket)).count("assigned") == 1


class TestHandingUp:
    async def test_tier_by_tier_with_a_reason_until_there_is_none(
        self, product: Product, ada: Headers, customer: Visitor
    ) -> None:
        ticket = await opened(product, customer.headers)
        for tier in range(ticket["tier"] + 1, 5):
            found = await call(product, "POST", f"/{ticket['id']}/escalate", ada, reason="too hard")
            assert found["tier"] == tier
        await call(product, "POST", f"/{ticket['id']}/escalate", ada, 409, reason="still too hard")
        last = (await events(product, ada, ticket))[-1]
        assert (last["type"], last["data"]) == ("escalated", {"from": 3, "to": 4, "reason": "too hard"})
        await call(product, "PATCH", f"/{ticket['id']}", ada, tier=1, status="resolved")
        await call(product, "POST", f"/{ticket['id']}/escalate", ada, 409, reason="too late")

    async def test_a_rule_for_the_tier_sends_it_to_others(self, product: Product) -> None:
        tenant = await product.tenant(routing=[{"when": {"tier": [3, 4]}, "to": "specialists"}])
        ada, visitor = await product.staff(tenant, Role.AGENT), await product.visitor(tenant)
        ticket = await opened(product, visitor.headers)
        await call(product, "PATCH", f"/{ticket['id']}", ada, tier=2, assignee_id=await me(product, ada))
        found = await call(product, "POST", f"/{ticket['id']}/escalate", ada, reason="too hard")
        assert (found["team"], found["assignee_id"]) == ("specialists", None)
        assert found["routed_because"] == "rule 1: tier 3 or 4, to team specialists"


class TestLinks:
    async def test_merging_ends_one_and_tells_both(
        self, product: Product, tenant: Tenant, ada: Headers, customer: Visitor
    ) -> None:
        source, target = await opened(product, customer.headers, "A"), await opened(product, customer.headers, "B")
        await call(product, "POST", f"/{source['id']}/reply", customer.headers, 201, message="details")
        found = await call(product, "POST", f"/{source['id']}/merge", ada, into=target["id"])
        assert (found["status"], found["merged_into"]) == ("closed", target["id"])
        told = await events(product, customer.headers, source)
        assert [event["type"] for event in told] == ["created", "reply", "merged", "status_changed"]
        assert told[2]["data"]["into_number"] == target["number"]
        assert (await events(product, customer.headers, target))[-1]["data"]["merged_number"] == source["number"]
        for what, body in (
            ("reply", {"message": "x"}),
            ("escalate", {"reason": "x"}),
            ("merge", {"into": target["id"]}),
        ):
            await call(product, "POST", f"/{source['id']}/{what}", ada, 409, **body)
        await call(product, "PATCH", f"/{source['id']}", ada, 409, status="open")
        await call(product, "POST", f"/{source['id']}/reply", customer.headers, 409, message="x")
        audited = await product.rows(tenant, "select changes from audit_log where action = 'ticket.merged'")
        assert [row["changes"] for row in audited] == [{"into": target["id"]}]

    async def test_neither_itself_nor_a_circle_nor_anothers(
        self, product: Product, tenant: Tenant, ada: Headers, customer: Visitor
    ) -> None:
        a, b = await opened(product, customer.headers, "A"), await opened(product, customer.headers, "B")
        other = await opened(product, (await product.visitor(tenant)).headers, "other")
        foreign = await opened(product, (await product.visitor(await product.tenant())).headers, "foreign")
        for into, status in ((a, 409), (other, 409), (foreign, 404), ({"id": str(new_id())}, 404)):
            await call(product, "POST", f"/{a['id']}/merge", ada, status, into=into["id"])
        await call(product, "POST", f"/{a['id']}/merge", ada, into=b["id"])
        await call(product, "POST", f"/{b['id']}/merge", ada, 409, into=a["id"])
        c = await opened(product, customer.headers, "C")
        await call(product, "POST", f"/{c['id']}/merge", ada, 409, into=a["id"])

    async def test_two_that_are_merged_into_each_other_at_once_leave_one(
        self, product: Product, ada: Headers, customer: Visitor
    ) -> None:
        for _ in range(5):
            a, b = await opened(product, customer.headers, "A"), await opened(product, customer.headers, "B")
            answers = await asyncio.gather(
                product.http.post(f"{URL}/{a['id']}/merge", json={"into": b["id"]}, headers=ada),
                product.http.post(f"{URL}/{b['id']}/merge", json={"into": a["id"]}, headers=ada),
            )
            assert sorted(answer.status_code for answer in answers) == [200, 409]

    async def test_an_escalation_finds_where_its_ticket_went(
        self, product: Product, tenant: Tenant, ada: Headers, customer: Visitor
    ) -> None:
        first = (await product.http.post(f"{customer.url}/escalate", headers=customer.headers)).json()
        kept = await opened(product, customer.headers, "kept")
        await call(product, "POST", f"/{first['ticket_id']}/merge", ada, into=kept["id"])
        await product.http.post(f"/api/v1/handoffs/{first['handoff_id']}/resolve", headers=ada)
        second = (await product.http.post(f"{customer.url}/escalate", headers=customer.headers)).json()
        assert second["handoff_id"] != first["handoff_id"]
        assert second["ticket_id"] == kept["id"]

    async def test_duplicates_are_linked_and_never_in_a_circle(
        self, product: Product, tenant: Tenant, ada: Headers, customer: Visitor
    ) -> None:
        a, b, c = [await opened(product, customer.headers, name) for name in "abc"]
        found = await call(product, "PATCH", f"/{a['id']}", ada, duplicate_of=b["id"])
        assert (found["duplicate_of"], found["status"]) == (b["id"], "open")
        await call(product, "PATCH", f"/{b['id']}", ada, duplicate_of=c["id"])
        await call(product, "PATCH", f"/{c['id']}", ada, 409, duplicate_of=a["id"])
        await call(product, "PATCH", f"/{c['id']}", ada, 409, duplicate_of=c["id"])
        await call(product, "PATCH", f"/{c['id']}", ada, 404, duplicate_of=str(new_id()))
        answer = await product.http.patch(f"{URL}/{a['id']}", headers=ada, json={"duplicate_of": None})
        assert answer.json()["duplicate_of"] is None
        assert (await kinds(product, ada, a))[2:] == ["linked", "linked"]
