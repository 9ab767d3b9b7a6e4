"""A session under everything at once: its customer, bot processes that die, and people who take it and give it back.

Every example is a list of moments, and what is in one moment happens concurrently on real connections. Afterwards the
rows must tell one consistent story. `HYPOTHESIS_EXAMPLES` sets how many stories are tried.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import event as note
from hypothesis import strategies as st

from agent.turns.closing import close_broken
from memory import chats, turns
from memory.database import Database
from memory.errors import HelpdeskError
from memory.events import Event, Journal, journal
from memory.models import ChatSession, new_id
from memory.streams import Cursor, Streams
from memory.turns import Lease
from tests.stored_events import stored_events
from tools.handoffs import taking
from tools.handoffs.requesting import Request, request_handoff
from tools.staff import Colleague

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "60"))


@dataclass
class Stage:
    """One session, everybody who may act on it, and what they believe."""

    database: Database
    streams: Streams
    tenant_id: UUID
    session_id: UUID
    customer_id: UUID
    staff: list[Colleague]
    leases: list[Lease] = field(default_factory=list)
    """Of bot processes that believe they are writing; some are wrong."""
    accepted: list[UUID] = field(default_factory=list)
    said: list[UUID] = field(default_factory=list)
    """Words of people that were acknowledged."""
    effects: Counter[tuple[UUID, int]] = field(default_factory=Counter)
    count: int = 0

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[tuple[Journal, ChatSession]]:
        async with journal(self.database, self.streams, self.tenant_id) as entry:
            yield entry, await chats.get_session(entry.connection, self.session_id, lock=True)

    async def send(self) -> None:
        self.count += 1
        async with self.locked() as (entry, session):
            accepted = await turns.accept(
                entry, session, f"message {self.count}", author_id=self.customer_id, owner="p1", reject_if_busy=False
            )
            if accepted.turn_id is None:
                await taking.customer_waits(entry, self.session_id)
        self.accepted.append(accepted.message_id)
        if accepted.lease:
            self.leases.append(accepted.lease)

    async def bot_says(self) -> None:
        for lease in self.leases[-2:]:
            async with self.database.connection(self.tenant_id) as connection:
                await turns.release_text(connection, lease, "word ")

    async def bot_acts(self) -> None:
        for lease in self.leases[-2:]:
            async with self.locked() as (entry, _):
                await turns.hold(entry.connection, lease)
                if await turns.record_effect(entry.connection, lease, 1, "open_ticket", {}):
                    self.effects[lease.turn_id, 1] += 1

    async def bot_ends(self) -> None:
        for lease in self.leases[-2:]:
            async with self.locked() as (entry, _):
                await turns.finish(
                    entry, lease, content="the answer", complete=True, answer={"message": "the answer"}, details={},
                    prompt_version_id=None,
                )  # fmt: skip

    async def crash(self) -> None:
        async with self.database.connection(self.tenant_id) as connection:
            await connection.execute(
                "update turns set lease_until = clock_timestamp() - interval '1 second'"
                " where session_id = %s and status in ('running', 'queued')",
                (self.session_id,),
            )

    async def recover(self) -> None:
        async with self.locked() as (entry, session):
            rows = await entry.connection.execute(
                "select id, partial from turns where session_id = %s and status in ('running', 'queued')",
                (self.session_id,),
            )
            for row in await rows.fetchall():
                lease = await turns.claim(entry, row["id"], owner="p2")
                if lease is None:
                    continue
                if row["partial"] or await turns.had_effects(entry.connection, row["id"]):
                    await close_broken(entry, session, "interrupted", "p2")
                else:
                    self.leases.append(lease)

    async def cancel(self) -> None:
        async with self.locked() as (entry, _):
            await turns.stop(entry, self.session_id, status="cancelled", reason="cancelled")

    async def close(self) -> None:
        async with self.locked() as (entry, session):
            await turns.stop(entry, self.session_id, status="cancelled", reason="closed")
            await turns.cancel_queued(entry, self.session_id, reason="closed")
            await taking.end_with_session(entry, session, "session_closed")
            await chats.close_session(entry, session)

    async def escalate(self) -> None:
        async with self.locked() as (entry, session):
            if session.status == "closed":
                await chats.reopen_if_recent(entry.connection, session.id)
            await request_handoff(
                entry, Request(session_id=self.session_id, customer_id=self.customer_id, reason="x", summary="x")
            )

    async def _handoff(self) -> UUID:
        async with journal(self.database, self.streams, self.tenant_id) as entry:
            rows = await entry.connection.execute(
                "select id from handoffs where session_id = %s order by id desc limit 1", (self.session_id,)
            )
            row = await rows.fetchone()
        if row is None:
            raise HelpdeskError("nobody has asked")
        found: UUID = row["id"]
        return found

    async def _person(self, who: int, step: Callable[[Journal, UUID, Colleague], Awaitable[taking.Change]]) -> None:
        handoff = await self._handoff()
        async with journal(self.database, self.streams, self.tenant_id) as entry:
            change = await step(entry, handoff, self.staff[who])
        if change.message_id:
            self.said.append(change.message_id)
        if change.started:
            self.leases.append(change.started)

    async def ada_claims(self) -> None:
        await self._person(0, taking.claim)

    async def bert_claims(self) -> None:
        await self._person(1, taking.claim)

    async def ada_says(self) -> None:
        await self._person(0, lambda entry, handoff, by: taking.say(entry, handoff, by, "person's word"))

    async def bert_says(self) -> None:
        await self._person(1, lambda entry, handoff, by: taking.say(entry, handoff, by, "person's word"))

    async def ada_hands_on(self) -> None:
        await self._person(0, lambda entry, handoff, by: taking.reassign(entry, handoff, by, self.staff[1].id))

    async def ada_releases(self) -> None:
        await self._person(0, lambda entry, handoff, by: taking.release(entry, handoff, by, owner="p1"))

    async def bert_resolves(self) -> None:
        await self._person(1, lambda entry, handoff, by: taking.resolve(entry, handoff, by, outcome=""))

    async def neglected(self) -> None:
        handoff = await self._handoff()
        async with journal(self.database, self.streams, self.tenant_id) as entry:
            change = await taking.return_to_queue(
                entry, self.session_id, handoff, after_s=0, words="back in the queue", owner="p1"
            )
        if change and change.started:
            self.leases.append(change.started)


MOVES = (
    "send", "send", "bot_says", "bot_says", "bot_acts", "bot_ends", "bot_ends", "crash", "recover", "cancel", "close",
    "escalate", "escalate", "ada_claims", "ada_claims", "bert_claims", "ada_says", "bert_says", "ada_hands_on",
    "ada_releases", "bert_resolves", "neglected",
)  # fmt: skip
OPENINGS = (
    (), ("send",), ("send", "bot_says", "escalate"), ("send", "bot_says", "send", "escalate"), ("escalate",),
    ("escalate", "ada_claims"), ("send", "escalate", "ada_claims", "send"),
)  # fmt: skip
"""Where a story begins: chance alone would seldom get as far as a person."""
moments = st.lists(st.lists(st.sampled_from(MOVES), min_size=1, max_size=3), min_size=3, max_size=9)


async def attempt(stage: Stage, move: str) -> None:
    """A move that may be refused: whoever is late is told so, and nothing else happens."""
    with suppress(HelpdeskError):
        await getattr(stage, move)()


@pytest.fixture
def stage(database: Database, tenant: Callable[..., Awaitable[UUID]]) -> Callable[[], Awaitable[Stage]]:
    tenants: list[tuple[UUID, list[Colleague]]] = []

    async def set_up() -> Stage:
        if not tenants:
            tenant_id = await tenant()
            staff = [Colleague(id=new_id(), name=name, email=f"{name}@example.com", role="agent") for name in "ab"]
            async with database.connection(tenant_id) as connection:
                for one in staff:
                    await connection.execute(
                        "insert into users (id, tenant_id, email, name, role, password_hash, is_active, token_epoch)"
                        " values (%s, %s, %s, %s, 'agent', '-', true, 0)",
                        (one.id, tenant_id, f"{one.id}@example.com", one.name),
                    )
            tenants.append((tenant_id, staff))
        tenant_id, staff = tenants[0]
        customer_id, streams = new_id(), Streams(database)
        async with journal(database, streams, tenant_id) as entry:
            await entry.connection.execute(
                "insert into customers (id, tenant_id, email_verified, name, visitor_epoch)"
                " values (%s, %s, false, '', 0)",
                (customer_id, tenant_id),
            )
            session = await chats.create_session(entry, customer_id=customer_id, user_label=None, greeting="Hello!")
        return Stage(database, streams, tenant_id, session.id, customer_id, staff)

    return set_up


async def watched(stage: Stage, seen: list[Event]) -> None:
    async with aclosing(stage.streams.watch(stage.tenant_id, stage.session_id, Cursor())) as events:  # type: ignore[type-var]
        async for event in events:
            seen.append(event)  # noqa: PERF401  the stream never ends: what came must be there when it is cut


@settings(
    max_examples=EXAMPLES, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(opening=st.sampled_from(OPENINGS), story=moments)
async def test_whatever_happens_the_rows_tell_one_story(
    stage: Callable[[], Awaitable[Stage]], opening: tuple[str, ...], story: list[list[str]]
) -> None:
    one = await stage()
    seen: list[Event] = []
    watcher = asyncio.create_task(watched(one, seen))
    for moment in (*((move,) for move in opening), *story):
        await asyncio.gather(*(attempt(one, move) for move in moment))
    await attempt(one, "crash")
    await attempt(one, "recover")
    await attempt(one, "bot_ends")
    async with one.database.connection(one.tenant_id) as connection:
        events = await stored_events(connection, one.session_id)
        messages = await chats.messages_after(connection, one.session_id, after=0, limit=500)
        rows = await connection.execute("select * from turns where session_id = %s", (one.session_id,))
        all_turns = await rows.fetchall()
        rows = await connection.execute("select * from chat_sessions where id = %s", (one.session_id,))
        session = await rows.fetchone()
        rows = await connection.execute(
            "select status from handoffs where session_id = %s and status in ('requested', 'claimed')",
            (one.session_id,),
        )
        open_handoffs = await rows.fetchall()
    for _ in range(200):
        if any(event.n == events[-1].n and event.created_at is not None for event in seen):
            break
        await asyncio.sleep(0.01)
    watcher.cancel()
    with suppress(asyncio.CancelledError):
        await watcher
    assert session
    for kind in {event.type for event in events}:
        note(kind)
    check_story(one, events, messages, all_turns, session, open_handoffs)
    durable = [event for event in seen if event.created_at is not None]
    assert [(event.n, event.type) for event in durable] == [(event.n, event.type) for event in events]


def check_story(
    one: Stage, events: list[Event], messages: list[Any], all_turns: list[dict[str, Any]], session: dict[str, Any],
    open_handoffs: list[dict[str, Any]],
) -> None:  # fmt: skip
    assert [event.n for event in events] == list(range(1, session["last_n"] + 1))
    kept = Counter(message.id for message in messages)
    assert all(kept[message_id] == 1 for message_id in (*one.accepted, *one.said))
    assert all(count == 1 for count in one.effects.values())
    told = [event.data["message_id"] for event in events if event.type in ("message.created", "message.completed")]
    assert told == [str(message.id) for message in messages]
    ends = Counter(event.data["turn_id"] for event in events if event.ends_turn)
    assert all(count == 1 for count in ends.values())
    ended = {str(turn["id"]) for turn in all_turns if turn["status"] in ("completed", "failed", "cancelled")}
    assert set(ends) == ended
    assert len([turn for turn in all_turns if turn["status"] == "running"]) <= 1
    if session["mode"] == "human":
        assert [row["status"] for row in open_handoffs] == ["claimed"]
        assert not [turn for turn in all_turns if turn["status"] in ("running", "queued")]
    nothing_of_the_bot_after_a_takeover(events)


def nothing_of_the_bot_after_a_takeover(events: list[Event]) -> None:
    """But for what it had said already, which the takeover itself keeps and marks."""
    human = False
    for before, event in zip([None, *events], events, strict=False):
        if event.type == "handoff.claimed":
            human = True
        elif event.type in ("handoff.released", "handoff.resolved"):
            human = False
        elif human and event.type == "message.completed":
            assert before is not None
            assert (before.type, event.data["status"]) == ("handoff.claimed", "incomplete")
        elif human:
            assert event.type not in ("turn.started", "turn.completed", "turn.queued")
