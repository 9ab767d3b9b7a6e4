"""Calls of database functions that are transactions by themselves, sent together where they are made together.

Answers go on at common moments, so what they release, and what their turns ask, comes at common moments, too. Calls of
one tenant that are made in one round of the event loop share a connection and a message and stay transactions of their
own: one that fails, fails alone. Those of other tenants never wait for them, as one of them may have to for a lock.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

import psycopg
from psycopg.rows import DictRow

from memory.connection import Connection
from memory.pipeline import Asked

_Place = tuple[Asked, "asyncio.Future[list[DictRow]]"]


class Asking(Protocol):
    """A connection, or the calls of a tenant."""

    async def together(self, *asked: Asked) -> list[list[DictRow]]: ...


class TenantCalls:
    """Calls of functions that enter this tenant by themselves."""

    __slots__ = ("_calls", "_tenant_id")

    def __init__(self, calls: "Calls", tenant_id: UUID) -> None:
        self._calls, self._tenant_id = calls, tenant_id

    async def together(self, *asked: Asked) -> list[list[DictRow]]:
        """What each returns. Raises what the first one fails with."""
        return [await self._calls.rows(self._tenant_id, each) for each in asked]


class Calls:
    """Of one process, over connections that `lend` lends."""

    def __init__(self, lend: Callable[[], AbstractAsyncContextManager[Connection]]) -> None:
        self._lend = lend
        self._made: dict[UUID, list[_Place]] = {}
        self._sending: set[asyncio.Task[None]] = set()

    async def rows(self, tenant_id: UUID, asked: Asked) -> list[DictRow]:
        """What the call returns. Raises what it fails with."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[DictRow]] = loop.create_future()
        made = self._made.setdefault(tenant_id, [])
        made.append((asked, answer))
        if len(made) == 1:
            loop.call_soon(self._begin, tenant_id)
        return await answer

    def _begin(self, tenant_id: UUID) -> None:
        task = asyncio.create_task(self._send(self._made.pop(tenant_id)))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, made: list[_Place]) -> None:
        try:
            async with self._lend() as connection:
                results = await connection.each([asked for asked, _ in made])
        except BaseException as error:
            for _, answer in made:
                if not answer.done():
                    answer.set_exception(error) if isinstance(error, Exception) else answer.cancel()
            if not isinstance(error, Exception):
                raise
            return
        for (_, answer), result in zip(made, results, strict=True):
            if answer.done():  # who asked has gone
                continue
            if isinstance(result, psycopg.Error):
                answer.set_exception(result)
            else:
                answer.set_result(result)
