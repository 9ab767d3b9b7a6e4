"""Colleagues as a conversation knows them, and whether one could take it now."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from memory.database import Connection
from memory.errors import NotFound
from tools.business_hours import is_open
from tools.tenants import TenantOptions

AT_MOST = 500


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


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDuty(Colleague):
    """A colleague to whom something could be given."""

    teams: list[str]
    is_available: bool
    conversations: int
    """How many they have claimed that have not ended."""
    tickets: int
    """How many are assigned to them that have not ended."""


async def list_colleagues(connection: Connection) -> list[OnDuty]:
    """The tenant's active staff, whoever is available and has least to do first; the first `AT_MOST`."""
    rows = await (await connection.execute(COLLEAGUES, (AT_MOST,))).fetchall()
    return [OnDuty(**row) for row in rows]


async def people_are_there(connection: Connection, options: TenantOptions) -> bool:
    """Whether a colleague could take a conversation now: not switched off, within hours, and somebody on duty."""
    row = await (await connection.execute(ON_DUTY)).fetchone()
    return could_take(options, on_duty=bool(row and row["on_duty"]))


def could_take(options: TenantOptions, *, on_duty: bool) -> bool:
    """The same, where the database has been asked who is on duty (`ON_DUTY`)."""
    return on_duty and options.people_available and is_open(options.business_hours, datetime.now(UTC))


COLLEAGUE = """
select id, name, email, role from users
where id = %s and tenant_id = current_tenant() and is_active and role <> 'customer'
"""
COLLEAGUES = """
select u.id, u.name, u.email, u.role, u.teams, u.is_available,
       (select count(*) from handoffs h where h.tenant_id = current_tenant() and h.claimed_by = u.id
        and h.status = 'claimed') as conversations,
       (select count(*) from tickets t where t.tenant_id = current_tenant() and t.assignee_id = u.id
        and t.status not in ('resolved', 'closed')) as tickets
from users u
where u.tenant_id = current_tenant() and u.is_active and u.role <> 'customer'
order by u.is_available desc, conversations, tickets, u.id limit %s
"""
ON_DUTY = """
select exists (select 1 from users where tenant_id = current_tenant() and is_active and is_available
               and role <> 'customer') as on_duty
"""
