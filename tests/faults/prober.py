"""Asks every API process all the while whether it lives and whether it can serve, and holds that against the truth."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from tests.faults.cluster import Cluster
from tests.faults.processes import Process

EVERY_S = 0.5
TRUTH_S = 5.0
"""Within which `/readyz` must know that the database went, or came back."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer; `status` 0 is none."""

    name: str
    path: str
    asked: float
    answered: float
    status: int
    ready_since: float


@dataclass
class Prober:
    cluster: Cluster
    samples: list[Sample] = field(default_factory=list)

    async def _watch(self, http: httpx.AsyncClient, process: Process) -> None:
        while True:
            for path in ("/livez", "/readyz"):
                life, asked = process.ready_since, time.monotonic()
                if not process.answers:
                    continue
                try:
                    status = (await http.get(process.url + path)).status_code
                except httpx.TransportError:
                    status = 0
                if process.answers and process.ready_since == life:  # the same life, not about to end
                    self.samples.append(Sample(process.name, path, asked, time.monotonic(), status, life))
            await asyncio.sleep(EVERY_S)

    def wrong(self, since: float) -> list[str]:
        """What was said that was not so."""
        found = []
        for sample in (sample for sample in self.samples if sample.asked >= since):
            if sample.path == "/livez" and sample.status != 200:
                found.append(f"{sample.name}: /livez said {sample.status}")
            if sample.path == "/readyz":
                found += self._untrue(sample)
        return found

    def _untrue(self, sample: Sample) -> list[str]:
        away = [
            (began, ended) for began, ended in self.cluster.away if began < sample.answered and sample.asked < ended
        ]
        long_gone = any(began + TRUTH_S < sample.asked and sample.answered < ended for began, ended in away)
        if sample.status == 200:
            return [f"{sample.name}: /readyz said 200 while the database was away"] if long_gone else []
        if long_gone and sample.status != 503:
            return [f"{sample.name}: /readyz said {sample.status} while the database was away"]
        back = max((ended for _, ended in self.cluster.away if ended <= sample.answered), default=0.0)
        if away or sample.answered < back + TRUTH_S:
            return []
        took = sample.answered - sample.asked
        return [f"{sample.name}: /readyz said {sample.status} after {took:.1f} s, {sample.answered - back:.1f} s after the"
                " database was back"]  # fmt: skip


@asynccontextmanager
async def probing(cluster: Cluster) -> AsyncIterator[Prober]:
    prober = Prober(cluster)
    async with httpx.AsyncClient(timeout=8) as http:
        tasks = [asyncio.create_task(prober._watch(http, api)) for api in cluster.apis]
        try:
            yield prober
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
