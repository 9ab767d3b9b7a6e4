"""A process that stays is told to end: everything has its share of time, and in the end it goes whatever still runs.

     0 s   no turn and no job is begun any more, streams of events are sent elsewhere; running answers go on
    25 s   answers that still run are handed back for another process (`api.event_stream.GRACE_S`)
    26 s   connections that are still open are cut (`DRAIN_S`)
    29 s   whatever has not ended is named in the log
    30 s   the stacks of all threads are written to the log, and the process is gone

A process that is killed loses nothing that another could not take up, so that the last line costs little. It is
drawn by a thread of C, which no lock and no blocked call holds up.
"""

import asyncio
import faulthandler
import os
import signal
import time
from collections.abc import Callable
from types import FrameType

import structlog

from memory.cancelling import whereabouts

log = structlog.get_logger()
SIGNALS = (signal.SIGTERM, signal.SIGINT)
DRAIN_S = 26
LAST_S = 30.0
NAMED_S = 29.0


class Ending:
    """Hears SIGTERM and SIGINT from the moment that it is made, in every phase of the process's life."""

    def __init__(self) -> None:
        self.at: float | None = None
        """When the process was told, by `time.monotonic()`."""
        self._at_once: Callable[[], None] = _leave
        """What the phase that the process is in does when it is told; it runs between any two instructions."""
        self._heard = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        for number in SIGNALS:
            signal.signal(number, self.hear)

    def hear(self, number: int | None = None, frame: FrameType | None = None) -> None:
        """The signal's handler; a second one changes nothing, to the very end of the process."""
        if self.at is not None:
            return
        self.at = time.monotonic()
        for told in SIGNALS:
            signal.signal(told, signal.SIG_IGN)  # an interpreter that ends would let go of our handler and die of it
        faulthandler.dump_traceback_later(LAST_S, exit=True)
        self._at_once()
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell)

    def starting(self) -> None:
        """The process starts, in a loop: when it is told now, what is open is closed again."""
        loop, main = asyncio.get_running_loop(), asyncio.current_task()
        assert main
        self._loop = loop

        def stop() -> None:
            loop.call_soon_threadsafe(main.cancel)

        self._at_once = stop

    def serving(self, stop: Callable[[], None] = lambda: None) -> None:
        """The process serves: when it is told now, it is stopped like this, and `wait` ends."""
        self._at_once = stop

    async def wait(self) -> None:
        """Until it is told."""
        await self._heard.wait()

    def left(self, seconds: float) -> float:
        """Of so many seconds since it was told."""
        return seconds if self.at is None else max(0.0, self.at + seconds - time.monotonic())

    def _tell(self) -> None:
        assert self._loop
        self._heard.set()
        self._loop.call_later(self.left(NAMED_S), _name_the_rest)


def _leave() -> None:
    """Nothing is open yet, and an exception here would come up in the middle of an import, where it may be lost."""
    os._exit(0)


def _name_the_rest() -> None:
    rest = [f"{task.get_name()} at {whereabouts(task)}" for task in asyncio.all_tasks()]
    log.error("this process does not end", tasks=sorted(rest))
