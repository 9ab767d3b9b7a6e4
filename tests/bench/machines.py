"""The processes of a benchmark, each on its core: what is measured on the first, all else on the second."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

ROOT = Path(__file__).parents[2]
MEASURED, OTHERS = 0, max(0, (os.cpu_count() or 1) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A started process, its address, and how long it took until it answered."""

    process: psutil.Process
    base: str
    started_s: float

    def cpu_s(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def rss_mb(self) -> float:
        return float(self.process.memory_info().rss) / 2**20


@contextmanager
def serving(
    command: Sequence[str], port: int, env: dict[str, str], *, cores: Sequence[int], log: Path, ready: str = "/livez"
) -> Iterator[Server]:
    """Run until the block ends, with its bytecode kept as where it is installed; raises RuntimeError with the end of its
    log where it does not come up."""
    env = {**os.environ, **env, "PYTHONDONTWRITEBYTECODE": ""}
    started = time.monotonic()
    with log.open("ab") as output:
        process = subprocess.Popen([sys.executable, *command], cwd=ROOT, env=env, stdout=output, stderr=output)
    psutil.Process(process.pid).cpu_affinity(list(cores))
    base = f"http://127.0.0.1:{port}"
    try:
        while not answers(base + ready):
            if process.poll() is not None or time.monotonic() - started > 120:
                raise RuntimeError(f"{command[1]} did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.02)
        yield Server(process=psutil.Process(process.pid), base=base, started_s=time.monotonic() - started)
    finally:
        process.terminate()
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


@dataclass(frozen=True, slots=True)
class Postgres:
    """The server's processes, which come and go with connections."""

    postmaster: psutil.Process

    def pin(self, core: int) -> None:
        for process in self._all():
            process.cpu_affinity([core])

    def cpu_s(self) -> float:
        """Of all that live now: read before connections close."""
        total = 0.0
        for process in self._all():
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
        return total

    def _all(self) -> list[psutil.Process]:
        return [self.postmaster, *self.postmaster.children(recursive=True)]


def postgres_of(data: Path) -> Postgres:
    """The server whose data lie in this folder."""
    found = next(data.rglob("postmaster.pid"))
    return Postgres(psutil.Process(int(found.read_text().split()[0])))
