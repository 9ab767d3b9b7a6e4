"""Which prompt answers: one active version per tenant, by the database's own constraint, else the global default."""

from typing import Any
from uuid import UUID

from memory import audit
from memory.database import Connection, Database
from memory.errors import Conflict, NotAllowed, ReplayRequired
from memory.tenancy import Principal
from tools.prompts.versions import Row, get_version
from tools.tenants import load_options


async def activate(
    database: Database, principal: Principal, version_id: UUID, *, instead_of: UUID | None = None, **who: Any
) -> Row:
    """Let this version answer from the next turn on; doing it again changes nothing.

    With `instead_of` only where that version still answers. Raises NotFound, NotAllowed for a global prompt, Conflict,
    ReplayRequired where the tenant wants a replay first and there is none.
    """
    async with database.connection(principal.tenant_id) as connection:
        await connection.execute(ONE_AT_A_TIME, (str(principal.tenant_id),))
        found = await get_version(connection, version_id)
        if found["is_global"]:
            raise NotAllowed("a global prompt is not activated: duplicate it, or deactivate yours for the default")
        if found["is_active"]:
            return found
        await _must_be_replaced(connection, instead_of)
        await _must_be_replayed(connection, principal.tenant_id, version_id)
        await connection.execute(NONE_ACTIVE)
        await connection.execute(ACTIVATE, (version_id,))
        told = {"name": found["name"], "version": found["version"]}
        await audit.write(connection, principal, "prompt.activated", "prompt", version_id, changes=told, **who)
        return await get_version(connection, version_id)


async def deactivate(database: Database, principal: Principal, version_id: UUID, **who: Any) -> Row:
    """Let the global default answer instead; doing it again changes nothing. Raises NotFound, NotAllowed."""
    async with database.connection(principal.tenant_id) as connection:
        await connection.execute(ONE_AT_A_TIME, (str(principal.tenant_id),))
        found = await get_version(connection, version_id)
        if found["is_global"]:
            raise NotAllowed("the global default is not yours to switch off")
        if not found["is_active"]:
            return found
        await connection.execute(NONE_ACTIVE)
        told = {"name": found["name"], "version": found["version"]}
        await audit.write(connection, principal, "prompt.deactivated", "prompt", version_id, changes=told, **who)
        return await get_version(connection, version_id)


async def _must_be_replaced(connection: Connection, instead_of: UUID | None) -> None:
    """Refuse where another version has become active than the one that the caller saw."""
    if instead_of is None:
        return
    replaced = await get_version(connection, instead_of)
    if not replaced["in_force"]:
        raise Conflict("another version has become active since; read which, and decide again")


async def _must_be_replayed(connection: Connection, tenant_id: UUID, version_id: UUID) -> None:
    options = await load_options(connection, tenant_id)
    if not options.replay_before_activation:
        return
    row = await (await connection.execute(REPLAYED, (version_id,))).fetchone()
    if row is None:
        raise ReplayRequired(
            "this tenant activates a prompt only after a replay: start one with POST /replays and this version's id as "
            "`prompt_version_id`, wait until it is completed without failures, then activate again"
        )


ONE_AT_A_TIME = "select pg_advisory_xact_lock(hashtextextended('prompts ' || %s, 0))"
NONE_ACTIVE = "update prompt_versions set is_active = false where tenant_id = current_tenant() and is_active"
ACTIVATE = "update prompt_versions set is_active = true where id = %s and tenant_id = current_tenant()"
REPLAYED = """
select 1 from replays
where prompt_version_id = %s and tenant_id = current_tenant() and status = 'completed'
      and coalesce((summary ->> 'failed')::int, 0) = 0
limit 1
"""
