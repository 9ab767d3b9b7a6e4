"""A Redis that is killed, frozen or flushed in the middle of a turn that is watched from another process."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from statistics import median

from tests.faults.client import Client
from tests.faults.stage import Stage

CALLS, CALLS_IN_A_SHORT_RUN = 8, 2
"""Before and after, to compare."""
FIRST_MS, LATER_MS = 300, 20
"""More than the median of the calls before; of the later ones 95 in a hundred."""


async def redis_killed(stage: Stage) -> None:
    redis = stage.cluster.redis

    async def back() -> None:
        await asyncio.to_thread(redis.start)

    await _without(stage, redis.kill, back, "down")


async def redis_frozen(stage: Stage) -> None:
    redis = stage.cluster.redis

    async def back() -> None:
        redis.signal(signal.SIGCONT)

    await _without(stage, lambda: redis.signal(signal.SIGSTOP), back, "down")


async def redis_flushed(stage: Stage) -> None:
    async def back() -> None:
        return None

    await _without(stage, stage.cluster.redis.flush, back, "up")


async def _without(stage: Stage, hurt: Callable[[], None], back: Callable[[], Awaitable[None]], then: str) -> None:
    here, there = stage.cluster.apis
    async with stage.customers(2, prefers=here, follows=there) as clients:
        watched, measured = clients
        count = CALLS if stage.patient else CALLS_IN_A_SHORT_RUN
        before = await _calls(stage, measured, count)
        promise = await watched.say("answer")
        await asyncio.sleep(stage.rng.uniform(0, 1.4))
        hurt()
        try:
            [first] = await _calls(stage, measured, 1)
            telling = asyncio.create_task(stage.told(there, "redis", then))
            await stage.ended(watched, promise)
            await telling
            after = await _calls(stage, measured, count)
            await stage.ended(watched, await watched.say("answer" if stage.patient else "quick"))
        finally:
            await back()
        await stage.fault_over()
        telling = asyncio.create_task(stage.told(there, "redis", "up"))
        stage.note("first call +ms", 1000 * (first - median(before)), FIRST_MS)
        for took in before:  # how far a call is from their median when nothing is wrong
            stage.note("calls before +ms", 1000 * (took - median(before)))
        for took in after:
            stage.note_usual("later calls +ms", 1000 * (took - median(before)), LATER_MS)
        await stage.ended(watched, await watched.say("answer" if stage.patient else "quick"))
        await telling


async def _calls(stage: Stage, client: Client, count: int) -> list[float]:
    """Questions that are answered at once, one after the other."""
    took = []
    for _ in range(count):
        answer, seconds = await client.answer_now("quick")
        stage.expect(answer.status_code == 200, f"without Redis: {answer.status_code} {answer.text[:200]}")
        took.append(seconds)
    return took
