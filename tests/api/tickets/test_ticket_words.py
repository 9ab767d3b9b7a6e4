"""Words on a ticket: replies both ways, and notes that no customer ever sees."""

import asyncio
import secrets

import pytest

from memory.models import Tenant
from tests.product import Product, Visitor
from tests.ticket_desk import URL, Headers, call, earlier, events, kinds, opened, server_of


class TestTalking:
    async def test_words_both_ways_and_what_becomes_of_the_status(
        self, product: Product, ada: Headers, customer: Visitor
    ) -> None:
        ticket = await opened(product, customer.headers)
        path = f"/{ticket['id']}/reply"
        said = await call(product, "POST", path, ada, 201, message="We look into it.")
        assert (said["event"]["author"], said["event"]["text"]) == ("agent", "We look into it.")
        assert said["ticket"]["status"] == "in_progress"
        assert said["ticket"]["first_responded_at"]
        said = await call(product, "POST", path, ada, 201, message="Which one?", status="waiting_customer")
        assert said["ticket"]["status"] == "waiting_customer"
        said = await call(product, "POST", path, customer.headers, 201, message="The red one.")
        assert said["ticket"]["status"] == "open"
        await call(product, "POST", path, ada, 201, message="Done.", status="resolved")
        said = await call(product, "POST", path, customer.headers, 201, message="It is not!")
        assert (said["ticket"]["status"], said["ticket"]["reopened"]) == ("open", 1)
        told = await events(product, customer.headers, ticket)
        assert [(event["author"], event["text"]) for event in told if event["type"] == "reply"] == [
            ("agent", "We look into it."), ("agent", "Which one?"), ("customer", "The red one."), ("agent", "Done."),
            ("customer", "It is not!"),
        ]  # fmt: skip
        assert {event["name"] for event in told if event["author"] == "agent"} == {"Support"}

    async def test_a_customer_reopens_what_was_closed_within_seven_days(
        self, product: Product, tenant: Tenant, ada: Headers, customer: Visitor
    ) -> None:
        ticket = await opened(product, customer.headers)
        path = f"/{ticket['id']}/reply"
        await call(product, "PATCH", f"/{ticket['id']}", ada, status="closed")
        await call(product, "POST", path, ada, 409, message="One more thing")
        said = await call(product, "POST", path, customer.headers, 201, message="Again")
        assert said["ticket"]["status"] == "open"
        await call(product, "PATCH", f"/{ticket['id']}", ada, status="closed")
        await earlier(product, tenant, ticket, "8 days")
        await call(product, "POST", path, customer.headers, 409, message="Still there?")
        replies = [event["text"] for event in await events(product, ada, ticket) if event["type"] == "reply"]
        assert replies == ["Again"]

    async def test_a_customer_sets_no_status(self, product: Product, customer: Visitor) -> None:
        ticket = await opened(product, customer.headers)
        await call(product, "POST", f"/{ticket['id']}/reply", customer.headers, 403, message="x", status="resolved")

    async def test_a_server_speaks_for_the_customer(self, product: Product, tenant: Tenant, ada: Headers) -> None:
        server = await server_of(product, tenant)
        ticket = await opened(product, server, user_id="c-1")
        await call(product, "POST", f"/{ticket['id']}/reply", ada, 201, message="Which?", status="waiting_customer")
        said = await call(product, "POST", f"/{ticket['id']}/reply", server, 201, message="That one.")
        assert (said["event"]["author"], said["ticket"]["status"]) == ("customer", "open")
        for what in ("notes", "escalate", "merge"):
            await call(product, "POST", f"/{ticket['id']}/{what}", server, 403, message="x")

    async def test_a_reply_to_what_one_has_not_seen_is_held_back(
        self, product: Product, ada: Headers, customer: Visitor
    ) -> None:
        ticket = await opened(product, customer.headers)
        path = f"/{ticket['id']}/reply"
        await call(product, "POST", path, ada, 201, message="First", version=1)
        await call(product, "POST", path, ada, 409, message="Second", version=1)

    async def test_the_same_reply_twice_happens_once(self, product: Product, ada: Headers, customer: Visitor) -> None:
        ticket = await opened(product, customer.headers)
        headers, body = {**ada, "Idempotency-Key": secrets.token_hex(8)}, {"message": "Once"}
        url = f"{URL}/{ticket['id']}/reply"
        answers = await asyncio.gather(*(product.http.post(url, json=body, headers=headers) for _ in range(5)))
        assert len({answer.json()["event"]["id"] for answer in answers}) == 1
        assert (await kinds(product, ada, ticket)).count("reply") == 1

    async def test_notes_are_colleagues_own_in_every_state(
        self, product: Product, tenant: Tenant, ada: Headers, customer: Visitor
    ) -> None:
        canary = f"canary-{secrets.token_hex(8)}"
        ticket = await opened(product, customer.headers)
        other = await opened(product, customer.headers, "Other")
        path = f"/{ticket['id']}"
        written = await call(product, "POST", f"{path}/notes", ada, 201, message=canary)
        assert (written["text"], written["internal"]) == (canary, True)
        await call(product, "POST", f"{path}/escalate", ada, reason=f"hard, {canary}")
        await call(product, "PATCH", path, ada, team=canary, department="Sales", intent=f"x{canary}")
        await call(product, "PATCH", path, ada, status="closed", duplicate_of=other["id"])
        await call(product, "POST", f"{path}/notes", ada, 201, message=canary)
        server = await server_of(product, tenant)
        seen = []
        for who in (customer.headers, server):
            for where in (path, f"{path}/events", "", f"?q={canary}", f"/{other['id']}/events"):
                answer = await product.http.get(URL + where, headers=who)
                seen.append(answer.text)
        seen.append(str(await call(product, "POST", f"{path}/reply", customer.headers, 201, message="Hello?")))
        seen = [text.replace(f"x{canary}", "the intent, which customers see") for text in seen]
        assert [text for text in seen if canary in text or "escalated" in text or "assign" in text] == []
        assert canary in str(await events(product, ada, ticket))
        audited = await product.rows(
            tenant, "select changes::text as told from audit_log where action = 'ticket.noted'"
        )
        assert [row["told"] for row in audited] == ["{}", "{}"]

    async def test_a_page_of_the_history_goes_on_where_the_last_one_ended(
        self, product: Product, ada: Headers, customer: Visitor
    ) -> None:
        ticket = await opened(product, customer.headers)
        for n in range(5):
            who = ada if n % 2 else customer.headers
            await call(product, "POST", f"/{ticket['id']}/reply", who, 201, message=str(n))
            await call(product, "POST", f"/{ticket['id']}/notes", ada, 201, message="note")
        texts: list[str] = []
        cursor = None
        while cursor is not None or not texts:
            params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
            answer = await product.http.get(f"{URL}/{ticket['id']}/events", headers=customer.headers, params=params)
            texts += [event["text"] or event["type"] for event in answer.json()["items"]]
            cursor = answer.json()["next_cursor"]
        assert texts == ["created", "0", "1", "status_changed", "2", "3", "4"]


class TestInTheConversation:
    """A reply on the ticket of a conversation is heard there, and takes nothing over."""

    async def test_who_asked_in_the_chat_reads_it_there(
        self, product: Product, ada: Headers, customer: Visitor
    ) -> None:
        ticket = await opened(product, customer.headers, session_id=customer.session_id)
        async with asyncio.timeout(10), customer.follow("1") as following:
            await call(product, "POST", f"/{ticket['id']}/reply", ada, 201, message="Please try again.")
            event = await anext(following)
        assert (event.type, event.data["author"], event.data["text"]) == (
            "message.created",
            "agent",
            "Please try again.",
        )
        last = (await customer.history())[-1]
        assert (last["author"], last["content"], bool(last["name"])) == ("agent", "Please try again.", True)
        answer = await customer.ask("How do I reset my mailbox password?")
        assert answer["status"] == "complete"

    async def test_notes_and_customers_own_words_stay_on_the_ticket(
        self, product: Product, ada: Headers, customer: Visitor
    ) -> None:
        ticket = await opened(product, customer.headers, session_id=customer.session_id)
        await call(product, "POST", f"/{ticket['id']}/notes", ada, 201, message="For us.")
        await call(product, "POST", f"/{ticket['id']}/reply", customer.headers, 201, message="Any news?")
        assert [message["author"] for message in await customer.history()] == ["bot"]

    async def test_the_person_who_has_the_conversation_has_answered(
        self, product: Product, tenant: Tenant, ada: Headers, bert: Headers, customer: Visitor
    ) -> None:
        asked = (await product.http.post(f"{customer.url}/escalate", headers=customer.headers)).json()
        await product.http.post(f"/api/v1/handoffs/{asked['handoff_id']}/claim", headers=bert)
        await call(product, "POST", f"/{asked['ticket_id']}/reply", ada, 201, message="I know this one.")
        [handoff] = await product.rows(tenant, "select status, waiting_since from handoffs")
        assert handoff == {"status": "claimed", "waiting_since": None}

    @pytest.mark.parametrize(("ago", "heard"), [("1 day", True), ("8 days", False)])
    async def test_an_ended_conversation_goes_on_if_it_is_not_long_over(
        self, product: Product, tenant: Tenant, ada: Headers, customer: Visitor, ago: str, heard: bool
    ) -> None:
        ticket = await opened(product, customer.headers, session_id=customer.session_id)
        await product.http.post(f"{customer.url}/close", headers=customer.headers)
        async with product.owner.connection(tenant.id) as connection:
            await connection.execute("update chat_sessions set closed_at = now() - %s::interval", (ago,))
        await call(product, "POST", f"/{ticket['id']}/reply", ada, 201, message="It is done.")
        session = (await product.http.get(customer.url, headers=customer.headers)).json()
        assert session["status"] == ("open" if heard else "closed")
        assert ((await customer.history())[-1]["content"] == "It is done.") is heard
