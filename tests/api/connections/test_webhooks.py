"""Webhooks over HTTP: what an admin does with them, and what their system then hears of a real conversation."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from memory.models import Tenant
from memory.tenancy import Role
from tests.conftest import Cluster
from tests.product import Product, running, settings_for
from tests.receiver import Receiver, answer

URL = "/api/v1/webhooks"
PUBLIC = "https://hooks.acme.example/in?token=canary-in-the-address"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def product(postgres: Cluster, seeded: str, receiver: Receiver) -> AsyncIterator[Product]:
    """The product, allowed to call the receiver."""
    urls = postgres.clone(seeded)
    async with running(settings_for(urls, OUTBOUND_ALLOWED_HOSTS=f"127.0.0.1:{receiver.port}")) as started:
        yield started


@pytest.fixture(autouse=True)
def _fresh(receiver: Receiver) -> None:
    receiver.got.clear()
    receiver.reply = lambda got: answer(200)


class Admin:
    """An admin of a tenant at their console."""

    def __init__(self, product: Product, headers: dict[str, str]) -> None:
        self.product, self.headers = product, headers

    async def call(self, method: str, path: str = "", expect: int = 200, **options: Any) -> Any:
        found = await self.product.http.request(method, f"{URL}{path}", headers=self.headers, **options)
        assert found.status_code == expect, found.text
        return found.json() if found.content else None

    async def add(self, url: str, *events: str) -> dict[str, Any]:
        body = {"url": url, "events": list(events) or ["*"], "description": "CRM"}
        found: dict[str, Any] = await self.call("POST", json=body, expect=201)
        return found

    async def settled(self, endpoint: dict[str, Any], count: int = 1) -> list[dict[str, Any]]:
        """The log, once so many deliveries have been tried."""
        async with asyncio.timeout(8):
            while True:
                items: list[dict[str, Any]] = (await self.call("GET", f"/{endpoint['id']}/deliveries"))["items"]
                tried = [item for item in items if item["status"] != "pending" or item["last_error"]]
                if len(tried) >= count:
                    return items
                await asyncio.sleep(0.05)


@pytest.fixture
async def admin(product: Product, tenant: Tenant) -> Admin:
    return Admin(product, await product.staff(tenant, Role.ADMIN))


class TestEndpoints:
    async def test_the_secret_is_shown_once(self, admin: Admin) -> None:
        made = await admin.add(PUBLIC, "ticket.created", "handoff.requested", "ticket.created")
        secret = made.pop("secret")
        assert secret.startswith("whsec_")
        assert made["events"] == ["handoff.requested", "ticket.created"]
        path = f"/{made['id']}"
        answers = [
            await admin.call("GET"), await admin.call("GET", path), await admin.call("GET", f"{path}/deliveries"),
            await admin.call("PATCH", path, json={"description": "x"}),
            (await admin.product.http.get("/api/v1/audit", headers=admin.headers)).json(),
        ]  # fmt: skip
        assert secret not in json.dumps(answers)
        rotated = await admin.call("POST", f"{path}/rotate")
        assert rotated["secret"] not in (secret, *json.dumps(await admin.call("GET", path)))
        assert rotated["previous_secret_until"]

    @pytest.mark.parametrize(
        "url",
        ["http://hooks.acme.example/", "https://127.0.0.1/", "https://localhost/", "https://169.254.169.254/", "ftp://x.y/",
         "https://user:pw@hooks.acme.example/", "https://[::1]/", "https://hooks.acme.example:22/", "https://10.0.0.1/"],
    )  # fmt: skip
    async def test_an_address_that_is_not_public_is_refused(self, admin: Admin, url: str) -> None:
        body = {"url": url, "events": ["*"]}
        problem = await admin.call("POST", json=body, expect=422)
        assert problem["code"] == "address_refused"
        assert url not in json.dumps(problem)
        made = await admin.add(PUBLIC)
        assert (await admin.call("PATCH", f"/{made['id']}", json={"url": url}, expect=422))["code"] == "address_refused"

    @pytest.mark.parametrize(
        "body",
        [{"url": PUBLIC, "events": ["message.exploded"]}, {"url": PUBLIC, "events": []}, {"events": ["*"]},
         {"url": PUBLIC, "events": ["*"], "secret": "whsec_mine"}, {"url": PUBLIC, "events": ["webhook.test"]}],
        ids=str,
    )  # fmt: skip
    async def test_what_is_no_endpoint_is_refused(self, admin: Admin, body: dict[str, Any]) -> None:
        await admin.call("POST", json=body, expect=422)

    async def test_every_change_is_in_the_audit_log_without_what_may_be_secret(self, admin: Admin) -> None:
        made = await admin.add(PUBLIC)
        path = f"/{made['id']}"
        await admin.call("PATCH", path, json={"events": ["ticket.created"], "description": "new"})
        await admin.call("PATCH", path, json={"status": "disabled"})
        await admin.call("PATCH", path, json={"status": "disabled"})
        await admin.call("PATCH", path, json={"status": "active"})
        await admin.call("POST", f"{path}/rotate")
        await admin.call("POST", f"{path}/test", expect=202)
        await admin.call("DELETE", path, expect=204)
        await admin.call("GET", path, expect=404)
        found = await admin.product.http.get(
            "/api/v1/audit", params={"object_id": made["id"], "action": "webhook."}, headers=admin.headers
        )
        entries = found.json()["items"]
        assert [entry["action"] for entry in reversed(entries)] == [
            "webhook.added", "webhook.changed", "webhook.disabled", "webhook.enabled", "webhook.secret_rotated",
            "webhook.tested", "webhook.removed",
        ]  # fmt: skip
        assert entries[-1]["changes"] == {"host": "hooks.acme.example", "events": ["*"]}
        assert all(entry["request_id"] and entry["address"] == "127.0.0.1" for entry in entries)
        assert "canary" not in found.text
        assert "whsec_" not in found.text

    async def test_a_disabled_one_is_neither_tested_nor_replayed(self, admin: Admin) -> None:
        made = await admin.add(PUBLIC)
        path = f"/{made['id']}"
        waits = await admin.call("POST", f"{path}/test", expect=202)
        off = await admin.call("PATCH", path, json={"status": "disabled"})
        assert (off["status"], off["disabled_because"]) == ("disabled", "disabled by an admin")
        await admin.call("POST", f"{path}/test", expect=409)
        await admin.call("POST", f"{path}/deliveries/{waits['id']}/replay", expect=409)
        await admin.call("POST", f"{path}/replay", json={"since": "2026-01-01T00:00:00Z"}, expect=409)
        on = await admin.call("PATCH", path, json={"status": "active"})
        assert (on["status"], on["disabled_because"], on["failures"]) == ("active", None, 0)

    async def test_lists_are_pages(self, admin: Admin) -> None:
        made = [(await admin.add(PUBLIC))["id"] for _ in range(3)]
        first = await admin.call("GET", params={"limit": 2})
        rest = await admin.call("GET", params={"limit": 2, "cursor": first["next_cursor"]})
        assert [item["id"] for item in (*first["items"], *rest["items"])] == made[::-1]
        assert rest["next_cursor"] is None


class TestHearing:
    async def test_a_conversation_is_told_as_it_happens_and_notes_are_not(
        self, product: Product, tenant: Tenant, admin: Admin, receiver: Receiver
    ) -> None:
        endpoint = await admin.add(receiver.url)
        visitor = await product.visitor(tenant)
        await visitor.ask("How do I reset my mailbox password?")
        asked = (await product.http.post(f"{visitor.url}/escalate", headers=visitor.headers)).json()
        agent = await product.staff(tenant, Role.AGENT)
        handoff = f"/api/v1/handoffs/{asked['handoff_id']}"
        await product.http.post(f"{handoff}/claim", headers=agent)
        noted = await product.http.post(f"{handoff}/notes", json={"message": "canary-note-8c1"}, headers=agent)
        assert noted.status_code == 201
        said = await product.http.post(f"{handoff}/messages", json={"message": "I am here."}, headers=agent)
        assert said.status_code == 201
        await product.http.post(f"{visitor.url}/close", headers=visitor.headers)
        events = await product.rows(tenant, "select type from session_events order by n")
        history = await product.rows(tenant, "select type from ticket_events where type <> 'note'")
        got = await receiver.wait_for(len(events) + len(history))
        told = [found.verified(endpoint["secret"]) for found in got]
        assert sorted(event["type"] for event in told) == sorted(
            [*(event["type"] for event in events), *(f"ticket.{event['type']}" for event in history)]
        )
        assert len({found.id for found in got}) == len(got)
        assert b"canary-note" not in b"".join(found.body for found in got)
        [answered] = [event for event in told if event["type"] == "message.completed"]
        assert answered["data"]["session_id"] == visitor.session_id
        assert answered["data"]["sources"]
        [opened] = [event for event in told if event["type"] == "ticket.created"]
        assert {"ticket_id", "number", "subject", "status", "customer_id"} <= set(opened["data"])

    async def test_another_tenants_events_are_not(self, product: Product, admin: Admin, receiver: Receiver) -> None:
        endpoint = await admin.add(receiver.url)
        stranger = await product.visitor(await product.tenant())
        await stranger.ask("hello")
        await admin.call("POST", f"/{endpoint['id']}/test", expect=202)
        await receiver.wait_for(1)
        await asyncio.sleep(0.2)
        assert [found.event["type"] for found in receiver.got] == ["webhook.test"]

    async def test_only_chosen_events_are_sent(
        self, product: Product, tenant: Tenant, admin: Admin, receiver: Receiver
    ) -> None:
        endpoint = await admin.add(receiver.url, "ticket.created")
        visitor = await product.visitor(tenant)
        await visitor.ask("hello")
        opened = await product.http.post(
            "/api/v1/tickets", json={"subject": "Help", "content": "x"}, headers=visitor.headers
        )
        assert opened.status_code == 201
        [found] = await admin.settled(endpoint)
        assert found["event_type"] == "ticket.created"
        assert receiver.got[0].event["data"]["ticket_id"] == opened.json()["id"]


class TestLog:
    async def test_a_failure_is_shown_and_replayed_under_the_same_id(self, admin: Admin, receiver: Receiver) -> None:
        receiver.reply = lambda got: answer(500, body=b"canary-in-the-answer")
        endpoint = await admin.add(receiver.url)
        sent = await admin.call("POST", f"/{endpoint['id']}/test", expect=202)
        [failed] = await admin.settled(endpoint)
        assert (failed["id"], failed["status"], failed["attempts"]) == (sent["id"], "pending", 1)
        assert (failed["last_status"], failed["last_error"]) == (500, "it answered 500")
        assert failed["next_attempt_at"]
        assert (await admin.call("GET", f"/{endpoint['id']}"))["failures"] == 1
        receiver.reply = lambda got: answer(200)
        path = f"/{endpoint['id']}/deliveries/{sent['id']}"
        await admin.call("POST", f"{path}/replay", expect=202)
        async with asyncio.timeout(5):
            while (shown := await admin.call("GET", path))["status"] != "delivered":
                await asyncio.sleep(0.02)
        assert shown["payload"]["type"] == "webhook.test"
        await admin.call("POST", f"{path}/replay", expect=202)
        first, *others = await receiver.wait_for(3)
        assert {found.id for found in others} == {first.id} == {f"msg_{sent['id'].replace('-', '')}"}
        assert "canary" not in json.dumps([shown, failed])

    async def test_everything_that_failed_since_a_time_goes_again(self, admin: Admin, receiver: Receiver) -> None:
        receiver.reply = lambda got: answer(410)
        endpoint = await admin.add(receiver.url)
        path = f"/{endpoint['id']}"
        await admin.call("POST", f"{path}/test", expect=202)
        [failed] = await admin.settled(endpoint)
        assert failed["status"] == "failed"
        shown = await admin.call("GET", path)
        assert shown["status"] == "disabled"
        assert "410" in shown["disabled_because"]
        receiver.reply = lambda got: answer(200)
        await admin.call("PATCH", path, json={"status": "active"})
        none = await admin.call("POST", f"{path}/replay", json={"since": "2999-01-01T00:00:00Z"}, expect=202)
        assert none == {"deliveries": 0}
        again = await admin.call("POST", f"{path}/replay", json={"since": failed["created_at"]}, expect=202)
        assert again == {"deliveries": 1}
        await receiver.wait_for(2)

    async def test_is_filtered_and_paged(self, admin: Admin, receiver: Receiver) -> None:
        endpoint = await admin.add(receiver.url)
        path = f"/{endpoint['id']}"
        ids = [(await admin.call("POST", f"{path}/test", expect=202))["id"] for _ in range(3)]
        await admin.settled(endpoint, 3)
        first = await admin.call("GET", f"{path}/deliveries", params={"limit": 2})
        rest = await admin.call("GET", f"{path}/deliveries", params={"limit": 2, "cursor": first["next_cursor"]})
        assert [item["id"] for item in (*first["items"], *rest["items"])] == ids[::-1]
        for params, count in (
            ({"status": "delivered"}, 3), ({"status": "failed"}, 0), ({"event_type": "webhook.test"}, 3),
            ({"event_type": "ticket.created"}, 0),
        ):  # fmt: skip
            assert len((await admin.call("GET", f"{path}/deliveries", params=params))["items"]) == count
