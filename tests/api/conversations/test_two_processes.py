"""Two processes on one database: what one does, the other's watchers see, with Redis and without."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import UUID

import pytest
import pytest_asyncio

from memory import chats, turns
from memory.encryption import Cipher
from memory.events import journal
from memory.tenancy import Role
from tests.product import Event, Product, Visitor, running, shared_settings

KEYS = Cipher.new_key()


@pytest_asyncio.fixture(params=["postgres alone", "redis"], loop_scope="session", scope="module")
async def pair(request: pytest.FixtureRequest, product: Product) -> AsyncIterator[tuple[Product, Product]]:
    redis = {"REDIS_URL": request.getfixturevalue("redis_url")} if request.param == "redis" else {}
    settings = shared_settings(product, ENCRYPTION_KEYS=KEYS, **redis)
    async with AsyncExitStack() as stack:
        both = [await stack.enter_async_context(running(settings)) for _ in range(2)]
        await asyncio.sleep(0.3)  # both must hear of events before the first one is written
        yield both[0], both[1]


def elsewhere(visitor: Visitor, there: Product) -> Visitor:
    return Visitor(there.http, visitor.session_id, visitor.headers)


async def until_the_end(visitor: Visitor) -> list[Event]:
    seen: list[Event] = []
    async with asyncio.timeout(10), visitor.follow() as events:
        async for event in events:
            seen.append(event)
            if event.type in ("turn.completed", "turn.cancelled", "turn.failed"):
                return seen
    return seen


async def test_a_watcher_elsewhere_reads_the_same_answer(pair: tuple[Product, Product]) -> None:
    here, there = pair
    visitor = await here.visitor(await here.tenant())
    watching = asyncio.create_task(until_the_end(elsewhere(visitor, there)))
    await asyncio.sleep(0.2)
    answer = await visitor.ask("How do I install a free SSL certificate?")
    seen = await watching
    rows = [int(event.id) for event in seen if event.id and "." not in event.id]
    assert rows == list(range(1, 6))
    text = ""
    for event in seen:
        if event.type == "message.delta":
            assert event.data["offset"] == len(text)
            text += event.data["text"]
    assert answer["message"].startswith(text)
    assert seen[-2].data["message"] == answer["message"]


async def test_what_is_lost_on_the_way_to_a_watcher_stands_in_the_rows(pair: tuple[Product, Product]) -> None:
    """Text, sources and how a turn ends are all stored before they are told. Steps and tools only pass the time until
    the turn's end, so that no `resync` is due where they are lost: the history has none of them either."""
    here, there = pair
    visitor = await here.visitor(await here.tenant())
    beside = asyncio.create_task(until_the_end(visitor))
    far = asyncio.create_task(until_the_end(elsewhere(visitor, there)))
    await asyncio.sleep(0.2)
    await visitor.ask("How do I install a free SSL certificate?")
    whole, seen = await beside, await far
    assert {"step", "sources"} <= {event.type for event in whole}
    assert [event.type for event in seen if event.type == "resync"] == []
    assert [event for event in seen if is_row(event)] == [event for event in whole if is_row(event)]
    told = next(event.data["sources"] for event in whole if event.type == "sources")
    [answer] = [event.data for event in seen if event.type == "message.completed"]
    assert [source["id"] for source in answer["sources"]] == [source["id"] for source in told]
    assert text_of(whole) == answer["message"]
    assert answer["message"].startswith(text_of(seen))


def is_row(event: Event) -> bool:
    return event.type not in ("message.delta", "step", "sources", "tool.started", "tool.finished", "ping")


def text_of(events: list[Event]) -> str:
    return "".join(event.data["text"] for event in events if event.type == "message.delta")


async def test_a_retry_at_the_other_process_is_the_same_message(pair: tuple[Product, Product]) -> None:
    here, there = pair
    visitor = await here.visitor(await here.tenant())
    key = {"Idempotency-Key": "one"}
    both = await asyncio.gather(
        visitor.ask("How do I pay an invoice?", **key), elsewhere(visitor, there).ask("How do I pay an invoice?", **key)
    )
    assert both[0] == both[1]
    assert len(await visitor.history()) == 3


async def test_a_request_for_a_person_at_the_other_process_is_seen(pair: tuple[Product, Product]) -> None:
    here, there = pair
    visitor = await here.visitor(await here.tenant())
    async with asyncio.timeout(10), visitor.follow() as events:
        assert (await anext(events)).type == "message.created"
        asked = await there.http.post(f"{visitor.url}/escalate", headers=visitor.headers)
        assert asked.status_code == 200
        assert (await anext(events)).type == "handoff.requested"


async def test_a_claim_here_ends_what_is_said_there(pair: tuple[Product, Product]) -> None:
    here, there = pair
    tenant = await here.tenant()
    colleague = await here.staff(tenant, Role.AGENT)
    visitor = await there.visitor(tenant)
    asked = await there.http.post(f"{visitor.url}/escalate", headers=visitor.headers)
    async with journal(there.resources.database, there.resources.streams, tenant.id) as entry:
        session = await chats.get_session(entry.connection, UUID(visitor.session_id), lock=True)
        accepted = await turns.accept(
            entry, session, "hello?", author_id=session.customer_id, owner="there", reject_if_busy=False
        )
        assert accepted.lease
        await turns.release_text(entry.connection, accepted.lease, "Good ")
    watching = asyncio.create_task(until_the_end(visitor))
    await asyncio.sleep(0.2)
    claimed = await here.http.post(f"/api/v1/handoffs/{asked.json()['handoff_id']}/claim", headers=colleague)
    assert claimed.status_code == 200
    seen = [event.type for event in await watching]
    assert seen[-3:] == ["handoff.claimed", "message.completed", "turn.cancelled"]
