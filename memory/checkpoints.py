"""LangGraph's checkpoints: small control state per thread in Postgres, never a customer's words.

The thread's id carries its tenant, because the library's tables have no tenant column; `thread_id` alone knows the
form, and takes both ids from a row that was read inside the tenant.

A turn reads its thread's newest checkpoint with its scene and writes its own in the transaction that ends it. So whoever
lost the turn leaves none, a turn that runs again counts nothing twice, and two messages to Postgres are saved. Nobody travels
back in a support chat: a thread has one, which each turn replaces, and so which is the newest is no clock's matter.
"""

import inspect
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")  # read when the library is imported: data must not run code

import asyncio

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from memory.database import Connection, Database

_TURN = "turn_checkpoint"
"""Where a run's config has it."""


def thread_id(tenant_id: UUID, session_id: UUID) -> str:
    return f"{tenant_id}:{session_id}"


@dataclass(slots=True)
class TurnCheckpoint:
    """The checkpoint that a turn goes on from, a row of `NEWEST` if there is one, and the one that it leaves."""

    thread: str
    newest: dict[str, Any] | None = None
    left: dict[str, Any] | None = None
    """For the turn's end to keep."""

    @property
    def config(self) -> RunnableConfig:
        """Of the graph's run."""
        return {"configurable": {"thread_id": self.thread, _TURN: self}}

    def found(self) -> CheckpointTuple | None:
        """As LangGraph has it."""
        if self.newest is None:
            return None
        parent = self.newest["parent_checkpoint_id"]
        return CheckpointTuple(
            _addressed(self.thread, self.newest["checkpoint_id"]), self.newest["checkpoint"], self.newest["metadata"],
            _addressed(self.thread, parent) if parent else None, [],
        )  # fmt: skip

    def leave(self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata) -> None:
        """To be kept with the turn's end. Raises TypeError for what JSON would not give back as it is."""
        for name, value in checkpoint["channel_values"].items():
            if not (value is None or isinstance(value, (str, int, float))):
                raise TypeError(f"`{name}` is no control state: {type(value).__name__}")
        self.left = {
            "thread": self.thread, "checkpoint_id": checkpoint["id"], "parent": config["configurable"].get("checkpoint_id"),
            "checkpoint": Jsonb(checkpoint), "metadata": Jsonb(get_checkpoint_metadata(config, metadata)),
        }  # fmt: skip


class Saver(AsyncPostgresSaver):
    """Runs of turns are read and written by who runs them; everything else goes to Postgres from here."""

    _allowing: tuple[Collection[tuple[str, ...]], BaseCheckpointSaver[str]] | None = None

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> BaseCheckpointSaver[str]:
        """One for each graph. The library asks before each run, and would make one each time."""
        if self._allowing is None or self._allowing[0] is not extra_allowlist:
            self._allowing = extra_allowlist, super().with_allowlist(extra_allowlist)
        return self._allowing[1]

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        turn = _turn_of(config)
        return turn.found() if turn else await super().aget_tuple(config)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        turn = _turn_of(config)
        if turn is None:
            return await super().aput(config, checkpoint, metadata, new_versions)
        turn.leave(config, checkpoint, metadata)
        return _addressed(turn.thread, checkpoint["id"])

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """A turn that breaks off leaves nothing."""
        if _turn_of(config) is None:
            await super().aput_writes(config, writes, task_id, task_path)


# LangGraph looks at it before each run, and Python would work it out anew each time.
Saver.aput_writes.__signature__ = inspect.signature(Saver.aput_writes)  # type: ignore[attr-defined]


def open_checkpointer(database: Database, *, concurrency: int = 8) -> Saver:
    """A saver over the application's pool. Its own lock would allow one statement at a time, whatever the pool."""
    saver = Saver(cast(AsyncConnectionPool[Any], database.pool))
    saver.lock = asyncio.Semaphore(concurrency)  # type: ignore[assignment]
    return saver


def _turn_of(config: RunnableConfig) -> TurnCheckpoint | None:
    return cast(TurnCheckpoint | None, config["configurable"].get(_TURN))


def _addressed(thread: str, checkpoint_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": "", "checkpoint_id": checkpoint_id}}


async def forget(connection: Connection, tenant_id: UUID, sessions: Collection[UUID]) -> None:
    """Delete what these sessions' threads left, in the caller's transaction."""
    threads = [thread_id(tenant_id, session) for session in sessions]
    for table in TABLES:
        await connection.execute(f"delete from {table} where thread_id = any(%s)", (threads,))


TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
"""LangGraph's."""
NEWEST = """
select checkpoint_id, parent_checkpoint_id, checkpoint, metadata from checkpoints
where thread_id = %(thread)s and checkpoint_ns = '' order by checkpoint_id desc limit 1
"""
