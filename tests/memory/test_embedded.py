"""The Postgres that the product starts for itself, and what a killed process leaves behind."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from memory.embedded import embedded_postgres
from memory.errors import Misconfigured


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="helpdesk-pg-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    made.chmod(0o755)
    yield made / "data"
    shutil.rmtree(made, ignore_errors=True)


def test_a_path_that_postgres_cannot_use_is_said_to_be_one(folder: Path) -> None:
    with pytest.raises(Misconfigured, match="no space"), embedded_postgres(folder / "a b"):
        pass


def test_the_last_to_leave_stops_it_although_another_was_killed(folder: Path) -> None:
    killed = subprocess.Popen(["true"])
    killed.wait()
    with embedded_postgres(folder) as first:
        server = int((folder / "postmaster.pid").read_text().split("\n")[0])
        users = folder / ".handle_pids.json"
        users.write_text(json.dumps([*json.loads(users.read_text()), killed.pid]))
        with embedded_postgres(folder) as second:
            assert first == second
        with psycopg.connect(first.app) as connection:  # this process is still in
            connection.execute("select 1")
    assert not psutil.pid_exists(server) or psutil.Process(server).status() == psutil.STATUS_ZOMBIE
