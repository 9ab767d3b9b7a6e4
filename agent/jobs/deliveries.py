"""Webhooks on their way out: the standing task of a process that works, however many such processes there are.

What is due is looked for every second, taken under a lease and sent, so many at once, so many to one tenant and so few
to one endpoint that a receiver that is slow or down holds up nobody else.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from agent import metrics
from memory.database import Database
from memory.encryption import Cipher
from memory.errors import HelpdeskError
from tools.outbound import Outbound
from tools.webhooks.queue import Result, find_due, settle, take
from tools.webhooks.sending import OUR_FAULT, TIMEOUT_S, Outcome, Taken, send

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast, and how many at once in this process."""

    poll_s: float = 1.0
    """Until an event is noticed."""
    gather_s: float = 0.02
    """After one was sent: what ends at the same time is followed up together."""
    timeout_s: float = TIMEOUT_S
    lease_s: float = 30.0
    """Until a delivery whose process died is sent again; more than an attempt can take."""
    grace_s: float = 2.0
    """For attempts that run while the process stops; the lease covers the rest."""
    at_once: int = 64
    per_tenant: int = 16
    per_endpoint: int = 4


PACE = Pace()


class Deliveries:
    """Sends what is due."""

    def __init__(self, database: Database, cipher: Cipher, outbound: Outbound, pace: Pace = PACE) -> None:
        self._database, self._cipher, self._outbound, self._pace = database, cipher, outbound, pace
        self._running: dict[asyncio.Task[None], Taken] = {}

    async def watch(self) -> None:
        """Deliver for as long as this task lives; then let the attempts that run end, for a moment."""
        try:
            while True:
                if not await self._try_to_deliver():
                    await self._pause()
        finally:
            await self._end()

    async def deliver_due(self) -> int:
        """Take what is due and begin to send it; how many were taken."""
        began = 0
        for tenant_id, ids in self._choose(await self._find_due()).items():
            for taken in await take(self._database, tenant_id, ids, lease_s=self._pace.lease_s):
                task = asyncio.create_task(self._deliver(taken), name="delivery")
                self._running[task] = taken
                task.add_done_callback(self._running.pop)
                began += 1
        return began

    async def settled(self) -> None:
        """Wait for the attempts that run now."""
        await asyncio.gather(*self._running)

    async def _try_to_deliver(self) -> int:
        try:
            return await self.deliver_due()
        except HelpdeskError as error:
            log.warning("could not look for webhooks to deliver", error=error.code)
        except Exception:  # the watch must outlive whatever it meets
            log.exception("could not look for webhooks to deliver")
        return 0

    async def _pause(self) -> None:
        """Until an attempt ended, and so made room, or the next look is due."""
        if not self._running:
            await asyncio.sleep(self._pace.poll_s)
            return
        done, _ = await asyncio.wait(self._running, timeout=self._pace.poll_s, return_when=asyncio.FIRST_COMPLETED)
        if done:
            await asyncio.sleep(self._pace.gather_s)

    async def _find_due(self) -> Sequence[tuple[UUID, UUID, UUID]]:
        free = self._pace.at_once - len(self._running)
        if free <= 0:
            return ()
        tenants, endpoints = self._load()
        busy = [tenant for tenant, n in tenants.items() if n >= self._pace.per_tenant]
        busy += [endpoint for endpoint, n in endpoints.items() if n >= self._pace.per_endpoint]
        return await find_due(self._database, most=free, per_endpoint=self._pace.per_endpoint, busy=busy)

    def _choose(self, due: Sequence[tuple[UUID, UUID, UUID]]) -> dict[UUID, list[UUID]]:
        """Of what is due, what there is room for beside what runs, by tenant."""
        tenants, endpoints = self._load()
        chosen: dict[UUID, list[UUID]] = {}
        for tenant_id, endpoint_id, delivery_id in due:
            if tenants[tenant_id] < self._pace.per_tenant and endpoints[endpoint_id] < self._pace.per_endpoint:
                tenants[tenant_id] += 1
                endpoints[endpoint_id] += 1
                chosen.setdefault(tenant_id, []).append(delivery_id)
        return chosen

    def _load(self) -> tuple[Counter[UUID], Counter[UUID]]:
        running = self._running.values()
        return Counter(taken.tenant_id for taken in running), Counter(taken.endpoint_id for taken in running)

    async def _deliver(self, taken: Taken) -> None:
        started = time.perf_counter()
        outcome = await self._send(taken)
        metrics.webhook_attempt_duration_seconds.observe(time.perf_counter() - started)
        try:
            result: Result = await settle(self._database, taken, outcome, jitter=random.random())  # noqa: S311  spread
        except HelpdeskError as error:  # it is sent again after its lease
            log.warning("what came of a webhook could not be written down", error=error.code)
        except Exception:
            log.exception("what came of a webhook could not be written down")
        else:
            metrics.webhook_deliveries_total.labels(result).inc()
            if outcome.error:
                log.info(
                    "a webhook was not delivered", endpoint=str(taken.endpoint_id), attempt=taken.attempts,
                    result=result, status=outcome.status, error=outcome.error,
                )  # fmt: skip

    async def _send(self, taken: Taken) -> Outcome:
        try:
            return await send(self._outbound, self._cipher, taken, timeout_s=self._pace.timeout_s)
        except Exception:
            log.exception("a webhook could not be sent", endpoint=str(taken.endpoint_id))
            return OUR_FAULT

    async def _end(self) -> None:
        if self._running:
            await asyncio.wait(self._running, timeout=self._pace.grace_s)
        left = list(self._running)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
