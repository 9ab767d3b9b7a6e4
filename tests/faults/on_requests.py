"""Customers who click twice, clients that retry at once from everywhere, and three messages in a row."""

import asyncio
import secrets
from typing import Any

import httpx

from tests.faults.client import QUESTION, Client
from tests.faults.stage import Stage

RETRIES = 20


async def insisting(stage: Stage) -> None:
    """Twenty retries at both processes under one key, twice the same click among them: one message, one answer."""
    async with stage.customers(1) as clients:
        [client] = clients
        key, body = secrets.token_hex(8), {"message": f"{QUESTION} (case answer {stage.rng.randrange(2**24):x})"}
        answers = await asyncio.gather(*(_post(stage, client, key, body, n) for n in range(RETRIES)))
        statuses = {answer.status_code for answer in answers}
        stage.expect(statuses == {200}, f"retries under one key were answered {statuses}")
        stage.expect(len({answer.text for answer in answers}) == 1, "retries under one key had different answers")
        asked = "select 1 from chat_messages where session_id = %s and author = 'customer'"
        messages = await stage.cluster.rows(asked, client.session_id)
        stage.expect(len(messages) == 1, f"{RETRIES} retries made {len(messages)} messages")
        other = await _post(stage, client, key, {"message": "Something else"}, 0)
        stage.expect(other.status_code == 422, f"another body under the same key: {other.status_code}")


async def three_in_a_row(stage: Stage) -> None:
    """The first is being answered when two more come: those two are answered together."""
    async with stage.customers(1) as clients:
        [client] = clients
        promises = [await client.say("answer") for _ in range(3)]
        first, second, third = (promise.turn_id for promise in promises)
        stage.expect(first != second == third, f"three messages in a row have the turns {first}, {second}, {third}")
        for promise in promises:
            how = await stage.ended(client, promise)
            stage.expect(how == "completed", f"one of three messages in a row was {how}")


async def _post(stage: Stage, client: Client, key: str, body: dict[str, Any], n: int) -> httpx.Response:
    doors = stage.cluster.doors
    return await client.http.post(
        f"{doors[n % len(doors)]}{client.path}/messages", json=body,
        headers={**client.headers, "Idempotency-Key": key},
    )  # fmt: skip
