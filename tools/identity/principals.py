"""From a credential to the caller: users, visitors, customers whom a tenant's site vouches for, and its own servers."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from memory.database import Connection, Database
from memory.errors import Invalid, NotAuthenticated
from memory.models import new_id
from memory.pipeline import statement
from memory.tenancy import Principal, Role

OF_WHMCS = "whmcs:"
"""What the ids of customers begin with who came from there. A site whose visitors choose their own ids must not make one
of them such a customer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What the site of a tenant vouches for about its visitor."""

    external_id: str
    email: str | None = None
    email_verified: bool = False
    name: str = ""
    audience: tuple[str, ...] = ()


async def tenant_of_widget_key(database: Database, key: str) -> UUID:
    """The active tenant that a public widget key names. Raises NotAuthenticated."""
    row = None
    if key.isprintable():  # the database takes no NUL
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


async def principal_of_user(connection: Connection, user_id: UUID, epoch: int, sign_in: str) -> Principal:
    """Role and active flag as they are now, not as they were when the token was made; nobody once they signed out. Raises
    NotAuthenticated."""
    row = await (await connection.execute(USER, (user_id, epoch, sign_in))).fetchone()
    if row is None:
        raise NotAuthenticated("this token no longer holds")
    return Principal(
        tenant_id=row["tenant_id"], role=Role(row["role"]), user_id=user_id, customer_id=row["customer_id"],
        audience=frozenset(row["audience"]),
    )  # fmt: skip


async def principal_of_visitor(database: Database, tenant_id: UUID, customer_id: UUID, epoch: int) -> Principal:
    """A visitor by the customer that an earlier session made; nobody where the tenant now wants signed identities. Raises
    NotAuthenticated."""
    asked = (VISITOR, {"tenant": tenant_id, "customer": customer_id, "epoch": epoch})
    (rows,) = await database.calls(tenant_id).together(asked)
    if not rows:
        raise NotAuthenticated("this token no longer holds")
    return _customer_principal(rows[0])


async def principal_of_identity(connection: Connection, tenant_id: UUID, identity: Identity) -> Principal:
    """The customer whom the tenant's site vouches for, made on first sight and kept up to date. Raises NotAuthenticated
    for an id that no site gives."""
    if identity.external_id.startswith(OF_WHMCS):
        raise NotAuthenticated("an id of this form names nobody of this site")
    values = {
        "id": new_id(), "tenant": tenant_id, "external": identity.external_id, "email": identity.email,
        "verified": identity.email_verified and identity.email is not None, "name": identity.name,
        "audience": list(identity.audience),
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


async def customer_of_label(connection: Connection, tenant_id: UUID, label: str) -> Principal:
    """The customer whom a tenant's own server names by its id; what is known of them stays as it is. Raises Invalid for
    an id that no site gives."""
    if label.startswith(OF_WHMCS):
        raise Invalid(f"an id of your system can't begin with `{OF_WHMCS}`")
    row = await (
        await connection.execute(LABELLED, {"id": new_id(), "tenant": tenant_id, "external": label})
    ).fetchone()
    assert row is not None  # an upsert always returns its row
    return _customer_principal(row)


def _customer_principal(row: dict[str, Any]) -> Principal:
    return Principal(
        tenant_id=row["tenant_id"], role=Role.CUSTOMER, user_id=row["user_id"], customer_id=row["id"],
        audience=frozenset(row["audience"]),
    )  # fmt: skip


USER = """
select u.tenant_id, u.role, u.audience, c.id as customer_id from users u left join customers c on c.user_id = u.id
where u.id = %s and u.token_epoch = %s and not u.signed_out ? %s and u.is_active and tenant_is_active(u.tenant_id)
"""
VISITOR = statement("select * from visitor_of_token(%(tenant)s, %(customer)s, %(epoch)s)")
IDENTIFIED = """
insert into customers (id, tenant_id, external_id, email, email_verified, name, audience, visitor_epoch)
values (%(id)s, %(tenant)s, %(external)s, %(email)s, %(verified)s, %(name)s, %(audience)s, 0)
on conflict (tenant_id, external_id) where external_id is not null do update
set email = coalesce(excluded.email, customers.email),
    email_verified = case when excluded.email is null then customers.email_verified else excluded.email_verified end,
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
LABELLED = """
insert into customers (id, tenant_id, external_id, email_verified, name, visitor_epoch)
values (%(id)s, %(tenant)s, %(external)s, false, '', 0)
on conflict (tenant_id, external_id) where external_id is not null do update set external_id = excluded.external_id
returning id, tenant_id, user_id, audience
"""
