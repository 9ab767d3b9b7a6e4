"""Secret keys for a tenant's own servers: made once, kept as a hash, limited to scopes, revoked at once."""

import hashlib
import secrets
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlmodel import col, select

from memory import audit
from memory.database import Database
from memory.errors import NotAuthenticated, NotFound
from memory.models import ApiKey
from memory.tenancy import Principal, Role
from tools.identity.principals import tenant_is_active

KEY_PREFIX = "hk_"
SCOPES = ("chat", "search", "tickets")


async def principal_of_api_key(database: Database, key: str) -> Principal:
    """A tenant's server by its secret key, with the scopes it was given. Raises NotAuthenticated."""
    async with database.lookup() as connection:
        row = await (await connection.execute("select * from api_key_of_hash(%s)", (_digest(key),))).fetchone()
    if row is None or not await tenant_is_active(database, row["tenant_id"]):
        raise NotAuthenticated("this key is not known, or was revoked")
    async with database.connection(row["tenant_id"]) as connection:
        used = await connection.execute(KEY_USED, (row["id"],))
        found = await used.fetchone()
    if found is None:
        raise NotAuthenticated("this key is not known, or was revoked")
    return Principal(
        tenant_id=row["tenant_id"],
        role=Role.AGENT,
        user_id=row["id"],
        scopes=frozenset(found["scopes"]),
        is_server=True,
    )


async def add_api_key(
    database: Database, principal: Principal, *, name: str, scopes: list[str], **who: Any
) -> tuple[ApiKey, str]:
    """A new key with its secret, which nobody can read again."""
    secret = KEY_PREFIX + secrets.token_urlsafe(32)
    async with database.transaction(principal.tenant_id) as session:
        key = ApiKey(
            tenant_id=principal.tenant_id, name=name, prefix=secret[:10], secret_hash=_digest(secret), scopes=scopes,
            created_by=principal.user_id,
        )  # fmt: skip
        session.add(key)
        await session.flush()
        audit.record(session, principal, "api_key.added", "api_key", key.id, changes={"scopes": scopes}, **who)
        await session.refresh(key)
        return key, secret


async def list_api_keys(database: Database, principal: Principal, *, before: UUID | None, limit: int) -> list[ApiKey]:
    async with database.transaction(principal.tenant_id) as session:
        query = select(ApiKey).order_by(col(ApiKey.id).desc()).limit(limit)
        if before:
            query = query.where(col(ApiKey.id) < before)
        return list(await session.exec(query))


async def revoke_api_key(database: Database, principal: Principal, key_id: UUID, **who: Any) -> None:
    async with database.transaction(principal.tenant_id) as session:
        key = (await session.exec(select(ApiKey).where(ApiKey.id == key_id))).one_or_none()
        if key is None:
            raise NotFound("no such key")
        if key.revoked_at is None:
            key.revoked_at = datetime.now(UTC)
            session.add(key)
            audit.record(session, principal, "api_key.revoked", "api_key", key.id, **who)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


KEY_USED = """
update api_keys set last_used_at = now()
where id = %s and tenant_id = current_tenant() and revoked_at is null returning scopes
"""
