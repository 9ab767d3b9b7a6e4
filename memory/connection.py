"""A connection to Postgres that can begin its transaction with the first statement and end it with the last.

A transaction of one statement is then one message instead of three, and one of two groups of statements is two.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import psycopg
from psycopg import generators, pq
from psycopg.rows import DictRow

from memory.pipeline import Asked, Pipeline, statement

READ_ONLY = "read only"


class Beginning:
    """How a tenant's transaction begins, said at once or together with its first statements."""

    __slots__ = ("_access", "_tenant")

    def __init__(self, tenant_id: UUID, access: str = "") -> None:
        self._tenant, self._access = str(tenant_id), access

    @property
    def at_once(self) -> str:
        """Two statements in one message; a tenant is a UUID and needs no quoting."""
        return f"begin {self._access}; set local app.tenant = '{self._tenant}'"

    @property
    def statements(self) -> tuple[Asked, ...]:
        """The same for a transaction that goes on after them."""
        return ((_BEGIN[self._access], {}), *self.entering[:1])

    @property
    def entering(self) -> tuple[Asked, ...]:
        """The same for statements that are a transaction by themselves."""
        enter = (_ENTER, {"tenant": self._tenant})
        return (enter, (_ONLY_READ, {})) if self._access else (enter,)


_BEGIN = {access: statement(f"begin {access}") for access in ("", READ_ONLY)}
_ENTER = statement("select set_config('app.tenant', %(tenant)s, true)")
_ONLY_READ = statement("select set_config('transaction_read_only', 'on', true)")
_COMMIT = statement("commit")


class Connection(psycopg.AsyncConnection[DictRow]):
    """Of the pool."""

    beginning: Beginning | None = None
    """Of a transaction that begins with its first statements; these go through `together`."""
    _piped: Pipeline | None = None

    async def begin(self, beginning: Beginning | None) -> None:
        """Say it now; a cursor of psycopg's for it would cost as much again."""
        if beginning is None:
            return
        async with self.lock:
            self.pgconn.send_query(beginning.at_once.encode())
            results = await self.wait(generators.execute(self.pgconn))
        for result in results:
            if result.status != pq.ExecStatus.COMMAND_OK:
                raise psycopg.errors.error_from_result(result)
        if not results:
            raise psycopg.OperationalError("the connection is lost")

    async def together(self, *asked: Asked, binary: bool = False, last: bool = False) -> list[list[DictRow]]:
        """The rows of several statements that are one message; `last` ends the transaction with them. Raises
        psycopg.Error for the one that failed."""
        beginning, self.beginning = self.beginning, None
        before: tuple[Asked, ...] = ()
        after: tuple[Asked, ...] = ()
        if beginning is not None:
            before = beginning.entering if last else beginning.statements
        elif last and self.pgconn.transaction_status == pq.TransactionStatus.INTRANS:
            after = ((_COMMIT, {}),)
        rows = await self._own().run(self, (*before, *asked, *after), binary=binary)
        return rows[len(before) : len(before) + len(asked)]

    async def each(self, asked: Sequence[Asked]) -> list[list[DictRow] | psycopg.Error]:
        """Several statements that are one message and a transaction each: of each the rows, or what it failed with."""
        return await self._own().each(self, asked)

    def _own(self) -> Pipeline:
        if self._piped is None:
            self._piped = Pipeline()
        return self._piped

    def cursor(self, *args: Any, **options: Any) -> Any:
        self._must_have_begun()
        return super().cursor(*args, **options)

    @asynccontextmanager
    async def transaction(self, *args: Any, **options: Any) -> AsyncIterator[psycopg.AsyncTransaction]:
        self._must_have_begun()
        try:
            async with super().transaction(*args, **options) as transaction:
                yield transaction
        except BaseException:
            self._forget()
            raise

    async def rollback(self) -> None:
        self._forget()
        await super().rollback()

    def _must_have_begun(self) -> None:
        if self.beginning:
            raise psycopg.ProgrammingError("this transaction begins with statements that are sent together")

    def _forget(self) -> None:
        """psycopg has the server forget what was prepared with a rollback."""
        if self._piped:
            self._piped.forget()
