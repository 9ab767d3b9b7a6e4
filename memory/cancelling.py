"""Giving up on time: a statement that is cancelled may take seconds more to let go of a server that hangs, and a task
may not hear that it is cancelled at all."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

log = structlog.get_logger()
T = TypeVar("T")
AGAIN_S = 2.5
"""Until a task that still runs is cancelled again; what a task does in its last moments takes less."""
END_S = 6.0


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """What the work comes to. Raises TimeoutError when the time is up, and leaves the work to end by itself."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
            task.add_done_callback(_forget)
    if not task.done():
        raise TimeoutError
    return task.result()


async def end(*tasks: "asyncio.Task[Any]", within_s: float = END_S, again_s: float = AGAIN_S) -> None:
    """Cancel tasks until they have ended; one that does not end in time is named in the log and left to itself.

    Once is not enough: before Python 3.12 `wait_for`, which libraries wait with too, loses a cancel that comes in the
    moment in which what it waits for is there, and a task that goes on for ever goes on.
    """
    until = time.monotonic() + within_s
    left = {task for task in tasks if not task.done()}
    while left and (rest := until - time.monotonic()) > 0:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=min(again_s, rest))
    for task in tasks:
        if task in left:
            log.error("a task does not end", task=task.get_name(), at=whereabouts(task))
            task.add_done_callback(_forget)
        else:
            _forget(task)


def whereabouts(task: "asyncio.Task[Any]") -> str:
    """The line at which a task waits."""
    stack = task.get_stack(limit=1)
    return f"{stack[0].f_code.co_filename}:{stack[0].f_lineno}" if stack else "nowhere"


def _forget(task: "asyncio.Task[Any]") -> None:
    """Nobody waits for it any more, so that nobody would hear how it failed."""
    if not task.cancelled():
        task.exception()
