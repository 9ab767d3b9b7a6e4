"""Transactions that are one message to Postgres, sent together where they are made together.

Answers go on at common moments and turns begin in groups, so what they ask of the database comes at common moments, too.
What one tenant asks in one round of the event loop shares a connection and a message, and each of it stays a transaction
of its own: one that fails, fails alone. Another tenant's never wait for them, as one of them may have to for a lock.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol
from uuid import UUID

from memory.connection import Connection
from memory.pipeline import Asked, Rows, Transaction
from memory.reaching import reaching


class Asking(Protocol):
    """A connection in its transaction, or transactions of one message each."""

    async def together(self, *asked: Asked) -> Rows:
        """The rows of several statements that are one message. Raises what the first of them fails with."""
        ...


MOST = 8
"""Transactions of one message: all of them are answered when the last one is."""
Lane = tuple[UUID, str]
"""Whose, and how long they take: nothing waits for what takes longer."""


class Sender:
    """Of one process, over connections that `lend` lends."""

    def __init__(self, lend: Callable[[], AbstractAsyncContextManager[Connection]]) -> None:
        self._lend = lend
        self._batches: dict[Lane, _Batch] = {}
        self._sending: set[asyncio.Task[None]] = set()

    async def send(self, lane: Lane, transaction: Transaction) -> Rows:
        """With others of the same lane, in this round of the event loop."""
        loop = asyncio.get_running_loop()
        batch = self._batches.get(lane)
        if batch is None or len(batch.waiting) == MOST:
            batch = self._batches[lane] = _Batch()
            loop.call_soon(self._begin, lane, batch)
        answer: asyncio.Future[Rows | Exception] = loop.create_future()
        batch.waiting.append(_Waiting(transaction, answer))
        try:
            result = await answer
        except asyncio.CancelledError:
            batch.end_if_deserted()
            raise
        return _rows_of(result)

    def _begin(self, lane: Lane, batch: "_Batch") -> None:
        if self._batches[lane] is batch:
            del self._batches[lane]
        batch.sending = task = asyncio.create_task(self._send(batch.waiting))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, waiting: "list[_Waiting]") -> None:
        waiting = [each for each in waiting if not each.answer.done()]  # or who asked has gone
        if not waiting:
            return
        results: Sequence[Rows | Exception]
        try:
            async with self._lend() as connection:
                results = await connection.each([each.transaction for each in waiting])
        except asyncio.CancelledError:
            for each in waiting:
                each.answer.cancel()
            raise
        except Exception as error:
            results = [error for _ in waiting]
        for (_, answer), result in zip(waiting, results, strict=True):
            if not answer.done():
                answer.set_result(result)


class Once:
    """Transactions of one tenant, each begun and ended with its statements; `entering` goes before them."""

    __slots__ = ("_entering", "_lane", "_sender")

    def __init__(self, sender: Sender, lane: Lane, entering: Sequence[Asked]) -> None:
        self._sender, self._lane, self._entering = sender, lane, entering

    async def together(self, *asked: Asked, binary: bool = False) -> Rows:
        """As a transaction; `binary` has Postgres send the rows so."""
        rows = await self._sender.send(self._lane, Transaction((*self._entering, *asked), binary))
        return rows[len(self._entering) :]


class _Waiting(NamedTuple):
    transaction: Transaction
    answer: "asyncio.Future[Rows | Exception]"


@dataclass(slots=True)
class _Batch:
    """What goes together."""

    waiting: list[_Waiting] = field(default_factory=list)
    sending: asyncio.Task[None] | None = None

    def end_if_deserted(self) -> None:
        """A lock that nobody waits for any more is not waited for."""
        if self.sending and all(each.answer.done() for each in self.waiting):
            self.sending.cancel()


def _rows_of(result: Rows | Exception) -> Rows:
    if isinstance(result, Exception):
        with reaching():
            raise result
    return result
