"""Entries of the audit log, as a document and as a line of a table."""

import csv
import io
import json
from collections.abc import Iterable
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from api.schemas.common import Out, Time

COLUMNS = (
    "id", "created_at", "actor_type", "actor_id", "actor_name", "action", "object_type", "object_id", "changes",
    "request_id", "address",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of one."""


class AuditOut(Out):
    id: UUID
    created_at: Time
    actor_type: Literal["user", "key", "customer", "system"]
    actor_id: UUID | None
    actor_name: str | None = Field(description="a user's email, a key's name, a customer's email or name")
    action: str
    object_type: str
    object_id: str
    changes: dict[str, Any] = Field(description="the fields that changed, with their new values and never a secret")
    request_id: str | None
    address: str | None


def csv_lines(entries: Iterable[AuditOut]) -> str:
    """Rows of a CSV file, in which a value that a spreadsheet would run is quoted with an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text)
    for entry in entries:
        row = entry.model_dump(mode="json")
        row["changes"] = json.dumps(row["changes"], ensure_ascii=False) if row["changes"] else ""
        writer.writerow([_harmless("" if row[name] is None else str(row[name])) for name in COLUMNS])
    return text.getvalue()


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA) else cell
