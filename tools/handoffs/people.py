"""Colleagues as a conversation knows them, and whether one could take it now."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from memory.database import Connection
from memory.errors import NotFound
from tools.business_hours import is_open
from tools.tenants import TenantOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Colleague:
    """A member of the staff."""

    id: UUID
    name: str
    email: str
    role: str

    @property
    def shown(self) -> str:
        """As customers see them: never the address."""
        return self.name or "Support"

    @property
    def known_as(self) -> str:
        """As other colleagues see them."""
        return self.name or self.email


async def colleague(connection: Connection, user_id: UUID | None) -> Colleague:
    """An active member of the tenant's staff. Raises NotFound."""
    row = await (await connection.execute(COLLEAGUE, (user_id,))).fetchone()
    if row is None:
        raise NotFound("no such colleague")
    return Colleague(**row)


async def people_are_there(connection: Connection, options: TenantOptions) -> bool:
    """Whether a colleague could take a conversation now: not switched off, within hours, and somebody on duty."""
    if not options.people_available or not is_open(options.business_hours, datetime.now(UTC)):
        return False
    row = await (await connection.execute(ON_DUTY)).fetchone()
    return bool(row and row["on_duty"])


# Each names the tenant: a layer of its own besides row-level security.
COLLEAGUE = """
select id, name, email, role from users
where id = %s and tenant_id = current_tenant() and is_active and role <> 'customer'
"""
ON_DUTY = """
select exists (select 1 from users where tenant_id = current_tenant() and is_active and is_available
               and role <> 'customer') as on_duty
"""
