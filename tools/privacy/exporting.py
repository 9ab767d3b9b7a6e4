"""Everything that is kept about a customer, as one archive: a JSON document of all rows, and their files."""

import asyncio
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from memory.database import Database
from memory.files import Files
from tools.privacy.belongings import Row, belongings, one_person

HIDDEN = frozenset({"tsv", "tenant_id", "password_hash"})
"""Columns that say nothing about a person, or must not leave."""
ABOUT = "customer.json"


async def export_customer(database: Database, files: Files, tenant_id: UUID, customer_id: UUID, path: Path) -> int:
    """Write the archive; how many rows it holds. What colleagues noted among themselves stays out. Raises NotFound, and
    FileExistsError rather than write over something."""
    async with database.connection(tenant_id) as connection:
        people = await one_person(connection, customer_id)
        found = await belongings(connection, people)
        rows = await connection.execute(ACCOUNT, ([row["user_id"] for row in found["customers"] if row["user_id"]],))
        found["users"] = list(await rows.fetchall())
    shown = {table: [_shown(row) for row in rows if not row.get("internal")] for table, rows in found.items()}
    kept = [row for row in found.get("attachments", []) if not row["internal"]]
    await asyncio.to_thread(_write, path, shown, [(files.path(tenant_id, str(row["sha256"])), row) for row in kept])
    return sum(map(len, shown.values()))


def _shown(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in HIDDEN}


def _write(path: Path, shown: dict[str, Any], kept: Sequence[tuple[Path, Row]]) -> None:
    with path.open("xb") as target, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(ABOUT, orjson.dumps(shown, option=orjson.OPT_INDENT_2, default=str))
        for source, row in kept:
            if source.is_file():
                archive.write(source, f"files/{row['id']}-{row['name']}")


ACCOUNT = "select * from users where tenant_id = current_tenant() and id = any(%s) and role = 'customer'"
