"""Processes that die without a word, freeze, or are told to end while everybody is talking."""

import asyncio
from typing import Any

from tests.faults.client import Client
from tests.faults.processes import Process
from tests.faults.stage import Stage

CUSTOMERS = 4
STREAMS = 100
TALKING, TALKING_IN_A_SHORT_RUN = 12, 4
TURN_TAKES_S = 1.6
SLOW_TAKES_S = 5.5
EXIT_S = 30.0
TAKEN_S = 60.0


async def api_killed(stage: Stage) -> None:
    """kill -9 at a random moment of several turns: somebody else answers them again or closes them honestly."""
    cluster, rng = stage.cluster, stage.rng
    victim = rng.choice(cluster.apis)
    async with stage.customers(CUSTOMERS, prefers=victim, follows=victim) as clients:
        saying = [asyncio.create_task(_later(client, rng.uniform(0, 1))) for client in clients]
        await asyncio.sleep(rng.uniform(0.2, TURN_TAKES_S))
        victim.kill()
        killed_at = await stage.now()
        left = await _owned(stage, victim)
        await stage.fault_over()
        await stage.let_lapse(left)
        restarting = asyncio.create_task(cluster.restart(victim))
        await asyncio.gather(*saying)
        await restarting
        for client in clients:
            for promise in client.promises:
                await stage.ended(client, promise)
        await _note_takeover(stage, left, killed_at)


async def worker_killed(stage: Stage) -> None:
    """The APIs freeze in the middle of their turns, the worker takes these up and is killed with them; the APIs thaw
    with leases that are no longer theirs, and one of them brings the turns to an end."""
    cluster, rng = stage.cluster, stage.rng
    async with stage.customers(2) as clients:
        await asyncio.gather(*(client.say("slow") for client in clients))
        for api in cluster.apis:
            api.freeze()
        try:
            await stage.let_lapse([turn["id"] for turn in await stage.turns_of(*clients)])
            await _until_owned(stage, cluster.worker, clients)
            await asyncio.sleep(rng.uniform(0, SLOW_TAKES_S))
            left = await _owned(stage, cluster.worker)
            cluster.worker.kill()
            killed_at = await stage.now()
        finally:
            for api in cluster.apis:
                api.thaw()
        await stage.fault_over()
        await stage.let_lapse(left)
        cluster.worker.start()
        await cluster.worker.ready()
        for client in clients:
            for promise in client.promises:
                await stage.ended(client, promise)
        await _note_takeover(stage, left, killed_at)


async def both_killed(stage: Stage) -> None:
    """The short run's one story of both: an API dies with its turns, and then the worker that has taken them up."""
    cluster, rng = stage.cluster, stage.rng
    victim, other = cluster.apis
    async with stage.customers(CUSTOMERS, prefers=victim, follows=victim) as clients:
        await asyncio.gather(*(client.say("pausing") for client in clients))
        await asyncio.sleep(rng.uniform(0, 0.7))
        other.freeze()
        try:
            victim.kill()
            await stage.let_lapse(await _owned(stage, victim))
            await _until_owned(stage, cluster.worker, clients)
            restarting = asyncio.create_task(cluster.restart(victim))
            await asyncio.sleep(rng.uniform(0, TURN_TAKES_S))
            left, killed_at = await _owned(stage, cluster.worker), await stage.now()
            cluster.worker.kill()
        finally:
            other.thaw()
        await stage.fault_over()
        await stage.let_lapse(left)
        await restarting
        for client in clients:
            await stage.ended(client, client.promises[0])
        await _note_takeover(stage, left, killed_at)


async def rolling_restart(stage: Stage) -> None:
    """SIGTERM to one API after the other, each with open streams and running turns: no answer is lost. A short run
    ends one of them and leaves it at that."""
    cluster = stage.cluster
    ending = cluster.apis if stage.patient else cluster.apis[1:]
    async with stage.customers(STREAMS, follows=ending[0]) as clients:  # whichever ends has all of the streams
        stop, talkative = asyncio.Event(), TALKING if stage.patient else TALKING_IN_A_SHORT_RUN
        talking = [asyncio.create_task(_talk(client, stop)) for client in clients[:talkative]]
        await asyncio.sleep(0.5)
        for api in ending:
            stage.note("exit s", await api.end(), EXIT_S)
            if stage.patient:
                await cluster.restart(api)
        await stage.fault_over()
        stop.set()
        await asyncio.gather(*talking)
        turns = await stage.turns_of(*clients)
        bad = [turn["status"] for turn in turns if turn["status"] != "completed"]
        stage.expect(not bad, f"{len(bad)} of {len(turns)} turns of a rolling restart are {set(bad)}")
        stage.note("turns", len(turns))


async def _talk(client: Client, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await client.end_of(await client.say("answer"))


async def _later(client: Client, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await client.say("answer")


async def _owned(stage: Stage, process: Process) -> list[Any]:
    """The turns that a process holds; once it is dead they are the ones that it left behind."""
    held = "select id from turns where status = 'running' and owner like %s"
    return [row["id"] for row in await stage.cluster.rows(held, f"%:{process.pid}:%")]


async def _until_owned(stage: Stage, process: Process, clients: list[Client]) -> None:
    """As many of the customers' turns as are to be taken up: those that had an effect already are closed at once."""
    async with asyncio.timeout(TAKEN_S):
        while True:
            held = await _owned(stage, process)
            ended = [turn["id"] for turn in await stage.turns_of(*clients) if turn["ended_at"]]
            if len(held) + len(ended) >= len(clients):
                return
            await asyncio.sleep(0.05)


async def _note_takeover(stage: Stage, left: list[Any], killed_at: Any) -> None:
    """How long the customers of a dead process waited for the end of their turns."""
    rows = await stage.cluster.rows(
        "select ended_at from turns where id = any(%s::uuid[]) and ended_at is not null", left
    )
    for row in rows:
        stage.note("takeover s", (row["ended_at"] - killed_at).total_seconds(), 60)
