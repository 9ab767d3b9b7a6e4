"""`make bench`: the product against a tutorial's app, on one machine, against the same model, in turns.

    python -m tests.bench.run [--streams 1,8,32,128,256] [--seconds 12] [--rounds 3] [--out bench.json] [--plot bench.svg]

The measured server has one core for itself; the model, Postgres and the customers share the other. Every target is
measured once per round, one after the other, so that a noisy minute hits all of them; the round in the middle counts.
"""

import argparse
import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from statistics import median as median_of
from typing import Any

import httpx
import psutil
import psycopg
from rich.console import Console
from rich.table import Table

from memory.embedded import EmbeddedUrls, embedded_postgres
from memory.encryption import Cipher
from tests.bench import load
from tests.bench.figures import Figures, Ratio, figures, median
from tests.bench.machines import MEASURED, OTHERS, ROOT, Postgres, Server, postgres_of, serving
from tests.bench.stub import FAST_MODEL

STUB_PORT, PORT = 8100, 8101
THREADS, AROUND = 2, 5
console = Console(width=170)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One way of answering that is measured."""

    name: str
    kind: str
    """`ours` or `tutorial`: how it is spoken to."""
    command: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    asked: tuple[str, ...] = load.QUESTIONS


ANSWER_ALWAYS = """
update tenant_settings set options = options || '{"answerable_at": 0.0, "clarify_at": 0.0}'
"""
"""The stub's vectors are hashed words, by which nothing is near enough to be answered from."""
OURS = ("-m", "tests.bench.ours")
STUB_EMBEDS = {"EMBEDDING_MODEL": "text-embedding-3-small"}
TARGETS = (
    Target(name="tutorial", kind="tutorial", command=("-m", "tests.bench.tutorial")),
    Target(name="helpdesk", kind="ours", command=(*OURS, "serve"), env=STUB_EMBEDS),
    Target(name="helpdesk, local embedder", kind="ours", command=(*OURS, "serve"), env={"EMBEDDING_MODEL": "minilm"}),
    Target(name="helpdesk, unverified", kind="ours", command=(*OURS, "--unverified", "serve"), env=STUB_EMBEDS),
    Target(
        name="helpdesk, fast model", kind="ours", command=(*OURS, "serve"), asked=load.LEANING,
        env={**STUB_EMBEDS, "FAST_MODEL": FAST_MODEL},
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What the targets share."""

    folder: Path
    stub: str
    secrets: dict[str, str]
    databases: dict[str, EmbeddedUrls]
    postgres: Postgres

    def env(self, target: Target) -> dict[str, str]:
        urls = self.databases[target.env.get("EMBEDDING_MODEL", "tutorial")]
        env = {
            **self.secrets, "OPENAI_BASE_URL": f"{self.stub}/v1", "OPENAI_API_KEY": "sk-bench", "CHAT_MODEL": "stub",
            "FAST_MODEL": "", "PORT": str(PORT), "DATABASE_URL": urls.app, "DATABASE_OWNER_URL": urls.owner,
            "DATA_DIR": str(self.folder / "data"), "REQUESTS_PER_MINUTE": "1000000", "MESSAGES_PER_MINUTE": "1000000",
            "LOG_LEVEL": "WARNING", **target.env,
        }  # fmt: skip
        return {name: value for name, value in env.items() if value}

    def set_up(self, target: Target) -> None:
        """The schema, the knowledge that ships, and a tenant, as an operator would."""
        for command in (["migrate"], ["seed"], ["tenant", "add", "demo", "--widget-key", "demo"]):
            env = {**os.environ, **self.env(target)}
            subprocess.run([sys.executable, *OURS, *command], env=env, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        if "EMBEDDING_MODEL" in target.env and target.env["EMBEDDING_MODEL"] != "minilm":
            with psycopg.connect(self.databases[target.env["EMBEDDING_MODEL"]].superuser) as connection:
                connection.execute(ANSWER_ALWAYS)

    @contextmanager
    def server(self, target: Target, cores: Sequence[int] = (MEASURED,)) -> Iterator[Server]:
        env = self.env(target)
        ready = "/readyz" if target.kind == "ours" else "/livez"
        log = self.folder / "server.log"
        with serving(target.command, PORT, env, cores=cores, log=log, ready=ready) as server:
            yield server

    def log(self) -> dict[str, dict[str, float]]:
        found: dict[str, dict[str, float]] = httpx.get(f"{self.stub}/log", timeout=30).json()
        return found

    def measure(self, target: Target, server: Server, streams: int, seconds: float) -> Figures:
        asyncio.run(load.run(server.base, target.kind, streams, 2, asked=target.asked))  # connections and caches
        self.postgres.pin(OTHERS)
        before: list[float] = []

        def began() -> None:
            before.extend((server.cpu_s(), self.postgres.cpu_s(), time.monotonic()))

        turns = asyncio.run(load.run(server.base, target.kind, streams, seconds, began=began, asked=target.asked))
        server_before, postgres_before, since = before
        took = time.monotonic() - since
        return figures(
            target.name, streams, turns, self.log(), seconds=took, server_cpu_s=server.cpu_s() - server_before,
            postgres_cpu_s=self.postgres.cpu_s() - postgres_before, rss_mb=server.rss_mb(),
        )  # fmt: skip


@contextmanager
def bench() -> Iterator[Bench]:
    """Postgres, the model, and a database for each embedder, with the knowledge that ships."""
    psutil.Process().cpu_affinity([OTHERS])
    with tempfile.TemporaryDirectory(prefix="helpdesk-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        keys = {"SECRET_KEY": secrets.token_urlsafe(48), "ENCRYPTION_KEYS": Cipher.new_key()}
        with (
            embedded_postgres(folder / "postgres", database="bench") as urls,
            serving(
                ("-m", "tests.bench.stub", "--port", str(STUB_PORT)), STUB_PORT, {}, cores=[OTHERS],
                log=folder / "stub.log", ready="/log",
            ) as stub,
        ):  # fmt: skip
            server = postgres_of(folder / "postgres")
            server.pin(OTHERS)
            databases = {name: _database(urls, name) for name in ("tutorial", "minilm", "text-embedding-3-small")}
            found = Bench(folder=folder, stub=stub.base, secrets=keys, databases=databases, postgres=server)
            for target in TARGETS[1:3]:
                found.set_up(target)
            yield found


def _database(urls: EmbeddedUrls, purpose: str) -> EmbeddedUrls:
    name = f"bench_{purpose.replace('-', '_')}"
    with psycopg.connect(urls.superuser, autocommit=True) as connection:
        connection.execute(f"create database {name} owner helpdesk_owner")  # type: ignore[call-overload]
    found = EmbeddedUrls(
        **{role: getattr(urls, role).replace("/bench?", f"/{name}?") for role in ("app", "owner", "superuser")}
    )
    with psycopg.connect(found.superuser, autocommit=True) as connection:
        connection.execute("create extension if not exists vector")
        if purpose == "tutorial":  # it sets its own tables up
            connection.execute("grant create on schema public to public")
    return found


def growth(bench: Bench, target: Target, length: int) -> dict[str, Any]:
    """The cost of turn 1, 10, 50 and 200 of one conversation: the server's CPU, checkpoint bytes as written, and WAL. Each is
    taken of that turn in `THREADS` conversations and of the `AROUND` after it: the mean of a clock of 10 ms, the middle of
    bytes, which now and then shrink."""
    marks = [turn for turn in (1, 10, 50, 100, 200) if turn <= length]
    found: dict[int, list[tuple[float, float, float]]] = {mark: [] for mark in marks}
    with bench.server(target) as server:
        urls = bench.databases[target.env.get("EMBEDDING_MODEL", "tutorial")]
        asyncio.run(load.run(server.base, target.kind, 1, 3))

        async def go() -> None:
            async with load.aiohttp.ClientSession() as http:
                one = await (load.ours if target.kind == "ours" else load.tutorials)(http, server.base)
                with psycopg.connect(urls.superuser, autocommit=True) as connection:
                    for number in range(1, length + AROUND + 1):
                        mark = next((mark for mark in marks if mark <= number <= mark + AROUND), None)
                        cpu, (transaction, wal) = server.cpu_s(), _now(connection)
                        await one.ask(load.QUESTIONS[number % 6])
                        await asyncio.sleep(0.05)  # what is written after the answer
                        if mark:
                            spent, written = server.cpu_s() - cpu, _written_since(connection, transaction)
                            found[mark].append((spent * 1000, written, _now(connection)[1] - wal))

        for _ in range(THREADS):
            asyncio.run(go())
    names = (("cpu_ms", fmean), ("checkpoint_bytes", median_of), ("wal_bytes", median_of))
    return {
        str(mark): {
            name: round(middle(values), 1)
            for (name, middle), values in zip(names, zip(*turns, strict=True), strict=True)
        }
        for mark, turns in found.items()
    }


def _now(connection: psycopg.Connection[Any]) -> tuple[int, float]:
    """The oldest transaction that is not over, and the bytes of WAL so far."""
    row = connection.execute(
        "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"
    ).fetchone()
    assert row
    return int(row[0]), float(row[1])


def _written_since(connection: psycopg.Connection[Any], transaction: int) -> float:
    """Bytes of the checkpoints' rows that are from this transaction or a later one, as they are stored."""
    tables = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
    sizes = (
        f"select pg_column_size(t.*) as size from {table} t where t.xmin::text::bigint >= %(since)s" for table in tables
    )
    row = connection.execute(
        f"select coalesce(sum(size), 0) from ({' union all '.join(sizes)}) written", {"since": transaction}
    ).fetchone()
    assert row
    return float(row[0])


def show(results: list[Figures]) -> None:
    table = Table(title="over the model's own time, in ms; CPU per turn")
    for column in ("target", "streams", "turns/s", "first p50/p95/p99", "after token p50/p99", "after sentence p50/p99",
                   "total p50/p95/p99", "CPU", "Postgres", "MB", "fast", "refused", "failed"):  # fmt: skip
        table.add_column(column, justify="left" if column == "target" else "right")
    for each in results:
        first, token, sentence, total = each.first_ms, each.token_ms, each.sentence_ms, each.total_ms
        table.add_row(
            each.target, str(each.streams), f"{each.turns_per_s}", f"{first.p50}/{first.p95}/{first.p99}",
            f"{token.p50}/{token.p99}", f"{sentence.p50}/{sentence.p99}", f"{total.p50}/{total.p95}/{total.p99}",
            f"{each.server_cpu_ms}", f"{each.postgres_cpu_ms}", f"{each.rss_mb:.0f}", str(each.fast_calls),
            str(each.refused), str(each.failed),
        )  # fmt: skip
    console.print(table)


def show_ratios(ratios: list[Ratio], against: str) -> None:
    table = Table(title=f"as parts of {against}'s, round by round: the middle, and each")
    for column in ("target", "streams", "CPU", "turns/s"):
        table.add_column(column, justify="left" if column == "target" else "right")
    for each in (one.as_dict() for one in ratios):
        cpu, turns = (f"{each[f'{name}_median']:.2f}  {each[name]}" for name in ("cpu", "turns"))
        table.add_row(each["target"], str(each["streams"]), cpu, turns)
    console.print(table)


def plot(results: list[Figures], path: Path) -> None:
    """Throughput and CPU per turn by the number of streams."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for name in dict.fromkeys(each.target for each in results):
        mine = sorted((each for each in results if each.target == name), key=lambda each: each.streams)
        streams = [each.streams for each in mine]
        axes[0].plot(streams, [each.turns_per_s for each in mine], marker="o", label=name)
        axes[1].plot(streams, [each.server_cpu_ms for each in mine], marker="o", label=name)
    for axis, label in zip(axes, ("turns per second", "server CPU per turn, ms"), strict=True):
        axis.set(xscale="log", xlabel="concurrent answers", ylabel=label)
        axis.set_xticks(sorted({each.streams for each in results}), labels=None)
        axis.get_xaxis().set_major_formatter(mpl.ticker.ScalarFormatter())
        axis.grid(alpha=0.3)
    axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(path)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--streams", default="1,8,32,128,256")
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--targets", default=",".join(str(number) for number in range(len(TARGETS))))
    parser.add_argument("--thread", type=int, default=0, help="also measure one conversation of so many turns")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args(arguments)
    targets = [TARGETS[int(number)] for number in given.targets.split(",")]
    streams = [int(number) for number in given.streams.split(",")]
    rounds: dict[tuple[str, int], list[Figures]] = {}
    starts: dict[str, list[float]] = {}
    grown: dict[str, Any] = {}
    with bench() as shared:
        for number in range(given.rounds):
            for target in targets:
                with shared.server(target) as server:
                    starts.setdefault(target.name, []).append(round(server.started_s, 2))
                    for count in streams:
                        one = shared.measure(target, server, count, given.seconds)
                        rounds.setdefault((target.name, count), []).append(one)
                        console.print(f"[dim]round {number + 1}: {target.name}, {count} streams: {one.turns_per_s}/s, "
                                      f"{one.server_cpu_ms} ms CPU[/dim]")  # fmt: skip
        if given.thread:
            grown = {target.name: growth(shared, target, given.thread) for target in targets[:2]}
    results = [median(rounds[target.name, count]) for count in streams for target in targets]
    ratios = [
        Ratio.of(rounds[target.name, count], rounds[targets[0].name, count])
        for count in streams for target in targets[1:]
    ]  # fmt: skip
    show(results)
    show_ratios(ratios, targets[0].name)
    console.print(f"seconds to ready: {starts}")
    if grown:
        console.print_json(json.dumps(grown))
    if given.out:
        document = {"results": [each.as_dict() for each in results], "seconds_to_ready": starts, "one_thread": grown,
                    "ratios": [each.as_dict() for each in ratios],
                    "rounds": [each.as_dict() for all_ in rounds.values() for each in all_]}  # fmt: skip
        given.out.write_text(json.dumps(document, indent=1) + "\n")
    if given.plot:
        plot(results, given.plot)


if __name__ == "__main__":
    main(sys.argv[1:])
