"""A knowledge base that is away, slow or empty, in front of a model that would make something up."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from agent.phrases import say
from tests.faults.cluster import KNOWLEDGE
from tests.faults.processes import Process
from tests.faults.stage import TURN_S, Stage

SLOW_S = 30.0
NO_SOURCES = (say("no_answer", "en"), say("not_known", "en"))
TABLES = ("passages", "embeddings_384")
COLUMNS = """
select string_agg(quote_ident(column_name), ', ') as columns from information_schema.columns
where table_schema = 'public' and table_name = %s and is_generated = 'NEVER'
"""


async def index_away(stage: Stage) -> None:
    async def hurt() -> None:
        for process in struck:
            process.knowledge.fail()

    async def back() -> None:
        for process in struck:
            process.knowledge.mend()

    struck = _struck(stage, 0)
    await _without(stage, struck, hurt, back, "down")


async def index_slow(stage: Stage) -> None:
    async def hurt() -> None:
        for process in struck:
            process.knowledge.delay_s = SLOW_S

    async def back() -> None:
        for process in struck:
            process.knowledge.delay_s = 0
            process.knowledge.cut()

    struck = _struck(stage, 1)
    await _without(stage, struck, hurt, back, "down")


async def index_empty(stage: Stage) -> None:
    async def hurt() -> None:
        for table in TABLES:
            await rows(f"create table aside_{table} as table {table}")
        for table in reversed(TABLES):
            await rows(f"delete from {table}")

    async def back() -> None:
        for table in TABLES:
            [row] = await rows(COLUMNS, table)
            columns = row["columns"]
            await rows(f"insert into {table} ({columns}) select {columns} from aside_{table}")
            await rows(f"drop table aside_{table}")
        await rows("update knowledge_revisions set revision = revision + 1")  # as whatever fills it again does

    rows = partial(stage.cluster.rows, database=KNOWLEDGE)
    await _without(stage, stage.cluster.apis, hurt, back, "empty")


def _struck(stage: Stage, only: int) -> list[Process]:
    """Who is without the index: all, but in a short run one API, since something else happens to the other meanwhile."""
    return stage.cluster.processes if stage.patient else [stage.cluster.apis[only]]


async def _without(
    stage: Stage,
    struck: list[Process],
    hurt: Callable[[], Awaitable[None]],
    back: Callable[[], Awaitable[None]],
    then: str,
) -> None:
    """The first of those that are struck is asked; the next one, if there is one, must find out by itself."""
    asked, other = struck[0], struck[min(1, len(struck) - 1)]
    async with stage.customers(1, prefers=asked) as clients:
        [client] = clients
        await hurt()
        try:
            telling = asyncio.create_task(stage.told(other, "knowledge", then))
            answer, seconds = await client.answer_now("inventing")
            await telling
        finally:
            await back()
        await stage.fault_over()
        telling = asyncio.create_task(stage.told(other, "knowledge", "up"))
        stage.note("answer s", seconds, TURN_S)
        stage.expect(answer.status_code == 200, f"without an index: {answer.status_code} {answer.text[:200]}")
        if answer.status_code == 200:
            _check(stage, answer.json())
        well, _ = await client.answer_now("quick")
        stage.expect(bool(well.json().get("sources")), "no sources once the index is back")
        await telling


def _check(stage: Stage, answer: dict[str, Any]) -> None:
    words = answer["message"]
    stage.expect(not answer["sources"], "an answer without an index names sources")
    stage.expect("499" not in words and "[1]" not in words, f"something was made up: {words!r}")
    stage.expect(any(no in words for no in NO_SOURCES), f"nothing is said of what is not known: {words!r}")
    stage.expect(answer["requires_escalation"] or "colleague" in words, f"no person was offered: {words!r}")
