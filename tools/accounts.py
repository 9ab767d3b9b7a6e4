"""People and their credentials: who a credential belongs to, signing in, registering, and what admins do with users."""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from memory import audit
from memory.database import Connection, Database
from memory.errors import Conflict, NotAllowed, NotAuthenticated, NotFound
from memory.models import ApiKey, Customer, User, new_id
from memory.tenancy import Principal, Role
from tools.tenants import load_options

KEY_PREFIX = "hk_"
SCOPES = ("chat", "search", "tickets")
_HASHER = PasswordHasher()
_NOBODY = _HASHER.hash("no one has this password")
"""Verified when an address is unknown, so that the time taken does not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What the site of a tenant vouches for about its visitor."""

    external_id: str
    email: str | None = None
    email_verified: bool = False
    name: str = ""
    audience: tuple[str, ...] = ()


async def hash_password(password: str) -> str:
    return await asyncio.to_thread(_HASHER.hash, password)


async def check_password(password: str, hashed: str | None) -> bool:
    """In a thread, because a hash takes tens of milliseconds by design."""

    def verify() -> bool:
        try:
            return _HASHER.verify(hashed or _NOBODY, password) and hashed is not None
        except (VerificationError, InvalidHashError):
            return False

    return await asyncio.to_thread(verify)


async def sign_in(database: Database, email: str, password: str, *, tenant_id: UUID | None) -> User:
    """Staff by address alone; a customer within the tenant of the widget key. Raises NotAuthenticated."""
    user = await _find_user(database, email.lower(), tenant_id)
    if not await check_password(password, user.password_hash if user else None) or user is None or not user.is_active:
        raise NotAuthenticated("the address or the password is wrong")
    return user


async def _find_user(database: Database, email: str, tenant_id: UUID | None) -> User | None:
    if tenant_id is None:
        async with database.lookup() as connection:
            row = await (await connection.execute("select * from staff_of_email(%s)", (email,))).fetchone()
        if row is None:
            return None
        tenant_id = row["tenant_id"]
    if not await tenant_is_active(database, tenant_id):
        return None
    async with database.transaction(tenant_id) as session:
        return (await session.exec(select(User).where(User.email == email))).one_or_none()


async def register(database: Database, tenant_id: UUID, *, email: str, password: str, name: str) -> User:
    """A customer's own account. Its address is unverified, so it links to nothing that was there before."""
    async with database.connection(tenant_id) as connection:
        options = await load_options(connection, tenant_id)
    if not options.registration:
        raise NotAllowed("registration is switched off")
    hashed = await hash_password(password)
    try:
        async with database.transaction(tenant_id) as session:
            user = User(tenant_id=tenant_id, email=email.lower(), name=name, role=Role.CUSTOMER, password_hash=hashed)
            session.add(user)
            await session.flush()
            session.add(Customer(tenant_id=tenant_id, email=user.email, name=name, user_id=user.id))
            return user
    except IntegrityError as error:
        raise Conflict("this address has an account already") from error


async def add_user(
    database: Database, principal: Principal, *, email: str, password: str, name: str, role: Role, **who: Any
) -> User:
    """A colleague or a customer, added by an admin."""
    hashed = await hash_password(password)
    try:
        async with database.transaction(principal.tenant_id) as session:
            user = User(tenant_id=principal.tenant_id, email=email.lower(), name=name, role=role, password_hash=hashed)
            session.add(user)
            await session.flush()
            if role is Role.CUSTOMER:
                session.add(Customer(tenant_id=principal.tenant_id, email=user.email, name=name, user_id=user.id))
            audit.record(session, principal, "user.added", "user", user.id, changes={"role": role}, **who)
            return user
    except IntegrityError as error:
        raise Conflict("this address is taken") from error


async def change_user(
    database: Database, principal: Principal, user_id: UUID, changes: dict[str, Any], **who: Any
) -> User:
    """Role, active flag, name, audience. A change of the first two ends the user's tokens; the last admin stays one."""
    async with database.transaction(principal.tenant_id) as session:
        user = (await session.exec(select(User).where(User.id == user_id).with_for_update())).one_or_none()
        if user is None:
            raise NotFound("no such user")
        _check_role_change(user, changes)
        demoted = user.role == Role.ADMIN and (
            changes.get("role", user.role) != Role.ADMIN or changes.get("is_active") is False
        )
        if demoted and await _is_last_admin(session, user):
            raise Conflict("a tenant keeps at least one active admin")
        if {"role", "is_active"} & changes.keys():
            user.token_epoch += 1
        user.sqlmodel_update(changes)
        session.add(user)
        if "audience" in changes:
            for customer in await session.exec(select(Customer).where(Customer.user_id == user_id)):
                customer.audience = changes["audience"]
                session.add(customer)
        audit.record(session, principal, "user.changed", "user", user.id, changes=changes, **who)
        return user


def _check_role_change(user: User, changes: dict[str, Any]) -> None:
    """A customer's account is not turned into a colleague's: their addresses are unique in different ways."""
    role = changes.get("role", user.role)
    if (role == Role.CUSTOMER) != (user.role == Role.CUSTOMER):
        raise Conflict("customers and staff have separate accounts; add a new user instead")


async def _is_last_admin(session: AsyncSession, user: User) -> bool:
    admins = await session.exec(select(User).where(User.role == Role.ADMIN, col(User.is_active)).with_for_update())
    return [admin.id for admin in admins] == [user.id]


async def list_users(database: Database, principal: Principal, *, before: UUID | None, limit: int) -> list[User]:
    async with database.transaction(principal.tenant_id) as session:
        query = select(User).order_by(col(User.id).desc()).limit(limit)
        if before:
            query = query.where(col(User.id) < before)
        return list(await session.exec(query))


async def get_user(database: Database, tenant_id: UUID, user_id: UUID) -> User:
    async with database.transaction(tenant_id) as session:
        user = (await session.exec(select(User).where(User.id == user_id))).one_or_none()
    if user is None:
        raise NotFound("no such user")
    return user


async def tenant_of_widget_key(database: Database, key: str) -> UUID:
    """The active tenant that a public widget key names. Raises NotAuthenticated."""
    async with database.lookup() as connection:
        row = await (await connection.execute("select tenant_of_widget_key(%s) as id", (key,))).fetchone()
    if row is None or row["id"] is None:
        raise NotAuthenticated("this widget key is not known")
    found: UUID = row["id"]
    return found


async def tenant_is_active(database: Database, tenant_id: UUID) -> bool:
    async with database.lookup() as connection:
        row = await (await connection.execute("select tenant_is_active(%s) as active", (tenant_id,))).fetchone()
    return bool(row and row["active"])


async def principal_of_user(connection: Connection, user_id: UUID, epoch: int) -> Principal:
    """Role and active flag as they are now, not as they were when the token was made. Raises NotAuthenticated."""
    row = await (await connection.execute(USER, (user_id, epoch))).fetchone()
    if row is None:
        raise NotAuthenticated("this token no longer holds")
    return Principal(
        tenant_id=row["tenant_id"], role=Role(row["role"]), user_id=user_id, customer_id=row["customer_id"],
        audience=frozenset(row["audience"]),
    )  # fmt: skip


async def principal_of_visitor(connection: Connection, customer_id: UUID, epoch: int) -> Principal:
    """A visitor by the customer that an earlier session made. Raises NotAuthenticated."""
    row = await (await connection.execute(VISITOR, (customer_id, epoch))).fetchone()
    if row is None:
        raise NotAuthenticated("this token no longer holds")
    return _customer_principal(row)


async def principal_of_identity(connection: Connection, tenant_id: UUID, identity: Identity) -> Principal:
    """The customer whom the tenant's site vouches for, made on first sight and kept up to date."""
    values = {
        "id": new_id(), "tenant": tenant_id, "external": identity.external_id, "email": identity.email,
        "verified": identity.email_verified, "name": identity.name, "audience": list(identity.audience),
    }  # fmt: skip
    row = await (await connection.execute(IDENTIFIED, values)).fetchone()
    assert row is not None  # an upsert always returns its row
    return _customer_principal(row)


async def add_visitor(connection: Connection, tenant_id: UUID) -> Principal:
    """A new customer of whom nothing is known."""
    row = await (await connection.execute(NEW_VISITOR, (new_id(), tenant_id))).fetchone()
    assert row is not None  # an insert returns its row
    return _customer_principal(row)


async def customer_of_user(connection: Connection, principal: Principal) -> Principal:
    """The same user as a customer, so that a colleague can chat too."""
    if principal.customer_id:
        return principal
    row = await (
        await connection.execute(
            CUSTOMER_OF_USER, {"id": new_id(), "tenant": principal.tenant_id, "user": principal.user_id}
        )
    ).fetchone()
    assert row is not None  # an upsert always returns its row
    return replace(principal, customer_id=row["id"])


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


def _customer_principal(row: dict[str, Any]) -> Principal:
    return Principal(
        tenant_id=row["tenant_id"], role=Role.CUSTOMER, user_id=row["user_id"], customer_id=row["id"],
        audience=frozenset(row["audience"]),
    )  # fmt: skip


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


USER = """
select u.tenant_id, u.role, u.audience, c.id as customer_id from users u left join customers c on c.user_id = u.id
where u.id = %s and u.token_epoch = %s and u.is_active and tenant_is_active(u.tenant_id)
"""
VISITOR = """
select id, tenant_id, user_id, audience from customers
where id = %s and visitor_epoch = %s and tenant_is_active(tenant_id)
"""
IDENTIFIED = """
insert into customers (id, tenant_id, external_id, email, email_verified, name, audience, visitor_epoch)
values (%(id)s, %(tenant)s, %(external)s, %(email)s, %(verified)s, %(name)s, %(audience)s, 0)
on conflict (tenant_id, external_id) where external_id is not null do update
set email = coalesce(excluded.email, customers.email), email_verified = excluded.email_verified,
    name = coalesce(nullif(excluded.name, ''), customers.name), audience = excluded.audience
returning id, tenant_id, user_id, audience
"""
NEW_VISITOR = """
insert into customers (id, tenant_id, email_verified, name, visitor_epoch) values (%s, %s, false, '', 0)
returning id, tenant_id, user_id, audience
"""
CUSTOMER_OF_USER = """
insert into customers (id, tenant_id, user_id, email_verified, name, visitor_epoch)
values (%(id)s, %(tenant)s, %(user)s, false, '', 0)
on conflict (user_id) where user_id is not null do update set user_id = excluded.user_id returning id
"""
KEY_USED = "update api_keys set last_used_at = now() where id = %s and revoked_at is null returning scopes"
