"""Opening, finding and reading conversations, each caller within what they may see."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from memory import chats
from memory.database import Connection, Database
from memory.errors import NotAuthenticated
from memory.events import journal
from memory.models import ChatMessage, ChatSession
from memory.streams import Streams
from memory.tenancy import Principal, Role
from tools.identity import principals
from tools.tenants import load_options


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    session_id: UUID
    tenant_id: UUID
    customer_id: UUID
    greeting: str


async def open_session(database: Database, streams: Streams, caller: Principal | UUID, *, label: str | None,
                       attributes: dict[str, Any] | None = None) -> Opened:  # fmt: skip
    """A new conversation of the caller, or of a new visitor of the tenant. A server opens it for its own customer."""
    tenant_id = caller if isinstance(caller, UUID) else caller.tenant_id
    async with journal(database, streams, tenant_id) as entry:
        options = await load_options(entry.connection, tenant_id)
        principal = await _customer_of(entry.connection, caller, tenant_id, label, options.require_identity)
        assert principal.customer_id is not None  # each branch above ends with a customer
        session = await chats.create_session(
            entry, customer_id=principal.customer_id, user_label=label, greeting=options.greeting, attributes=attributes
        )
    return Opened(
        session_id=session.id, tenant_id=tenant_id, customer_id=principal.customer_id, greeting=options.greeting
    )


async def _customer_of(
    connection: Connection, caller: Principal | UUID, tenant_id: UUID, label: str | None, require_identity: bool
) -> Principal:
    if isinstance(caller, UUID):
        if require_identity:
            raise NotAuthenticated("this tenant answers only signed-in customers")
        return await principals.add_visitor(connection, tenant_id)
    if caller.is_server:
        if label is None:
            return await principals.add_visitor(connection, tenant_id)
        return await principals.customer_of_label(connection, tenant_id, label)
    return await principals.customer_of_user(connection, caller)


async def visible_session(database: Database, principal: Principal, session_id: UUID) -> ChatSession:
    """A session that this caller may see: one's own, or any of the tenant's for colleagues. Raises NotFound."""
    async with database.connection(principal.tenant_id) as connection:
        return await chats.get_session(connection, session_id, customer_id=seen_by(principal))


async def set_attributes(
    database: Database, principal: Principal, session_id: UUID, attributes: dict[str, Any]
) -> ChatSession:
    """Replace what the site says about the visit. Raises NotFound."""
    async with database.connection(principal.tenant_id) as connection:
        await chats.get_session(connection, session_id, customer_id=seen_by(principal), lock=True)
        await chats.update_session(connection, session_id, attributes=Jsonb(attributes))
        return await chats.get_session(connection, session_id)


async def list_sessions(
    database: Database, principal: Principal, *, before: UUID | None, limit: int
) -> list[ChatSession]:
    async with database.connection(principal.tenant_id) as connection:
        return await chats.list_sessions(connection, customer_id=seen_by(principal), before=before, limit=limit)


async def read_messages(
    database: Database, principal: Principal, session_id: UUID, *, after: int, limit: int
) -> list[ChatMessage]:
    async with database.connection(principal.tenant_id) as connection:
        await chats.get_session(connection, session_id, customer_id=seen_by(principal))
        return await chats.messages_after(connection, session_id, after=after, limit=limit)


def seen_by(principal: Principal) -> UUID | None:
    """Whose sessions a caller sees: their own, or all (None) for colleagues; a customer without an id sees nothing."""
    if principal.role is not Role.CUSTOMER:
        return None
    return principal.customer_id or UUID(int=0)
