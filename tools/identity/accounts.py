"""People with a password: signing in and out, registering, and what admins do with users."""

import time
from typing import Any, Literal
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from memory import audit
from memory.database import Database
from memory.errors import Conflict, Invalid, NotAllowed, NotAuthenticated, NotFound
from memory.models import Customer, User
from memory.tenancy import Principal, Role
from tools.identity.passwords import check_password, hash_password
from tools.identity.principals import tenant_is_active
from tools.tenants import load_options

MOST_SIGNED_OUT = 100
"""Of one user within half a day; at the next one all their sign-ins end."""


async def sign_in(database: Database, email: str, password: str, *, tenant_id: UUID | None) -> User:
    """Staff by address alone; a customer within the tenant of the widget key. Raises NotAuthenticated."""
    user = await _find_user(database, email.lower(), tenant_id)
    if not await check_password(password, user.password_hash if user else None) or user is None or not user.is_active:
        raise NotAuthenticated("the address or the password is wrong")
    return user


async def _find_user(database: Database, email: str, tenant_id: UUID | None) -> User | None:
    """Of both kinds of account that an address may have, the one that is meant: a customer's within a tenant, else
    staff's."""
    kind = col(User.role) == Role.CUSTOMER if tenant_id else col(User.role) != Role.CUSTOMER
    if tenant_id is None:
        async with database.lookup() as connection:
            row = await (await connection.execute("select * from staff_of_email(%s)", (email,))).fetchone()
        if row is None:
            return None
        tenant_id = row["tenant_id"]
    if not await tenant_is_active(database, tenant_id):
        return None
    async with database.transaction(tenant_id) as session:
        return (await session.exec(select(User).where(User.email == email, kind))).one_or_none()


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
    """Role, active flag, password, name, audience, and a colleague's teams and availability. A change of the first three
    ends the user's tokens; the last admin stays one. One's own password is changed with `change_password`."""
    password = changes.pop("password", None)
    if password is not None and user_id == principal.user_id:
        raise Conflict("change your own password with the one that you have")
    hashed = await hash_password(password) if password is not None else None
    async with database.transaction(principal.tenant_id) as session:
        user = (await session.exec(select(User).where(User.id == user_id).with_for_update())).one_or_none()
        if user is None:
            raise NotFound("no such user")
        _check_role_change(user, changes)
        if user.role == Role.CUSTOMER and {"teams", "is_available"} & changes.keys():
            raise Conflict("only colleagues have teams and availability")
        demoted = user.role == Role.ADMIN and (
            changes.get("role", user.role) != Role.ADMIN or changes.get("is_active") is False
        )
        if demoted and await _is_last_admin(session, user):
            raise Conflict("a tenant keeps at least one active admin")
        if {"role", "is_active"} & changes.keys():
            user.end_sign_ins()
        if hashed is not None:
            user.password_hash = hashed
            user.end_sign_ins()
        user.sqlmodel_update(changes)
        session.add(user)
        if "audience" in changes:
            for customer in await session.exec(select(Customer).where(Customer.user_id == user_id)):
                customer.audience = changes["audience"]
                session.add(customer)
        if hashed is not None:
            changes = {**changes, "password": "set"}
        audit.record(session, principal, "user.changed", "user", user.id, changes=changes, **who)
        return user


async def change_password(database: Database, principal: Principal, *, current: str, new: str, **who: Any) -> User:
    """A user's own, with the one before; every sign-in ends. Raises Invalid."""
    assert principal.user_id is not None  # the route asks for an account
    user = await get_user(database, principal.tenant_id, principal.user_id)
    if not await check_password(current, user.password_hash):
        raise Invalid("the current password is wrong")
    hashed = await hash_password(new)
    async with database.transaction(principal.tenant_id) as session:
        now = (await session.exec(select(User).where(User.id == user.id).with_for_update())).one()
        if now.password_hash != user.password_hash:
            raise Conflict("the password was changed a moment ago")
        now.password_hash = hashed
        now.end_sign_ins()
        session.add(now)
        audit.record(session, principal, "user.password_changed", "user", now.id, **who)
        return now


async def sign_out(database: Database, principal: Principal, sign_in: str, *, until: float, **who: Any) -> None:
    """End one sign-in of a user, whose tokens would end by themselves at `until` (seconds since 1970); all of them where it
    has no name."""
    async with database.transaction(principal.tenant_id) as session:
        user = (await session.exec(select(User).where(User.id == principal.user_id).with_for_update())).one()
        ended = {name: end for name, end in user.signed_out.items() if end > time.time()}
        everywhere = not sign_in or len(ended) >= MOST_SIGNED_OUT
        if everywhere:
            user.end_sign_ins()
        else:
            user.signed_out = {**ended, sign_in: until}
        session.add(user)
        audit.record(session, principal, "user.signed_out", "user", user.id, changes={"everywhere": everywhere}, **who)


async def set_available(database: Database, principal: Principal, is_available: bool, **who: Any) -> User:
    """A colleague goes on or off duty."""
    async with database.transaction(principal.tenant_id) as session:
        user = (await session.exec(select(User).where(User.id == principal.user_id).with_for_update())).one()
        if user.is_available != is_available:
            user.is_available = is_available
            session.add(user)
            changes = {"is_available": is_available}
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


async def list_users(
    database: Database,
    principal: Principal,
    *,
    kind: Literal["staff", "customers"] | None,
    before: UUID | None,
    limit: int,
) -> list[User]:
    """The newest first; with a kind only those with a password who work here, or who ask here."""
    async with database.transaction(principal.tenant_id) as session:
        query = select(User).order_by(col(User.id).desc()).limit(limit)
        if before:
            query = query.where(col(User.id) < before)
        if kind:
            customers = col(User.role) == Role.CUSTOMER
            query = query.where(customers if kind == "customers" else ~customers)
        return list(await session.exec(query))


async def get_user(database: Database, tenant_id: UUID, user_id: UUID) -> User:
    async with database.transaction(tenant_id) as session:
        user = (await session.exec(select(User).where(User.id == user_id))).one_or_none()
    if user is None:
        raise NotFound("no such user")
    return user
