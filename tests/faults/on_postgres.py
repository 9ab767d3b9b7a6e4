"""A database that restarts, stays away, or has no room left."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from tests.faults.client import Client
from tests.faults.stage import Stage

AWAY_S = 20.0
AWAY_IN_A_SHORT_RUN_S = 3.0
ROUTES_IN_A_SHORT_RUN = 12
NO_SUCH = "01890000-0000-7000-8000-000000000000"
WRITES = ("post", "put", "patch", "delete")


async def postgres_restarted(stage: Stage) -> None:
    """Ended at once and started again in the middle of turns; the turns go on or are closed, messages are kept."""
    async with stage.customers(3) as clients:
        async with _in_the_middle(stage, clients):
            with stage.cluster.database_away():
                await asyncio.to_thread(stage.cluster.postgres.stop)
                await asyncio.to_thread(stage.cluster.postgres.start)
            await stage.fault_over()
        await stage.let_lapse([turn["id"] for turn in await stage.turns_of(*clients)])
        await _note_recovery(stage, clients)


async def postgres_away(stage: Stage) -> None:
    """Gone for a while: nothing is accepted that is not stored, every write says 503 and when to come again."""
    async with stage.customers(3) as clients:
        async with _in_the_middle(stage, clients):
            with stage.cluster.database_away():
                await asyncio.to_thread(stage.cluster.postgres.stop)
                away = asyncio.sleep(AWAY_S if stage.patient else AWAY_IN_A_SHORT_RUN_S)
                late = asyncio.create_task(clients[0].say("quick"))
                refused, *_ = await asyncio.gather(
                    _every_write(stage, clients[0]), _a_message_is_refused(stage, clients[0]), away
                )
                await asyncio.to_thread(stage.cluster.postgres.start)
            await stage.fault_over()
            await stage.let_lapse([turn["id"] for turn in await stage.turns_of(*clients)])
            stage.note("first message s", await _first_message(stage, clients[1]), 10)
            await late
        stage.note("refused writes", refused)
        await _note_recovery(stage, clients)


async def disk_full(stage: Stage) -> None:
    """No byte is free where the tables are: reads work, writes say why, and nobody restarts anything afterwards."""
    postgres = stage.cluster.postgres
    if not postgres.disk:
        stage.report.skipped = "needs the right to mount a small file system"
        return
    async with stage.customers(1) as clients:
        [client] = clients
        await client.end_of(await client.say("quick"))
        with stage.cluster.database_away():
            await asyncio.to_thread(postgres.fill_disk)
            try:
                await _until_refused(stage, client)
                history = await client.http.get(
                    f"{stage.cluster.doors[0]}{client.path}/messages", headers=client.headers
                )
                stage.expect(history.status_code == 200, f"reading on a full disk: {history.status_code}")
            finally:
                postgres.free_disk()
        await stage.fault_over()
        await client.end_of(await client.say("quick"))


async def _until_refused(stage: Stage, client: Client) -> None:
    """Say things until the room that was set aside is used up; each is stored, or refused with a reason."""
    path = f"{stage.cluster.doors[0]}{client.path}/messages"
    for n in range(400):
        body = {"message": f"{stage.rng.randbytes(1700).hex()} (case quick {n:x})"}  # what does not compress
        headers = {**client.headers, "Prefer": "respond-async"}
        answer = await client.http.post(path, json=body, headers=headers)
        if answer.status_code == 503:
            stage.expect("retry-after" in answer.headers, "a 503 without Retry-After on a full disk")
            stage.expect("no room" in answer.json()["detail"], f"a full disk is called {answer.json()['detail']!r}")
            return
        stage.expect(answer.status_code == 202, f"a message on a full disk: {answer.status_code}")
    stage.expect(False, "a full disk refused nothing")


@asynccontextmanager
async def _in_the_middle(stage: Stage, clients: list[Client]) -> AsyncIterator[None]:
    """The block happens at a random moment of turns that have begun."""
    saying = [asyncio.create_task(client.say("answer")) for client in clients]
    await asyncio.sleep(stage.rng.uniform(0.1, 1.6))
    yield
    await asyncio.gather(*saying)


async def _note_recovery(stage: Stage, clients: list[Client]) -> None:
    """How long it took, and that a turn of which nobody has seen anything goes on instead of being given up."""
    for client in clients:
        for promise in client.promises:
            await stage.ended(client, promise)
    for turn in await stage.turns_of(*clients):
        if turn["ended_at"] and turn["ended_at"] > stage.fault_ended:
            stage.note("turn's end s", (turn["ended_at"] - stage.fault_ended).total_seconds(), 60)
        done = await stage.cluster.rows("select 1 from tool_effects where turn_id = %s", turn["id"])
        if not (turn["partial"] or done):
            how = f"{turn['status']}, {turn['reason']}"
            stage.expect(turn["status"] == "completed", f"a turn without words or effects was {how}")


async def _first_message(stage: Stage, client: Client) -> float:
    return (await client.say("quick")).took_s


async def _a_message_is_refused(stage: Stage, client: Client) -> None:
    """At once, and with when to come again; nothing of it is kept."""
    url = f"{stage.rng.choice(stage.cluster.doors)}{client.path}/messages"
    began = monotonic()
    answer = await client.http.post(url, json={"message": "Is anybody there?"}, headers=client.headers)
    stage.note("refusal s", monotonic() - began, 10)
    told = answer.status_code == 503 and "retry-after" in answer.headers
    stage.expect(told, f"a message without a database: {answer.status_code}")


async def _every_write(stage: Stage, client: Client) -> int:
    """Try every route that could store something, with a credential that holds; how many said 503."""
    document = (await client.http.get(f"{stage.cluster.doors[0]}/openapi.json")).json()
    routes = [
        (method, path) for path, known in document["paths"].items() for method in WRITES if method in known
    ]  # fmt: skip
    if not stage.patient:
        routes = stage.rng.sample(routes, ROUTES_IN_A_SHORT_RUN)
    statuses = await asyncio.gather(*(_try(stage, client, method, path) for method, path in routes))
    return statuses.count(503)


async def _try(stage: Stage, client: Client, method: str, path: str) -> int:
    while "{" in path:
        path = path[: path.index("{")] + NO_SUCH + path[path.index("}") + 1 :]
    url = f"{stage.rng.choice(stage.cluster.doors)}{path}"
    body: Any = {"message": "Hello", "email": "ada@example.com", "password": "correct horse"}
    answer = await client.http.request(method, url, json=body, headers=client.headers)
    if answer.status_code == 503:
        stage.expect("retry-after" in answer.headers, f"{method} {path}: 503 without Retry-After")
    else:
        stage.expect(400 <= answer.status_code < 500, f"{method} {path}: {answer.status_code} without a database")
    return answer.status_code
