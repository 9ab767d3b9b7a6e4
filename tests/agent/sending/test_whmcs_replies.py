"""Approved replies into WHMCS: sent once whatever breaks, found again by reading, and shown once in the ticket here."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from agent.drafts.sending import send_reply
from memory.database import Database
from memory.errors import Conflict, NotFound
from memory.models import ApprovedReply, Draft, User, new_id
from tests.whmcs_desk import CIPHER, Desk, desk_of
from tests.whmcs_server import Fault, Form, Issue, WhmcsServer, stamp
from tools.channel import NotSent, Outgoing
from tools.outbound import Outbound
from tools.whmcs.replying import SURELY_ENDED, WhmcsChannel

TEXT = "Hello Cynthia,\n\nplease open **Billing > Invoices** and press *Reload*; it's there & paid.\n\nKind regards"


class Office(Desk):
    """A desk whose colleagues approve replies."""

    issue: Issue
    ticket_id: UUID

    @property
    def channel(self) -> WhmcsChannel:
        return WhmcsChannel(database=self.database, cipher=CIPHER, outbound=self.syncs.outbound)

    async def begin(self, **options: Any) -> None:
        await self.connect(**{"admin_username": "helpdesk", **options})
        self.issue = self.server.open()
        await self.sync()
        self.ticket_id = (await self.ticket(self.issue.id))["id"]
        self.server.asked.clear()

    async def approve(self, text: str = TEXT, **columns: Any) -> UUID:
        """A draft that a person has approved, waiting to be sent."""
        async with self.database.transaction(self.tenant_id) as session:
            user = User(email=f"{new_id().hex}@x.example", role="agent", password_hash="-", name="Grace")
            draft = Draft(ticket_id=self.ticket_id, status="approved", content=text)
            session.add(user)
            session.add(draft)
            await session.flush()
            reply = ApprovedReply(
                draft_id=draft.id, ticket_id=self.ticket_id, approved_by=user.id, content=text, similarity=1.0,
                channel="whmcs", **columns,
            )  # fmt: skip
            session.add(reply)
        return reply.id

    async def send(self, reply_id: UUID) -> str:
        return await send_reply(self.database, {"whmcs": self.channel}, self.tenant_id, reply_id)

    async def reply(self, reply_id: UUID) -> dict[str, Any]:
        [row] = await self.rows("select * from approved_replies where id = %s", reply_id)
        return row

    def outgoing(self, text: str = TEXT, ago: timedelta = timedelta(minutes=5)) -> Outgoing:
        return Outgoing(
            tenant_id=self.tenant_id, reply_id=new_id(), ticket_id=self.ticket_id, external_ticket_id=str(self.issue.id),
            text=text, author="Grace", tried_at=datetime.now(UTC) - ago,
        )  # fmt: skip

    async def lose(self, reply_id: UUID) -> None:
        """Let the attempt have begun long ago."""
        await self.rows(
            "update approved_replies set tried_at = now() - interval '5 min' where id = %s returning 1", reply_id
        )

    @property
    def written(self) -> list[Form]:
        return self.server.actions("AddTicketReply")


@pytest.fixture
async def office(database: Database, whmcs: WhmcsServer, tenant: Callable[..., Awaitable[UUID]]) -> Office:
    whmcs.clear()
    desk = await desk_of(database, whmcs, tenant)
    return Office(desk.database, desk.server, desk.syncs, desk.tenant_id)


class TestSending:
    async def test_an_approved_reply_stands_there_once_and_here_once(self, office: Office) -> None:
        await office.begin()
        reply_id = await office.approve()
        assert await office.send(reply_id) == "sent"
        [form] = office.written
        assert (form["ticketid"], form["message"], form["adminusername"], form["markdown"]) == (
            str(office.issue.id), TEXT, "helpdesk", "1"
        )  # fmt: skip
        assert "status" not in form
        reply = await office.reply(reply_id)
        assert reply["external_id"] == str(office.issue.replies[-1].id)
        await office.sync()
        ticket = await office.ticket(office.issue.id)
        assert await office.words(ticket) == [("agent", TEXT)]
        assert ticket["status"] == "waiting_customer"
        assert await office.send(reply_id) == "pending"
        assert len(office.written) == 1

    async def test_a_reply_that_ends_the_ticket_closes_it_there(self, office: Office) -> None:
        await office.begin(reply_statuses={"waiting_customer": "Answered"})
        await office.send(await office.approve(ticket_status="resolved"))
        await office.send(await office.approve("Another", ticket_status="waiting_customer"))
        assert [form["status"] for form in office.written] == ["Closed", "Answered"]

    async def test_a_refusal_is_told_and_nothing_was_written(self, office: Office) -> None:
        await office.begin(admin_username="nobody")
        reply_id = await office.approve()
        assert await office.send(reply_id) == "failed"
        assert (await office.reply(reply_id))[
            "error"
        ] == "WHMCS says: Name and email address are required if not a client"
        assert len(office.issue.replies) == 1
        await office.begin(admin_username=None)
        with pytest.raises(Conflict, match="admin_username"):
            await office.channel.send(office.outgoing())

    async def test_what_could_not_set_out_is_tried_again(self, office: Office) -> None:
        await office.begin()
        gone = WhmcsChannel(
            database=office.database, cipher=CIPHER, outbound=Outbound(allowed=frozenset({"127.0.0.1:1"}))
        )
        await office.rows("update whmcs_connections set url = 'http://127.0.0.1:1' returning 1")
        with pytest.raises(NotSent):
            await gone.send(office.outgoing())

    async def test_without_a_connection_a_person_is_told(self, office: Office) -> None:
        await office.begin()
        await office.rows("update whmcs_connections set removed_at = now() returning 1")
        with pytest.raises(NotFound, match="no connection"):
            await office.channel.send(office.outgoing())

    async def test_an_answer_that_is_lost_is_made_up_by_reading(self, office: Office) -> None:
        """WHMCS has written it and the connection breaks before it says so."""
        await office.begin()
        faults: dict[str, Fault] = {"AddTicketReply": "lost answer"}
        office.server.fault = lambda form: faults.get(form["action"])
        reply_id = await office.approve()
        assert await office.send(reply_id) == "sent"
        assert len(office.written) == 1
        await office.sync()
        assert await office.words(await office.ticket(office.issue.id)) == [("agent", TEXT)]

    async def test_a_request_that_is_lost_is_not_repeated_by_anybody_but_a_person(self, office: Office) -> None:
        await office.begin()
        faults: dict[str, Fault] = {"AddTicketReply": "reset"}
        office.server.fault = lambda form: faults.get(form["action"])
        reply_id = await office.approve()
        assert await office.send(reply_id) == "unknown"
        await office.lose(reply_id)
        assert await office.send(reply_id) == "failed"
        assert "did not arrive" in (await office.reply(reply_id))["error"]
        assert len(office.written) == 1

    async def test_while_whmcs_is_away_nobody_knows(self, office: Office) -> None:
        await office.begin()
        office.server.fault = lambda form: "500"
        reply_id = await office.approve()
        assert await office.send(reply_id) == "unknown"
        office.server.fault = lambda form: None
        await office.lose(reply_id)
        assert await office.send(reply_id) == "failed"
        assert len(office.written) == 1

    async def test_a_synchronisation_between_sending_and_settling_does_not_repeat_the_words(
        self, office: Office
    ) -> None:
        await office.begin()
        reply_id = await office.approve()
        holding = asyncio.Event()

        class Slow(WhmcsChannel):
            async def send(self, reply: Outgoing) -> str | None:
                found = await super().send(reply)
                holding.set()
                await office.sync()
                return found if office.issue.id % 2 else None

        slow = Slow(database=office.database, cipher=CIPHER, outbound=office.syncs.outbound)
        assert await send_reply(office.database, {"whmcs": slow}, office.tenant_id, reply_id) == "sent"
        assert holding.is_set()
        office.server.say(office.issue, "Thanks")
        await office.sync()
        assert await office.words(await office.ticket(office.issue.id)) == [("agent", TEXT), ("customer", "Thanks")]


class TestLooking:
    async def test_finds_the_reply_whatever_whmcs_made_of_its_text(self, office: Office) -> None:
        await office.begin()
        said = office.server.say(
            office.issue,
            "<p>Hello Cynthia,</p><p>please open <strong>Billing &gt; Invoices</strong> and press <em>Reload</em>; "
            "it&#039;s there &amp; paid.</p><p>Kind regards</p>\r\n--\r\nHelp Desk Team",
            admin="Help Desk", date=stamp(datetime.now(UTC)),
        )  # fmt: skip
        look = await office.channel.look(office.outgoing())
        assert (look.outcome, look.external_id) == ("found", str(said.id))
        assert office.written == []

    async def test_a_customers_quotation_is_not_the_reply(self, office: Office) -> None:
        await office.begin()
        office.server.say(office.issue, TEXT, date=stamp(datetime.now(UTC)))
        assert (await office.channel.look(office.outgoing())).outcome == "absent"

    async def test_the_same_words_of_another_reply_are_not_this_one(self, office: Office) -> None:
        await office.begin()
        first = await office.approve("Done.")
        assert await office.send(first) == "sent"
        assert (await office.channel.look(office.outgoing("Done."))).outcome == "absent"
        await office.rows("update approved_replies set external_id = null returning 1")
        await office.rows("update ticket_events set external_id = null where type = 'reply' returning 1")
        assert (await office.channel.look(office.outgoing("Done."))).outcome == "absent"
        office.server.say(office.issue, "Done.", admin="Help Desk", date=stamp(datetime.now(UTC)))
        assert (await office.channel.look(office.outgoing("Done."))).outcome == "found"

    async def test_too_early_nothing_is_sure(self, office: Office) -> None:
        await office.begin()
        fresh = office.outgoing(ago=SURELY_ENDED / 2)
        assert (await office.channel.look(fresh)).outcome == "unknown"
        assert (await office.channel.look(office.outgoing())).outcome == "absent"

    @pytest.mark.parametrize("fault", ["500", "address", "maintenance", "cut off", "redirect"])
    async def test_where_it_cannot_be_read_nothing_is_known(self, office: Office, fault: Fault) -> None:
        await office.begin()
        office.server.fault = lambda form: fault
        assert (await office.channel.look(office.outgoing())).outcome == "unknown"
