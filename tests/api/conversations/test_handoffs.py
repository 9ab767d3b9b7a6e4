"""People in the conversation: the queue, the takeover and its fence, words both ways, and how it ends."""

import asyncio
import os
import secrets
from typing import Any
from uuid import UUID

import pytest

from memory import chats, turns
from memory.errors import LeaseLost
from memory.events import journal
from memory.models import Tenant
from memory.tenancy import Role
from tests.product import Event, Product, Visitor

QUESTION = "How do I reset my mailbox password?"
CLAIMS = int(os.environ.get("CLAIMS", "20"))
Headers = dict[str, str]


async def waiting(product: Product, tenant: Tenant, *, said: str = QUESTION) -> tuple[Visitor, str]:
    """A customer who has asked for a person, and the handoff."""
    visitor = await product.visitor(tenant)
    if said:
        await visitor.ask(said)
    asked = await visitor.http.post(f"{visitor.url}/escalate", headers=visitor.headers)
    assert asked.status_code == 200, asked.text
    return visitor, asked.json()["handoff_id"]


async def do(product: Product, headers: Headers, handoff: str, what: str, **body: Any) -> Any:
    """One step of a colleague that must succeed."""
    answer = await product.http.post(f"/api/v1/handoffs/{handoff}/{what}", headers=headers, json=body or None)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


async def write(visitor: Visitor, text: str) -> Any:
    """Say something while a person has the conversation."""
    answer = await visitor.http.post(f"{visitor.url}/messages", json={"message": text}, headers=visitor.headers)
    assert answer.status_code == 202, answer.text
    return answer.json()


async def events_of(visitor: Visitor, until: str) -> list[Event]:
    seen = []
    async with asyncio.timeout(10), visitor.follow() as events:
        async for event in events:
            seen.append(event)
            if event.type == until:
                break
    return seen


async def half_said(product: Product, tenant: Tenant, visitor: Visitor, text: str) -> turns.Lease:
    """A bot's turn in mid-answer, held by some process."""
    async with journal(product.resources.database, product.resources.streams, tenant.id) as entry:
        session = await chats.get_session(entry.connection, UUID(visitor.session_id), lock=True)
        accepted = await turns.accept(
            entry, session, QUESTION, author_id=session.customer_id, owner="elsewhere", reject_if_busy=False
        )
        assert accepted.lease
        await turns.release_text(entry.connection, accepted.lease, text)
    return accepted.lease


class TestQueue:
    async def test_shows_who_waits_and_what_is_known(self, product: Product, tenant: Tenant, ada: Headers) -> None:
        visitor, handoff = await waiting(product, tenant)
        listed = (await product.http.get("/api/v1/handoffs", headers=ada)).json()["items"]
        assert [(found["id"], found["session_id"], found["status"]) for found in listed] == [
            (handoff, visitor.session_id, "requested")
        ]
        found = (await product.http.get(f"/api/v1/handoffs/{handoff}", headers=ada)).json()
        assert found["reason"] == "human_requested"
        assert found["findings"]["asked"] == QUESTION
        assert found["findings"]["intent"] == "email"
        assert found["findings"]["sources"]
        assert "password" in found["findings"]["tried"]
        assert found["findings"]["open"] == []

    async def test_an_unanswered_question_is_named_as_open(
        self, product: Product, tenant: Tenant, ada: Headers
    ) -> None:
        _, handoff = await waiting(product, tenant, said="What is the capital of Mongolia?")
        found = (await product.http.get(f"/api/v1/handoffs/{handoff}", headers=ada)).json()
        assert found["findings"]["open"] == ["What is the capital of Mongolia?"]

    async def test_a_wish_in_plain_words_tells_of_what_came_before(
        self, product: Product, tenant: Tenant, ada: Headers
    ) -> None:
        visitor = await product.visitor(tenant)
        await visitor.ask(QUESTION)
        await visitor.ask("That did not help. I want to talk to a person.")
        [found] = (await product.http.get("/api/v1/handoffs", headers=ada)).json()["items"]
        assert found["summary"] == QUESTION
        known = (await product.http.get(f"/api/v1/handoffs/{found['id']}", headers=ada)).json()["findings"]
        assert "email-reset-password" in known["sources"]
        assert "password" in known["tried"]
        assert QUESTION in known["asked"]

    async def test_who_is_not_helped_is_offered_a_person_and_then_gets_one(
        self, product: Product, tenant: Tenant, ada: Headers
    ) -> None:
        visitor = await product.visitor(tenant)
        assert "in a sentence" in (await visitor.ask("it doesn't work"))["message"]
        await visitor.ask(QUESTION)
        offered = await visitor.ask("that did not help")
        assert ("colleague" in offered["message"], offered["requires_escalation"]) == (True, False)
        assert (await visitor.ask("still not working"))["requires_escalation"]
        [found] = (await product.http.get("/api/v1/handoffs", headers=ada)).json()["items"]
        assert (found["reason"], found["summary"]) == ("repeated_failure", QUESTION)

    async def test_filters_and_pages(self, product: Product, tenant: Tenant, ada: Headers, bert: Headers) -> None:
        made = [(await waiting(product, tenant, said=""))[1] for _ in range(5)]
        await do(product, ada, made[0], "claim")
        await do(product, bert, made[1], "resolve", outcome="asked by mistake")

        async def ids(**query: Any) -> list[str]:
            found, cursor = [], None
            while True:
                page = (
                    await product.http.get(
                        "/api/v1/handoffs", headers=ada,
                        params={**query, "limit": 2, **({"cursor": cursor} if cursor else {})},
                    )
                ).json()  # fmt: skip
                found += [item["id"] for item in page["items"]]
                if not (cursor := page["next_cursor"]):
                    return found

        assert await ids() == [made[0], *made[2:]]
        assert await ids(status="claimed") == [made[0]]
        assert await ids(status="resolved") == [made[1]]
        assert await ids(mine=True) == [made[0]]
        assert await ids(severity="CRITICAL") == []
        last = await product.visitor(tenant)
        await last.ask("I want to kill myself")
        [urgent] = await ids(severity="CRITICAL")
        assert await ids() == [urgent, made[0], *made[2:]]

    async def test_nobody_on_duty_is_told_as_it_is(self, product: Product) -> None:
        tenant = await product.tenant()
        visitor = await product.visitor(tenant)
        asked = (await visitor.http.post(f"{visitor.url}/escalate", headers=visitor.headers)).json()
        assert "Nobody is available" in asked["message"]
        await product.staff(tenant, Role.AGENT)
        visitor = await product.visitor(tenant)
        asked = (await visitor.http.post(f"{visitor.url}/escalate", headers=visitor.headers)).json()
        assert "Nobody is available" not in asked["message"]

    async def test_outside_business_hours_nobody_is_promised(self, product: Product) -> None:
        hours = {"timezone": "UTC", "weekly": {}}
        tenant = await product.tenant(business_hours=hours)
        await product.staff(tenant, Role.AGENT)
        visitor = await product.visitor(tenant)
        answer = await visitor.ask("I want to talk to a person")
        assert "Nobody is available" in answer["message"]
        assert answer["ticket_id"]


class TestColleagues:
    async def test_who_has_least_to_do_comes_first_and_who_is_away_last(
        self, product: Product, tenant: Tenant, ada: Headers, bert: Headers
    ) -> None:
        _, handoff = await waiting(product, tenant)
        await do(product, ada, handoff, "claim")
        away = await product.staff(tenant, Role.AGENT)
        await product.http.patch("/api/v1/auth/me", headers=away, json={"is_available": False})
        listed = (await product.http.get("/api/v1/handoffs/colleagues", headers=bert)).json()["items"]
        ids = [
            (await product.http.get("/api/v1/auth/me", headers=who)).json()["user"]["id"] for who in (bert, ada, away)
        ]
        assert [each["id"] for each in listed] == ids
        assert [(each["conversations"], each["tickets"], each["is_available"]) for each in listed] == [
            (0, 0, True), (1, 1, True), (0, 0, False),
        ]  # fmt: skip
        await do(product, ada, handoff, "reassign", user_id=listed[0]["id"])


class TestTakeover:
    async def test_the_stream_shows_who_takes_over_and_the_turn_ends(
        self, product: Product, tenant: Tenant, ada: Headers
    ) -> None:
        visitor, handoff = await waiting(product, tenant)
        lease = await half_said(product, tenant, visitor, "A mailbox password ")
        await do(product, ada, handoff, "claim")
        seen = await events_of(visitor, "turn.cancelled")
        types = [event.type for event in seen]
        assert types[-3:] == ["handoff.claimed", "message.completed", "turn.cancelled"]
        assert seen[-1].data["reason"] == "takeover"
        kept = (await visitor.history())[-1]
        assert (kept["content"], kept["status"]) == ("A mailbox password ", "incomplete")
        for late in (turns.release_text, None):
            with pytest.raises(LeaseLost):
                async with product.resources.database.connection(tenant.id) as connection:
                    await (late(connection, lease, "late") if late else turns.hold(connection, lease))

    async def test_a_waiting_answer_ends_and_says_why(self, product: Product, tenant: Tenant, ada: Headers) -> None:
        visitor, handoff = await waiting(product, tenant)
        await half_said(product, tenant, visitor, "A mailbox ")
        asking = asyncio.create_task(visitor.ask("And on Android?"))  # waits behind the running turn
        await asyncio.sleep(0.2)
        await do(product, ada, handoff, "claim")
        answer = await asking
        assert (answer["status"], answer["reason"]) == ("cancelled", "takeover")

    async def test_the_first_words_claim_too(self, product: Product, tenant: Tenant, ada: Headers) -> None:
        visitor, handoff = await waiting(product, tenant)
        said = await do(product, ada, handoff, "messages", message="I am looking into it.")
        assert said["status"] == "claimed"
        seen = await events_of(visitor, "message.created")
        assert (await write(visitor, "thank you"))["mode"] == "human"
        assert seen[0].type == "message.created"
        last = (await visitor.history())[-2:]
        assert [(m["author"], m["content"]) for m in last] == [
            ("agent", "I am looking into it."), ("customer", "thank you"),
        ]  # fmt: skip

    async def test_a_customers_message_gets_no_bot_while_a_person_is_there(
        self, product: Product, tenant: Tenant, ada: Headers
    ) -> None:
        visitor, handoff = await waiting(product, tenant)
        await do(product, ada, handoff, "claim")
        accepted = await write(visitor, QUESTION)
        assert (accepted["turn_id"], accepted["mode"]) == (None, "human")
        await asyncio.sleep(0.3)
        assert (await visitor.history())[-1]["author"] == "customer"

    async def test_claiming_ones_own_again_changes_nothing(
        self, product: Product, tenant: Tenant, ada: Headers
    ) -> None:
        visitor, handoff = await waiting(product, tenant)
        await do(product, ada, handoff, "claim")
        before = (await visitor.http.get(visitor.url, headers=visitor.headers)).json()["last_n"]
        await do(product, ada, handoff, "claim")
        assert (await visitor.http.get(visitor.url, headers=visitor.headers)).json()["last_n"] == before

    async def test_of_two_who_claim_at_once_one_wins_and_the_other_sees_who(
        self, product: Product, tenant: Tenant, ada: Headers, bert: Headers
    ) -> None:
        names = {}
        for headers, name in ((ada, "Ada"), (bert, "Bert")):
            me = (await product.http.get("/api/v1/auth/me", headers=headers)).json()["user"]
            async with product.owner.connection(tenant.id) as connection:
                await connection.execute("update users set name = %s where id = %s", (name, UUID(me["id"])))
            names[headers["Authorization"]] = name
        for _ in range(CLAIMS):
            _, handoff = await waiting(product, tenant, said="")
            both = await asyncio.gather(
                *(product.http.post(f"/api/v1/handoffs/{handoff}/claim", headers=headers) for headers in (ada, bert))
            )
            assert sorted(answer.status_code for answer in both) == [200, 409]
            won = next(answer for answer in both if answer.status_code == 200)
            lost = next(answer for answer in both if answer.status_code == 409)
            assert lost.json()["code"] == "already_taken"
            assert lost.json()["detail"] == f"{names[won.request.headers['authorization']]} has this conversation"


class TestWithAPerson:
    async def test_words_go_both_ways_on_the_same_stream(self, product: Product, tenant: Tenant, ada: Headers) -> None:
        visitor, handoff = await waiting(product, tenant, said="")
        await do(product, ada, handoff, "claim")

        async def follow(headers: Headers) -> list[tuple[str, str]]:
            reader = Visitor(product.http, visitor.session_id, headers)
            found: list[tuple[str, str]] = []
            async with asyncio.timeout(10), reader.follow() as events:
                async for event in events:
                    if event.type == "message.created" and event.data["author"] in ("agent", "customer"):
                        found.append((event.data["author"], event.data["text"]))
                    if len(found) == 4:
                        break
            return found

        readers = [asyncio.create_task(follow(headers)) for headers in (visitor.headers, ada)]
        for number in range(2):
            await do(product, ada, handoff, "messages", message=f"agent {number}")
            await write(visitor, f"customer {number}")
        expected = [(author, f"{author} {number}") for number in range(2) for author in ("agent", "customer")]
        assert await asyncio.gather(*readers) == [expected, expected]

    async def test_a_note_never_reaches_the_customer(self, product: Product, tenant: Tenant, ada: Headers) -> None:
        visitor, handoff = await waiting(product, tenant)
        canary = secrets.token_hex(12)
        await do(product, ada, handoff, "claim")
        noted = await do(product, ada, handoff, "notes", message=f"difficult: {canary}")
        assert canary in noted["notes"][0]["text"]
        await do(product, ada, handoff, "messages", message="Hello!")
        await do(product, ada, handoff, "release")
        answer = await visitor.ask("What did your colleague note about me?")
        tickets = await visitor.http.get("/api/v1/tickets", headers=visitor.headers)
        ticket = tickets.json()["items"][0]["id"]
        seen = [
            str(answer), tickets.text, (await visitor.http.get(f"/api/v1/tickets/{ticket}", headers=visitor.headers)).text,
            str(await visitor.history()), str([event.data for event in await events_of(visitor, "turn.completed")]),
        ]  # fmt: skip
        assert not [text for text in seen if canary in text]

    async def test_only_who_has_it_speaks(self, product: Product, tenant: Tenant, ada: Headers, bert: Headers) -> None:
        _, handoff = await waiting(product, tenant)
        await do(product, ada, handoff, "claim")
        for what, body in (("messages", {"message": "me too"}), ("release", None), ("resolve", None)):
            answer = await product.http.post(f"/api/v1/handoffs/{handoff}/{what}", json=body, headers=bert)
            assert answer.status_code == 409, what

    async def test_it_can_be_handed_on(self, product: Product, tenant: Tenant, ada: Headers, bert: Headers) -> None:
        visitor, handoff = await waiting(product, tenant)
        to = (await product.http.get("/api/v1/auth/me", headers=bert)).json()["user"]["id"]
        kept = await do(product, ada, handoff, "reassign", user_id=to)
        assert (kept["status"], kept["assigned_to"]) == ("requested", to)
        await do(product, ada, handoff, "claim")
        handed = await do(product, ada, handoff, "reassign", user_id=to)
        assert handed["claimed_by"] == to
        await do(product, bert, handoff, "messages", message="I am Bert.")
        claimed = await events_of(visitor, "handoff.claimed")
        assert claimed[-1].data["agent"]["name"] == "Support"

    async def test_a_customer_is_nobody_to_hand_it_to(self, product: Product, tenant: Tenant, ada: Headers) -> None:
        _, handoff = await waiting(product, tenant)
        foreign = await product.staff(await product.tenant(), Role.AGENT)
        other = (await product.http.get("/api/v1/auth/me", headers=foreign)).json()["user"]["id"]
        answer = await product.http.post(f"/api/v1/handoffs/{handoff}/reassign", json={"user_id": other}, headers=ada)
        assert answer.status_code == 404


class TestBackToTheBot:
    async def test_it_answers_what_is_still_open_and_knows_what_was_said(
        self, product: Product, tenant: Tenant, ada: Headers
    ) -> None:
        visitor, handoff = await waiting(product, tenant, said="")
        await do(product, ada, handoff, "messages", message="Your server is srv-42.")
        await write(visitor, "How do I pay an invoice?")
        await do(product, ada, handoff, "release")
        seen = await events_of(visitor, "turn.completed")
        assert "handoff.released" in [event.type for event in seen]
        last = (await visitor.history())[-1]
        assert (last["author"], bool(last["sources"])) == ("bot", True)

    async def test_it_stays_silent_where_nothing_is_open(self, product: Product, tenant: Tenant, ada: Headers) -> None:
        visitor, handoff = await waiting(product, tenant)
        await do(product, ada, handoff, "messages", message="All done.")
        await do(product, ada, handoff, "release")
        assert (await visitor.history())[-1]["content"] == "All done."
        assert (await visitor.ask(QUESTION))["sources"]

    async def test_asking_again_opens_the_solved_ticket(self, product: Product, tenant: Tenant, ada: Headers) -> None:
        visitor, handoff = await waiting(product, tenant)
        await do(product, ada, handoff, "messages", message="Solved.")
        await do(product, ada, handoff, "resolve")
        again = (await visitor.http.post(f"{visitor.url}/escalate", headers=visitor.headers)).json()
        [ticket] = await product.rows(tenant, "select id, status, reopened from tickets")
        assert (str(ticket["id"]), ticket["status"], ticket["reopened"]) == (again["ticket_id"], "open", 1)

    async def test_a_second_request_is_a_new_handoff_with_the_same_ticket(
        self, product: Product, tenant: Tenant, ada: Headers
    ) -> None:
        visitor, handoff = await waiting(product, tenant)
        await do(product, ada, handoff, "claim")
        await do(product, ada, handoff, "release")
        again = (await visitor.http.post(f"{visitor.url}/escalate", headers=visitor.headers)).json()
        assert again["handoff_id"] != handoff
        assert len(await product.rows(tenant, "select 1 from tickets")) == 1


class TestTheEnd:
    async def test_resolving_ends_the_session_and_a_later_message_opens_it_for_the_bot(
        self, product: Product, tenant: Tenant, ada: Headers
    ) -> None:
        visitor, handoff = await waiting(product, tenant)
        await do(product, ada, handoff, "messages", message="Solved?")
        await do(product, ada, handoff, "resolve", outcome="password was reset")
        seen = await events_of(visitor, "session.closed")
        assert [event.type for event in seen][-2:] == ["handoff.resolved", "session.closed"]
        answer = await visitor.ask(QUESTION)
        assert answer["sources"]
        late = await product.http.post(f"/api/v1/handoffs/{handoff}/claim", headers=ada)
        assert late.status_code == 409

    async def test_a_session_that_its_customer_closes_is_nobodys_any_more(
        self, product: Product, tenant: Tenant, ada: Headers
    ) -> None:
        visitor, handoff = await waiting(product, tenant)
        await do(product, ada, handoff, "claim")
        await visitor.http.post(f"{visitor.url}/close", headers=visitor.headers)
        found = (await product.http.get(f"/api/v1/handoffs/{handoff}", headers=ada)).json()
        assert (found["status"], found["outcome"]) == ("resolved", "session_closed")
        assert (await visitor.ask(QUESTION))["sources"]

    async def test_every_step_is_on_the_ticket_and_in_the_audit_log(
        self, product: Product, tenant: Tenant, ada: Headers
    ) -> None:
        visitor, handoff = await waiting(product, tenant)
        await do(product, ada, handoff, "claim")
        await do(product, ada, handoff, "messages", message="Hello!")
        await write(visitor, "It works now.")
        await do(product, ada, handoff, "resolve", outcome="done")
        told = await product.rows(tenant, "select type from ticket_events order by id")
        types = [row["type"] for row in told]
        assert types[-6:] == ["claimed", "status_changed", "reply", "reply", "handoff_resolved", "status_changed"]
        [ticket] = await product.rows(tenant, "select status, assignee_id, first_responded_at from tickets")
        assert (ticket["status"], bool(ticket["first_responded_at"])) == ("resolved", True)
        audited = await product.rows(tenant, "select action from audit_log where object_type = 'handoff' order by id")
        assert [row["action"] for row in audited] == ["handoff.claimed", "handoff.resolved"]


class TestNeglect:
    async def past_the_limit(self, product: Product, tenant: Tenant) -> None:
        await product.rows(
            tenant,
            "update handoffs set waiting_since = waiting_since - interval '11 minutes' where waiting_since is not null"
            " returning id",
        )

    async def test_who_claims_and_leaves_loses_it_and_the_customer_is_told(
        self, product: Product, tenant: Tenant, ada: Headers, bert: Headers
    ) -> None:
        visitor, handoff = await waiting(product, tenant, said="")
        await do(product, ada, handoff, "claim")
        await write(visitor, "How do I pay an invoice?")
        assert await product.resources.handoffs.return_neglected() == 0
        await self.past_the_limit(product, tenant)
        assert await product.resources.handoffs.return_neglected() == 1
        seen = await events_of(visitor, "turn.completed")
        assert [event.type for event in seen if event.type.startswith("handoff.")] == [
            "handoff.requested", "handoff.claimed", "handoff.released",
        ]  # fmt: skip
        history = await visitor.history()
        assert "back in the queue" in history[-2]["content"]
        assert history[-1]["sources"]
        found = (await product.http.get(f"/api/v1/handoffs/{handoff}", headers=ada)).json()
        assert (found["status"], found["returned"]) == ("requested", 1)
        await do(product, bert, handoff, "claim")

    async def test_who_has_answered_keeps_it(self, product: Product, tenant: Tenant, ada: Headers) -> None:
        visitor, handoff = await waiting(product, tenant)
        await do(product, ada, handoff, "claim")
        await write(visitor, "are you there?")
        await do(product, ada, handoff, "messages", message="Yes!")
        await self.past_the_limit(product, tenant)
        assert await product.resources.handoffs.return_neglected() == 0

    async def test_a_colleague_whose_account_is_closed_loses_it_though_nobody_waits(
        self, product: Product, tenant: Tenant, ada: Headers, bert: Headers, admin: Headers
    ) -> None:
        visitor, handoff = await waiting(product, tenant)
        await do(product, ada, handoff, "claim")
        await do(product, ada, handoff, "messages", message="Hello!")
        assert await product.resources.handoffs.return_neglected() == 0
        me = (await product.http.get("/api/v1/auth/me", headers=ada)).json()
        closed = await product.http.patch(f"/api/v1/users/{me['user']['id']}", json={"is_active": False}, headers=admin)
        assert closed.status_code == 200
        assert await product.resources.handoffs.return_neglected() == 1
        assert "has left" in (await visitor.history())[-1]["content"]
        await do(product, bert, handoff, "claim")

    async def test_many_processes_return_it_once(self, product: Product, tenant: Tenant, ada: Headers) -> None:
        visitor, handoff = await waiting(product, tenant)
        await do(product, ada, handoff, "claim")
        await self.past_the_limit(product, tenant)
        returned = await asyncio.gather(*(product.resources.handoffs.return_neglected() for _ in range(6)))
        assert sum(returned) == 1
        assert [event["content"] for event in await visitor.history() if "back in the queue" in event["content"]]
