"""Processes that are told to end in every phase of their life, also one that hangs. The whole product is told to in
`test_command_line.py`, and under load in `tests/faults`."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

SCENE = """
import asyncio, signal, sys, time
from api.cli import ending as how
from api.cli.opening import run
how.NAMED_S, how.LAST_S = 0.4, 0.8
ending = how.Ending()

def say(word):
    print(word, flush=True)

async def starting():
    ending.starting()
    try:
        say("there")
        await asyncio.sleep(60)
    finally:
        say("closed")

async def serving():
    ending.starting()
    ending.serving(lambda: say("stopping"))
    say("there")
    await ending.wait()
    say("closed")

async def deaf():
    ending.starting()
    say("there")
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            say("what?")

async def blocked():
    ending.starting()
    say("there")
    for _ in range(600):
        time.sleep(0.1)  # a signal in the moment before one long sleep would not wake it
"""


@contextmanager
def scene(act: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that is in the middle of it."""
    command = [sys.executable, "-c", SCENE + act]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "there\n"
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
class TestEnds:
    def test_while_it_imports(self, number: signal.Signals) -> None:
        """In the middle of something that would swallow an exception."""
        act = """
class Swallows:
    def __del__(self):
        say("there")
        for _ in range(600):
            time.sleep(0.1)
Swallows()
"""
        with scene(act) as process:
            process.send_signal(number)
            assert process.wait(5) == 0

    def test_while_it_starts(self, number: signal.Signals) -> None:
        act = """
try:
    run(starting())
except asyncio.CancelledError:
    sys.exit(0 if ending.at else 3)
"""
        with scene(act) as process:
            process.send_signal(number)
            out, _ = process.communicate(timeout=5)
            assert (out, process.returncode) == ("closed\n", 0)

    def test_while_it_serves_and_hears_it_twice(self, number: signal.Signals) -> None:
        with scene("run(serving())") as process:
            process.send_signal(number)
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=5)
            assert (out, process.returncode) == ("stopping\nclosed\n", 0)


@pytest.mark.parametrize("hangs", ["deaf", "blocked"])
def test_one_that_hangs_is_gone_at_the_deadline_and_tells_where_it_hung(hangs: str) -> None:
    with scene(f"run({hangs}())") as process:
        process.send_signal(signal.SIGTERM)
        told = time.monotonic()
        out, log = process.communicate(timeout=10)
        assert 0.7 < time.monotonic() - told < 5
        assert process.returncode == 1
        assert "Timeout" in log  # the stacks of every thread
        if hangs == "deaf":
            assert "this process does not end" in out + log
