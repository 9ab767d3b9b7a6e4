"""A running turn's lease, renewed for as long as the turn lasts."""

import asyncio
from typing import Any

import structlog

from memory import turns
from memory.database import Database
from memory.errors import LeaseLost
from memory.turns import Lease

log = structlog.get_logger()
RENEW_S = 5.0


class Keeper:
    """Renews a lease; once it is lost, the turn's task has nothing more to do and is cancelled.

    A timer and no task, as most turns end before the first renewal is due.
    """

    __slots__ = ("_database", "_lease", "_renewal", "_timer", "_turn")

    def __init__(self, database: Database, lease: Lease, turn: "asyncio.Task[Any] | None") -> None:
        self._database, self._lease, self._turn = database, lease, turn
        self._renewal: asyncio.Task[None] | None = None
        self._wait()

    def stop(self) -> None:
        self._timer.cancel()
        if self._renewal:
            self._renewal.cancel()

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(RENEW_S, self._begin)

    def _begin(self) -> None:
        self._renewal = asyncio.create_task(self._renew(), name=f"lease:{self._lease.turn_id}")

    async def _renew(self) -> None:
        try:
            async with self._database.connection(self._lease.tenant_id) as connection:
                await turns.renew(connection, self._lease)
        except LeaseLost:
            if self._turn:
                self._turn.cancel()
            return
        except Exception as error:  # the database may come back before the lease ends
            log.warning("a lease was not renewed", error=type(error).__name__)
        self._wait()
