"""A turn in the database: one at a time, under a fence, ended once; what came meanwhile is answered together."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from memory import chats, turns
from memory.errors import LeaseLost, SessionClosed, TurnBusy
from tests.memory.conftest import Desk

OpenDesk = Callable[[], Awaitable[Desk]]


def kinds(events: list) -> list[str]:  # type: ignore[type-arg]
    return [event.type for event in events]


class TestAccept:
    async def test_a_message_starts_a_turn_at_once(self, desk: OpenDesk) -> None:
        one = await desk()
        accepted = await one.send("How?")
        assert accepted.lease is not None
        assert kinds(await one.events()) == ["message.created", "message.created", "turn.started"]

    async def test_messages_that_wait_are_answered_together(self, desk: OpenDesk) -> None:
        one = await desk()
        first = await one.send("One?")
        second, third = await one.send("Two?"), await one.send("Three?")
        assert second.lease is third.lease is None
        assert second.turn_id == third.turn_id != first.turn_id
        async with one.database.connection(one.tenant_id) as connection:
            asked = await turns.questions(connection, second.turn_id)  # type: ignore[arg-type]
        assert [question["content"] for question in asked] == ["Two?", "Three?"]

    async def test_a_caller_may_refuse_to_queue(self, desk: OpenDesk) -> None:
        one = await desk()
        await one.send("One?")
        with pytest.raises(TurnBusy):
            await one.send("Two?", reject=True)
        assert await one.history() == ["bot: Hello!", "customer: One?"]

    async def test_many_at_once_make_one_turn_and_one_queue(self, desk: OpenDesk) -> None:
        one = await desk()
        accepted = await asyncio.gather(*(one.send(f"{n}?") for n in range(12)))
        assert sum(found.lease is not None for found in accepted) == 1
        assert len({found.turn_id for found in accepted}) == 2
        numbers = [event.n for event in await one.events()]
        assert numbers == list(range(1, len(numbers) + 1))

    async def test_no_turn_runs_while_a_person_has_the_session(self, desk: OpenDesk) -> None:
        one = await desk()
        async with one.journal() as (entry, session):
            await chats.update_session(entry.connection, session.id, mode="human", epoch=1)
        assert (await one.send("Anyone?")).turn_id is None

    async def test_a_closed_session_opens_again_within_seven_days_only(self, desk: OpenDesk) -> None:
        one = await desk()
        async with one.journal() as (entry, session):
            await chats.close_session(entry, session)
        assert (await one.send("One more?")).turn_id
        await one.stop("cancelled", "cancelled")
        async with one.database.connection(one.tenant_id) as connection:
            await connection.execute(
                "update chat_sessions set status = 'closed', closed_at = now() - interval '8 days' where id = %s",
                (one.session.id,),
            )
        with pytest.raises(SessionClosed):
            await one.send("Too late?")


class TestFence:
    async def test_a_lapsed_lease_goes_to_one_other_and_the_first_falls_silent(self, desk: OpenDesk) -> None:
        one = await desk()
        first = (await one.send("How?")).lease
        assert first
        assert await one.take_over(first.turn_id, "p2") is None
        await one.lapse(first.turn_id)
        taken = await asyncio.gather(*(one.take_over(first.turn_id, f"p{n}") for n in range(2, 8)))
        [second] = [lease for lease in taken if lease]
        assert second.fence == first.fence + 1
        for late in (one.release(first, "late"), one.finish(first, "late")):
            with pytest.raises(LeaseLost):
                await late
        await one.finish(second, "So.")
        assert await one.history() == ["bot: Hello!", "customer: How?", "bot: So."]
        assert kinds(await one.events()).count("turn.started") == 1

    async def test_renewing_keeps_others_out(self, desk: OpenDesk) -> None:
        one = await desk()
        lease = (await one.send("How?")).lease
        assert lease
        await one.lapse(lease.turn_id)
        async with one.database.connection(one.tenant_id) as connection:
            await turns.renew(connection, lease)
        assert await one.take_over(lease.turn_id, "p2") is None

    async def test_a_takeover_silences_the_bot(self, desk: OpenDesk) -> None:
        one = await desk()
        lease = (await one.send("How?")).lease
        assert lease
        await one.release(lease, "Half an ")
        async with one.journal() as (entry, session):
            await chats.update_session(entry.connection, session.id, mode="human", epoch=session.epoch + 1)
        for late in (one.release(lease, "answer"), one.finish(lease, "Half an answer")):
            with pytest.raises(LeaseLost):
                await late

    async def test_an_effect_happens_once(self, desk: OpenDesk) -> None:
        one = await desk()
        lease = (await one.send("How?")).lease
        assert lease
        async with one.database.connection(one.tenant_id) as connection:
            assert await turns.record_effect(connection, lease, 1, "open_ticket", {})
            assert not await turns.record_effect(connection, lease, 1, "open_ticket", {})
            assert await turns.had_effects(connection, lease.turn_id)


class TestEnd:
    async def test_a_stopped_turn_keeps_what_was_said_and_marks_it(self, desk: OpenDesk) -> None:
        one = await desk()
        lease = (await one.send("How?")).lease
        assert lease
        await one.release(lease, "First sentence. ")
        await one.stop("cancelled", "takeover")
        events = await one.events(after=3)
        assert kinds(events) == ["message.completed", "turn.cancelled"]
        assert events[0].data["status"] == "incomplete"
        assert events[1].data["reason"] == "takeover"
        assert (await one.history())[-1] == "bot: First sentence. "

    async def test_ending_twice_ends_once(self, desk: OpenDesk) -> None:
        one = await desk()
        lease = (await one.send("How?")).lease
        assert lease
        await asyncio.gather(*(one.stop("cancelled", "cancelled") for _ in range(5)))
        with pytest.raises(LeaseLost):
            await one.finish(lease, "So.")
        assert sum(event.ends_turn for event in await one.events()) == 1

    async def test_the_waiting_turn_can_start_once_the_running_one_has_ended(self, desk: OpenDesk) -> None:
        one = await desk()
        lease, waiting = (await one.send("One?")).lease, await one.send("Two?")
        assert lease
        assert waiting.turn_id
        assert await one.take_over(waiting.turn_id, "p1") is None
        await one.finish(lease, "So.")
        assert await one.take_over(waiting.turn_id, "p1")

    async def test_lapsed_turns_are_found_across_tenants(self, desk: OpenDesk) -> None:
        one, other = await desk(), await desk()
        leases = [(await each.send("How?")).lease for each in (one, other)]
        await one.lapse(leases[0].turn_id)  # type: ignore[union-attr]
        async with one.database.lookup() as connection:
            rows = await (await connection.execute("select * from lapsed_turns(100)")).fetchall()
        found = {row["turn_id"]: row["tenant_id"] for row in rows}
        assert found.get(leases[0].turn_id) == one.tenant_id  # type: ignore[union-attr]
        assert leases[1].turn_id not in found  # type: ignore[union-attr]

    async def test_what_waits_while_a_person_has_the_session_is_not_lapsed(self, desk: OpenDesk) -> None:
        """Nobody may start it, so it would take the place of others on every page of lapsed turns."""
        one = await desk()
        await one.send("One?")
        waiting = await one.send("Two?")
        assert waiting.turn_id
        async with one.journal() as (entry, session):
            await chats.update_session(entry.connection, session.id, mode="human", epoch=session.epoch + 1)
        await one.stop("cancelled", "takeover")
        await one.lapse(waiting.turn_id)

        async def lapsed() -> bool:
            async with one.database.lookup() as connection:
                rows = await (await connection.execute("select turn_id from lapsed_turns(100)")).fetchall()
            return any(row["turn_id"] == waiting.turn_id for row in rows)

        assert not await lapsed()
        async with one.journal() as (entry, session):
            await chats.update_session(entry.connection, session.id, mode="bot")
        assert await lapsed()

    async def test_an_answer_cut_off_by_a_takeover_still_lapses(self, desk: OpenDesk) -> None:
        one = await desk()
        lease = (await one.send("How?")).lease
        assert lease
        async with one.journal() as (entry, session):
            await chats.update_session(entry.connection, session.id, mode="human", epoch=session.epoch + 1)
        await one.lapse(lease.turn_id)
        async with one.database.lookup() as connection:
            rows = await (await connection.execute("select turn_id from lapsed_turns(100)")).fetchall()
        assert lease.turn_id in [row["turn_id"] for row in rows]
