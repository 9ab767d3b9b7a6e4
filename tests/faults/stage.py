"""Where one fault happens: its customers, what it measured, and everything that did not hold afterwards."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import quantiles
from time import monotonic
from typing import Any

import httpx

from tests.faults.client import Client, Promise, opened
from tests.faults.cluster import Cluster
from tests.faults.invariants import secrets_in, violations
from tests.faults.prober import TRUTH_S, Prober
from tests.faults.processes import Process

SEEN_WITHIN_S = 25.0
"""After the last turn's end: without Redis and notifications a watcher looks at the rows every 20 s."""
GO_ON = 12
"""Customers of a repetition, at most, who ask once more when all is over."""
ASK_S = 0.2
TURN_S = 35.0
"""A turn that is not hurt itself takes no longer than this."""


@dataclass
class Report:
    """What became of one fault's repetitions."""

    name: str
    runs: int = 0
    violations: list[str] = field(default_factory=list)
    figures: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    limits: dict[str, float] = field(default_factory=dict)
    """Most that a figure's largest value may be."""
    usual: dict[str, float] = field(default_factory=dict)
    """Most that a figure's p95 may be."""
    skipped: str = ""

    @property
    def over(self) -> list[str]:
        """What was promised of the figures and did not come."""
        reached = [(name, limit, max(self.figures[name], default=0)) for name, limit in self.limits.items()]
        reached += [(f"p95 of {name}", limit, self.p95(name)) for name, limit in self.usual.items()]
        return [
            f"{name}: {value:.2f}, at most {limit:g} was promised" for name, limit, value in reached if value > limit
        ]

    def p95(self, name: str) -> float:
        return percentile(self.figures[name], 95)


def percentile(values: list[float], which: int) -> float:
    return quantiles(values, n=100, method="inclusive")[which - 1] if len(values) > 1 else values[0]


@dataclass
class Stage:
    """One fault on a cluster. `patient` waits as long as the world does; otherwise leases lapse when they are told to."""

    cluster: Cluster
    prober: Prober
    http: httpx.AsyncClient
    rng: random.Random
    report: Report
    patient: bool
    fault_ended: Any = None
    _read: dict[str, int] = field(default_factory=dict)

    def expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.report.violations.append(otherwise)

    def note(self, figure: str, value: float, most: float | None = None) -> None:
        self.report.figures[figure].append(value)
        if most is not None:
            self.report.limits[figure] = most

    def note_usual(self, figure: str, value: float, most: float) -> None:
        """A value of which the p95 over all repetitions may be at most so much."""
        self.report.figures[figure].append(value)
        self.report.usual[figure] = most

    async def told(self, process: Process, part: str, state: str) -> None:
        """Until `/readyz` says so of a part that is served without."""
        began = monotonic()
        said = "nothing"
        while said != state and monotonic() < began + TRUTH_S:
            said = (await self.http.get(f"{process.url}/readyz")).json()[part]
            await asyncio.sleep(ASK_S)
        self.expect(said == state, f"/readyz said {part} was {said} {TRUTH_S:g} s after it was {state}")
        self.note("/readyz s", monotonic() - began, TRUTH_S + ASK_S)

    async def now(self) -> Any:
        """The database's time."""
        [row] = await self.cluster.rows("select clock_timestamp() as now")
        return row["now"]

    async def fault_over(self) -> None:
        """From here on everything has 60 s to be well again."""
        self.fault_ended = await self.now()

    def client(self, prefers: Process | None = None, follows: Process | None = None) -> Client:
        cluster = self.cluster
        return Client(
            http=self.http, doors=lambda: cluster.doors, widget_key=cluster.tenant.widget_key,
            rng=random.Random(self.rng.random()), prefers=prefers.url if prefers else None,
            follows=follows.url if follows else None,
        )  # fmt: skip

    @asynccontextmanager
    async def customers(
        self, count: int, prefers: Process | None = None, follows: Process | None = None
    ) -> AsyncIterator[list[Client]]:
        """Customers in sessions of their own; when the block ends, everything that must hold is checked."""
        began = monotonic()
        async with opened([self.client(prefers, follows) for _ in range(count)]) as clients:
            yield clients
            await asyncio.gather(*(self._settle(client) for client in clients))
            await self._note_lag(clients)
            await asyncio.gather(*(self._goes_on(client) for client in clients[:GO_ON]))
            ended = self.fault_ended or await self.now()
            self.report.violations += await violations(self.cluster, clients, ended)
        self.report.violations += self.prober.wrong(began)
        self._look_for_secrets(clients)

    async def _settle(self, client: Client) -> None:
        """Until every turn has ended and the client has seen the last row."""
        for promise in client.promises:
            await self.ended(client, promise)
        await self._seen(client)

    async def _note_lag(self, clients: list[Client]) -> None:
        """How long after a turn's end its customer saw it, whatever had become of the connection."""
        seen = {turn: at for client in clients for turn, (_, at) in client.ended.items()}
        for turn in await self.turns_of(*clients):
            if str(turn["id"]) in seen:
                self.note("end seen after s", seen[str(turn["id"])] - turn["ended_at"].timestamp(), SEEN_WITHIN_S)

    async def _goes_on(self, client: Client) -> None:
        """Whatever became of the last turn: the next one is answered, with a history that the model takes."""
        how = await self.ended(client, await client.say("quick"))
        self.expect(how == "completed", f"the turn after the fault was {how}")
        await self._seen(client)

    async def _seen(self, client: Client) -> None:
        """Until the client has every row, and each stream of a message has come to its turn's end."""
        asked = "select last_n from chat_sessions where id = %s"
        try:
            async with asyncio.timeout(SEEN_WITHIN_S):
                while (
                    not client.rows
                    or client.rows[-1][0] < (await self.cluster.rows(asked, client.session_id))[0]["last_n"]
                ):
                    await asyncio.sleep(0.05)
                await client.all_streamed()
        except TimeoutError:
            self.report.violations.append(
                f"a client has not seen every row and every stream's end after {SEEN_WITHIN_S} s"
            )

    async def ended(self, client: Client, promise: Promise) -> str:
        try:
            return await client.end_of(promise)
        except TimeoutError:
            self.report.violations.append(f"turn {promise.turn_id} has not ended for its client")
            return "nothing"

    def _look_for_secrets(self, clients: list[Client]) -> None:
        hidden = [*self.cluster.secrets, *(client.token for client in clients)]
        for process in self.cluster.processes:
            found, self._read[process.name] = secrets_in(process.log, hidden, self._read.get(process.name, 0))
            self.report.violations += found

    async def turns_of(self, *clients: Client) -> list[dict[str, Any]]:
        sessions = [client.session_id for client in clients]
        return await self.cluster.rows("select * from turns where session_id = any(%s::uuid[]) order by id", sessions)

    async def let_lapse(self, turns: list[Any]) -> None:
        """In a short run the leases of a silent process end now instead of within 15 s."""
        if not self.patient:
            lapse = "update turns set lease_until = clock_timestamp() where id = any(%s::uuid[]) and status = 'running'"
            await self.cluster.rows(lapse, turns)
