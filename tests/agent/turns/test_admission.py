"""Turns begin a few at a time, tenants in turn, and who would wait too long is told at once."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.turns.admission import Admission
from memory.errors import TooMany

NOISY, QUIET = uuid4(), uuid4()


class Play:
    """Turns that begin, are noted, and stay in their first half until they are let go."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.begun: list[UUID] = []
        self.leaving: list[Callable[[], None]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.end = asyncio.Event()

    async def ask(self, tenant_id: UUID, times: int = 1) -> None:
        for _ in range(times):
            self.tasks.append(asyncio.create_task(self._turn(tenant_id)))
        await self.settle()

    async def _turn(self, tenant_id: UUID) -> None:
        async with self.admission.turn(tenant_id) as leave:
            self.begun.append(tenant_id)
            self.leaving.append(leave)
            await self.end.wait()

    async def let_go(self, times: int = 1) -> None:
        for _ in range(times):
            self.leaving.pop(0)()
            await self.settle()

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def close(self) -> None:
        self.end.set()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@pytest.fixture
async def play() -> Play:
    return Play(Admission(at_once=2, together_s=0, stays_s=0))


async def test_only_a_few_are_in_their_first_half(play: Play) -> None:
    await play.ask(NOISY, 3)
    assert (len(play.begun), play.admission.waiting) == (2, 1)
    await play.let_go()
    assert (len(play.begun), play.admission.waiting) == (3, 0)
    await play.ask(NOISY)
    assert (len(play.begun), play.admission.waiting) == (3, 1)
    await play.close()
    assert (len(play.begun), play.admission.waiting) == (4, 0)


async def test_a_tenant_with_none_there_begins_at_once_and_then_takes_turns(play: Play) -> None:
    await play.ask(NOISY, 20)
    await play.ask(QUIET, 3)
    assert play.begun == [NOISY, NOISY, QUIET]
    await play.let_go(5)
    assert play.begun[3:] == [NOISY, QUIET, NOISY, QUIET]
    await play.close()


async def test_beside_another_tenant_none_has_more_than_a_quarter_of_the_places() -> None:
    play = Play(Admission(at_once=8, together_s=0, stays_s=0))
    await play.ask(NOISY, 20)
    assert play.begun == [NOISY] * 8
    await play.ask(QUIET)
    await play.let_go(7)
    assert play.begun == [NOISY] * 8 + [QUIET, NOISY]  # of its eight seven have left, and one may follow
    await play.close()


async def test_many_tenants_are_not_all_begun_at_once(play: Play) -> None:
    for _ in range(20):
        await play.ask(uuid4())
    assert (len(play.begun), play.admission.waiting) == (4, 16)
    await play.let_go(4)
    assert (len(play.begun), play.admission.waiting) == (8, 12)
    await play.close()
    assert (len(play.begun), play.admission.waiting) == (20, 0)


async def test_where_many_wait_they_begin_in_groups() -> None:
    play = Play(Admission(at_once=4, together_s=60))
    await play.ask(NOISY, 40)
    assert len(play.begun) == 4
    await play.let_go()
    assert (len(play.begun), play.admission.waiting) == (8, 32)  # a group begins beside the three
    for begun in (12, 16, 20, 20, 20, 20, 24):  # and others, as long as there is room for four groups
        await play.let_go()
        assert len(play.begun) == begun
    await play.let_go(16)
    assert (len(play.begun), play.admission.waiting) == (40, 0)
    await play.close()


async def test_few_who_wait_are_no_group() -> None:
    play = Play(Admission(at_once=4, together_s=60))
    await play.ask(NOISY, 7)
    await play.let_go()
    assert (len(play.begun), play.admission.waiting) == (5, 2)
    await play.close()


async def test_another_tenant_waits_for_no_group() -> None:
    play = Play(Admission(at_once=4, together_s=60))
    await play.ask(NOISY, 10)
    await play.let_go()
    await play.ask(QUIET)
    assert play.begun[8:] == [QUIET]
    await play.close()


async def test_who_reads_an_answer_is_still_there() -> None:
    play = Play(Admission(at_once=8, together_s=0, stays_s=0.05))
    await play.ask(QUIET)
    await play.close()
    play.end.clear()
    await play.ask(NOISY, 20)
    assert play.begun[1:] == [NOISY] * 2
    await asyncio.sleep(0.1)
    await play.let_go(2)
    assert play.begun[1:] == [NOISY] * 10
    await play.close()


async def test_a_group_does_not_wait_long_for_its_last() -> None:
    play = Play(Admission(at_once=4, together_s=0.02))
    await play.ask(NOISY, 40)
    await play.let_go(6)
    assert len(play.begun) == 20
    await asyncio.sleep(0.05)
    assert len(play.begun) == 22
    await play.close()


async def test_a_turn_leaves_its_place_once(play: Play) -> None:
    async with AsyncExitStack() as stack:
        leave = await stack.enter_async_context(play.admission.turn(NOISY))
        leave()
        leave()
    await play.ask(NOISY, 4)
    assert len(play.begun) == 2
    await play.close()


async def test_who_gives_up_leaves_no_gap(play: Play) -> None:
    await play.ask(NOISY, 4)
    play.tasks[2].cancel()
    await play.settle()
    assert play.admission.waiting == 1
    play.leaving.pop(0)()  # the place is given to the last one, which is cancelled before it hears of it
    play.tasks[3].cancel()
    await play.settle()
    await play.ask(QUIET)
    assert play.begun[-1] == QUIET
    await play.close()


async def test_who_would_wait_too_long_is_told_when_to_come_back() -> None:
    admission = Admission(at_once=2, patience_s=0.05, together_s=0, stays_s=0)
    play = Play(admission)
    await play.ask(NOISY, 2)
    admission.check(NOISY)
    await asyncio.sleep(0.1)  # two turns began, and then nothing for long
    await play.ask(NOISY, 4)
    with pytest.raises(TooMany) as refused:
        admission.check(NOISY)
    assert refused.value.retry_after is not None
    assert refused.value.retry_after >= 1
    admission.check(QUIET)
    await play.close()


TENANTS = [uuid4() for _ in range(3)]
STEPS = st.lists(
    st.tuples(st.sampled_from(["ask", "let_go", "give_up"]), st.integers(min_value=0, max_value=20)), max_size=60
)


@given(STEPS)
async def test_whatever_comes_nobody_is_forgotten(steps: list[tuple[str, int]]) -> None:
    play = Play(Admission(at_once=4, together_s=0, stays_s=0))
    for kind, which in steps:
        if kind == "ask":
            await play.ask(TENANTS[which % 3])
        elif kind == "let_go" and play.leaving:
            await play.let_go()
        elif kind == "give_up" and play.tasks:
            play.tasks.pop(which % len(play.tasks)).cancel()
            await play.settle()
    play.end.set()
    async with asyncio.timeout(1):
        await asyncio.gather(*play.tasks)
    assert play.admission.waiting == 0
    after = Play(play.admission)
    await after.ask(TENANTS[0], 5)
    assert (len(after.begun), after.admission.waiting) == (4, 1)
    await after.close()
