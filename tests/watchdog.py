"""A test that waits for ever fails and says where; a failure is told when it happens, not at an end that may not come."""

import asyncio
import faulthandler
import gc
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from types import AsyncGeneratorType, FrameType
from typing import Any

import pytest

LONGEST_S = float(os.environ.get("LONGEST_S", "150"))
"""Of one test with what it sets up and ends: the longest, every fault once, takes a third of it."""
EXIT_S = 60.0
"""Of a process whose tests are over; then it says where it is, and ends."""
FRAMES = ("cr_frame", "ag_frame", "gi_frame")
AWAITED = ("cr_await", "ag_await", "gi_yieldfrom")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """The signal comes to the main thread between two steps of what it does, and so into an event loop that waits."""

    def tell(number: int, frame: FrameType | None) -> None:
        pytest.fail(f"{item.nodeid} took more than {LONGEST_S:g} s\n{_whereabouts()}")

    former = signal.signal(signal.SIGALRM, tell)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_S, LONGEST_S)  # again: what ends it may be stuck, too
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def _whereabouts() -> str:
    """What each task of the loop awaits, line by line; the thread's own place is in the traceback."""
    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:
        return "no event loop is running"
    return "\n".join(f"{task.get_name()}: {' > '.join(_awaited(task.get_coro()))}" for task in tasks)


def _awaited(waiting: Any) -> Iterator[str]:
    while waiting is not None:
        if frame := _first(waiting, FRAMES):
            yield f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}"
            waiting = _first(waiting, AWAITED)
        else:  # a step of an asynchronous generator names it to nobody but the collector
            waiting = next(
                (inner for inner in gc.get_referents(waiting) if isinstance(inner, AsyncGeneratorType)), None
            )


def _first(waiting: Any, names: Iterable[str]) -> Any:
    return next((found for name in names if (found := getattr(waiting, name, None)) is not None), None)


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        print(f"\n{report.nodeid} ({report.when})\n{report.longreprtext[-4000:]}", file=sys.stderr, flush=True)


def pytest_sessionfinish() -> None:
    faulthandler.dump_traceback_later(EXIT_S, exit=True, file=sys.__stderr__)
