"""The faults, how often each is to be survived, and how many repetitions may happen at the same time."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.faults import on_clock, on_index, on_model, on_postgres, on_processes, on_redis, on_requests
from tests.faults.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    name: str
    count: int
    run: Callable[[Stage], Awaitable[None]]
    """One repetition, on a cluster that is well; leaves it well."""
    together: int = 1
    """Repetitions that do not disturb one another."""


MODEL = (
    "rate_limited", "server_error", "refused", "silence", "cut", "no_finish", "length", "broken_json",
    "truncated_arguments", "empty",
)  # fmt: skip

FAULTS: tuple[Fault, ...] = (
    Fault(name="api killed", count=50, run=on_processes.api_killed),
    Fault(name="worker killed", count=50, run=on_processes.worker_killed),
    Fault(name="rolling restart", count=5, run=on_processes.rolling_restart),
    Fault(name="postgres restarted", count=20, run=on_postgres.postgres_restarted),
    Fault(name="postgres away", count=20, run=on_postgres.postgres_away),
    Fault(name="redis killed", count=20, run=on_redis.redis_killed),
    Fault(name="redis frozen", count=20, run=on_redis.redis_frozen),
    Fault(name="redis flushed", count=20, run=on_redis.redis_flushed),
    Fault(name="index away", count=10, run=on_index.index_away),
    Fault(name="index slow", count=10, run=on_index.index_slow),
    Fault(name="index empty", count=10, run=on_index.index_empty),
    *(Fault(name=f"model {case}", count=20, run=on_model.failing(case), together=2) for case in MODEL),
    Fault(name="retries under one key", count=50, run=on_requests.insisting, together=2),
    Fault(name="three messages in a row", count=50, run=on_requests.three_in_a_row, together=4),
    Fault(name="disk full", count=3, run=on_postgres.disk_full),
    Fault(name="clock an hour off", count=3, run=on_clock.clock_off),
)
"""Those that are cheap to stop at any time come in the order of the table in which they were promised."""
