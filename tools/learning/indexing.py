"""Brings lessons into the index, or out of it. The row is the truth: its `indexed_version` says what the index holds.

Safe to repeat and safe to break off: passages are written whole under the lesson's id, and the row, which is held
meanwhile, is marked after them.
"""

from typing import cast
from uuid import UUID

from kbs.articles.passage_making import Document, cut, with_vectors
from kbs.embedding.embedder import Embedder
from kbs.index import Kind, KnowledgeIndex, Row, replace
from memory.database import Connection, Database
from tools.classification import detect_language

KINDS: tuple[Kind, ...] = ("example", "correction")


async def index_lesson(
    database: Database, knowledge: Database, index: KnowledgeIndex, embedder: Embedder, tenant_id: UUID, lesson_id: UUID
) -> bool:
    """Make the index hold what the row says; False where it did already, or the row is gone or was changed meanwhile:
    who changed it has it indexed."""
    async with database.connection(tenant_id) as connection:
        row = await (await connection.execute(PENDING, (lesson_id,))).fetchone()
    if row is None:
        return False
    document = Document(
        kind=cast(Kind, row["kind"]), collection="", ref=str(lesson_id), title=row["title"], body=row["text"],
        version=row["version"], language=detect_language(row["text"]),
    )  # fmt: skip
    passages: tuple[Row, ...] = ()
    if row["status"] == "active":
        known = await index.vectors(tenant_id, document.kind, document.ref)
        passages, _ = await with_vectors(cut(document), embedder, known)
    async with database.connection(tenant_id) as connection:
        held = await (await connection.execute(f"{PENDING} and version = %s for update", (lesson_id, row["version"]))
        ).fetchone()  # fmt: skip
        if held is None:
            return False
        for kind in KINDS:  # an example may have become a correction
            await replace(index, knowledge, tenant_id, kind, document.ref, passages if kind == document.kind else ())
        await connection.execute(INDEXED, (lesson_id,))
    return True


async def want_indexed_again(connection: Connection, kind: str) -> list[UUID]:
    """Have every lesson of a kind brought to the index anew; their ids."""
    rows = await (await connection.execute(AGAIN, (kind,))).fetchall()
    return [row["id"] for row in rows]


PENDING = """
select kind, title, text, status, version from learned_replies
where id = %s and tenant_id = current_tenant() and indexed_version <> version
"""
INDEXED = "update learned_replies set indexed_version = version where id = %s and tenant_id = current_tenant()"
AGAIN = """
update learned_replies set indexed_version = 0 where kind = %s and tenant_id = current_tenant() returning id
"""
