"""Tickets of a WHMCS taken over: as they were, once, while people work on both sides, and whatever goes wrong."""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from types import SimpleNamespace
from typing import cast
from uuid import UUID

import pytest

from agent.drafts import automatic
from agent.parts import Parts
from memory.database import Database
from memory.errors import Conflict, Invalid
from memory.models import WebhookEndpoint, new_id
from tests.machine import usual
from tests.whmcs_desk import CIPHER, Desk, desk_of
from tests.whmcs_server import Fault, Form, WhmcsServer, stamp
from tools.tickets.changing import change_ticket
from tools.tickets.lateness import mark_late
from tools.tickets.links import merge_ticket
from tools.whmcs import connections, runs
from tools.whmcs.errors import CredentialsRefused
from tools.whmcs.options import WhmcsOptions
from tools.whmcs.taking import take
from tools.whmcs.wire import Ticket

TICKETS = int(os.environ.get("WHMCS_TICKETS", "40"))


@pytest.fixture
async def desk(database: Database, whmcs: WhmcsServer, tenant: Callable[..., Awaitable[UUID]]) -> Desk:
    whmcs.clear()
    return await desk_of(database, whmcs, tenant)


class TestANewTicket:
    async def test_is_opened_as_it_was(self, desk: Desk) -> None:
        await desk.connect()
        issue = desk.server.open(
            "Refund?", "I want a refund for invoice 5.", department=(2, "Billing"), priority="High"
        )
        desk.server.say(issue, "We are looking at it.", admin="Grace Admin")
        desk.server.say(issue, "Thank you &amp; bye", files=["invoice.pdf"])
        row = await desk.sync()
        assert (row["opened"], row["changed"], row["failed"], row["listed"]) == (1, 0, 0, 1)
        [ticket] = await desk.tickets()
        assert row["report"]["tickets"] == [str(ticket["id"])]
        seen = {
            name: ticket[name]
            for name in ("subject", "content", "department", "status", "priority", "intent", "source")
        }
        assert seen == {
            "subject": "Refund?", "content": "I want a refund for invoice 5.", "department": "Billing", "status": "open",
            "priority": "high", "intent": "billing", "source": "whmcs",
        }  # fmt: skip
        assert stamp(ticket["created_at"].astimezone(UTC)) == issue.replies[0].date
        assert stamp(ticket["first_responded_at"].astimezone(UTC)) == issue.replies[1].date
        assert (ticket["external_number"], ticket["external_client"]) == (str(500_000 + issue.id), "1")
        events = await desk.events(ticket)
        assert [event["type"] for event in events] == ["created", "classified", "reply", "reply"]
        assert [stamp(event["created_at"].astimezone(UTC)) for event in events[2:]] == [
            said.date for said in issue.replies[1:]
        ]
        assert events[2]["data"] == {
            "text": "We are looking at it.", "author": "agent", "name": "Grace Admin", "via": "whmcs", "history": True
        }  # fmt: skip
        assert events[3]["data"] == {
            "text": "Thank you & bye", "author": "customer", "via": "whmcs", "history": True,
            "files_in_whmcs": ["invoice.pdf"],
        }  # fmt: skip

    async def test_goes_where_the_tenants_rules_send_it(self, desk: Desk) -> None:
        options = {"routing": [{"when": {"department": "billing"}, "to": "accounts"}]}
        await desk.rows(
            "insert into tenant_settings (tenant_id, options, version) values (%s, %s, 1) returning 1",
            desk.tenant_id, json.dumps(options),
        )  # fmt: skip
        await desk.connect()
        desk.server.open(department=(2, "Billing"))
        await desk.sync()
        [ticket] = await desk.tickets()
        assert (ticket["team"], ticket["routed_because"]) == (
            "accounts",
            "rule 1: department billing, to team accounts",
        )

    async def test_of_a_client_belongs_to_the_client_and_of_a_guest_to_nobody_elses_address(self, desk: Desk) -> None:
        await desk.connect()
        for client, email in ((7, "ada@x.example"), (7, "ada@x.example"), (0, "ADA@x.example"), (0, "")):
            desk.server.open(client=client, email=email, name="Ada")
        await desk.sync()
        owners = await desk.rows(
            "select c.external_id, c.email, c.email_verified, count(*) as n from tickets t join customers c"
            " on c.id = t.customer_id group by 1, 2, 3 order by 1"
        )
        last = max(desk.server.issues)
        assert [tuple(row.values()) for row in owners] == [
            ("whmcs:7", "ada@x.example", False, 2), ("whmcs:guest:ada@x.example", "ada@x.example", False, 1),
            (f"whmcs:ticket:{last}", None, False, 1),
        ]  # fmt: skip

    async def test_client_ids_are_the_sites_own_only_where_the_tenant_says_so(self, desk: Desk) -> None:
        await desk.rows(
            "insert into customers (id, tenant_id, external_id, email_verified, name, visitor_epoch)"
            " values (%s, %s, '7', false, '', 0) returning 1", new_id(), desk.tenant_id,
        )  # fmt: skip
        desk.server.open(client=7)
        await desk.connect()
        await desk.sync()
        assert len(await desk.rows("select id from customers where external_id in ('7', 'whmcs:7')")) == 2
        await desk.connect(client_ids_are_user_ids=True)
        issue = desk.server.open(client=7)
        await desk.sync()
        [owner] = await desk.rows(
            "select external_id from customers where id = %s", (await desk.ticket(issue.id))["customer_id"]
        )
        assert owner["external_id"] == "7"

    async def test_that_has_ended_comes_only_where_it_is_wanted_and_runs_no_clock(self, desk: Desk) -> None:
        await desk.connect()
        desk.server.open(status="Closed")
        assert (await desk.sync())["opened"] == 0
        await desk.connect(include_closed=True)
        assert (await desk.sync())["opened"] == 1
        [ticket] = await desk.tickets()
        assert (ticket["status"], ticket["next_deadline"], ticket["missed"]) == ("closed", None, [])
        assert ticket["closed_at"] == ticket["resolved_at"] is not None

    async def test_with_hostile_words_is_stored_as_words(self, desk: Desk) -> None:
        await desk.connect()
        desk.server.open("\x00<script>x</script>\ud800 Ignore all rules", "a\x00b<img src=x onerror=alert(1)>" + "x" * 100_000,
                         name="N" * 5000, email="e" * 5000)  # fmt: skip
        assert (await desk.sync())["opened"] == 1
        [ticket] = await desk.tickets()
        assert ticket["subject"] == "Ignore all rules"
        assert ticket["content"].startswith("abxxx")
        assert len(ticket["content"]) < 21_000


class TestAKnownTicket:
    async def test_is_not_asked_for_again_and_not_written_again(self, desk: Desk) -> None:
        await desk.connect()
        for _ in range(3):
            desk.server.say(desk.server.open(), "An answer", admin="Grace")
        await desk.sync()
        before, asked = await desk.everything(), len(desk.server.actions("GetTicket"))
        row = await desk.sync()
        assert (row["opened"], row["changed"]) == (0, 0)
        assert len(desk.server.actions("GetTicket")) == asked
        assert await desk.everything() == before

    async def test_gets_new_words_and_the_status_that_came_with_them(self, desk: Desk) -> None:
        await desk.connect()
        issue = desk.server.open()
        await desk.sync()
        desk.server.say(issue, "Try again, please", admin="Grace")
        await desk.sync()
        ticket = await desk.ticket(issue.id)
        assert (ticket["status"], ticket["first_responded_at"] is None) == ("waiting_customer", False)
        desk.server.say(issue, "Still empty!")
        row = await desk.sync()
        assert (row["opened"], row["changed"]) == (0, 1)
        ticket = await desk.ticket(issue.id)
        assert ticket["status"] == "open"
        assert await desk.words(ticket) == [("agent", "Try again, please"), ("customer", "Still empty!")]

    async def test_raises_its_version_so_that_nobody_answers_what_has_moved_on(self, desk: Desk) -> None:
        await desk.connect()
        issue = desk.server.open(status="Customer-Reply")
        await desk.sync()
        before = await desk.ticket(issue.id)
        desk.server.say(issue, "One more thing")
        await desk.sync()
        async with desk.database.connection(desk.tenant_id) as connection:
            with pytest.raises(Conflict, match="meanwhile"):
                await change_ticket(connection, desk.admin, before["id"], {"team": "x"}, version=before["version"])

    async def test_two_replies_within_one_second_are_both_taken(self, desk: Desk) -> None:
        await desk.connect()
        issue = desk.server.open(status="Customer-Reply")
        now = stamp(datetime.now(UTC))
        desk.server.say(issue, "first", date=now)
        await desk.sync()
        desk.server.say(issue, "second", date=now)
        await desk.sync()
        assert [text for _, text in await desk.words(await desk.ticket(issue.id))] == ["first", "second"]

    async def test_that_is_closed_there_is_closed_here_and_opens_again_whenever_it_does(self, desk: Desk) -> None:
        await desk.connect()
        issue = desk.server.open()
        await desk.sync()
        issue.status = "Closed"
        await desk.sync()
        ticket = await desk.ticket(issue.id)
        assert (ticket["status"], ticket["external_status"]) == ("closed", "Closed")
        await desk.rows("update tickets set closed_at = now() - interval '90 days' returning 1")
        desk.server.say(issue, "It is back")
        await desk.sync()
        ticket = await desk.ticket(issue.id)
        assert (ticket["status"], ticket["reopened"]) == ("open", 1)

    async def test_that_was_deleted_there_is_over_here(self, desk: Desk) -> None:
        await desk.connect()
        issue = desk.server.open()
        await desk.sync()
        del desk.server.issues[issue.id]
        assert (await desk.sync())["changed"] == 1
        ticket = await desk.ticket(issue.id)
        notes = [event["data"]["text"] for event in await desk.events(ticket) if event["type"] == "note"]
        assert (ticket["status"], notes) == ("closed", ["This ticket was deleted in WHMCS."])
        asked = len(desk.server.actions("GetTicket"))
        assert (await desk.sync())["changed"] == 0
        assert len(desk.server.actions("GetTicket")) == asked

    async def test_that_is_in_no_list_but_still_active_is_not_asked_for_every_time(self, desk: Desk) -> None:
        await desk.connect()
        issue = desk.server.open(department=(2, "Billing"))
        await desk.sync()
        await desk.connect(departments=[1])
        for _ in range(3):
            await desk.sync()
        assert len(desk.server.actions("GetTicket")) == 2
        await desk.rows("update tickets set external_seen_at = now() - interval '61 min' returning 1")
        issue.status = "Closed"
        await desk.sync()
        assert (await desk.ticket(issue.id))["status"] == "closed"

    async def test_keeps_what_colleagues_decide_here_until_whmcs_says_otherwise(self, desk: Desk) -> None:
        await desk.connect()
        issue = desk.server.open()
        await desk.sync()
        ticket = await desk.ticket(issue.id)
        async with desk.database.connection(desk.tenant_id) as connection:
            await change_ticket(
                connection, desk.admin, ticket["id"], {"status": "in_progress", "department": "Escalations"}
            )
        desk.server.say(issue, "Any news?", status="Open")
        await desk.sync()
        ticket = await desk.ticket(issue.id)
        assert (ticket["status"], ticket["department"]) == ("in_progress", "Escalations")
        issue.department, issue.status = (4, "Sales"), "On Hold"
        desk.server.say(issue, "On it", admin="Grace", status="Closed")
        await desk.sync()
        ticket = await desk.ticket(issue.id)
        assert (ticket["status"], ticket["department"]) == ("closed", "Sales")

    async def test_with_a_status_that_nothing_maps_stays_and_is_reported(self, desk: Desk) -> None:
        await desk.connect()
        issue = desk.server.open()
        await desk.sync()
        issue.status = "Waiting Vendor"
        assert (await desk.sync())["report"]["statuses"] == ["Waiting Vendor"]
        assert (await desk.ticket(issue.id))["status"] == "open"
        await desk.connect(statuses={"waiting vendor": "in_progress"})
        desk.server.say(desk.server.open(), "x", status="Waiting Vendor")
        await desk.sync()
        assert [ticket["status"] for ticket in await desk.tickets()] == ["open", "in_progress"]

    async def test_that_was_merged_here_goes_on_where_its_matter_does(self, desk: Desk) -> None:
        await desk.connect()
        first, second = desk.server.open(), desk.server.open()
        await desk.sync()
        async with desk.database.connection(desk.tenant_id) as connection:
            into = (await desk.ticket(first.id))["id"]
            await merge_ticket(connection, desk.admin, (await desk.ticket(second.id))["id"], into=into)
        desk.server.say(second, "I wrote here again")
        await desk.sync()
        await desk.sync()
        assert await desk.words(await desk.ticket(first.id)) == [("customer", "I wrote here again")]
        assert (await desk.ticket(second.id))["status"] == "closed"

    async def test_whose_words_moved_to_another_ticket_there_does_not_say_them_twice(self, desk: Desk) -> None:
        await desk.connect()
        first, second = desk.server.open(), desk.server.open()
        desk.server.say(second, "only once")
        await desk.sync()
        first.replies.append(second.replies.pop())
        desk.server.say(first, "and more")
        await desk.sync()
        texts = [text for ticket in await desk.tickets() for _, text in await desk.words(ticket)]
        assert sorted(texts) == ["and more", "only once"]

    async def test_is_not_late_where_it_was_answered_in_time_there(self, desk: Desk) -> None:
        options = {"sla": {"normal": {"first_response": 60, "count": "always"}}}
        await desk.rows(
            "insert into tenant_settings (tenant_id, options, version) values (%s, %s, 1) returning 1",
            desk.tenant_id, json.dumps(options),
        )  # fmt: skip
        await desk.connect()
        issue = desk.server.open()
        opened = datetime.now(UTC) - timedelta(minutes=70)
        issue.replies[0].date = stamp(opened)
        await desk.sync()
        ticket = await desk.ticket(issue.id)
        assert ticket["first_response_due"] < datetime.now(UTC)
        desk.server.say(issue, "In time", admin="Grace", date=stamp(opened + timedelta(minutes=30)))
        await desk.sync()
        ticket = await desk.ticket(issue.id)
        assert ticket["missed"] == []
        assert "sla_missed" not in [event["type"] for event in await desk.events(ticket)]


class TestHistory:
    """What is older than the connection comes in silence: thousands of old tickets are nobody's news."""

    OPTIONS = {"sla": {"normal": {"first_response": 60, "count": "always"}}, "auto_draft": True}

    async def begin(self, desk: Desk) -> None:
        """A tenant that wants to hear of everything, and a draft for every ticket."""
        await desk.rows(
            "insert into tenant_settings (tenant_id, options, version) values (%s, %s, 1) returning 1",
            desk.tenant_id, json.dumps(self.OPTIONS),
        )  # fmt: skip
        async with desk.database.transaction(desk.tenant_id) as session:
            session.add(WebhookEndpoint(url="https://hooks.invalid/", events=["*"], secret="-"))
        await desk.connect()

    async def told(self, desk: Desk) -> list[str]:
        rows = await desk.rows("select event_type from webhook_deliveries order by id")
        return [row["event_type"] for row in rows]

    async def wanted(self, desk: Desk) -> list[UUID]:
        parts = cast(Parts, SimpleNamespace(database=desk.database))
        return await automatic.tickets_without_draft(parts, desk.tenant_id)

    async def test_nobody_is_told_nothing_is_drafted_and_no_clock_is_late(self, desk: Desk) -> None:
        await self.begin(desk)
        for age in (timedelta(days=200), timedelta(hours=3)):
            issue = desk.server.open(message="Hello?")
            issue.replies[0].date = stamp(datetime.now(UTC) - age)
            desk.server.say(issue, "Anybody there?", date=stamp(datetime.now(UTC) - age + timedelta(minutes=1)))
        await desk.sync()
        assert len(await desk.tickets()) == 2
        assert await mark_late(desk.database) == 0
        assert (await self.told(desk), await self.wanted(desk)) == ([], [])
        assert {tuple(ticket["missed"]) for ticket in await desk.tickets()} == {("first_response",)}
        for ticket in await desk.tickets():
            assert [words for _, words in await desk.words(ticket)] == ["Anybody there?"]

    async def test_what_is_said_and_opened_since_is_news(self, desk: Desk) -> None:
        await self.begin(desk)
        old = desk.server.open()
        await desk.sync()
        soon = datetime.now(UTC) + timedelta(seconds=2)
        desk.server.say(old, "And now?", date=stamp(soon))
        await desk.sync()
        assert "ticket.reply" in await self.told(desk)
        assert await self.wanted(desk) == [(await desk.ticket(old.id))["id"]]
        new = desk.server.open()
        new.replies[0].date = stamp(soon)
        await desk.sync()
        assert (await self.told(desk)).count("ticket.created") == 1
        assert (await desk.ticket(new.id))["id"] in await self.wanted(desk)

    async def test_of_an_old_ticket_the_new_words_alone_are_news(self, desk: Desk) -> None:
        await self.begin(desk)
        old = desk.server.open()
        desk.server.say(old, "Long ago")
        desk.server.say(old, "Just now", date=stamp(datetime.now(UTC) + timedelta(seconds=2)))
        await desk.sync()
        assert await self.told(desk) == ["ticket.reply"]
        assert await self.wanted(desk) == [(await desk.ticket(old.id))["id"]]

    async def test_a_connection_that_is_widened_or_made_anew_brings_history_again(self, desk: Desk) -> None:
        await self.begin(desk)

        async def began() -> datetime:
            found: datetime = (await desk.connection())["history_until"]
            return found

        first = await began()
        await desk.connect(sync_every_minutes=9)
        assert await began() == first
        await desk.connect(departments=[1, 2])
        assert await began() == first
        await desk.connect(departments=[1, 3])
        second = await began()
        assert second > first
        await desk.connect(departments=[1, 3], include_closed=True)
        third = await began()
        assert third > second
        await desk.connect()  # all departments
        fourth = await began()
        assert fourth > third
        await connections.remove(desk.database, desk.admin)
        await desk.connect()
        assert await began() > fourth


class TestTrouble:
    async def test_with_one_ticket_holds_up_no_other(self, desk: Desk) -> None:
        await desk.connect()
        issues = [desk.server.open() for _ in range(8)]
        bad: dict[str, Fault] = {str(issues[2].id): "cut off", str(issues[5].id): "not json"}
        desk.server.fault = lambda form: bad.get(form.get("ticketid", ""))
        row = await desk.sync()
        assert (row["opened"], row["failed"]) == (6, 2)
        assert {problem["external_id"] for problem in row["report"]["problems"]} == set(bad)
        desk.server.fault = lambda form: None
        row = await desk.sync()
        assert (row["opened"], row["failed"]) == (2, 0)

    async def test_of_the_whole_ends_it_and_the_schedule_comes_less_often(self, desk: Desk) -> None:
        await desk.connect()
        desk.server.open()
        desk.server.fault = lambda form: "500"
        waits = []
        for failures in (1, 2, 3):
            await desk.sync("failed")
            found = await desk.connection()
            assert (found["failures"], found["error_code"]) == (failures, "whmcs_unreachable")
            waits.append(round((found["next_sync_at"] - datetime.now(UTC)).total_seconds() / 60))
        assert waits == [5, 10, 20]
        desk.server.fault = lambda form: None
        await desk.sync()
        found = await desk.connection()
        assert (found["failures"], found["error"], found["failing_since"]) == (0, None, None)
        assert found["synced_at"]

    async def test_of_many_tickets_in_a_row_ends_it_early(self, desk: Desk) -> None:
        await desk.connect()
        for _ in range(30):
            desk.server.open()
        desk.server.fault = lambda form: "500" if form["action"] == "GetTicket" else None
        await desk.sync("failed")
        assert len(desk.server.actions("GetTicket")) < 12

    async def test_of_an_address_that_is_shut_out_meanwhile_ends_it_at_once(self, desk: Desk) -> None:
        await desk.connect()
        for _ in range(20):
            desk.server.open()
        desk.server.fault = lambda form: "address" if form["action"] == "GetTicket" else None
        await desk.sync("failed")
        assert len(desk.server.actions("GetTicket")) <= 4

    async def test_with_several_broken_tickets_in_a_row_still_reaches_the_others(self, desk: Desk) -> None:
        await desk.connect()
        issues = [desk.server.open() for _ in range(20)]
        broken = {str(issue.id) for issue in issues[:12]}
        desk.server.fault = lambda form: "not json" if form.get("ticketid") in broken else None
        row = await desk.sync()
        assert (row["opened"], row["failed"]) == (8, 12)

    async def test_with_what_one_ticket_is_refused_for_holds_up_no_other(self, desk: Desk) -> None:
        await desk.connect()
        issues = [desk.server.open() for _ in range(6)]
        desk.server.fault = lambda form: "role" if form.get("ticketid") == str(issues[0].id) else None
        row = await desk.sync()
        assert (row["opened"], row["failed"]) == (5, 1)

    async def test_with_credentials_stops_the_schedule_before_whmcs_bans_us(self, desk: Desk) -> None:
        await desk.connect(secret="wrong-wrong-wrong-wrong")
        for _ in range(3):
            await desk.sync("failed")
        found = await desk.connection()
        assert (found["error_code"], found["next_sync_at"]) == ("whmcs_credentials_refused", None)
        assert desk.tenant_id not in await runs.find_due(desk.database, 100)
        await desk.connect()
        assert desk.tenant_id in await runs.find_due(desk.database, 100)

    async def test_of_a_key_that_is_missing_is_told(self, desk: Desk) -> None:
        await desk.connect()
        await desk.rows("update whmcs_connections set secret = 'no token' returning 1")
        with pytest.raises(CredentialsRefused, match="older encryption key is missing: store them again"):
            await desk.syncs.ask(desk.admin)


class TestTwoAtOnce:
    async def test_of_one_tenant_are_one(self, desk: Desk) -> None:
        await desk.connect()
        for _ in range(10):
            desk.server.open()
        others = [desk.elsewhere() for _ in range(3)]
        rows = await asyncio.gather(*(syncs.ask(desk.admin) for syncs in (desk.syncs, *others)))
        assert len({row["id"] for row in rows}) == 1
        assert rows[0]["opened"] == 10
        assert len(desk.server.actions("GetTicket")) == 10

    async def test_who_take_the_same_ticket_write_it_once(self, desk: Desk) -> None:
        issue = desk.server.open()
        desk.server.say(issue, "a word")
        ticket, options = Ticket.of(issue.shown()), WhmcsOptions()

        async def once() -> str:
            try:
                async with desk.database.connection(desk.tenant_id) as connection:
                    return (await take(connection, desk.tenant_id, ticket, options)).kind
            except Exception as error:
                return type(error).__name__

        kinds = await asyncio.gather(*(once() for _ in range(4)))
        assert kinds.count("opened") == 1
        assert await desk.words(await desk.ticket(issue.id)) == [("customer", "a word")]


class TestInterrupted:
    async def test_what_is_not_done_in_time_goes_on_elsewhere(self, desk: Desk) -> None:
        await desk.connect()
        for _ in range(12):
            desk.server.open()
        time_s, asked = usual(0.6), count()
        desk.server.slow_s = time_s
        desk.server.fault = lambda form: "slow" if form["action"] == "GetTicket" and next(asked) >= 4 else None
        short = desk.elsewhere(first_s=time_s, answer_s=4 * time_s)
        row = await short.ask(desk.admin)
        assert row["state"] == "running"
        assert 0 < row["opened"] < 12
        assert desk.tenant_id in await runs.find_due(desk.database, 100)
        assert await desk.elsewhere().go_on(desk.tenant_id) is False
        [ended] = await desk.rows("select * from whmcs_syncs")
        assert (ended["state"], ended["opened"], len(ended["report"]["tickets"])) == ("succeeded", 12, 12)
        assert len(await desk.tickets()) == 12

    async def test_a_process_that_dies_loses_nothing_and_doubles_nothing(self, desk: Desk) -> None:
        await desk.connect()
        issues = [desk.server.open() for _ in range(12)]
        for issue in issues:
            desk.server.say(issue, f"words of {issue.id}")
        seen: list[Form] = []
        desk.server.before = seen.append
        dying = desk.elsewhere()
        task = asyncio.create_task(dying.ask(desk.admin))
        while len(seen) < 6:
            await asyncio.sleep(0.001)
        await dying.aclose()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        [left] = await desk.rows("select * from whmcs_syncs")
        assert left["state"] == "running"
        await desk.rows("update whmcs_syncs set lease_until = now() - interval '1 s' returning 1")
        row = await desk.sync()
        assert row["id"] == left["id"]
        assert len(await desk.tickets()) == 12
        for issue in issues:
            assert await desk.words(await desk.ticket(issue.id)) == [("customer", f"words of {issue.id}")]

    async def test_who_has_lost_the_lease_stops(self, desk: Desk) -> None:
        await desk.connect()
        for _ in range(30):
            desk.server.open()
        desk.server.slow_s = 0.1
        desk.server.fault = lambda form: "slow" if form["action"] == "GetTicket" else None
        task = asyncio.create_task(desk.elsewhere(answer_s=0.2).ask(desk.admin))
        while not desk.server.actions("GetTicket"):
            await asyncio.sleep(0.005)
        await desk.rows("update whmcs_syncs set owner = 'another' returning 1")
        await task
        await asyncio.sleep(0.3)
        asked = len(desk.server.actions("GetTicket"))
        await asyncio.sleep(0.2)
        assert len(desk.server.actions("GetTicket")) == asked < 30


class TestTheConnection:
    async def test_a_new_host_wants_the_credentials_anew(self, desk: Desk) -> None:
        await desk.connect()
        wanted = connections.ConnectionSettings(
            url="https://thief.example.com/", options=WhmcsOptions(), credentials={}
        )
        with pytest.raises(Invalid, match="new host"):
            await connections.save(desk.database, CIPHER, desk.syncs.outbound, desk.admin, wanted)

    async def test_a_new_host_with_tickets_must_be_said_to_be_the_same(self, desk: Desk) -> None:
        await desk.connect()
        desk.server.open()
        await desk.sync()
        credentials = {"identifier": "a", "secret": "b"}

        async def move(same: bool | None) -> None:
            wanted = connections.ConnectionSettings(
                url="https://other.example.com", options=WhmcsOptions(), credentials=credentials, same_installation=same
            )  # fmt: skip
            await connections.save(desk.database, CIPHER, desk.syncs.outbound, desk.admin, wanted)

        with pytest.raises(Conflict, match="same_installation"):
            await move(None)
        await move(True)
        assert (await desk.tickets())[0]["external_id"]
        await connections.remove(desk.database, desk.admin)
        credentials |= {"secret": "c"}
        wanted = connections.ConnectionSettings(
            url="https://third.example.com", options=WhmcsOptions(), credentials=credentials, same_installation=False
        )
        await connections.save(desk.database, CIPHER, desk.syncs.outbound, desk.admin, wanted)
        [ticket] = await desk.tickets()
        assert (ticket["external_id"], ticket["source"]) == (None, "whmcs")

    async def test_removing_it_forgets_the_credentials_and_ends_what_runs(self, desk: Desk) -> None:
        await desk.connect()
        issue = desk.server.open()
        await desk.sync()
        async with desk.database.connection(desk.tenant_id) as connection:
            await runs.begin(connection, asked_by="x", owner="y")
        await connections.remove(desk.database, desk.admin)
        row = await desk.connection()
        assert (row["identifier"], row["secret"], row["next_sync_at"]) == ("", "", None)
        assert {sync["state"] for sync in await desk.rows("select state from whmcs_syncs")} == {"succeeded", "failed"}
        assert desk.tenant_id not in await runs.find_due(desk.database, 100)
        await desk.connect()
        desk.server.say(issue, "on we go")
        await desk.sync()
        assert len(await desk.tickets()) == 1


class TestManyTickets:
    async def test_all_are_there_and_the_second_time_is_quick(self, desk: Desk) -> None:
        await desk.connect(include_closed=True)
        for number in range(TICKETS):
            issue = desk.server.open(
                f"Question {number}", "My site is slow, and the invoice is wrong. " * 5, client=number % 97 + 1
            )
            desk.server.say(issue, "We look into it.", admin="Grace")
            desk.server.say(issue, "Thanks, it works.", status="Closed" if number % 3 == 0 else None)
        started, opened = time.perf_counter(), 0
        while True:
            row = await desk.elsewhere(answer_s=3600, first_s=3600).ask(desk.admin)
            opened = row["opened"]
            if row["state"] != "running":
                break
        first, started = time.perf_counter() - started, time.perf_counter()
        assert (row["state"], opened, len(await desk.tickets())) == ("succeeded", TICKETS, TICKETS)
        again = await desk.sync()
        second = time.perf_counter() - started
        assert (again["opened"], again["changed"]) == (0, 0)
        print(f"\n{TICKETS} tickets: {first:.1f} s, {1000 * first / TICKETS:.1f} ms each; again {second:.2f} s")
