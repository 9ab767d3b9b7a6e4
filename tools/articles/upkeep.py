"""The state of a tenant's knowledge, and the jobs that work on it: an upload, indexing what is not, a rebuild of all.

    queued ──take──▶ running ──▶ done | failed
       ▲                │
       └── it broke off, or was not heard of for `SILENT` ──┘

At most one index or rebuild of a tenant is under way; asking again names the one that is. Any process may run a job, and
run it again: what is done stays done.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal
from uuid import UUID

from kbs.articles.reindex import STALE, reindex
from memory import audit
from memory.errors import HelpdeskError, Unavailable
from memory.models import new_id
from memory.tenancy import Principal, Role
from tools.articles.importing import import_files
from tools.articles.shelf import Shelf
from tools.articles.uploading import Row, find_import

SILENT = "3 minutes"
"""Without a word from a running job, after which another process may take it up; a file takes 10 s at most."""
TELL_EVERY_S = 1.0


async def begin(shelf: Shelf, principal: Principal, kind: Literal["index", "rebuild"], **who: Any) -> Row:
    """Put the job down, or name the one of its kind that is under way."""
    values = {"id": new_id(), "kind": kind, "by": principal.key}
    async with shelf.database.connection(principal.tenant_id) as connection:
        row = await (await connection.execute(BEGIN, values)).fetchone()
        if row is None:
            row = await (await connection.execute(RUNNING, values)).fetchone()
        else:
            await audit.write(connection, principal, f"knowledge.{kind}", "import", row["id"], **who)
        if row is None:
            raise Unavailable("the job before this one has just ended; ask again", retry_after=1)
        return await find_import(connection, row["id"])


async def run(shelf: Shelf, tenant_id: UUID, import_id: UUID) -> None:
    """Do a job that was put down, unless it is done or somebody is at it. Raises what was wrong, for a second try where
    a part was away; everything else is told in the job's row."""
    async with shelf.database.connection(tenant_id) as connection:
        job = await (await connection.execute(TAKE, {"id": import_id, "silent": SILENT})).fetchone()
    if job is None:
        return
    try:
        passages = await _do(shelf, _requester(tenant_id, job["requested_by"]), job)
    except (Unavailable, asyncio.CancelledError):
        await asyncio.shield(_end(shelf, tenant_id, import_id, "queued"))
        raise
    except HelpdeskError as error:
        await _end(shelf, tenant_id, import_id, "failed", error=error.detail)
    except Exception:
        await _end(shelf, tenant_id, import_id, "failed", error="something went wrong on our side; the log says what")
        raise
    else:
        await _end(shelf, tenant_id, import_id, "done", passages=passages)


async def unfinished(shelf: Shelf, tenant_id: UUID) -> list[UUID]:
    """Jobs that nobody is at: their process died, or died before it had queued them."""
    async with shelf.database.connection(tenant_id) as connection:
        rows = await (await connection.execute(LOST, {"silent": SILENT})).fetchall()
    return [row["id"] for row in rows]


async def state_of(shelf: Shelf, principal: Principal) -> Row:
    """How many articles there are in which state, what their index is made with, and whether it is whole."""
    tenant_id, embedder = principal.tenant_id, shelf.library.embedder
    async with shelf.knowledge.connection(tenant_id) as connection:
        counts = await (await connection.execute(COUNTS, {"embedder": embedder.id})).fetchone()
    vectors = await shelf.library.index.count(tenant_id)
    async with shelf.database.connection(tenant_id) as connection:
        last = await (await connection.execute(LAST)).fetchone()
        job = await find_import(connection, last["id"]) if last else None
    assert counts is not None  # a sum is always a row
    missing = max(0, counts["passages"] - vectors)
    return {
        **counts, "vectors": vectors, "embedder": embedder.id, "dimensions": embedder.dimensions,
        "is_whole": counts["stale"] == 0 and missing == 0, "last_job": job,
    }  # fmt: skip


async def _do(shelf: Shelf, principal: Principal, job: Row) -> int:
    if job["kind"] == "upload":
        await import_files(shelf, principal, job)
        return 0
    library, told = shelf.library, [0, 0]

    def progress(done: int, total: int) -> None:
        told[:] = done, total

    async with _telling(shelf, principal.tenant_id, job["id"], told):
        return await reindex(
            library.database, library.index, library.embedder, tenant_id=principal.tenant_id, progress=progress,
            only_stale=job["kind"] == "index", lessons=shelf.database,
        )  # fmt: skip


@asynccontextmanager
async def _telling(shelf: Shelf, tenant_id: UUID, import_id: UUID, told: list[int]) -> AsyncIterator[None]:
    """Write how far it is every second, and once more at the end."""

    async def tell() -> None:
        async with shelf.database.connection(tenant_id) as connection:
            await connection.execute(PROGRESS, {"id": import_id, "done": told[0], "total": told[1]})

    async def now_and_then() -> None:
        while True:
            await asyncio.sleep(TELL_EVERY_S)
            await tell()

    task = asyncio.create_task(now_and_then())
    try:
        yield
        await tell()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _end(
    shelf: Shelf, tenant_id: UUID, import_id: UUID, status: str, *, error: str = "", passages: int = 0
) -> None:
    values = {"id": import_id, "status": status, "error": error, "passages": passages}
    async with shelf.database.connection(tenant_id) as connection:
        await connection.execute(END, values)
        if status == "failed":
            await connection.execute(LEAVE, values)


def _requester(tenant_id: UUID, key: str) -> Principal:
    """Whoever asked for the job, as the audit log names them: an admin, or nobody but the product."""
    kind, _, name = key.partition(":")
    return Principal(tenant_id=tenant_id, role=Role.ADMIN, user_id=UUID(name) if kind == "user" else None)


BEGIN = """
insert into kb_imports (id, tenant_id, kind, status, collection, category, publish, requested_by, total, done, passages,
                        error)
values (%(id)s, current_tenant(), %(kind)s, 'queued', '', '', true, %(by)s, 0, 0, 0, '')
on conflict (tenant_id, kind) where status in ('queued', 'running') and kind <> 'upload' do nothing
returning id
"""
RUNNING = """
select id from kb_imports where tenant_id = current_tenant() and kind = %(kind)s and status in ('queued', 'running')
"""
_NOBODY_AT_IT = "status in ('queued', 'running') and touched_at < clock_timestamp() - %(silent)s::interval"
TAKE = f"""
update kb_imports set status = 'running', touched_at = clock_timestamp()
where tenant_id = current_tenant() and id = %(id)s and (status = 'queued' or ({_NOBODY_AT_IT})) returning *
"""
LOST = f"select id from kb_imports where tenant_id = current_tenant() and {_NOBODY_AT_IT}"
PROGRESS = """
update kb_imports set done = %(done)s, total = %(total)s, touched_at = clock_timestamp()
where tenant_id = current_tenant() and id = %(id)s
"""
END = """
update kb_imports set status = %(status)s::text, error = %(error)s, passages = %(passages)s, touched_at = clock_timestamp(),
       ended_at = case when %(status)s::text in ('done', 'failed') then clock_timestamp() end
where tenant_id = current_tenant() and id = %(id)s
"""
LEAVE = """
update kb_import_files set outcome = 'failed', detail = 'the job broke off', content = null
where tenant_id = current_tenant() and import_id = %(id)s and outcome = 'waiting'
"""
LAST = "select id from kb_imports where tenant_id = current_tenant() order by id desc limit 1"
COUNTS = f"""
select count(*) filter (where a.status = 'draft') as drafts, count(*) filter (where a.status = 'published') as published,
       count(*) filter (where a.status = 'withdrawn') as withdrawn, count(*) filter (where a.status = 'deleted') as deleted,
       count(*) filter (where a.draft is not null and a.status <> 'draft') as with_draft,
       count(*) filter (where a.status = 'published' and {STALE}) as stale,
       (select count(*) from passages where tenant_id = current_tenant()) as passages,
       coalesce((select revision from knowledge_revisions where tenant_id = current_tenant()), 0) as revision
from kb_articles a where a.tenant_id = current_tenant()
"""
