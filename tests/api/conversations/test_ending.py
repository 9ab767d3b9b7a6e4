"""Conversations that end, and what is asked of them afterwards."""

import asyncio
import re
from uuid import UUID

from memory import chats, turns
from memory.events import journal
from memory.models import Tenant
from tests.product import Product, Visitor

QUESTION = "How do I reset my mailbox password?"


async def busy(product: Product, tenant: Tenant, visitor: Visitor, *, said: str = "", messages: int = 2) -> None:
    """A session with a running turn, which has `said` something, and the messages after the first waiting."""
    resources = product.resources
    for number in range(messages):
        async with journal(resources.database, resources.streams, tenant.id) as entry:
            session = await chats.get_session(entry.connection, UUID(visitor.session_id), lock=True)
            accepted = await turns.accept(
                entry, session, QUESTION, author_id=session.customer_id, owner="elsewhere", reject_if_busy=False
            )
            if said and number == 0:
                assert accepted.lease
                await turns.release_text(entry.connection, accepted.lease, said)


async def close(visitor: Visitor) -> int:
    return (await visitor.http.post(f"{visitor.url}/close", headers=visitor.headers)).status_code


async def long_ago(product: Product, tenant: Tenant) -> None:
    await product.rows(
        tenant, "update chat_sessions set closed_at = now() - interval '8 days' where status = 'closed' returning id"
    )


class TestClosing:
    async def test_ends_what_runs_and_what_waits_with_the_session(self, product: Product, tenant: Tenant) -> None:
        visitor = await product.visitor(tenant)
        await busy(product, tenant, visitor, said="A mailbox password ")
        async with asyncio.timeout(5), visitor.follow() as events:
            assert await close(visitor) == 200
            seen = [event.type async for event in events]
        assert seen[-4:] == ["message.completed", "turn.cancelled", "turn.cancelled", "session.closed"]
        states = await product.rows(tenant, "select distinct status, reason from turns")
        assert states == [{"status": "cancelled", "reason": "closed"}]

    async def test_many_who_close_at_once_close_once(self, product: Product, tenant: Tenant) -> None:
        visitor = await product.visitor(tenant)
        await busy(product, tenant, visitor)
        assert set(await asyncio.gather(*(close(visitor) for _ in range(8)))) == {200}
        async with asyncio.timeout(5), visitor.follow() as events:
            seen = [event.type async for event in events]
        assert seen.count("session.closed") == 1

    async def test_a_message_and_a_close_at_once_leave_nothing_open(self, product: Product, tenant: Tenant) -> None:
        """Whichever came first: after it either the session is open and answered, or closed with nothing waiting."""
        for _ in range(10):
            visitor = await product.visitor(tenant)
            _, answer = await asyncio.gather(
                close(visitor),
                visitor.http.post(f"{visitor.url}/messages", json={"message": "thanks"}, headers=visitor.headers),
            )
            assert answer.status_code == 200
            [session] = await product.rows(
                tenant, "select status, id from chat_sessions where id = %s", UUID(visitor.session_id)
            )
            unfinished = await product.rows(
                tenant, "select 1 from turns where session_id = %s and status in ('running', 'queued')", session["id"]
            )
            assert not unfinished


class TestAPersonAfterTheEnd:
    async def test_asking_for_one_opens_a_recent_conversation_again(self, product: Product, tenant: Tenant) -> None:
        visitor = await product.visitor(tenant)
        await close(visitor)
        answer = await visitor.http.post(f"{visitor.url}/escalate", headers=visitor.headers)
        assert answer.status_code == 200, answer.text
        state = await visitor.http.get(visitor.url, headers=visitor.headers)
        assert state.json()["status"] == "open"

    async def test_an_old_one_stays_closed_and_makes_no_ticket(self, product: Product, tenant: Tenant) -> None:
        visitor = await product.visitor(tenant)
        await close(visitor)
        await long_ago(product, tenant)
        answer = await visitor.http.post(f"{visitor.url}/escalate", headers=visitor.headers)
        assert answer.status_code == 409
        assert await product.rows(tenant, "select 1 from tickets") == []

    async def test_the_words_are_in_the_customers_language(self, product: Product, tenant: Tenant) -> None:
        visitor = await product.visitor(tenant)
        await visitor.ask("Wie setze ich das Passwort meines Postfachs zurück?")
        first = (await visitor.http.post(f"{visitor.url}/escalate", headers=visitor.headers)).json()
        again = (await visitor.http.post(f"{visitor.url}/escalate", headers=visitor.headers)).json()
        assert re.search(r"niemand.*Ticket #1", first["message"])
        assert "bereits" in again["message"]
