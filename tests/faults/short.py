"""Every fault once, on one cluster and in under a minute: what does not disturb one another happens at the same time."""

import asyncio
import random
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx

from tests.faults import on_clock, on_index, on_model, on_postgres, on_processes, on_redis, on_requests
from tests.faults.cluster import Cluster, running_cluster
from tests.faults.prober import Prober, probing
from tests.faults.run import http_client
from tests.faults.stage import Report, Stage
from tests.faults.table import MODEL
from tests.forked import Forks

Run = Callable[[Stage], Awaitable[None]]
Lane = dict[str, Run]
"""Faults that happen one after the other, by the names under which the table has them."""

QUICK_MODEL: Lane = {f"model {case}": on_model.failing(case) for case in MODEL if case != "silence"}
ACTS: tuple[tuple[Lane, ...], ...] = (
    ({"index empty": on_index.index_empty},),
    ({"index away": on_index.index_away}, {"index slow": on_index.index_slow}),
    (
        {**QUICK_MODEL, "retries under one key": on_requests.insisting},
        {"model silence": on_model.failing("silence")},
        {
            "redis flushed": on_redis.redis_flushed, "redis killed": on_redis.redis_killed,
            "redis frozen": on_redis.redis_frozen,
        },
        {"three messages in a row": on_requests.three_in_a_row, "clock an hour off": on_clock.clock_off},
    ),
    ({"api killed, worker killed": on_processes.both_killed},),
    ({"rolling restart": on_processes.rolling_restart},),
    (
        {
            "postgres restarted": on_postgres.postgres_restarted, "postgres away": on_postgres.postgres_away,
            "disk full": on_postgres.disk_full,
        },
    ),
)  # fmt: skip
"""Acts follow one another; the lanes of an act run side by side."""


@dataclass
class ShortRun:
    cluster: Cluster
    prober: Prober
    http: httpx.AsyncClient
    seed: str
    reports: dict[str, Report] = field(default_factory=dict)

    async def lane(self, lane: Lane) -> None:
        for names, run in lane.items():
            report = Report(names, runs=1)
            stage = Stage(
                self.cluster, self.prober, self.http, random.Random(f"{self.seed}/{names}"), report, patient=False
            )
            [outcome] = await asyncio.gather(run(stage), return_exceptions=True)
            if isinstance(outcome, BaseException):
                report.violations.append("".join(traceback.format_exception(outcome)[-3:]).strip())
            self.reports |= dict.fromkeys(names.split(", "), report)


async def every_fault_once(seed: str, forks: Forks) -> dict[str, Report]:
    rng = random.Random(seed)
    starting = running_cluster(lambda folder: on_clock.wrong_clock(folder, rng), forks)
    async with starting as cluster, probing(cluster) as prober, http_client() as http:
        short = ShortRun(cluster, prober, http, seed)
        for act in ACTS:
            await asyncio.gather(*(short.lane(lane) for lane in act))
        return short.reports
