"""WHMCS over HTTP: an admin connects it, colleagues synchronise and read; what is secret stays so, and walls hold."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from agent.jobs.whmcs import PACE, Pace
from api.logging import configure
from memory.models import Tenant
from memory.tenancy import Role
from tests.conftest import Cluster
from tests.product import Product, running, settings_for
from tests.whmcs_server import ACCESS_KEY, IDENTIFIER, SECRET, Fault, WhmcsServer

URL = "/api/v1/whmcs"
Json = dict[str, Any]
CANARIES = ("canary-hash", "canary-answer", "canary-note", "4242")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def product(postgres: Cluster, seeded: str, whmcs: WhmcsServer) -> AsyncIterator[Product]:
    """The product, allowed to call the WHMCS."""
    async with running(settings_for(postgres.clone(seeded), OUTBOUND_ALLOWED_HOSTS=whmcs.host)) as started:
        yield started


class Staff:
    """A colleague at their console."""

    def __init__(self, product: Product, headers: dict[str, str]) -> None:
        self.product, self.headers = product, headers

    async def call(self, method: str, path: str, expect: int = 200, **options: Any) -> Any:
        headers = {**self.headers, **options.pop("headers", {})}
        found = await self.product.http.request(method, f"{URL}{path}", headers=headers, **options)
        assert found.status_code == expect, found.text
        return found.json() if found.content else None


@pytest.fixture
async def home(product: Product, whmcs: WhmcsServer) -> Tenant:
    whmcs.clear()
    return await product.tenant()


@pytest.fixture
async def admin(product: Product, home: Tenant) -> Staff:
    return Staff(product, await product.staff(home, Role.ADMIN))


@pytest.fixture
async def agent(product: Product, home: Tenant) -> Staff:
    return Staff(product, await product.staff(home, Role.AGENT))


def config(whmcs: WhmcsServer, **more: Any) -> Json:
    return {"url": whmcs.url, "identifier": IDENTIFIER, "secret": SECRET, **more}


class TestConfig:
    async def test_credentials_go_in_and_never_come_out(self, admin: Staff, whmcs: WhmcsServer) -> None:
        given = config(whmcs, access_key="short", options={"departments": [2], "timezone": "Europe/Berlin"})
        made = await admin.call("PUT", "/config", json=given)
        assert made == await admin.call("GET", "/config")
        assert made["identifier"] == {"set": True, "ends_with": IDENTIFIER[-4:]}
        assert made["access_key"] == {"set": True, "ends_with": None}
        assert made["options"]["departments"] == [2]
        audit = (await admin.product.http.get("/api/v1/audit", headers=admin.headers)).json()
        assert audit["items"][0]["action"] == "whmcs.connected"
        told = json.dumps([made, audit])
        assert not any(secret in told for secret in (IDENTIFIER, SECRET, '"short"'))

    async def test_what_is_left_out_stays_and_null_takes_the_access_key_away(
        self, admin: Staff, whmcs: WhmcsServer
    ) -> None:
        await admin.call("PUT", "/config", json=config(whmcs, access_key=ACCESS_KEY))
        changed = await admin.call("PUT", "/config", json={"url": whmcs.url, "version": 1})
        assert (changed["access_key"]["set"], changed["secret"]["set"], changed["version"]) == (True, True, 2)
        assert (await admin.call("POST", "/config/test"))["ok"]
        assert whmcs.asked[-1]["accesskey"] == ACCESS_KEY
        changed = await admin.call("PUT", "/config", json={"url": whmcs.url, "access_key": None})
        assert changed["access_key"]["set"] is False
        await admin.call("PUT", "/config", 409, json={"url": whmcs.url, "version": 1})

    async def test_an_address_that_is_not_public_is_refused(self, admin: Staff, whmcs: WhmcsServer) -> None:
        for url in (
            "http://billing.acme.example/", "https://127.0.0.1/", "https://169.254.169.254/x", "ftp://x.y/",
            "https://user:pw@billing.acme.example/", "https://billing.acme.example:22/", "https://10.0.0.1/whmcs",
            "https://billing.acme.example/?x=1", "https://localhost/",
        ):  # fmt: skip
            problem = await admin.call("PUT", "/config", 422, json=config(whmcs, url=url))
            assert url not in json.dumps(problem)
        await admin.call("GET", "/config", 404)

    async def test_the_address_may_be_written_as_people_have_it(self, admin: Staff, whmcs: WhmcsServer) -> None:
        for end in ("", "/", "/includes/api.php"):
            made = await admin.call("PUT", "/config", json=config(whmcs, url=whmcs.url + end))
            assert made["url"] == whmcs.url

    async def test_options_that_mean_nothing_are_refused(self, admin: Staff, whmcs: WhmcsServer) -> None:
        refused: tuple[Json, ...] = (
            {"timezone": "Mars/Olympus"}, {"sync_every_minutes": -1}, {"statuses": {"Open": "broken"}},
            {"departments": [0]}, {"reply_statuses": {"gone": "Closed"}}, {"unknown": 1}, {"admin_username": "a b"},
        )  # fmt: skip
        for options in refused:
            await admin.call("PUT", "/config", 422, json=config(whmcs, options=options))

    async def test_a_test_says_what_is_wrong_and_what_there_is(self, admin: Staff, whmcs: WhmcsServer) -> None:
        await admin.call("PUT", "/config", json=config(whmcs))
        found = await admin.call("POST", "/config/test")
        assert (found["ok"], found["active_tickets"]) == (True, 0)
        assert found["departments"] == [{"id": 1, "name": "Support"}]
        assert {"title": "Waiting Vendor", "ours": None} in found["statuses"]
        whmcs.fault = lambda form: "address"
        found = await admin.call("POST", "/config/test")
        assert (found["ok"], found["code"]) == (False, "whmcs_address_not_allowed")
        assert "203.0.113.7" in found["error"]

    async def test_after_removing_there_is_none(self, admin: Staff, whmcs: WhmcsServer) -> None:
        await admin.call("PUT", "/config", json=config(whmcs))
        await admin.call("DELETE", "/config", 204)
        for method, path in (("GET", "/config"), ("DELETE", "/config"), ("POST", "/sync"), ("POST", "/config/test"),
                             ("GET", "/clients/1"), ("GET", "/clients/1/invoices")):  # fmt: skip
            await admin.call(method, path, 404)
        await admin.call("PUT", "/config", 422, json={"url": whmcs.url})


class TestSync:
    async def test_answers_with_count_and_tickets(self, admin: Staff, agent: Staff, whmcs: WhmcsServer) -> None:
        await admin.call("PUT", "/config", json=config(whmcs))
        issues = [whmcs.open(f"Question {number}") for number in range(3)]
        found = await agent.call("POST", "/sync")
        assert (found["state"], found["count"], found["opened"], found["failed"]) == ("succeeded", 3, 3, 0)
        assert {ticket["external_id"]: ticket["subject"] for ticket in found["tickets"]} == {
            str(issue.id): issue.subject for issue in issues
        }
        again = await agent.call("POST", "/sync")
        assert (again["count"], again["tickets"]) == (0, [])
        assert (await agent.call("GET", f"/sync/{found['id']}"))["count"] == 3
        assert [one["id"] for one in (await agent.call("GET", "/sync"))["items"]] == [again["id"], found["id"]]
        config_now = await admin.call("GET", "/config")
        assert config_now["synced_at"]
        assert config_now["failures"] == 0

    async def test_the_tickets_are_listed_page_by_page_apart_from_others(
        self, admin: Staff, whmcs: WhmcsServer
    ) -> None:
        await admin.call("PUT", "/config", json=config(whmcs))
        for number in range(5):
            whmcs.open(f"Question {number}", status="Answered" if number == 3 else "Open")
        own = {"subject": "Our own", "content": "x"}
        assert (await admin.product.http.post("/api/v1/tickets", json=own, headers=admin.headers)).status_code == 201
        await admin.call("POST", "/sync")
        first = await admin.call("GET", "/tickets?limit=3")
        rest = await admin.call("GET", f"/tickets?limit=3&cursor={first['next_cursor']}")
        subjects = [ticket["subject"] for ticket in first["items"] + rest["items"]]
        assert sorted(subjects) == [f"Question {number}" for number in range(5)]
        waiting = await admin.call("GET", "/tickets?status=waiting_customer")
        assert [ticket["external_status"] for ticket in waiting["items"]] == ["Answered"]

    async def test_what_takes_long_goes_on_and_is_followed_by_its_id(self, admin: Staff, whmcs: WhmcsServer) -> None:
        await admin.call("PUT", "/config", json=config(whmcs))
        for _ in range(6):
            whmcs.open()
        whmcs.slow_s = 0.15
        whmcs.fault = lambda form: "slow"
        syncs = admin.product.resources.syncs
        syncs.pace = Pace(answer_s=0.2, first_s=20, note_s=0.02)
        try:
            found = await admin.call("POST", "/sync", 202)
            assert found["state"] == "running"
            joined = await admin.call("POST", "/sync", 202, headers={"Prefer": "respond-async"})
            assert joined["id"] == found["id"]
            await syncs.settled()
        finally:
            syncs.pace = PACE
        ended = await admin.call("GET", f"/sync/{found['id']}")
        assert (ended["state"], ended["count"], len(ended["tickets"])) == ("succeeded", 6, 6)

    async def test_a_failure_is_a_problem_and_stands_in_the_connection(self, admin: Staff, whmcs: WhmcsServer) -> None:
        told: dict[Fault, tuple[int, str]] = {
            "address": (409, "whmcs_address_not_allowed"), "two factor": (409, "whmcs_second_factor"),
            "role": (409, "whmcs_not_permitted"), "maintenance": (503, "whmcs_unreadable"),
            "500": (503, "whmcs_unreachable"), "redirect": (409, "whmcs_not_there"),
        }  # fmt: skip
        for fault, (status, code) in told.items():
            await admin.call("PUT", "/config", json=config(whmcs))
            whmcs.fault = lambda form, fault=fault: fault  # type: ignore[misc]
            problem = await admin.call("POST", "/sync", status)
            assert problem["code"] == code
            found = await admin.call("GET", "/config")
            assert (found["failures"], found["error_code"], found["error"]) == (1, code, problem["detail"])
            failed = (await admin.call("GET", "/sync"))["items"][0]
            assert (failed["state"], failed["error_code"]) == ("failed", code)

    async def test_the_same_key_synchronises_once(self, admin: Staff, whmcs: WhmcsServer) -> None:
        await admin.call("PUT", "/config", json=config(whmcs))
        whmcs.open()
        key = {"Idempotency-Key": "k-1"}
        assert await admin.call("POST", "/sync", headers=key) == await admin.call("POST", "/sync", headers=key)
        assert len((await admin.call("GET", "/sync"))["items"]) == 1

    async def test_a_schedule_is_carried_out_by_jobs(self, admin: Staff, whmcs: WhmcsServer) -> None:
        await admin.call("PUT", "/config", json=config(whmcs))
        whmcs.open("By the schedule")
        jobs = admin.product.resources.jobs.app
        await jobs.tasks["look_at_whmcs"].defer_async(timestamp=0)
        await jobs.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)
        assert [ticket["subject"] for ticket in (await admin.call("GET", "/tickets"))["items"]] == ["By the schedule"]
        [sync] = (await admin.call("GET", "/sync"))["items"]
        assert sync["state"] == "succeeded"
        assert (await admin.call("GET", "/config"))["next_sync_at"] > (sync["ended_at"] or "")


class TestReading:
    async def test_clients_and_invoices_come_without_what_opens_accounts(
        self, admin: Staff, whmcs: WhmcsServer
    ) -> None:
        await admin.call("PUT", "/config", json=config(whmcs))
        client = await admin.call("GET", "/clients/7")
        assert (client["id"], client["email"], client["stats"]["numdueinvoices"]) == (
            7,
            "cynthia@customer.example",
            "2",
        )
        invoices = await admin.call("GET", "/clients/7/invoices")
        assert [(one["id"], one["total"], one["status"]) for one in invoices["items"]] == [(70, "15.95", "Unpaid")]
        told = json.dumps([client, invoices])
        assert not any(canary in told for canary in CANARIES)

    async def test_a_client_that_is_none_is_not_found(self, admin: Staff, whmcs: WhmcsServer) -> None:
        await admin.call("PUT", "/config", json=config(whmcs))
        for client in ("0", "-1", "x", "1e3", "٣", "9" * 20, "901"):
            await admin.call("GET", f"/clients/{client}", 404)

    async def test_words_of_whmcs_stand_in_the_tickets_history_and_none_is_said_past_it(
        self, admin: Staff, whmcs: WhmcsServer
    ) -> None:
        await admin.call("PUT", "/config", json=config(whmcs))
        issue = whmcs.open()
        whmcs.say(issue, "Hello there", admin="Grace")
        [ticket] = (await admin.call("POST", "/sync"))["tickets"]
        url = f"/api/v1/tickets/{ticket['id']}"
        events = (await admin.product.http.get(f"{url}/events", headers=admin.headers)).json()["items"]
        [reply] = [event for event in events if event["type"] == "reply"]
        assert (reply["author"], reply["name"], reply["text"]) == ("agent", "Grace", "Hello there")
        said = await admin.product.http.post(f"{url}/reply", json={"message": "Only here"}, headers=admin.headers)
        assert (said.status_code, "approve" in said.json()["detail"]) == (409, True)


class TestALife:
    async def test_of_a_ticket_from_there_to_there(self, admin: Staff, agent: Staff, whmcs: WhmcsServer) -> None:
        """Taken over, drafted for, approved with a change, sent once, and seen once when it comes back."""
        await admin.call("PUT", "/config", json=config(whmcs, options={"admin_username": "helpdesk"}))
        issue = whmcs.open("Mailbox", "How do I reset the password of my mailbox?")
        [ticket] = (await agent.call("POST", "/sync"))["tickets"]
        http, who = agent.product.http, agent.headers
        draft = await http.post("/api/v1/replies/generate", json={"ticket_id": ticket["id"]}, headers=who)
        assert draft.status_code == 201, draft.text
        assert whmcs.actions("AddTicketReply") == []
        approval = {
            "draft_id": draft.json()["id"], "version": draft.json()["version"], "content": "Open Email Accounts & press Manage.",
            "status": "resolved",
        }  # fmt: skip
        approved = await asyncio.gather(
            *(http.post("/api/v1/replies/approve", json=approval, headers=who) for _ in range(2))
        )
        assert sorted(answer.status_code for answer in approved) == [200, 409]
        jobs = agent.product.resources.jobs.app
        await jobs.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)
        [form] = whmcs.actions("AddTicketReply")
        assert (form["message"], form["status"]) == ("Open Email Accounts & press Manage.", "Closed")
        assert issue.replies[-1].admin == "Help Desk"
        await agent.call("POST", "/sync")
        events = (await http.get(f"/api/v1/tickets/{ticket['id']}/events", headers=who)).json()["items"]
        assert [event["text"] for event in events if event["type"] == "reply"] == [form["message"]]
        assert len(whmcs.actions("AddTicketReply")) == 1

    async def test_the_next_ticket_from_there_gets_the_better_draft_and_a_warning(
        self, admin: Staff, agent: Staff, whmcs: WhmcsServer
    ) -> None:
        """The last diagram of the specification, from the synchronisation to what future tickets get."""
        await admin.call("PUT", "/config", json=config(whmcs, options={"admin_username": "helpdesk"}))
        http, who, jobs = agent.product.http, agent.headers, agent.product.resources.jobs.app
        reply = "Hello,\n\nPlease open the tile Post Office in our own panel and press Fresh Secret.\n\nKind regards"
        drafts = []
        for question in ("How do I reset the password of my mailbox?", "I need a new password for my mailbox, how?"):
            whmcs.open("Mailbox", question)
            [ticket] = (await agent.call("POST", "/sync"))["tickets"]
            answer = await http.post("/api/v1/replies/generate", json={"ticket_id": ticket["id"]}, headers=who)
            draft = answer.json()
            drafts.append(draft)
            wanted = reply if len(drafts) == 1 else draft["content"]
            approval = {"draft_id": draft["id"], "version": 1, "content": wanted}
            done = await http.post("/api/v1/replies/approve", json=approval, headers=who)
            assert done.json()["reply"]["learned"] == ("correction" if len(drafts) == 1 else "example")
            await jobs.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)
            await agent.call("POST", "/sync")  # their own replies come back as words that are known
        first, second = drafts
        assert (first["warnings"], first["confidence"]["parts"]["safety"]) == ({}, 1.0)
        assert second["warnings"]["corrections"][0]["reply"] == reply
        assert second["confidence"]["parts"]["safety"] < 1.0
        assert "Fresh Secret" in second["content"]
        assert [form["message"] for form in whmcs.actions("AddTicketReply")] == [reply, second["content"]]


class TestWalls:
    async def test_another_tenant_sees_nothing_of_it(self, product: Product, admin: Staff, whmcs: WhmcsServer) -> None:
        await admin.call("PUT", "/config", json=config(whmcs))
        whmcs.open("Not for others")
        sync = await admin.call("POST", "/sync")
        abroad = await product.tenant()
        foreign = Staff(product, await product.staff(abroad, Role.ADMIN))
        asked = len(whmcs.asked)
        for method, path in (("GET", "/config"), ("DELETE", "/config"), ("POST", "/sync"), ("POST", "/config/test"),
                             ("GET", f"/sync/{sync['id']}"), ("GET", "/clients/1")):  # fmt: skip
            await foreign.call(method, path, 404)
        assert (await foreign.call("GET", "/tickets"))["items"] == (await foreign.call("GET", "/sync"))["items"] == []
        assert len(whmcs.asked) == asked
        await foreign.call("PUT", "/config", json=config(whmcs))
        found = await foreign.call("POST", "/sync")
        assert found["opened"] == 1
        assert found["tickets"][0]["id"] != sync["tickets"][0]["id"]

    async def test_no_credential_gets_out(
        self,
        home: Tenant,
        admin: Staff,
        agent: Staff,
        whmcs: WhmcsServer,
        own_logging: None,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        """Whatever goes wrong, and whatever WHMCS repeats: not into an answer, the log, or what is stored as text."""
        configure("DEBUG", json=True)
        seen = [await admin.call("PUT", "/config", json=config(whmcs, access_key=ACCESS_KEY))]
        faults: tuple[Fault | None, ...] = (None, "echo", "500", "cut off", "address", "maintenance", "warning")
        for fault in faults:
            whmcs.fault = lambda form, fault=fault: fault  # type: ignore[misc]
            for method, path in (
                ("POST", "/config/test"),
                ("POST", "/sync"),
                ("GET", "/clients/7"),
                ("GET", "/config"),
            ):
                answer = await admin.product.http.request(method, f"{URL}{path}", headers=admin.headers)
                seen.append([answer.text, dict(answer.headers)])
        seen.append((await admin.product.http.get("/api/v1/audit", headers=admin.headers)).json())
        seen.append((await admin.call("GET", "/sync"))["items"])
        printed = "".join(capfd.readouterr())
        assert '"event": "request"' in printed
        assert len(whmcs.asked) > len(faults)
        rows = await admin.product.rows(home, "select to_jsonb(c)::text as row from whmcs_connections c")
        rows += await admin.product.rows(home, "select to_jsonb(s)::text as row from whmcs_syncs s")
        stored = "".join(row["row"] for row in rows)
        for secret in (IDENTIFIER, SECRET, ACCESS_KEY):
            assert secret not in json.dumps(seen)
            assert secret not in printed
            assert secret not in stored
