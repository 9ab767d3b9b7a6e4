"""Who did what to what: written in the transaction of the change itself, on either door to the database."""

from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlmodel.ext.asyncio.session import AsyncSession

from memory.database import Connection
from memory.models import AuditEntry, new_id
from memory.tenancy import Principal


def record(
    session: AsyncSession,
    principal: Principal,
    action: str,
    object_type: str,
    object_id: UUID | str,
    *,
    changes: dict[str, Any] | None = None,
    request_id: str | None = None,
    address: str | None = None,
) -> None:
    """Add an entry; `changes` names fields and new values, never a secret."""
    session.add(
        AuditEntry(
            actor=principal.key, action=action, object_type=object_type, object_id=str(object_id),
            changes=changes or {}, request_id=request_id, address=address,
        )
    )  # fmt: skip


async def write(
    connection: Connection,
    principal: Principal,
    action: str,
    object_type: str,
    object_id: UUID | str,
    *,
    changes: dict[str, Any] | None = None,
    request_id: str | None = None,
    address: str | None = None,
) -> None:
    """As `record`, on a plain connection."""
    values = (
        new_id(), principal.tenant_id, principal.key, action, object_type, str(object_id), Jsonb(changes or {}),
        request_id, address,
    )  # fmt: skip
    await connection.execute(WRITE, values)


WRITE = """
insert into audit_log (id, tenant_id, actor, action, object_type, object_id, changes, request_id, address)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
