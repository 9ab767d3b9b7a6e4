"""Waiting for an answer of Postgres that comes in pieces.

psycopg has the event loop look at the socket anew for each piece, with seven calls of the system, and wakes the task for
it; a search's answer comes in ten of them. Here the loop looks at it until all has come, and the task is woken once.
"""

import asyncio
import select
from collections.abc import Callable
from typing import Any

import psycopg

CANCEL_S = 5.0
"""For the server to end what nobody waits for any more, and again for it to say so."""


async def arriving(connection: psycopg.AsyncConnection[Any], take: Callable[[], bool]) -> None:
    """Until `take` has all of it. Who is cancelled meanwhile has the server cancel what it does, and reads the rest; a server
    that does not answer loses the connection. Raises psycopg.Error for a connection that is lost."""
    if take():
        return
    reader = _Reader(connection, take)
    try:
        await reader.whole
    except asyncio.CancelledError:
        await reader.give_up()
        raise
    finally:
        reader.end()


class _Reader:
    """Reads whatever comes until it is all."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], take: Callable[[], bool]) -> None:
        self._connection, self._take = connection, take
        self._loop = asyncio.get_running_loop()
        self._number = connection.pgconn.socket
        self.whole: asyncio.Future[None] = self._loop.create_future()
        self._taken = False
        """All of it is there, though whoever is cancelled in the same moment may not have been told."""
        self._loop.add_reader(self._number, self._more)
        self._reads = True

    def _more(self) -> None:
        try:
            while True:
                self._connection.pgconn.consume_input()
                self._taken = self._taken or self._take()
                if self._taken or not self._is_broken():
                    break
            if self._taken and not self.whole.done():
                self.whole.set_result(None)
        except Exception as error:
            self.end()
            if not self.whole.done():
                self.whole.set_exception(error)

    def _is_broken(self) -> bool:
        """Of a socket with an error libuv tells once, however much there is to read before it; to read on finds the error."""
        state = select.poll()
        state.register(self._number, 0)
        return bool(state.poll(0))

    async def give_up(self) -> None:
        """Have the server end it, and read what is left."""
        if self._taken:
            return
        if not self._reads:  # the connection broke in the same moment
            self._connection.pgconn.finish()
            return
        self.whole = self._loop.create_future()
        try:
            await self._connection.cancel_safe(timeout=CANCEL_S)
            async with asyncio.timeout(CANCEL_S):
                await self.whole
        except BaseException as error:
            self.end()
            self._connection.pgconn.finish()
            if not isinstance(error, (psycopg.Error, TimeoutError)):
                raise

    def end(self) -> None:
        """Once: a socket that is closed gives its number to another one."""
        if self._reads:
            self._reads = False
            self._loop.remove_reader(self._number)
