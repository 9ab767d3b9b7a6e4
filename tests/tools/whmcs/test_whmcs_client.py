"""The client of WHMCS against a server on a socket: what it reads, and how it tells each refusal and fault."""

from typing import Any

import pytest

from memory.errors import HelpdeskError
from tests.whmcs_server import ACCESS_KEY, IDENTIFIER, SECRET, WhmcsServer
from tools.outbound import Outbound, Refused
from tools.whmcs import wire
from tools.whmcs.client import Credentials, Whmcs
from tools.whmcs.errors import (
    ActionNotPermitted,
    AddressNotAllowed,
    CredentialsRefused,
    NotThere,
    SecondFactorWanted,
    WhmcsNotFound,
    WhmcsNotReached,
    WhmcsUnreachable,
    WhmcsUnreadable,
)
from tools.whmcs.listing import read_list
from tools.whmcs.options import WhmcsOptions
from tools.whmcs.words import CUT, LONGEST, plain, same_words


@pytest.fixture
def whmcs(whmcs: WhmcsServer) -> WhmcsServer:
    whmcs.clear()
    return whmcs


def client_of(whmcs: WhmcsServer, **given: Any) -> Whmcs:
    named = {"url": whmcs.url, "identifier": IDENTIFIER, "secret": SECRET, **given}
    return Whmcs(outbound=Outbound(allowed=frozenset({whmcs.host})), credentials=Credentials(**named), timeout_s=0.4)


class TestReading:
    async def test_a_ticket_is_read_with_its_words_in_order(self, whmcs: WhmcsServer) -> None:
        issue = whmcs.open("Invoice &amp; tax", "Hi,\r\n\r\nthe page says &quot;empty&quot;.", client=7)
        whmcs.say(issue, "Please try again.", admin="Demo Admin")
        issue.replies[1:] = reversed(issue.replies[1:])
        ticket = await client_of(whmcs).get_ticket(issue.id)
        assert (ticket.id, ticket.subject, ticket.userid, ticket.status) == (issue.id, "Invoice & tax", 7, "Answered")
        assert ticket.opening
        assert plain(ticket.opening.message) == 'Hi,\n\nthe page says "empty".'
        assert [(reply.admin, reply.message) for reply in ticket.replies[1:]] == [("Demo Admin", "Please try again.")]

    async def test_the_form_carries_the_credentials_and_asks_for_json(self, whmcs: WhmcsServer) -> None:
        await client_of(whmcs, access_key=ACCESS_KEY).list_tickets(0)
        [form] = whmcs.asked
        assert form[":path"] == "/billing/includes/api.php"
        sent = {name: form[name] for name in ("identifier", "secret", "accesskey", "responsetype", "action")}
        assert sent == {
            "identifier": IDENTIFIER, "secret": SECRET, "accesskey": ACCESS_KEY, "responsetype": "json",
            "action": "GetTickets",
        }  # fmt: skip

    async def test_of_a_client_only_what_colleagues_need_is_read(self, whmcs: WhmcsServer) -> None:
        client = await client_of(whmcs).client(7)
        assert (client.id, client.email, str(client.credit), client.country) == (
            7, "cynthia@customer.example", "12.50", "United Kingdom"
        )  # fmt: skip
        assert client.stats == {"numdueinvoices": "2", "dueinvoicesbalance": "$31.90 USD", "productsnumactive": "3"}
        assert "canary" not in client.model_dump_json()
        assert "4242" not in client.model_dump_json()

    async def test_another_clients_invoice_is_left_out(self, whmcs: WhmcsServer) -> None:
        [invoice] = await client_of(whmcs).invoices(7)
        assert (invoice.id, str(invoice.total), invoice.status, invoice.currencycode) == (70, "15.95", "Unpaid", "USD")

    async def test_warnings_before_the_answer_are_no_harm(self, whmcs: WhmcsServer) -> None:
        whmcs.fault = lambda form: "warning"
        assert [one.name for one in await client_of(whmcs).departments()] == ["Support"]

    @pytest.mark.parametrize(
        "tickets",
        ["", [], {}, None, {"ticket": ""}, {"ticket": []}, {"ticket": {}}, "none"],
        ids=str,
    )
    def test_nothing_has_many_shapes(self, tickets: Any) -> None:
        assert list(wire.items_of({"tickets": tickets}, "tickets", "ticket")) == []

    @pytest.mark.parametrize(
        "tickets",
        [{"ticket": {"id": 5}}, {"ticket": [{"id": 5}]}, [{"id": 5}], {"ticket": {"0": {"id": 5}}}, {"0": {"id": 5}}],
        ids=str,
    )
    def test_one_has_many_shapes(self, tickets: Any) -> None:
        assert list(wire.items_of({"tickets": tickets}, "tickets", "ticket")) == [{"id": 5}]

    @pytest.mark.parametrize(
        ("written", "zone", "instant"),
        [("2026-01-01 06:26:29", "UTC", "2026-01-01T06:26:29+00:00"),
         ("2026-01-01 06:26:29", "America/Chicago", "2026-01-01T12:26:29+00:00"),
         ("0000-00-00 00:00:00", "UTC", "None"), ("", "UTC", "None"), ("yesterday", "UTC", "None"),
         ("0001-01-01 00:00:00", "Pacific/Auckland", "None")],
    )  # fmt: skip
    def test_times_are_instants(self, written: str, zone: str, instant: str) -> None:
        found = wire.time_of(written, zone)
        assert (found.isoformat() if found else "None") == instant


class TestWords:
    @pytest.mark.parametrize(
        ("message", "text"),
        [("Hey, \r\n\r\nfirst!\r\n", "Hey,\n\nfirst!"),
         ("a<br />\nb<br>c<BR/>d", "a\nb\nc\nd"),
         ("<p>One</p><p>Two &amp; three</p>", "One\nTwo & three"),
         ("if x<y and y>z", "if x<y and y>z"),
         ("&lt;script&gt;alert(1)&lt;/script&gt;", "<script>alert(1)</script>"),
         ("<script>alert(1)</script>safe<style>p{}</style>", "safe"),
         ("<script>never closed", ""),
         ("a\x00b\ud800c\x1b[2J", "abc[2J"),
         ("<ul><li>one</li><li>two</li></ul>", "- one\n- two"),
         ("\n\n\n\na\n\n\n\n\nb", "a\n\nb")],
    )  # fmt: skip
    def test_messages_become_text(self, message: str, text: str) -> None:
        assert plain(message) == text

    def test_a_message_without_end_is_cut_and_says_so(self) -> None:
        found = plain("<b" * 300_000)
        assert found.endswith(CUT)
        assert len(found) == LONGEST + len(CUT)

    def test_a_reply_is_known_whatever_became_of_its_markup(self) -> None:
        ours = 'Hello **Ada**,\n\n1. open `cPanel`\n2. see [this page](https://x.example/y)\n\nIt\'s "done" & dusted.'
        theirs = (
            "Hello <strong>Ada</strong>,\r\n\r\n1. open cPanel\r\n2. see this page\r\n\r\nIt&#039;s &quot;done&quot; "
            "&amp; dusted.\r\n\r\n-- \r\nHelp Desk"
        )
        assert same_words(ours, theirs)
        assert not same_words("Done.", "Done. Not at all, in fact.")
        assert not same_words(ours, theirs.replace("dusted", "busted"))
        assert not same_words("", "")


class TestRefusals:
    async def test_each_fault_is_told_apart_and_holds_no_credential(self, whmcs: WhmcsServer) -> None:
        kinds: dict[Any, type[HelpdeskError]] = {
            "address": AddressNotAllowed, "address in old form": AddressNotAllowed, "two factor": SecondFactorWanted,
            "role": ActionNotPermitted, "redirect": NotThere, "elsewhere": NotThere, "500": WhmcsUnreachable,
            "slow": WhmcsUnreachable, "reset": WhmcsUnreachable, "cut off": WhmcsUnreachable,
            "too large": WhmcsUnreachable, "maintenance": WhmcsUnreadable, "not json": WhmcsUnreadable,
        }  # fmt: skip
        whmcs.slow_s = 1.0
        for fault, kind in kinds.items():
            whmcs.fault = lambda form, fault=fault: fault  # type: ignore[misc]
            with pytest.raises(HelpdeskError) as caught:
                await client_of(whmcs, access_key=ACCESS_KEY).list_tickets(0)
            assert type(caught.value) is kind, fault
            assert caught.value.detail
        whmcs.fault = lambda form: "address"
        with pytest.raises(AddressNotAllowed, match=r"our address, 203\.0\.113\.7, in: add it"):
            await client_of(whmcs).list_tickets(0)

    async def test_a_wrong_secret_is_said_to_be_wrong(self, whmcs: WhmcsServer) -> None:
        with pytest.raises(CredentialsRefused, match="identifier and secret"):
            await client_of(whmcs, secret="wrong").list_tickets(0)

    async def test_what_is_not_there_is_not_found(self, whmcs: WhmcsServer) -> None:
        with pytest.raises(WhmcsNotFound, match="Ticket ID Not Found"):
            await client_of(whmcs).get_ticket(12345)

    async def test_credentials_that_it_repeats_are_not_repeated(self, whmcs: WhmcsServer) -> None:
        whmcs.fault = lambda form: "echo"
        client = client_of(whmcs, access_key=ACCESS_KEY)
        with pytest.raises(HelpdeskError) as caught:
            await client.list_tickets(0)
        for secret in (IDENTIFIER, SECRET, ACCESS_KEY):
            assert secret not in caught.value.detail + repr(caught.value) + repr(client)

    async def test_nobody_there_is_told_from_no_answer(self, whmcs: WhmcsServer) -> None:
        nobody = Whmcs(
            outbound=Outbound(allowed=frozenset({"127.0.0.1:1"})),
            credentials=Credentials(url="http://127.0.0.1:1/x", identifier="a", secret="b"),
        )
        with pytest.raises(WhmcsNotReached):
            await nobody.list_tickets(0)

    async def test_only_public_addresses_are_called(self, whmcs: WhmcsServer) -> None:
        walled = Whmcs(outbound=Outbound(), credentials=client_of(whmcs).credentials)
        with pytest.raises(Refused):
            await walled.list_tickets(0)
        assert whmcs.asked == []


class TestTheWholeList:
    async def test_is_read_to_its_end(self, whmcs: WhmcsServer) -> None:
        for _ in range(53):
            whmcs.open()
        found = await read_list(client_of(whmcs), WhmcsOptions(), page=20)
        assert len(found.tickets) == 53
        assert len(whmcs.asked) == 4

    async def test_a_server_that_gives_less_than_asked_for_is_read_to_its_end(self, whmcs: WhmcsServer) -> None:
        for _ in range(53):
            whmcs.open()
        whmcs.most_per_page = 12
        assert len((await read_list(client_of(whmcs), WhmcsOptions(), page=20)).tickets) == 53

    async def test_a_list_that_shifts_while_it_is_read_loses_nothing(self, whmcs: WhmcsServer) -> None:
        issues = [whmcs.open() for _ in range(60)]
        moves = iter(range(60))

        def shift(form: dict[str, str]) -> None:
            """Between two pages the newest are closed, so that the rest moves up past the reader, and others come."""
            step = next(moves)
            if step in (1, 2):
                for issue in sorted(whmcs.issues.values(), key=lambda one: one.lastreply)[-8:]:
                    issue.status = "Closed"
                whmcs.say(issues[0], "and another thing")

        whmcs.before = shift
        found = await read_list(client_of(whmcs), WhmcsOptions(), page=20)
        active = {issue.id for issue in whmcs.issues.values() if issue.status != "Closed"}
        assert active <= set(found.tickets)
        assert found.tickets[issues[0].id].lastreply == issues[0].lastreply

    async def test_a_server_that_forgets_where_to_start_ends(self, whmcs: WhmcsServer) -> None:
        for _ in range(30):
            whmcs.open()
        whmcs.before = lambda form: form.update(limitstart="0")
        assert len((await read_list(client_of(whmcs), WhmcsOptions(), page=20)).tickets) == 20
        assert len(whmcs.asked) <= 6

    async def test_only_chosen_departments_are_asked_for(self, whmcs: WhmcsServer) -> None:
        kept = whmcs.open(department=(2, "Billing"))
        whmcs.open(department=(3, "Sales"))
        found = await read_list(client_of(whmcs), WhmcsOptions(departments=[2]))
        assert set(found.tickets) == {kept.id}
