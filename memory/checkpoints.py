"""LangGraph's checkpoints: small control state per thread in Postgres, never a customer's words.

The thread's id carries its tenant, because the library's tables have no tenant column; `thread_id` alone knows the
form, and takes both ids from a row that was read inside the tenant.
"""

import os
from typing import Any, cast
from uuid import UUID

os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")  # read when the library is imported: data must not run code

import asyncio

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg_pool import AsyncConnectionPool

from memory.database import Database


def thread_id(tenant_id: UUID, session_id: UUID) -> str:
    return f"{tenant_id}:{session_id}"


def open_checkpointer(database: Database, *, concurrency: int = 8) -> AsyncPostgresSaver:
    """A saver over the application's pool. Its own lock would allow one statement at a time, whatever the pool."""
    saver = AsyncPostgresSaver(cast(AsyncConnectionPool[Any], database.pool))
    saver.lock = asyncio.Semaphore(concurrency)  # type: ignore[assignment]
    return saver


async def forget_turn(saver: AsyncPostgresSaver, database: Database, thread: str, turn_id: UUID) -> None:
    """Drop what an interrupted run of this turn left, so that running it again counts nothing twice."""
    newest = await saver.aget_tuple({"configurable": {"thread_id": thread}})
    if newest and newest.checkpoint["channel_values"].get("last_turn") == str(turn_id):
        async with database.lookup() as connection:
            await connection.execute(FORGET, (thread, newest.checkpoint["id"]))


async def prune(saver: AsyncPostgresSaver, tenant_id: UUID, session_id: UUID) -> None:
    """Keep the newest checkpoint of a thread; nobody travels back in a support chat."""
    await saver.aprune([thread_id(tenant_id, session_id)], strategy="keep_latest")


FORGET = "delete from checkpoints where thread_id = %s and checkpoint_id = %s"
