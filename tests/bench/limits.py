"""`make limits`: how the product bears many who only listen, far too many who ask, and half an hour of work; and how soon
it is there.

    python -m tests.bench.limits [start idle overload soak] [--minutes 30] [--out limits.json]

The same machines as in `make bench`: the server has one core, everything else the other. A start has both.
"""

import argparse
import asyncio
import itertools
import json
import os
import secrets
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import psutil
from rich.console import Console

from tests.bench import load
from tests.bench.figures import Spread
from tests.bench.machines import ROOT, Server
from tests.bench.run import OURS, TARGETS, Bench, bench

HELPDESK = TARGETS[1]
LISTENERS = 2000
QUIET_CUSTOMERS = 4
OVERLOADED_S = 20.0
STARTS = 6
PARTS = ("start", "idle", "overload", "soak")
console = Console(width=150)


def client() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=None, connect=60), connector=aiohttp.TCPConnector(limit=0)
    )


def start(shared: Bench) -> dict[str, Any]:
    """Seconds until `/readyz` says yes: of the first start, and of those that find what it left."""
    took = []
    for _ in range(STARTS):
        with shared.server(HELPDESK, cores=range(os.cpu_count() or 1)) as server:
            took.append(round(server.started_s, 2))
    return {"first_s": took[0], "later_s": took[1:]}


async def idle(server: Server) -> dict[str, Any]:
    """Two thousand open streams in which nothing happens: their memory, and what others wait for an answer."""
    async with client() as http:
        await load.run(server.base, "ours", 8, 3)
        reader = await load.ours(http, server.base)
        await reader.ask(load.QUESTIONS[0])
        before, alone = server.rss_mb(), await _reads(http, reader)
        listening = [asyncio.create_task(_listen(http, server.base)) for _ in range(LISTENERS)]
        await asyncio.gather(*(task for task in listening))
        cpu, began = server.cpu_s(), time.monotonic()
        among = await _reads(http, reader)
        found = {
            "streams": LISTENERS, "more_mb": round(server.rss_mb() - before, 1),
            "reads_alone_ms": _plain(alone),
            "reads_among_them_ms": _plain(among),
            "server_cpu_share": round((server.cpu_s() - cpu) / (time.monotonic() - began), 3),
        }  # fmt: skip
        for task in listening:
            task.result().close()
    return found


async def _listen(http: aiohttp.ClientSession, base: str) -> aiohttp.ClientResponse:
    """A customer's page that is open."""
    async with SETTING_UP:
        one = await load.ours(http, base)
        url = one.url.removesuffix("/messages") + "/events"
        answer = await http.get(url, headers=one.headers)
        assert answer.status == 200, await answer.text()
        await answer.content.readline()
        return answer


SETTING_UP = asyncio.Semaphore(16)


async def _reads(http: aiohttp.ClientSession, reader: load.Customer) -> Spread:
    """A history is read fifty times a second."""
    took = []
    for _ in range(500):
        began = time.monotonic()
        async with http.get(reader.url, headers=reader.headers) as answer:
            assert answer.status == 200
            await answer.read()
        took.append(time.monotonic() - began)
        await asyncio.sleep(0.02)
    return Spread.of(took)


async def overload(server: Server) -> dict[str, Any]:
    """One tenant asks four times what the server can do; another has four customers, before, meanwhile and after."""
    await load.run(server.base, "ours", 8, 3)
    capacity = len([turn for turn in await load.run(server.base, "ours", 64, 10) if turn.status == 200]) / 10
    async with client() as http:
        alone = await _quiet(http, server.base, 10)
        noise = asyncio.create_task(_noise(http, server.base, 4 * capacity))
        await asyncio.sleep(2)  # until it is full
        meanwhile = await _quiet(http, server.base, OVERLOADED_S - 2)
        answers, without = await noise
        ended = time.monotonic()
        usual = 1.5 * alone.p95 / 1000
        while time.monotonic() - ended < 60:
            turn = await (await load.ours(http, server.base, "quiet")).ask(load.QUESTIONS[0])
            if turn.status == 200 and turn.ended and turn.ended - turn.asked <= usual:
                break
        normal_s = time.monotonic() - ended
    return {
        "turns_per_s_at_64": round(capacity, 1), "asked_per_s": round(4 * capacity, 1),
        "statuses": {str(status): count for status, count in sorted(answers.items())},
        "refused_without_retry_after": without, "quiet_alone_ms": _plain(alone), "quiet_meanwhile_ms": _plain(meanwhile),
        "ratio_p95": round(meanwhile.p95 / alone.p95, 2), "normal_after_s": round(normal_s, 1),
    }  # fmt: skip


async def _quiet(http: aiohttp.ClientSession, base: str, seconds: float) -> Spread:
    """What a few customers of the other tenant wait for their whole answers."""
    took: list[float] = []
    until = time.monotonic() + seconds

    async def customer(number: int) -> None:
        one = await load.ours(http, base, "quiet")
        for question in itertools.islice(itertools.cycle(load.QUESTIONS), number, None):
            if time.monotonic() >= until:
                return
            turn = await one.ask(question)
            assert turn.status == 200, turn.status
            assert turn.ended is not None
            took.append(turn.ended - turn.asked)
            await asyncio.sleep(0.2)

    await asyncio.gather(*(customer(number) for number in range(QUIET_CUSTOMERS)))
    return Spread.of(took)


async def _noise(http: aiohttp.ClientSession, base: str, per_s: float) -> tuple[Counter[int], int]:
    """Questions at a steady pace, whether or not there are answers; each from a customer who is not waiting for one."""
    free: list[load.Customer] = []
    answers: Counter[int] = Counter()
    without = 0

    async def ask() -> None:
        nonlocal without
        one = free.pop() if free else await load.ours(http, base)
        body = {"message": f"{load.QUESTIONS[0]} (ref {secrets.token_hex(4)})"}
        try:
            async with http.post(one.url, json=body, headers=one.headers) as answer:
                answers[answer.status] += 1
                without += answer.status in (429, 503) and "Retry-After" not in answer.headers
                await answer.read()
        except aiohttp.ClientError:
            answers[0] += 1
        free.append(one)

    began, tasks = time.monotonic(), []
    while (now := time.monotonic() - began) < OVERLOADED_S:
        while len(tasks) < now * per_s:
            tasks.append(asyncio.create_task(ask()))
        await asyncio.sleep(0.005)
    _, late = await asyncio.wait(tasks, timeout=0.1)
    ended = asyncio.gather(*late, return_exceptions=True)
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(ended), 0.1)
    return answers, without


async def soak(server: Server, minutes: float) -> dict[str, Any]:
    """128 streams for so long: how memory grows, by the minute, and in the second half as a slope."""
    memory: list[tuple[float, float]] = []
    process, began = server.process, time.monotonic()

    async def watch() -> None:
        while True:
            memory.append(((time.monotonic() - began) / 60, process.memory_info().rss / 2**20))
            await asyncio.sleep(5)

    watching = asyncio.create_task(watch())
    turns = await load.run(server.base, "ours", 128, minutes * 60)
    watching.cancel()
    later = [(at, mb) for at, mb in memory if at > minutes / 2]
    slope = (
        float(np.polyfit([at for at, _ in later], [mb for _, mb in later], 1)[0]) if len(later) > 2 else float("nan")
    )
    return {
        "minutes": minutes, "turns": sum(turn.status == 200 for turn in turns),
        "others": dict(Counter(str(turn.status) for turn in turns if turn.status != 200)),
        "most_mb": round(max(mb for _, mb in memory)), "slope_mb_per_min": round(slope, 3),
        "memory_mb": [round(mb) for _, mb in memory[:: max(1, len(memory) // 30)]],
    }  # fmt: skip


def _plain(spread: Spread) -> dict[str, float]:
    return {"p50": spread.p50, "p95": spread.p95, "p99": spread.p99}


def _other_tenant(shared: Bench) -> None:
    env = {**os.environ, **shared.env(HELPDESK)}
    command = [sys.executable, *OURS, "tenant", "add", "quiet", "--widget-key", "quiet"]
    subprocess.run(command, env=env, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], default=[])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    parts = given.parts or PARTS
    found: dict[str, Any] = {}
    with bench() as shared:
        _other_tenant(shared)
        psutil.Process().cpu_affinity([max(0, (os.cpu_count() or 1) - 1)])
        for part in parts:
            if part == "start":
                found[part] = start(shared)
            else:
                with shared.server(HELPDESK) as server:
                    work = {"idle": idle, "overload": overload}.get(part)
                    found[part] = asyncio.run(work(server) if work else soak(server, given.minutes))
            console.print_json(json.dumps({part: found[part]}))
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
