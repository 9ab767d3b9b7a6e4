"""An approved reply on its way to another system, over a real socket that misbehaves: never twice, never silently."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from agent.drafts import sending
from agent.drafts.sending import send_reply
from memory.database import Database
from memory.errors import Conflict
from memory.models import ApprovedReply, Customer, Draft, Ticket, TicketEvent, User
from memory.tenancy import Principal, Role
from tools.channel import Look, NotSent, Outgoing
from tools.drafts import outbox

MakeTenant = Callable[..., Awaitable[UUID]]
TEXT = "Please order the certificate again."


@dataclass
class Faulty:
    """A ticket system on a socket: a line of JSON in, a line out, and the faults that are asked for, one by one."""

    faults: list[str] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    asked: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(await reader.readline() or b"{}")
            if request.get("do") == "send":
                await self._take(request["text"], writer)
            elif request.get("do") == "list":
                if self._fault("list"):
                    return
                writer.write(json.dumps(self.stored).encode() + b"\n")
                await writer.drain()
        finally:
            writer.close()

    async def _take(self, text: str, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        if self._fault("drop_before"):
            return
        if self._fault("refuse"):
            writer.write(b'{"error": "the ticket is closed there"}\n')
            return
        self.stored.append(text)
        if self._fault("drop_after"):
            return
        if self._fault("hang"):
            await asyncio.sleep(5)
        if self._fault("garbage"):
            writer.write(b"<html>502 Bad Gateway</html>\n")
            return
        writer.write(json.dumps({"id": len(self.stored)}).encode() + b"\n")
        await writer.drain()

    def _fault(self, kind: str) -> bool:
        if self.faults and self.faults[0] == kind:
            self.faults.pop(0)
            return True
        return False


@dataclass
class SocketChannel:
    """A channel as a client of such a system would be."""

    port: int

    async def send(self, reply: Outgoing) -> str | None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError as error:
            raise NotSent("no connection") from error
        answer = json.loads(await self._ask(reader, writer, {"do": "send", "text": reply.text}))
        if "error" in answer:
            raise Conflict(answer["error"])
        return str(answer["id"])

    async def look(self, reply: Outgoing) -> Look:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            stored = json.loads(await self._ask(reader, writer, {"do": "list"}))
        except (OSError, ValueError):
            return Look(outcome="unknown")
        if reply.text in stored:
            return Look(outcome="found", external_id=str(stored.index(reply.text) + 1))
        return Look(outcome="absent")

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Any) -> bytes:
        try:
            writer.write(json.dumps(request).encode() + b"\n")
            await writer.drain()
            return await reader.readline()
        finally:
            writer.close()


@pytest.fixture
async def system() -> AsyncIterator[Faulty]:
    async with serving() as faulty:
        yield faulty


@asynccontextmanager
async def serving() -> AsyncIterator[Faulty]:
    faulty = Faulty()
    server = await asyncio.start_server(faulty.serve, "127.0.0.1", 0)
    faulty.port = server.sockets[0].getsockname()[1]
    async with server:
        yield faulty


@dataclass
class World:
    database: Database
    tenant_id: UUID
    user_id: UUID
    draft_id: UUID
    reply_id: UUID
    ticket_id: UUID
    faulty: Faulty

    async def send(self, *, port: int | None = None) -> str:
        channels = {"elsewhere": SocketChannel(port or self.faulty.port)}
        return await send_reply(self.database, channels, self.tenant_id, self.reply_id)

    async def row(self) -> dict[str, Any]:
        return (await self.rows("select * from approved_replies where id = %s", self.reply_id))[0]

    async def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        async with self.database.connection(self.tenant_id) as connection:
            return await (await connection.execute(query, values)).fetchall()

    async def told(self) -> list[str]:
        rows = await self.rows(
            "select data ->> 'text' as text from ticket_events where ticket_id = %s and type = 'reply'", self.ticket_id
        )
        return [row["text"] for row in rows]

    async def minutes_later(self) -> None:
        async with self.database.connection(self.tenant_id) as connection:
            await connection.execute("update approved_replies set tried_at = tried_at - interval '3 minutes'")

    async def due(self) -> bool:
        async with self.database.lookup() as connection:
            rows = await (await connection.execute("select reply_id from unsettled_replies(1000)")).fetchall()
        return self.reply_id in {row["reply_id"] for row in rows}

    @property
    def person(self) -> Principal:
        return Principal(tenant_id=self.tenant_id, role=Role.AGENT, user_id=self.user_id)


@pytest.fixture
async def world(database: Database, tenant: MakeTenant, system: Faulty) -> World:
    tenant_id = await tenant()
    async with database.transaction(tenant_id) as session:
        user = User(email=f"{tenant_id.hex}@example.com", role="agent", password_hash="-", name="Ada")
        customer = Customer()
        session.add_all([user, customer])
        await session.flush()
        ticket = Ticket(
            customer_id=customer.id, number=1, subject="Certificate", source="whmcs", external_id=tenant_id.hex
        )
        session.add(ticket)
        await session.flush()
        draft = Draft(ticket_id=ticket.id, status="approved", content=TEXT)
        session.add_all([draft, TicketEvent(ticket_id=ticket.id, type="created", actor="x")])
        await session.flush()
        reply = ApprovedReply(
            draft_id=draft.id, ticket_id=ticket.id, approved_by=user.id, content=TEXT, similarity=1.0,
            channel="elsewhere", ticket_status="waiting_customer",
        )  # fmt: skip
        session.add(reply)
    return World(database, tenant_id, user.id, draft.id, reply.id, ticket.id, system)


class TestSending:
    async def test_a_reply_goes_out_once_and_stands_on_the_ticket(self, world: World) -> None:
        assert [await world.send() for _ in range(3)] == ["sent", "pending", "pending"]
        assert (world.faulty.stored, await world.told()) == ([TEXT], [TEXT])
        row = await world.row()
        assert (row["sending"], row["external_id"], row["attempts"]) == ("sent", "1", 1)
        [ticket] = await world.rows("select * from tickets")
        assert (ticket["status"], ticket["first_responded_at"] is not None) == ("waiting_customer", True)
        [event] = await world.rows("select * from ticket_events where type = 'reply'")
        assert (event["external_id"], event["id"], event["data"]["name"]) == ("elsewhere:1", row["event_id"], "Ada")

    async def test_many_workers_at_once_send_once(self, world: World) -> None:
        await asyncio.gather(*(world.send() for _ in range(6)))
        assert (world.faulty.stored, await world.told()) == ([TEXT], [TEXT])

    @pytest.mark.parametrize("fault", ["drop_after", "garbage"])
    async def test_an_answer_that_was_lost_is_found_by_reading_back(self, world: World, fault: str) -> None:
        world.faulty.faults = [fault]
        assert await world.send() == "sent"
        assert (world.faulty.stored, await world.told()) == ([TEXT], [TEXT])

    async def test_an_answer_that_does_not_come_in_time_is_found_too(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sending, "CALL_S", 0.2)
        world.faulty.faults = ["hang"]
        assert await world.send() == "sent"
        assert world.faulty.stored == [TEXT]

    async def test_what_may_be_on_its_way_is_unknown_until_it_surely_did_not_arrive(self, world: World) -> None:
        world.faulty.faults = ["drop_before"]
        assert await world.send() == "unknown"
        assert "please check" in (await world.row())["error"]
        assert (await world.send(), await world.due()) == ("unknown", False)
        await world.minutes_later()
        assert await world.due()
        assert await world.send() == "failed"
        assert (world.faulty.asked, await world.told()) == (1, [])

    async def test_what_cannot_be_read_back_stays_unknown_and_is_never_sent_again(self, world: World) -> None:
        world.faulty.faults = ["drop_after", "list", "list", "list"]
        assert await world.send() == "unknown"
        await world.minutes_later()
        assert [await world.send(), await world.send()] == ["unknown", "unknown"]
        assert (world.faulty.asked, await world.told()) == (1, [])
        assert await world.send() == "sent"  # now the ticket can be read
        assert (world.faulty.asked, await world.told()) == (1, [TEXT])

    async def test_a_refusal_is_told_and_not_repeated(self, world: World) -> None:
        world.faulty.faults = ["refuse"]
        assert [await world.send(), await world.send()] == ["failed", "pending"]
        row = await world.row()
        assert (row["sending"], row["error"], world.faulty.asked) == ("failed", "the ticket is closed there", 1)

    async def test_without_a_connection_it_waits_and_is_given_up_in_the_end(self, world: World) -> None:
        async with serving() as gone:
            nowhere = gone.port
        states = [await world.send(port=nowhere) for _ in range(outbox.ATTEMPTS)]
        assert states == ["pending"] * (outbox.ATTEMPTS - 1) + ["failed"]
        assert world.faulty.asked == 0


class TestCrashes:
    @pytest.mark.parametrize(("stored", "state"), [(True, "sent"), (False, "failed")])
    async def test_a_process_that_died_while_sending_leaves_what_reading_back_settles(
        self, world: World, *, stored: bool, state: str
    ) -> None:
        async with world.database.connection(world.tenant_id) as connection:
            attempt = await outbox.take(connection, world.reply_id)
        assert attempt
        if stored:
            await SocketChannel(world.faulty.port).send(attempt.outgoing)
        assert (await world.send(), await world.due()) == ("pending", False)  # it may still be at work
        await world.minutes_later()
        assert await world.due()
        assert await world.send() == state
        assert (world.faulty.asked, await world.told()) == (int(stored), [TEXT] * stored)

    async def test_a_job_that_was_never_queued_is_found(self, world: World) -> None:
        assert not await world.due()
        async with world.database.connection(world.tenant_id) as connection:
            await connection.execute("update approved_replies set created_at = now() - interval '1 minute'")
        assert await world.due()

    async def test_a_process_that_slept_between_taking_and_calling_leaves_it_alone(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sending, "BEGIN_S", -1.0)
        assert await world.send() == "pending"
        assert world.faulty.asked == 0


class TestPeople:
    async def test_a_person_sends_again_what_did_not_arrive(self, world: World) -> None:
        world.faulty.faults = ["refuse"]
        await world.send()
        async with world.database.connection(world.tenant_id) as connection:
            await outbox.send_again(connection, world.person, world.draft_id)
        assert await world.send() == "sent"
        assert world.faulty.stored == [TEXT]

    async def test_a_person_who_has_seen_it_there_settles_it(self, world: World) -> None:
        world.faulty.faults = ["drop_after", "list"]
        assert await world.send() == "unknown"
        async with world.database.connection(world.tenant_id) as connection:
            await outbox.confirm_sent(connection, world.person, world.draft_id)
        assert ((await world.row())["sending"], await world.told()) == ("sent", [TEXT])
        assert (await world.send(), world.faulty.asked) == ("pending", 1)

    async def test_nobody_settles_what_is_settled(self, world: World) -> None:
        await world.send()
        for settle in (outbox.send_again, outbox.confirm_sent):
            with pytest.raises(Conflict):
                async with world.database.connection(world.tenant_id) as connection:
                    await settle(connection, world.person, world.draft_id)

    async def test_an_attempt_that_a_person_settled_changes_nothing_any_more(self, world: World) -> None:
        async with world.database.connection(world.tenant_id) as connection:
            attempt = await outbox.take(connection, world.reply_id)
            assert attempt
            assert await outbox.settle(connection, attempt, "unknown")
            await outbox.confirm_sent(connection, world.person, world.draft_id)
            assert not await outbox.settle(connection, attempt, "sent")
        assert await world.told() == [TEXT]
