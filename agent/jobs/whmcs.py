"""Synchronisations with WHMCS in this process: when somebody asks, and when a tenant's schedule says so.

Who asks waits a while: this process works on it at once, and what is not done then goes on as a job. Jobs work in slices,
so that one tenant's first synchronisation of many hours leaves room for others'.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import structlog
from procrastinate import App
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException

from agent import metrics
from memory import audit
from memory.cancelling import end
from memory.database import Database
from memory.encryption import Cipher
from memory.errors import HelpdeskError, Unavailable
from memory.tenancy import Principal
from tools.outbound import Outbound
from tools.whmcs import connections, runs
from tools.whmcs.errors import WhmcsUnreachable
from tools.whmcs.sync import Slice

log = structlog.get_logger()
SYNC = "sync_whmcs"
AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds."""

    answer_s: float = 25.0
    """That somebody who asks waits at most."""
    first_s: float = 20.0
    """In which the process that was asked begins tickets."""
    slice_s: float = 60.0
    """The same of a job."""
    note_s: float = 2.0
    """Between two notes of how far it is."""
    look_s: float = 0.25
    """Between two looks at what somebody else does."""


PACE = Pace()


@dataclass(slots=True)
class Syncs:
    """Runs synchronisations; `jobs` is set once there are some."""

    database: Database
    cipher: Cipher
    outbound: Outbound
    pace: Pace = PACE
    jobs: Any = None
    _running: set[asyncio.Task[bool]] = field(default_factory=set)

    async def ask(self, principal: Principal, *, wait: bool = True, **trace: Any) -> dict[str, Any]:
        """Synchronise now, or join who does; the row as it is once it ended, or the wait is over. Raises NotFound."""
        tenant_id = principal.tenant_id
        await connections.open_whmcs(self.database, self.cipher, self.outbound, tenant_id)
        owner = uuid4().hex
        async with self.database.connection(tenant_id) as connection:
            row, mine = await runs.begin(connection, asked_by=principal.key, owner=owner)
            if mine:
                await audit.write(connection, principal, "whmcs.synced", "whmcs", row["id"], **trace)
        if mine:
            task = asyncio.create_task(self._slice(tenant_id, row, owner, self.pace.first_s), name="whmcs sync")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        until = time.monotonic() + (self.pace.answer_s if wait else 0.0)
        while True:
            async with self.database.connection(tenant_id) as connection:
                row = await runs.get_sync(connection, row["id"])
            if row["state"] != "running" or time.monotonic() >= until:
                return row
            await asyncio.sleep(self.pace.look_s)

    async def go_on(self, tenant_id: UUID) -> bool:
        """A slice of what is due of a tenant; True where more is left, and nobody else is at it."""
        owner = uuid4().hex
        async with self.database.connection(tenant_id) as connection:
            row, mine = await runs.begin(connection, asked_by="schedule", owner=owner)
        return mine and not await self._slice(tenant_id, row, owner, self.pace.slice_s)

    async def settled(self) -> None:
        """Wait for what this process was asked for and still works on."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def aclose(self) -> None:
        """Stop; whoever comes next goes on with what is unfinished once its lease has lapsed."""
        await end(*self._running)

    async def _slice(self, tenant_id: UUID, row: dict[str, Any], owner: str, seconds: float) -> bool:
        """Work for so long; whether the synchronisation has ended. What goes wrong is written down, never raised."""
        started = time.monotonic()
        work: Slice | None = None
        error: HelpdeskError | None = None
        done = False
        try:
            whmcs, options = await connections.open_whmcs(self.database, self.cipher, self.outbound, tenant_id)
            async with self.database.connection(tenant_id) as connection:
                history = await connections.history_until(connection)
            work = Slice(
                database=self.database, whmcs=whmcs, options=options, tenant_id=tenant_id, since=row["created_at"],
                until=started + seconds, history_until=history,
            )  # fmt: skip

            async def keep(tally: runs.Tally) -> bool:
                async with self.database.connection(tenant_id) as connection:
                    return await runs.renew(connection, row["id"], owner, tally)

            done = await work.run(keep, every_s=self.pace.note_s)
        except HelpdeskError as found:
            error, done = found, True
        except Exception:
            log.exception("a synchronisation failed", tenant_id=str(tenant_id))
            error, done = WhmcsUnreachable("an error on our side"), True
        try:
            await self._write_down(tenant_id, row["id"], owner, work.tally if work else runs.Tally(), done, error)
        except HelpdeskError as found:  # its lease lapses, and somebody goes on
            log.warning("could not write down the end of a synchronisation", error=found.code)
        except Exception:
            log.exception("could not write down the end of a synchronisation")
        if error:
            log.warning("a synchronisation failed", tenant_id=str(tenant_id), error=error.code)
        if not done:
            await self._hand_over(tenant_id)
        return done

    async def _write_down(
        self, tenant_id: UUID, sync_id: UUID, owner: str, tally: runs.Tally, done: bool, error: HelpdeskError | None
    ) -> None:
        async with self.database.connection(tenant_id) as connection:
            if done:
                await runs.finish(connection, sync_id, owner, tally, error=error)
                metrics.whmcs_syncs_total.labels("failed" if error else "succeeded").inc()
            else:
                await runs.pause(connection, sync_id, owner, tally)

    async def _hand_over(self, tenant_id: UUID) -> None:
        """Have a worker go on at once; else one finds it within a minute."""
        if self.jobs is None:
            return
        try:
            await self.jobs.configure(queueing_lock=f"whmcs {tenant_id}").defer_async(tenant_id=str(tenant_id))
        except (AlreadyEnqueued, ConnectorException, Unavailable) as error:
            log.info("a synchronisation waits for the next look", error=type(error).__name__)


def define_sync_jobs(app: App, syncs: Syncs) -> None:
    """Register the tasks; called once, by the composition root."""

    @app.task(name=SYNC, queue="agent")
    async def sync_whmcs(tenant_id: str) -> None:
        """A slice of one tenant's synchronisation. What fails is written down, and the schedule tries again."""
        await syncs.go_on(UUID(tenant_id))

    @app.periodic(cron="* * * * *")
    @app.task(name="look_at_whmcs", queue="agent")
    async def look_at_whmcs(timestamp: int) -> None:
        """Have what is due synchronised; the next minute looks again."""
        for tenant_id in await runs.find_due(syncs.database, AT_ONCE):
            await syncs._hand_over(tenant_id)

    syncs.jobs = sync_whmcs
