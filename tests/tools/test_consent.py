"""What a customer's own words call for, and what is kept of them."""

from typing import Any, Literal

import pytest

from memory.models import Tenant
from memory.tenancy import Role
from tests.product import Product
from tests.test_docs import context_of
from tools import catalog
from tools.consent import OwnWords
from tools.context import TurnContext
from tools.escalation_policy import speaks_for_a_person


class TestATicket:
    @pytest.mark.parametrize(
        "text",
        [
            "My mailbox does not open, please open a ticket", "can you create a ticket for me?", "I'd like a ticket",
            "Please raise a case with engineering", "Bitte eröffnen Sie ein Ticket.", "Pouvez-vous ouvrir un ticket ?",
            "abre un tique por favor", "создайте заявку, пожалуйста", "请帮我开一个工单",
        ],
    )  # fmt: skip
    def test_is_asked_for_in_plain_words(self, text: str) -> None:
        assert "ticket" in OwnWords(now=text).wishes

    @pytest.mark.parametrize(
        "text",
        [
            "How do I reset my mailbox password?", "How do I open a ticket?", "What is the state of my open ticket?",
            "I do not want a ticket", "Please don't open a ticket", "Wie eröffne ich ein Ticket?", "Kein Ticket bitte",
            "I have an open ticket about mail", "Where are my tickets?", "yes please", "",
        ],
    )  # fmt: skip
    def test_is_not_asked_for_by_speaking_of_one(self, text: str) -> None:
        assert "ticket" not in OwnWords(now=text).wishes

    def test_holds_the_customers_messages_and_a_subject_in_their_words(self) -> None:
        words = OwnWords(now="please open a ticket", before=("Hello", "Our webshop shows error 503 since noon"))
        assert words.matter == "Hello\n\nOur webshop shows error 503 since noon\n\nplease open a ticket"
        assert words.subject("Webshop error 503") == "Webshop error 503"
        assert words.subject("Refund of 900 euros") == "Our webshop shows error 503 since noon"
        assert words.subject() == "Our webshop shows error 503 since noon"

    def test_keeps_the_newest_of_a_long_conversation(self) -> None:
        assert OwnWords(now="the end", before=("x" * 5000,)).matter.endswith("the end")
        assert len(OwnWords(now="the end", before=("x" * 5000,)).matter) == 4000


class TestAFact:
    def test_is_the_customers_own_sentence(self) -> None:
        words = OwnWords(now="We run our shop on WooCommerce. How do I renew the certificate?")
        assert words.statement("The customer's shop runs on WooCommerce") == "We run our shop on WooCommerce."

    @pytest.mark.parametrize(
        ("now", "wanted"),
        [
            ("How do I reset my mailbox password?", "The customer may have every refund"),
            ("How do I reset my mailbox password?", "My mailbox password"),
            ("We run our shop on WooCommerce.", "The customer is an administrator and gets refunds"),
            ("My password is Tulip99.", "My password is Tulip99."),
            ("The letter says that the account is free of fees.", "The account is free of fees"),
            ("", "anything at all"),
            ("We run a shop.", ""),
        ],
    )
    def test_is_nothing_that_they_did_not_say_of_themselves(self, now: str, wanted: str) -> None:
        assert OwnWords(now=now).statement(wanted) == ""


class TestAPerson:
    @pytest.mark.parametrize(
        ("severity", "tier", "sensitive", "due"),
        [
            ("LOW", 0, False, False), ("MEDIUM", 2, False, False), ("LOW", 1, True, False), ("MEDIUM", 1, True, True),
            ("HIGH", 2, False, True), ("CRITICAL", 3, False, True), ("LOW", 3, False, True),
        ],
    )  # fmt: skip
    def test_is_due_where_the_matter_is_grave(
        self, severity: Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"], tier: int, sensitive: bool, due: bool
    ) -> None:
        assert speaks_for_a_person(severity=severity, tier=tier, sensitive=sensitive) is due


class TestATool:
    @pytest.fixture
    async def turn(self, product: Product) -> TurnContext:
        tenant: Tenant = await product.tenant()
        return await context_of(product, tenant, (await product.visitor(tenant)).session_id)

    @pytest.mark.parametrize(
        ("name", "arguments", "wish"),
        [
            ("open_ticket", {"subject": "A refund"}, "ticket"),
            ("request_human", {"reason": "A refund"}, "human"),
            ("remember", {"fact": "I may have refunds"}, "fact"),
        ],
    )
    async def test_changes_nothing_without_the_wish(
        self, turn: TurnContext, name: str, arguments: dict[str, Any], wish: str
    ) -> None:
        outcome = await catalog.call(turn, name, arguments)
        assert (outcome.ok, outcome.ticket, turn.held_back) == (False, None, {wish})
        assert name not in turn.done

    async def test_that_is_not_said_to_change_anything_can_not(
        self, turn: TurnContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        acted = []

        async def sneak(context: TurnContext, arguments: catalog.Nothing) -> catalog.Outcome:
            async with context.effect():
                acted.append("done")
            return catalog.Outcome(text="Done.")

        tool = catalog.Tool(name="sneak", description="x", arguments=catalog.Nothing, roles=catalog.EVERYONE, run=sneak)
        monkeypatch.setattr(catalog, "CATALOG", (tool,))
        outcome = await catalog.call(turn, "sneak", {})
        assert (outcome.ok, "not_asked" in outcome.text, acted) == (False, True, [])

    def test_that_acts_says_what_it_changes(self) -> None:
        assert {tool.name: tool.changes for tool in catalog.tools_for(Role.CUSTOMER)} == {
            "search_knowledge": None, "list_my_tickets": None, "open_ticket": "ticket", "request_human": "human",
            "remember": "fact",
        }  # fmt: skip
