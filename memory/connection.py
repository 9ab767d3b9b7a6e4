"""A connection to Postgres that sends several statements, or several transactions, in one message."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from psycopg import generators, pq
from psycopg.abc import PQGen
from psycopg.rows import DictRow, Row

from memory.pipeline import Asked, Pipeline, Rows, Transaction, statement

READ_ONLY = "read only"
LOOK_UP_S = 60.0
Result = TypeVar("Result")


def beginning(tenant_id: UUID, access: str = "") -> str:
    """How a tenant's transaction begins; a tenant is a UUID and needs no quoting."""
    return f"begin {access}; set local app.tenant = '{tenant_id}'"


def entering(tenant_id: UUID, access: str = "") -> tuple[Asked, ...]:
    """The same for statements that are a transaction by themselves."""
    enter = (_ENTER, {"tenant": str(tenant_id)})
    return (enter, (_ONLY_READ, {})) if access else (enter,)


_ENTER = statement("select set_config('app.tenant', %(tenant)s, true)")
_ONLY_READ = statement("select set_config('transaction_read_only', 'on', true)")


class PatientConnection(psycopg.AsyncConnection[Row]):
    """Sleeps until something comes. psycopg looks up ten times a second for a Ctrl-C, of which the event loop hears anyway:
    with two connections that only listen, 3 of the 7.5 ms a second of an idle process."""

    async def wait(self, gen: PQGen[Result], interval: float = LOOK_UP_S, timeout: float | None = None) -> Result:
        return await super().wait(gen, interval, timeout)


class Connection(PatientConnection[DictRow]):
    """Of the pool."""

    _piped: Pipeline | None = None

    async def begin(self, beginning: str) -> None:
        """A cursor of psycopg's for it would cost as much again."""
        async with self.lock:
            self.pgconn.send_query(beginning.encode())
            results = await self.wait(generators.execute(self.pgconn))
        for result in results:
            if result.status != pq.ExecStatus.COMMAND_OK:
                raise psycopg.errors.error_from_result(result)
        if not results:
            raise psycopg.OperationalError("the connection is lost")

    async def together(self, *asked: Asked) -> Rows:
        """The rows of several statements that are one message. Raises psycopg.Error for the one that failed."""
        return await self._own().run(self, asked)

    async def each(self, transactions: Sequence[Transaction]) -> list[Rows | Exception]:
        """Several transactions that are one message: of each the rows of its statements, or what it failed with."""
        return await self._own().each(self, transactions)

    def _own(self) -> Pipeline:
        if self._piped is None:
            self._piped = Pipeline()
        return self._piped

    @asynccontextmanager
    async def transaction(self, *args: Any, **options: Any) -> AsyncIterator[psycopg.AsyncTransaction]:
        try:
            async with super().transaction(*args, **options) as transaction:
                yield transaction
        except BaseException:
            self._forget()
            raise

    async def rollback(self) -> None:
        self._forget()
        await super().rollback()

    def _forget(self) -> None:
        """psycopg has the server forget what was prepared with a rollback."""
        if self._piped:
            self._piped.forget()
