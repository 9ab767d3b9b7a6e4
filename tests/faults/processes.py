"""One process of the product, as compose would start it: with its settings in the environment and its log in a file."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import httpx

from tests.browser.wire import Wire
from tests.faults.servers import free_port
from tests.forked import Forked, Forks

ROOT = Path(__file__).resolve().parents[2]
HELPDESK = [sys.executable, "-c", "from api.cli import main; main()"]
READY_S = 60


@dataclass
class Process:
    """`helpdesk serve --no-worker` or `helpdesk worker`; what it said stays in `log` over all its lives."""

    kind: Literal["serve", "worker"]
    name: str
    settings: dict[str, str]
    log: Path
    knowledge: Wire
    """Between it and the knowledge base."""
    port: int = field(default_factory=free_port)
    frozen: bool = False
    ending: bool = False
    """It was told to end, so that it rightly says that it is not ready."""
    ready_since: float = 0.0
    changed: dict[str, str] = field(default_factory=dict)
    """Settings that only this process has, until it is started with others."""
    forks: Forks | None = None
    """What starts it in a short run, unless something is to be loaded before it."""
    _running: "subprocess.Popen[bytes] | Forked | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._running
        return self._running.pid

    @property
    def alive(self) -> bool:
        return self._running is not None and self._running.poll() is None

    @property
    def answers(self) -> bool:
        """Whether a client may expect an answer from it."""
        return self.alive and self.ready_since > 0 and not self.frozen and not self.ending

    def start(self, **settings: str) -> None:
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        environment = {**inherited, "PYTHONPATH": str(ROOT), **self.settings, "PORT": str(self.port), **settings}
        arguments = [self.kind, *(["--no-worker"] if self.kind == "serve" else [])]
        with self.log.open("ab") as log:
            self._running = (
                self.forks.start(arguments, env=environment, cwd=self.log.parent, stdin=0, stdout=log, stderr=log)
                if self.forks and "LD_PRELOAD" not in environment
                else subprocess.Popen(
                    [*HELPDESK, *arguments], env=environment, cwd=self.log.parent, stdout=log, stderr=log,
                    start_new_session=True,
                )
            )  # fmt: skip
        self.frozen = self.ending = False
        self.changed = settings
        self.ready_since = 0.0

    async def ready(self) -> None:
        """Wait until it serves; a worker is ready once it has said so to the database, which its caller looks at."""
        if self.kind == "worker":
            self.ready_since = time.monotonic()
            return
        until = time.monotonic() + READY_S
        async with httpx.AsyncClient(base_url=self.url, timeout=5) as http:
            while not await _serves(http):
                if self.alive and time.monotonic() > until:
                    os.kill(self.pid, signal.SIGABRT)  # a fork then writes into its log where it is
                    await asyncio.sleep(1)
                if not self.alive:
                    raise RuntimeError(f"{self.name} did not start:\n{self.log.read_text()[-4000:]}")
                await asyncio.sleep(0.05)
        self.ready_since = time.monotonic()

    def kill(self) -> None:
        """No warning, no last word."""
        if self.alive:
            assert self._running
            self._running.kill()
            self._running.wait(5)
        self.ready_since = 0.0

    def freeze(self) -> None:
        self.frozen = True
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)
        self.frozen = False

    async def end(self, within_s: float = 60) -> float:
        """SIGTERM, and how many seconds it took to be gone."""
        assert self._running
        self.ending, began = True, time.monotonic()
        self._running.terminate()
        await asyncio.to_thread(self._running.wait, within_s)
        self.ready_since = 0.0
        return time.monotonic() - began


async def _serves(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False
