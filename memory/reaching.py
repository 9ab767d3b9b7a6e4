"""What the driver says when the database is away, through either door, as the application's own error."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import sqlalchemy.exc

from memory.errors import Unavailable

UNREACHABLE = (
    psycopg.OperationalError,  # with no connection in time, a shutdown, a full disk, and no memory among them
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,  # a standby, after a failover
    psycopg.errors.IdleInTransactionSessionTimeout,
    sqlalchemy.exc.TimeoutError,
)


@contextmanager
def reaching() -> Iterator[None]:
    """Raises Unavailable for it."""
    try:
        yield
    except (psycopg.Error, sqlalchemy.exc.SQLAlchemyError) as error:
        cause = error.orig if isinstance(error, sqlalchemy.exc.DBAPIError) else error
        if isinstance(cause, UNREACHABLE):
            full = isinstance(cause, psycopg.errors.DiskFull)
            raise Unavailable(f"the database {'has no room left' if full else 'is away'}", retry_after=2) from error
        raise
