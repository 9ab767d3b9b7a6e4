"""The plain SQL of a turn names the tenant itself: it sees no foreign row even where row-level security does not hold.

The tables' owner is not held by row-level security, so every statement here runs as the owner, with a tenant set.
"""

import importlib
import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.turns.scenes import read_asker
from memory import chats, facts, turns
from memory.database import Connection, Database
from memory.errors import LeaseLost, NotFound
from memory.events import Journal
from memory.models import ChatSession
from memory.pipeline import Asked, Statement
from memory.turns import Lease
from tests.memory.conftest import Desk
from tools import tickets
from tools.handoffs import requesting as handoff

OpenDesk = Callable[[], Awaitable[Desk]]


class Target:
    """A foreign session with a row of everything, and whose lease and queue somebody could meddle with."""

    def __init__(self, desk: Desk, lease: Lease, queued: Any, message: Any, ticket: Any) -> None:
        self.desk, self.lease, self.queued, self.message, self.ticket = desk, lease, queued, message, ticket
        self.session, self.customer = desk.session.id, desk.customer_id

    @classmethod
    async def build(cls, desk: Desk) -> "Target":
        first, second = await desk.send("One?"), await desk.send("Two?")
        assert first.lease
        async with desk.journal() as (entry, session):
            await turns.record_effect(entry.connection, first.lease, 1, "open_ticket", {})
            await facts.remember(
                entry.connection,
                tenant_id=desk.tenant_id,
                customer_id=desk.customer_id,
                text="Likes tea.",
                turn_id=None,
            )
            request = handoff.Request(session_id=session.id, customer_id=desk.customer_id, reason="x", summary="Help")
            _, ticket, _ = await handoff.request_handoff(entry, request)
        return cls(desk, first.lease, second.turn_id, first.message_id, ticket.id)


async def first_of(connection: Connection, asked: Asked) -> list[dict[str, Any]]:
    (rows,) = await connection.together(asked)
    return rows


Look = Callable[[Connection, Target], Awaitable[Any]]
FINDS_NOTHING: dict[str, Look] = {
    "list_sessions": lambda c, t: chats.list_sessions(c, customer_id=t.customer, before=None, limit=9),
    "messages_after": lambda c, t: chats.messages_after(c, t.session, after=0, limit=9),
    "window": lambda c, t: chats.window(c, t.session, after=0, limit=9),
    "window of a turn": lambda c, t: chats.window(c, t.session, after=0, limit=9, turn_id=t.lease.turn_id),
    "get_turn": lambda c, t: turns.get_turn(c, t.lease.turn_id),
    "queued_turn": lambda c, t: turns.queued_turn(c, t.session),
    "had_effects": lambda c, t: turns.had_effects(c, t.lease.turn_id),
    "questions": lambda c, t: turns.questions(c, t.lease.turn_id),
    "window_now": lambda c, t: first_of(c, chats.window_now(t.session, t.lease.turn_id, limit=9)),
    "list_tickets": lambda c, t: tickets.list_tickets(c, customer_id=t.customer),
    "escalation_ticket": lambda c, t: tickets.escalation_ticket(c, t.session),
}
RAISES: dict[str, tuple[type[Exception], Look]] = {
    "get_session": (NotFound, lambda c, t: chats.get_session(c, t.session)),
    "get_session for update": (NotFound, lambda c, t: chats.get_session(c, t.session, lock=True)),
    "read_asker": (NotFound, lambda c, t: read_asker(c, ChatSession(id=t.session), as_of=datetime.now(UTC))),
    "get_message": (NotFound, lambda c, t: chats.get_message(c, t.message)),
    "get_ticket": (NotFound, lambda c, t: tickets.get_ticket(c, t.ticket)),
    "renew": (LeaseLost, lambda c, t: turns.renew(c, t.lease)),
    "hold": (LeaseLost, lambda c, t: turns.hold(c, t.lease)),
    "release_text": (LeaseLost, lambda c, t: turns.release_text(c, t.lease, "Injected.")),
}


class TestReads:
    async def test_find_the_own_rows_and_no_foreign_ones(self, owner: Database, desk: OpenDesk) -> None:
        mine, theirs = await Target.build(await desk()), await Target.build(await desk())
        async with owner.connection(mine.desk.tenant_id) as connection:
            for name, look in FINDS_NOTHING.items():
                assert await look(connection, mine), name
                assert not await look(connection, theirs), name
            assert {found.id for found in await tickets.list_tickets(connection, customer_id=None)} == {mine.ticket}
            everyone = await chats.list_sessions(connection, customer_id=None, before=None, limit=9)
            assert {found.id for found in everyone} == {mine.session}
            entry = Journal(connection, mine.desk.tenant_id)
            assert await handoff.open_handoff(entry, mine.session)
            assert not await handoff.open_handoff(entry, theirs.session)

    @pytest.mark.parametrize("name", RAISES)
    async def test_a_foreign_id_is_no_id(self, owner: Database, desk: OpenDesk, name: str) -> None:
        mine, theirs = await Target.build(await desk()), await Target.build(await desk())
        error, look = RAISES[name]
        async with owner.connection(mine.desk.tenant_id) as connection:
            await look(connection, mine)
            with pytest.raises(error):
                await look(connection, theirs)


class TestWrites:
    async def test_change_no_foreign_row(self, owner: Database, desk: OpenDesk) -> None:
        mine, theirs = await Target.build(await desk()), await Target.build(await desk())
        await theirs.desk.lapse(theirs.lease.turn_id)
        before = await self.everything(owner, theirs)
        async with owner.connection(mine.desk.tenant_id) as connection:
            entry = Journal(connection, mine.desk.tenant_id)
            assert await turns.claim(entry, theirs.lease.turn_id, owner="thief") is None
            assert await turns.stop(entry, theirs.session, status="cancelled", reason="x") is None
            with pytest.raises(NotFound):
                await turns._end(entry, theirs.session, theirs.lease.turn_id, "failed", "x", None)
            with pytest.raises(NotFound):
                await chats.add_message(entry, theirs.session, author="agent", content="Injected.")
            await chats.update_session(connection, theirs.session, mode="human", epoch=9)
            await connection.execute(facts.PRUNE, {"customer": theirs.customer, "most": 0})
            with pytest.raises(LeaseLost):
                await turns.finish(
                    entry, theirs.lease, content="Injected.", complete=True, answer={}, details={},
                    prompt_version_id=None, language="de",
                )  # fmt: skip
        assert await self.everything(owner, theirs) == before

    async def test_reopen_no_foreign_session(self, owner: Database, desk: OpenDesk) -> None:
        mine, theirs = await desk(), await desk()
        async with theirs.journal() as (entry, session):
            await chats.close_session(entry, session)
        async with owner.connection(mine.tenant_id) as connection:
            assert not await chats.reopen_if_recent(connection, theirs.session.id)
            assert await chats.get_session(connection, mine.session.id)
        async with owner.connection(theirs.tenant_id) as connection:
            assert await chats.reopen_if_recent(connection, theirs.session.id)

    async def everything(self, owner: Database, target: Target) -> list[dict[str, Any]]:
        async with owner.connection(target.desk.tenant_id) as connection:
            return [
                row
                for table in ("chat_sessions", "turns", "facts", "session_events")
                for row in await (
                    await connection.execute(
                        f"select to_jsonb(t) as row from {table} t where tenant_id = %s order by 1",
                        (target.desk.tenant_id,),
                    )
                ).fetchall()
            ]


ROOT = Path(__file__).parent.parent.parent
STATEMENT = re.compile(r"\s*(?:with|select|insert into|update|delete from)\b")
BY_ITSELF = re.compile(r"\s*select (?:\* from )?\w+\([^;]*\)(?: as \w+)?\s*")
"""A function's call: a lock, or one that enters the tenant."""
NAMES_NONE = {
    "memory.checkpoints.NEWEST": "a thread's id is that of the tenant's session",
    "memory.database.ROLE_QUESTION": "of the database's catalogue",
    "kbs.indexes.tuning._INDEXES": "of the database's catalogue",
    "tools.gaps.drafting.STANDS": "an article of the tenant or of everyone",
    "agent.replays.past.ARTICLES_SINCE": "articles of the tenant and of everyone",
    "tools.identity.key_rotation.ALL": "every tenant's secrets, as the owner",
    "tools.identity.key_rotation.SOME": "every tenant's secrets, as the owner",
    "tools.identity.key_rotation.CHANGE": "every tenant's secrets, as the owner",
    "tools.tickets.finding._ASKED": "words alone",
}


def statements() -> Iterator[tuple[str, str]]:
    """Every statement that stands under a name of its own, put together as it is sent."""
    for package in ("memory", "kbs", "tools", "agent"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" in path.parts:
                continue
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            own = set(re.findall(r"^(_?[A-Z][A-Z_]*)\b", path.read_text("utf-8"), re.MULTILINE))
            for name, value in vars(importlib.import_module(module)).items():
                text = value.query.decode() if isinstance(value, Statement) else value
                if name in own and isinstance(text, str) and STATEMENT.match(text):
                    yield f"{module}.{name}", text


def test_every_statement_names_its_tenant() -> None:
    found = dict(statements())
    silent = {name for name, text in found.items() if "tenant" not in text and not BY_ITSELF.fullmatch(text)}
    assert len(found) > 300
    assert silent == NAMES_NONE.keys()
