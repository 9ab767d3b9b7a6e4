"""Whether the process lives, whether it can serve, and what it counts. Without prefix and without a caller."""

import asyncio
from typing import Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from agent import metrics
from agent.resources import Resources
from api.dependencies import Res
from memory.errors import HelpdeskError

router = APIRouter(tags=["operations"])


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
    metrics.active_sessions.set(resources.streams.sessions)
    body, media_type = metrics.render()
    return Response(body, media_type=media_type)


async def _look(resources: Res) -> Readiness:
    redis: Literal["up", "down", "in_process"] = "in_process"
    if resources.redis.real:
        redis = "up" if await resources.redis.ask(resources.redis.client.ping(), False) else "down"
    database, knowledge = await asyncio.gather(_database(resources), _knowledge(resources))
    ready = "ready" if database == "up" else "not_ready"
    return Readiness(status=ready, database=database, redis=redis, knowledge=knowledge)


async def _database(resources: Resources) -> Literal["up", "down"]:
    try:
        async with resources.database.lookup() as connection:
            await connection.execute("select 1")
    except HelpdeskError:
        return "down"
    return "up"


async def _knowledge(resources: Resources) -> Literal["up", "empty", "down"]:
    """The articles may live in a database of their own."""
    try:
        async with resources.knowledge.lookup() as connection:
            row = await (await connection.execute("select exists (select 1 from passages) as found")).fetchone()
    except HelpdeskError:
        return "down"
    return "up" if row and row["found"] else "empty"
