"""Many files at once, put down as an import: what is done with them is a job, and told file by file."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from memory import audit
from memory.database import Connection, Database
from memory.errors import Conflict, FileTooLarge, Invalid, NotFound
from memory.models import new_id
from memory.tenancy import Principal
from tools.articles.converting import Defaults, tidy_name
from tools.attachments.storing import Upload

MOST_FILES = 1000
MOST_BYTES = 64 * 2**20
"""Of all files of one upload together."""
MOST_UNFINISHED = 5
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Where the articles of an upload go, and whether answers are made from them at once."""

    collection: str
    publish: bool
    defaults: Defaults


async def begin_upload(
    database: Database, principal: Principal, uploads: Sequence[Upload], wish: Wish, *, most_bytes: int, **who: Any
) -> Row:
    """Keep the files for the job that reads them. Raises Invalid, FileTooLarge, and Conflict past `MOST_UNFINISHED`."""
    if not uploads:
        raise Invalid("send files in the field `files`")
    if sum(upload.size for upload in uploads) > MOST_BYTES:
        raise FileTooLarge(f"the files of an upload may have {MOST_BYTES >> 20} MB together")
    import_id = new_id()
    values = {
        "id": import_id, "kind": "upload", "collection": wish.collection, "category": wish.defaults.category,
        "tags": list(wish.defaults.tags), "audience": list(wish.defaults.audience), "publish": wish.publish,
        "by": principal.key, "total": len(uploads), "most": MOST_UNFINISHED,
    }  # fmt: skip
    async with database.connection(principal.tenant_id) as connection:
        await connection.execute(ONE_AT_A_TIME, (str(principal.tenant_id),))
        if await (await connection.execute(ADD_UPLOAD, values)).fetchone() is None:
            raise Conflict(f"{MOST_UNFINISHED} uploads are being read; wait for one of them")
        for position, upload in enumerate(uploads):
            await _keep(connection, import_id, position, upload, most_bytes)
        changes = {"files": len(uploads), "collection": wish.collection, "published": wish.publish}
        await audit.write(connection, principal, "knowledge.upload", "import", import_id, changes=changes, **who)
        return await find_import(connection, import_id)


async def _keep(connection: Connection, import_id: UUID, position: int, upload: Upload, most_bytes: int) -> None:
    """A file that is too large is put down without its bytes: its outcome is known."""
    too_large = upload.size > most_bytes
    content = None if too_large else await asyncio.to_thread(_read, upload)
    values = {
        "id": new_id(), "import": import_id, "position": position, "name": tidy_name(upload.name), "size": upload.size,
        "content": content, "outcome": "failed" if too_large else "waiting",
        "detail": f"a file may have at most {most_bytes} bytes" if too_large else "",
    }  # fmt: skip
    await connection.execute(ADD_FILE, values)


def _read(upload: Upload) -> bytes:
    upload.file.seek(0)
    return upload.file.read()


async def find_import(connection: Connection, import_id: UUID) -> Row:
    """An import with its counts. Raises NotFound."""
    row = await (await connection.execute(GET, {"id": import_id})).fetchone()
    if row is None:
        raise NotFound("no such import")
    return row


async def list_imports(connection: Connection, *, before: UUID | None, limit: int) -> list[Row]:
    """Newest first."""
    return await (await connection.execute(LIST, {"before": before, "limit": limit})).fetchall()


async def list_files(
    connection: Connection, import_id: UUID, *, outcome: str | None, after: UUID | None, limit: int
) -> list[Row]:
    """What became of each file, in the order that they were sent."""
    await find_import(connection, import_id)
    values = {"id": import_id, "outcome": outcome, "after": after, "limit": limit}
    return await (await connection.execute(FILES, values)).fetchall()


_COUNTED = ("waiting", "added", "changed", "unchanged", "failed")
_COUNTS = ", ".join(f"count(*) filter (where f.outcome = '{name}') as {name}" for name in _COUNTED)
SHOWN = """
i.id, i.kind, i.status, i.collection, i.publish, i.total, i.done, i.passages, i.error, i.requested_by, i.created_at,
i.touched_at, i.ended_at
"""
ONE_AT_A_TIME = "select pg_advisory_xact_lock(hashtextextended('uploads ' || %s, 0))"
ADD_UPLOAD = """
insert into kb_imports (id, tenant_id, kind, status, collection, category, tags, audience, publish, requested_by, total,
                        done, passages, error)
select %(id)s, current_tenant(), %(kind)s, 'queued', %(collection)s, %(category)s, %(tags)s::text[],
       %(audience)s::text[], %(publish)s, %(by)s, %(total)s, 0, 0, ''
where (select count(*) from kb_imports where tenant_id = current_tenant() and kind = 'upload'
       and status in ('queued', 'running')) < %(most)s
returning id
"""
ADD_FILE = """
insert into kb_import_files (id, tenant_id, import_id, position, name, size, content, outcome, detail)
values (%(id)s, current_tenant(), %(import)s, %(position)s, %(name)s, %(size)s, %(content)s, %(outcome)s, %(detail)s)
"""
GET = f"""
select {SHOWN}, {_COUNTS} from kb_imports i
left join kb_import_files f on f.tenant_id = i.tenant_id and f.import_id = i.id
where i.tenant_id = current_tenant() and i.id = %(id)s group by i.id
"""
LIST = f"""
select {SHOWN}, n.* from kb_imports i cross join lateral (
    select {_COUNTS} from kb_import_files f where f.tenant_id = i.tenant_id and f.import_id = i.id) n
where i.tenant_id = current_tenant() and (%(before)s::uuid is null or i.id < %(before)s)
order by i.id desc limit %(limit)s
"""
FILES = """
select id, name, size, outcome, detail, article_id, version from kb_import_files
where tenant_id = current_tenant() and import_id = %(id)s and (%(outcome)s::text is null or outcome = %(outcome)s)
      and (%(after)s::uuid is null or id > %(after)s)
order by id limit %(limit)s
"""
