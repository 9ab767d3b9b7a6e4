"""Whether the process lives, whether it can serve, and what it counts. Without prefix and without a caller."""

import asyncio
from typing import Literal
from weakref import WeakKeyDictionary

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from agent import metrics
from agent.resources import Resources
from api.dependencies import Res
from memory.database import Database
from memory.errors import HelpdeskError

router = APIRouter(tags=["operations"])
LOOK_S = 3.0
"""A part that has not answered by then counts as down: whoever asks wants to know within five seconds."""


class Readiness(BaseModel):
    """`ready` needs the database; the other parts say how well it goes without them."""

    status: Literal["ready", "not_ready"]
    database: Literal["up", "down"]
    redis: Literal["up", "down", "in_process"]
    knowledge: Literal["up", "empty", "down"]


@router.get("/livez")
async def livez() -> dict[str, str]:
    return {"status": "alive"}


@router.get("/readyz", responses={503: {"model": Readiness, "description": "not able to serve now"}})
async def readyz(resources: Res, request: Request) -> Readiness:
    state = await _look(resources)
    if request.app.state.closing:
        state = state.model_copy(update={"status": "not_ready"})
    if state.status == "ready":
        return state
    return JSONResponse(state.model_dump(), 503, {"Retry-After": "2"})  # type: ignore[return-value]


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def read_metrics(resources: Res) -> Response:
    """Prometheus' text format; keep it inside your network."""
    metrics.active_sessions.set(len(resources.streams.sessions | resources.turns.sessions))
    body, media_type = metrics.render()
    return Response(body, media_type=media_type)


async def _look(resources: Res) -> Readiness:
    redis: Literal["up", "down", "in_process"] = "in_process"
    if resources.redis is not None:
        redis = "up" if await resources.redis.ask(resources.redis.client.ping(), False) else "down"
    database, knowledge = await asyncio.gather(_database(resources), _knowledge(resources))
    ready = "ready" if database == "up" else "not_ready"
    return Readiness(status=ready, database=database, redis=redis, knowledge=knowledge)


async def _database(resources: Resources) -> Literal["up", "down"]:
    return "up" if await _look_into(resources.database, "select true as found") else "down"


async def _knowledge(resources: Resources) -> Literal["up", "empty", "down"]:
    """The articles may live in a database of their own; any tenant's will do."""
    found = await _look_into(resources.knowledge, "select exists (select from stored_embedders()) as found")
    return "down" if found is None else "up" if found else "empty"


_looks: WeakKeyDictionary[Database, dict[str, asyncio.Task[bool | None]]] = WeakKeyDictionary()
"""One look at a time: one that hangs is not cancelled, which would hang as well, and not repeated beside itself."""


async def _look_into(database: Database, question: str) -> bool | None:
    looks = _looks.setdefault(database, {})
    look = looks.get(question)
    if look is None or look.done():
        look = looks[question] = asyncio.create_task(_first(database, question))
    await asyncio.wait({look}, timeout=LOOK_S)
    return look.result() if look.done() else None


async def _first(database: Database, question: str) -> bool | None:
    try:
        async with database.lookup(wait_s=LOOK_S) as connection:
            row = await (await connection.execute(question)).fetchone()
    except HelpdeskError:
        return None
    return bool(row and row["found"])
