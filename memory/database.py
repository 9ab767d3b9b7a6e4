"""The application's way into Postgres: short transactions, each of one tenant, under a role that owns nothing.

Two doors to the same database. `transaction()` is an ORM session for everything that people administer;
`connection()` is plain psycopg for the hot path of a turn, where each statement counts. Neither may be held
across a model call or a stream.
"""

import select
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import copy
from types import TracebackType
from typing import Any
from uuid import UUID

import orjson
import psycopg
from psycopg import pq
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from memory.connection import READ_ONLY, beginning, entering
from memory.connection import Connection as Connection
from memory.errors import Misconfigured, Unavailable
from memory.migrate import sqlalchemy_url
from memory.once import Once, Sender
from memory.reaching import reaching
from memory.tenancy import scope

SET_TENANT = "select set_config('app.tenant', :tenant, true)"
KEEPALIVE: dict[str, Any] = {
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""A server that is gone without a word is noticed in the end; what says goodbye is noticed at once by `_check`."""
WAIT_S = 5.0
"""For a connection."""
RECONNECT_S = 2.0
"""That the pool tries to open one before it begins anew with the next who wants one: the pauses between its attempts
double, and with the default of five minutes it finds a database late that is back."""
FROZEN_S = 15
"""A process that stops in the middle of a transaction keeps its locks no longer than this."""

set_json_dumps(orjson.dumps)
set_json_loads(orjson.loads)


class Database:
    """One process's connections as the application's role."""

    def __init__(self, url: str, *, pool_size: int = 16, tenant_filter: bool = True) -> None:
        self.url = url
        self.engine: AsyncEngine = create_async_engine(
            sqlalchemy_url(url), pool_size=pool_size, max_overflow=0, pool_pre_ping=True, pool_timeout=WAIT_S
        )
        self.pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url, connection_class=Connection, min_size=2, max_size=pool_size, open=False, timeout=WAIT_S,
            max_lifetime=1800, reconnect_timeout=RECONNECT_S, check=_check, configure=_let_go,
            kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row, **KEEPALIVE},
        )  # fmt: skip
        self._sessions = async_sessionmaker(self.engine, class_=AsyncSession, expire_on_commit=False)
        self._tenant_filter = tenant_filter
        self._access = ""
        self._sender = Sender(self.lookup)

    def reading(self) -> "Database":
        """The same connections for who must change nothing: Postgres refuses every write in their transactions."""
        twin = copy(self)
        twin._access = READ_ONLY
        return twin

    @asynccontextmanager
    async def transaction(self, tenant_id: UUID) -> AsyncIterator[AsyncSession]:
        """An ORM session in one transaction, scoped to the tenant; commits at the end, rolls back on an error."""
        with reaching():
            async with self._sessions() as session, session.begin():
                scope(session.sync_session, tenant_id, filtered=self._tenant_filter)
                connection = await session.connection()
                await connection.execute(text(SET_TENANT), {"tenant": str(tenant_id)})
                if self._access:
                    await connection.execute(text(f"set transaction {self._access}"))
                yield session

    def connection(self, tenant_id: UUID) -> AbstractAsyncContextManager[Connection]:
        """A psycopg connection in one transaction, scoped to the tenant by row-level security."""
        return _Lent(self.pool, beginning(tenant_id, self._access))

    def lookup(self, *, wait_s: float = WAIT_S) -> AbstractAsyncContextManager[Connection]:
        """A connection with no tenant at all: row-level security shows it nothing but what functions do for it."""
        return _Lent(self.pool, None, wait_s=wait_s)

    def once(self, tenant_id: UUID, lane: str = "") -> Once:
        """Transactions of the tenant that are one message each; with a `lane` of their own where others should not wait
        for them."""
        return Once(self._sender, (tenant_id, lane), entering(tenant_id, self._access))

    def calls(self, tenant_id: UUID) -> Once:
        """The same for functions that enter the tenant by themselves."""
        return Once(self._sender, (tenant_id, ""), ())

    def connections_in_use(self) -> float:
        """Connections of both pools that are lent out now."""
        stats = self.pool.get_stats()
        checked_out: int = self.engine.pool.checkedout()  # type: ignore[attr-defined]
        return stats.get("pool_size", 0) - stats.get("pool_available", 0) + checked_out

    async def check(self) -> None:
        """Refuse a role that could read past row-level security, and a schema that was not migrated."""
        async with self.lookup() as connection:
            row = await _one(connection, ROLE_QUESTION)
        if row["rolsuper"] or row["rolbypassrls"] or row["owns"]:
            raise Misconfigured(
                f"DATABASE_URL connects as `{row['name']}`, which bypasses row-level security by itself or as a "
                "member of the tables' owner: use a plain role there and the owner in DATABASE_OWNER_URL"
            )
        if not row["ready"]:
            raise Misconfigured("the database has no schema yet: run `helpdesk migrate`")


class _Lent(AbstractAsyncContextManager[Connection]):
    """A connection of the pool; what began is committed in the end, or rolled back. No generators within generators, as
    there are a dozen of these in a turn."""

    __slots__ = ("_beginning", "_connection", "_pool", "_wait_s")

    def __init__(self, pool: AsyncConnectionPool[Connection], beginning: str | None, *, wait_s: float = WAIT_S) -> None:
        self._pool, self._beginning, self._wait_s = pool, beginning, wait_s

    async def __aenter__(self) -> Connection:
        with reaching():
            connection = await self._pool.getconn(self._wait_s)
            try:
                if self._beginning:
                    await connection.begin(self._beginning)
            except BaseException:
                await self._pool.putconn(connection)
                raise
        self._connection = connection
        return connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection = self._connection
        with reaching():
            try:
                if connection.pgconn.transaction_status != pq.TransactionStatus.IDLE:
                    await connection.__aexit__(kind, error, trace)
            finally:
                await self._pool.putconn(connection)
            if isinstance(error, psycopg.Error):
                raise error


async def _check(connection: Connection) -> None:
    """Ask the server only when something waits on the socket of an idle connection: its end, or its last words. Asking
    each time would be a fifth of a turn's messages to it."""
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    if waiting.poll(0):
        await AsyncConnectionPool.check_connection(connection)


async def _let_go(connection: Connection) -> None:
    await connection.execute(f"set idle_in_transaction_session_timeout = '{FROZEN_S}s'")
    await connection.execute("set timezone = 'UTC'")  # east of it the end of the year 9999 is a date that can't be read


ROLE_QUESTION = """
select current_user as name, rolsuper, rolbypassrls, to_regclass('public.schema_ready') is not null as ready,
       exists (select 1 from pg_class c where c.relkind in ('r', 'p') and pg_has_role(c.relowner, 'MEMBER')) as owns
from pg_roles r where rolname = current_user
"""
"""Who is a member of the owner may do what it may, at once or after `set role`."""


async def _one(connection: Connection, query: str, *values: Any) -> DictRow:
    row = await (await connection.execute(query, values)).fetchone()
    if row is None:
        raise Unavailable("the database gave no answer")
    return row


@asynccontextmanager
async def open_database(url: str, *, pool_size: int = 16, tenant_filter: bool = True) -> AsyncIterator[Database]:
    """Open both pools and make sure of the role; close them in the end."""
    database = Database(url, pool_size=pool_size, tenant_filter=tenant_filter)
    await database.pool.open()
    try:
        await database.check()
        yield database
    finally:
        await database.pool.close()
        await database.engine.dispose()


@asynccontextmanager
async def open_owner(url: str | None) -> AsyncIterator[Database]:
    """The owner's way in, past row-level security: for tenants, global rows and structure. Raises Misconfigured."""
    if url is None:
        raise Misconfigured("this needs the owner of the database: set DATABASE_OWNER_URL")
    owner = Database(url, pool_size=4)
    await owner.pool.open()
    try:
        yield owner
    finally:
        await owner.pool.close()
        await owner.engine.dispose()
