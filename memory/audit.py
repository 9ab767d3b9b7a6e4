"""Who did what to what: one function, called in the transaction of the change itself."""

from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from memory.models import AuditEntry
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
