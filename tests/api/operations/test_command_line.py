"""The product as a person starts it: processes of the command line on a data folder of their own."""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from agent.settings import Settings
from api.cli.talking import connect
from memory.encryption import Cipher
from tests.conftest import Cluster
from tests.forked import Forks
from tests.machine import usual

HELPDESK = Path(sys.executable).parent / "helpdesk"


@dataclass
class Installation:
    """A data folder and the environment that points to it."""

    folder: Path
    port: int
    settings: dict[str, str] = field(default_factory=dict)
    forks: Forks | None = None
    """What runs its commands; the script itself where there is none."""

    @property
    def env(self) -> dict[str, str]:
        clean = {
            name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
        }
        return {
            **clean,
            "DATA_DIR": str(self.folder / "data"),
            "PORT": str(self.port),
            "COLUMNS": "200",
            **self.settings,
        }

    def run(self, *arguments: str, given: str = "", code: int = 0) -> str:
        """Run a command to its end in an empty folder, where no `.env` lies."""
        with tempfile.TemporaryFile("w+") as stdin, tempfile.TemporaryFile("w+") as stdout:
            stdin.write(given)
            stdin.seek(0)
            how = {"env": self.env, "cwd": self.folder, "stdin": stdin, "stdout": stdout, "stderr": stdout}
            done = self.forks.start(arguments, **how) if self.forks else subprocess.Popen([HELPDESK, *arguments], **how)
            done.wait(60)
            stdout.seek(0)
            said = stdout.read()
        assert done.returncode == code, said
        return said

    def serve(self) -> "subprocess.Popen[str]":
        with (self.folder / "serve.log").open("w") as log:
            server = subprocess.Popen(
                [HELPDESK, "serve"], env=self.env, cwd=self.folder, stdout=log, stderr=subprocess.STDOUT, text=True
            )
        for _ in range(600):
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/readyz").status_code == 200:
                    return server
            except httpx.HTTPError:
                time.sleep(0.05)
            assert server.poll() is None, (self.folder / "serve.log").read_text()
        raise AssertionError("not ready in time")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="helpdesk-cli-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def embedded(folder: Path) -> Installation:
    """Nothing is set: the product brings its own database."""
    (folder / "embedded").mkdir()
    return Installation(folder / "embedded", free_port())


@pytest.fixture(scope="module")
def installation(folder: Path, postgres: Cluster, seeded: str, forks: Forks) -> Installation:
    """On a database that is there, as in production."""
    urls = postgres.clone(seeded)
    settings = {
        "DATABASE_URL": urls.app, "DATABASE_OWNER_URL": urls.owner, "SECRET_KEY": "x" * 40,
        "ENCRYPTION_KEYS": Cipher.new_key(),
    }  # fmt: skip
    made = Installation(folder, free_port(), settings, forks)
    made.run("tenant", "add", "demo", "--widget-key", "demo")
    return made


@pytest.fixture(scope="module")
def server(installation: Installation) -> Iterator["subprocess.Popen[str]"]:
    started = installation.serve()
    yield started
    if started.poll() is None:
        started.send_signal(signal.SIGTERM)
        started.wait(20)


class TestWithoutAnything:
    def test_the_first_question_is_answered(self, embedded: Installation) -> None:
        """No key, no database, no server: everything is set up on the way."""
        answer = embedded.run("ask", "How do I reset my mailbox password?")
        assert "[1]" in answer
        assert "email-reset-password" in answer

    def test_the_demo_tenant_is_there_and_has_no_users(self, embedded: Installation) -> None:
        listed = embedded.run("tenant", "list")
        assert "demo" in listed
        assert "active" in listed

    def test_an_error_is_one_line(self, embedded: Installation) -> None:
        (embedded.folder / ".env").write_text("NO_SUCH_SETTING=1\n")
        try:
            said = embedded.run("tenant", "list", code=1)
        finally:
            (embedded.folder / ".env").unlink()
        assert "NO_SUCH_SETTING" in said
        assert "Traceback" not in said


class TestOnADatabase:
    def test_migrate_and_seed_are_safe_to_repeat(self, installation: Installation) -> None:
        assert "up to date" in installation.run("migrate")
        said = installation.run("seed")
        assert "hosting: 0 added, 0 changed, 42 unchanged, 0 removed; 0 passages embedded" in said


class TestWithServer:
    def test_ask_talks_to_it(self, installation: Installation, server: "subprocess.Popen[str]") -> None:
        before = time.perf_counter()
        assert "email-reset-password" in installation.run("ask", "How do I reset my mailbox password?")
        assert time.perf_counter() - before < usual(20)

    def test_chat_is_a_conversation(self, installation: Installation, server: "subprocess.Popen[str]") -> None:
        said = installation.run("chat", given="How do I set up my mailbox on an iPhone?\nand on Android?\n\n")
        assert "Hello" in said
        assert "Android" in said

    def test_the_demo_tells_the_whole_story(self, installation: Installation, server: "subprocess.Popen[str]") -> None:
        for _ in range(2):  # the account that it lends itself is closed in between
            said = installation.run("demo")
            assert "Ada claims the conversation" in said
            assert re.search(r"status resolved, priority normal, assigned to Ada", said)
            trail = said[said.index("status resolved") :]
            told = ["claimed", "reply", "note", "handoff_resolved", "in_progress to resolved"]
            assert sorted(told, key=trail.index) == told

    def test_the_first_admin_signs_in(self, installation: Installation, server: "subprocess.Popen[str]") -> None:
        installation.run("user", "add", "ada@example.com", "--role", "admin", given="a long password\n")
        body = {"email": "ada@example.com", "password": "a long password"}
        answer = httpx.post(f"http://127.0.0.1:{installation.port}/api/v1/auth/login", json=body)
        assert answer.status_code == 200
        assert "at least 10" in installation.run("user", "add", "b@example.com", given="short\n", code=1)
        held = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        installation.run("user", "password", "Ada@example.com", given="another long password\n")
        again = [httpx.post(f"http://127.0.0.1:{installation.port}/api/v1/auth/login", json={**body, "password": given})
                 for given in ("a long password", "another long password")]  # fmt: skip
        assert [each.status_code for each in again] == [401, 200]
        assert httpx.get(f"http://127.0.0.1:{installation.port}/api/v1/auth/me", headers=held).status_code == 401
        assert "no user" in installation.run("user", "password", "b@example.com", given="another one, long\n", code=1)
        assert "taken" in installation.run("user", "add", "ada@example.com", given="a long password\n", code=1)

    def test_a_tenant_is_added_suspended_and_let_in_again(
        self, installation: Installation, server: "subprocess.Popen[str]"
    ) -> None:
        key = re.search(r"wk_[\w-]+", installation.run("tenant", "add", "acme"))
        assert key
        url = f"http://127.0.0.1:{installation.port}/api/v1/chat/sessions"
        headers = {"X-Widget-Key": key.group()}
        assert httpx.post(url, headers=headers).status_code == 201
        installation.run("tenant", "suspend", "acme")
        assert httpx.post(url, headers=headers).status_code == 401
        installation.run("tenant", "suspend", "acme", "--lift")
        assert httpx.post(url, headers=headers).status_code == 201

    def test_a_folder_is_ingested_and_followed_as_it_changes(
        self, installation: Installation, server: "subprocess.Popen[str]"
    ) -> None:
        folder = installation.folder / "handbook"
        folder.mkdir()
        note = folder / "espresso.md"
        note.write_text("# Espresso machine\n\nThe espresso machine in the office is descaled every third Friday.\n")
        (folder / "parking.md").write_text("# Parking\n\nGuests park their bicycles in the yard behind the office.\n")
        assert "2 added" in installation.run("ingest", str(folder))
        question = "When is the espresso machine descaled?"
        assert "third Friday" in installation.run("ask", question)
        note.write_text("# Espresso machine\n\nThe espresso machine in the office is descaled every second Monday.\n")
        assert "1 changed, 1 unchanged" in installation.run("ingest", str(folder))
        answer = installation.run("ask", question)
        assert "second Monday" in answer
        assert "third Friday" not in answer
        note.unlink()
        assert "1 removed" in installation.run("ingest", str(folder))
        assert "Monday" not in installation.run("ask", question)

    def test_reindex_makes_everything_anew(self, installation: Installation, server: "subprocess.Popen[str]") -> None:
        installation.run("reindex", "--tenant", "demo")
        assert "email-reset-password" in installation.run("ask", "How do I reset my mailbox password?")

    def test_sigterm_lets_an_idle_stream_go_and_ends_cleanly(
        self, installation: Installation, server: "subprocess.Popen[str]"
    ) -> None:
        base = f"http://127.0.0.1:{installation.port}/api/v1/chat/sessions"
        opened = httpx.post(base, headers={"X-Widget-Key": "demo"}).json()
        headers = {"Authorization": f"Bearer {opened['visitor_token']}"}
        with httpx.stream("GET", f"{base}/{opened['session_id']}/events", headers=headers, timeout=30) as answer:
            lines = answer.iter_lines()
            assert next(lines)
            server.send_signal(signal.SIGTERM)
            rest = list(lines)
        assert any(line.startswith("retry:") for line in rest)
        assert server.wait(20) == 0
        log = (installation.folder / "serve.log").read_text()
        assert "Traceback" not in log
        assert opened["visitor_token"] not in log


class TestAnAddressOfIpv6:
    async def test_is_where_questions_are_put(self) -> None:
        async def alive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            await writer.drain()
            writer.close()

        try:
            server = await asyncio.start_server(alive, "::1", 0)
        except OSError:
            pytest.skip("no IPv6 on this machine")
        async with server:
            port = server.sockets[0].getsockname()[1]
            async with connect(Settings.load(None, HOST="::1", PORT=port)) as client:
                assert (await client.get("/livez")).status_code == 200
