"""What the owner of an installation does: tenants, the first users, and what every installation starts with.

These run as the database's owner, because no tenant's role may write tenants or global rows.
"""

import secrets
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from memory.database import Database
from memory.errors import Conflict, NotFound
from memory.models import GLOBAL_TENANT, Customer, PromptVersion, Tenant, TenantSettings, User
from memory.tenancy import Role
from tools.identity.passwords import hash_password

DEMO = "demo"
"""Slug and widget key of the tenant that an embedded installation starts with."""


async def add_tenant(owner: Database, slug: str, name: str, *, widget_key: str | None = None) -> Tenant:
    """A new tenant with a public widget key of its own. Raises Conflict for a slug that is taken."""
    tenant = Tenant(slug=slug, name=name, widget_key=widget_key or f"wk_{secrets.token_urlsafe(18)}")
    try:
        async with owner.transaction(tenant.id) as session:
            session.add(tenant)
            await session.flush()
            session.add(TenantSettings(tenant_id=tenant.id))
    except IntegrityError as error:
        raise Conflict(f"there is a tenant {slug!r} already") from error
    return tenant


async def list_tenants(owner: Database) -> list[Tenant]:
    async with owner.transaction(GLOBAL_TENANT) as session:
        query = select(Tenant).where(Tenant.id != GLOBAL_TENANT).order_by(col(Tenant.created_at))
        return list(await session.exec(query))


async def find_tenant(owner: Database, slug: str) -> Tenant:
    found = {tenant.slug: tenant for tenant in await list_tenants(owner)}.get(slug)
    if found is None:
        raise NotFound(f"there is no tenant {slug!r}")
    return found


async def set_tenant_status(owner: Database, slug: str, status: str) -> Tenant:
    """Suspend a tenant, or let it in again: its credentials stop or start working with the next request."""
    tenant = await find_tenant(owner, slug)
    async with owner.transaction(tenant.id) as session:
        tenant.status = status
        session.add(tenant)
    return tenant


async def add_first_user(owner: Database, slug: str, *, email: str, password: str, role: Role, name: str = "") -> User:
    """A user added from the command line, where there may be no admin yet."""
    tenant = await find_tenant(owner, slug)
    hashed = await hash_password(password)
    try:
        async with owner.transaction(tenant.id) as session:
            user = User(email=email.lower(), name=name, role=role, password_hash=hashed)
            session.add(user)
            await session.flush()
            if role is Role.CUSTOMER:
                session.add(Customer(email=user.email, name=name, user_id=user.id))
    except IntegrityError as error:
        raise Conflict("this address is taken") from error
    return user


async def set_password(owner: Database, slug: str, *, email: str, password: str) -> None:
    """A new password for who can't sign in any more; every sign-in of theirs ends. An address that has a colleague's and a
    customer's account is the colleague's here. Raises NotFound."""
    tenant = await find_tenant(owner, slug)
    hashed = await hash_password(password)
    async with owner.transaction(tenant.id) as session:
        of_address = list(await session.exec(select(User).where(User.email == email.lower()).with_for_update()))
        if not of_address:
            raise NotFound(f"{slug} has no user {email}")
        user = min(of_address, key=lambda user: user.role == Role.CUSTOMER)
        user.password_hash = hashed
        user.end_sign_ins()
        session.add(user)


async def lend_account(owner: Database, slug: str, *, email: str, password: str, name: str) -> None:
    """A colleague's account for a while: made where it is missing, opened with this password where it is not."""
    tenant = await find_tenant(owner, slug)
    hashed = await hash_password(password)
    async with owner.transaction(tenant.id) as session:
        user = (await session.exec(select(User).where(User.email == email))).first()
        if user is None:
            user = User(email=email, name=name, role=Role.AGENT, password_hash=hashed)
        user.password_hash, user.is_active = hashed, True
        session.add(user)


async def take_back_account(owner: Database, slug: str, *, email: str) -> None:
    """Close a lent account and end its tokens; what it did stays under its name."""
    tenant = await find_tenant(owner, slug)
    async with owner.transaction(tenant.id) as session:
        user = (await session.exec(select(User).where(User.email == email))).one()
        user.is_active = False
        user.end_sign_ins()
        session.add(user)


async def seed_prompt(owner: Database, parts: dict[str, Any], *, default: bool = True) -> bool:
    """A global prompt, the default one or a template: a changed text becomes the next version. True when something was
    written."""
    async with owner.transaction(GLOBAL_TENANT) as session:
        query = (
            select(PromptVersion).where(PromptVersion.name == parts["name"]).order_by(col(PromptVersion.version).desc())
        )
        versions = list(await session.exec(query.with_for_update()))
        if versions and all(getattr(versions[0], name) == text for name, text in parts.items()):
            return False
        for version in versions:
            version.is_active = False
            session.add(version)
        await session.flush()
        number = versions[0].version + 1 if versions else 1
        session.add(PromptVersion(**parts, version=number, is_active=default, tenant_id=GLOBAL_TENANT))
    return True


async def seed_demo(owner: Database) -> bool:
    """The demo tenant, where there is no tenant at all. It has no staff and no password."""
    if await list_tenants(owner):
        return False
    await add_tenant(owner, DEMO, "Demo", widget_key=DEMO)
    return True


async def mirror_tenants(owner: Database, knowledge: Database) -> None:
    """Make every tenant known where its articles are, when the knowledge base has a database of its own."""
    if owner.url == knowledge.url:
        return
    async with knowledge.lookup() as connection:
        for tenant in await list_tenants(owner):
            await connection.execute(MIRROR, (tenant.id, tenant.slug, tenant.name, tenant.status, tenant.widget_key))


MIRROR = """
insert into tenants (id, slug, name, status, widget_key) values (%s, %s, %s, %s, %s)
on conflict (id) do update set slug = excluded.slug, name = excluded.name, status = excluded.status
"""
