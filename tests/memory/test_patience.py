"""Tasks that are told to end, and do not hear it at once."""

import asyncio
import time

from structlog.testing import capture_logs

from memory.cancelling import end
from tests.machine import usual


async def deaf_to(cancels: int) -> None:
    """Goes on for ever, and loses so many cancels on the way, as `wait_for` loses one before Python 3.12."""
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancels -= 1
            if cancels < 0:
                raise


async def begun(cancels: int) -> "asyncio.Task[None]":
    task = asyncio.create_task(deaf_to(cancels), name=f"deaf to {cancels}")
    await asyncio.sleep(0)
    return task


async def test_a_task_that_lost_its_cancel_is_cancelled_again() -> None:
    tasks = [await begun(0), await begun(1), await begun(2)]
    await end(*tasks, within_s=5, again_s=0.01)
    assert all(task.cancelled() for task in tasks)


async def test_a_task_that_does_not_end_is_named_and_left() -> None:
    task, began = await begun(50), time.monotonic()
    with capture_logs() as logs:
        await end(task, within_s=0.1, again_s=0.03)
    assert time.monotonic() - began < usual(2)
    assert not task.done()
    [entry] = logs
    assert entry["task"] == "deaf to 50"
    assert __file__ in entry["at"]
    await end(task, again_s=0.001)


async def test_what_has_ended_already_is_left_alone_and_its_error_is_heard() -> None:
    async def fail() -> None:
        raise ValueError("nobody waits for this")

    task = asyncio.create_task(fail())
    await asyncio.wait({task})
    await end(task)
    await end()
