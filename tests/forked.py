"""Processes of the command line that need not import it: each is a fork of one that already has.

Importing takes 2 s of computing, which is most of what a command of a test costs. What a fork does is what the script
`helpdesk` does: it has its own environment, folder, signals, threads and end. A test that is about the start itself, or
whose process needs a variable at its very beginning, starts the script.
"""

import faulthandler
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from struct import Struct
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("serving", "staying", "talking", "knowledge", "setup", "demo")
NUMBER = Struct("<i")
WAKES_S = 0.01


class Forked:
    """A running command: of `subprocess.Popen` what tests use."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._lock = connection, threading.Lock()
        self.pid = self._number()
        self.returncode: int | None = None

    def poll(self) -> int | None:
        with self._lock:
            if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
                with self._connection:
                    self.returncode = self._number()
        return self.returncode

    def wait(self, timeout: float = 60) -> int:
        until = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired("helpdesk", timeout)
            time.sleep(WAKES_S)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _number(self) -> int:
        said = self._connection.recv(NUMBER.size, socket.MSG_WAITALL)
        return int(NUMBER.unpack(said)[0])


@dataclass(frozen=True)
class Forks:
    """Starts commands; `address` is where the one waits that has imported everything, once it has."""

    address: str
    server: "subprocess.Popen[bytes]"

    def start(
        self, arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, stdin: IO[Any] | int, stdout: IO[Any],
        stderr: IO[Any],
    ) -> Forked:  # fmt: skip
        while not os.path.exists(self.address):
            assert self.server.poll() is None, "what forks has ended"
            time.sleep(WAKES_S)
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self.address)
        streams = [each if isinstance(each, int) else each.fileno() for each in (stdin, stdout, stderr)]
        request = json.dumps({"arguments": list(arguments), "env": dict(env), "cwd": str(cwd)})
        socket.send_fds(connection, [f"{request}\n".encode()], streams)
        return Forked(connection)


@contextmanager
def forking(folder: Path) -> Iterator[Forks]:
    """One that forks, for as long as the block lasts; it is still importing when the block begins."""
    address = str(folder / "forks")
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.forked", address], env={**inherited, "PYTHONPATH": str(ROOT)}, cwd=ROOT
    )
    try:
        yield Forks(address, server)
    finally:
        server.terminate()
        server.wait(10)


def serve(address: str) -> dict[str, Any]:
    """Fork for every request and tell how each ended; returns in the fork, with what was asked of it."""
    running: dict[int, socket.socket] = {}
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(f"{address}~")
    listening.listen(64)
    listening.settimeout(WAKES_S)
    os.rename(f"{address}~", address)
    while True:
        while running and (ended := os.waitpid(-1, os.WNOHANG))[0]:
            with running.pop(ended[0]) as asker, suppress(ConnectionError):  # who asked may be gone by now
                asker.send(NUMBER.pack(os.waitstatus_to_exitcode(ended[1])))
        try:
            connection, _ = listening.accept()
        except TimeoutError:
            continue
        request, streams = _receive(connection)
        if pid := os.fork():
            running[pid] = connection
            connection.send(NUMBER.pack(pid))
            for stream in streams:
                os.close(stream)
        else:
            for place, stream in enumerate(streams):
                os.dup2(stream, place)
                os.close(stream)
            for inherited in (listening, connection, *running.values()):
                inherited.close()
            return request


def _receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    said, streams, _, _ = socket.recv_fds(connection, 1 << 16, 3)
    while not said.endswith(b"\n"):
        said += connection.recv(1 << 16)
    return json.loads(said), streams


def main() -> None:
    gc.disable()
    for part in PARTS:
        import_module(f"api.cli.{part}")
    gc.freeze()
    asked = serve(sys.argv[1])
    os.setsid()
    faulthandler.enable()
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.argv = ["helpdesk", *asked["arguments"]]
    import_module("api.cli").main()


if __name__ == "__main__":
    main()
