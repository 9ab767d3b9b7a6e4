"""LangGraph's checkpoints: small control state per thread in Postgres, never a customer's words.

The thread's id carries its tenant, because the library's tables have no tenant column; `thread_id` and `owner_of`
are the only two places that know the form.
"""

import os
from contextlib import suppress
from uuid import UUID

os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")  # read when the library is imported: data must not run code

import asyncio

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from memory.database import Database


def thread_id(tenant_id: UUID, session_id: UUID) -> str:
    return f"{tenant_id}:{session_id}"


def owner_of(thread: str) -> UUID | None:
    with suppress(ValueError):
        return UUID(thread.partition(":")[0])
    return None


def open_checkpointer(database: Database, *, concurrency: int = 8) -> AsyncPostgresSaver:
    """A saver over the application's pool. Its own lock would allow one statement at a time, whatever the pool."""
    saver = AsyncPostgresSaver(database.pool)
    saver.lock = asyncio.Semaphore(concurrency)  # type: ignore[assignment]
    return saver


async def prune(saver: AsyncPostgresSaver, tenant_id: UUID, session_id: UUID) -> None:
    """Keep the newest checkpoint of a thread; nobody travels back in a support chat."""
    await saver.aprune([thread_id(tenant_id, session_id)], strategy="keep_latest")
