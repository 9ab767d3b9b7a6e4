"""Who is asking, and the query layer that keeps every statement inside that tenant.

Isolation has three layers: the principal is set from the credential, this layer scopes each ORM statement and stamps
each new row, and row-level security in Postgres holds even where this layer is switched off. Nothing here reads a
context variable: the tenant is handed to every transaction. Plain SQL names the tenant itself, for the same reason;
`tests/memory/test_second_wall.py` looks at every statement.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import event
from sqlalchemy.orm import LoaderCriteriaOption, ORMExecuteState, Session, with_loader_criteria
from sqlmodel import SQLModel

from memory.errors import NotAllowed, NoTenant
from memory.models import GLOBAL_TENANT, SharedRead, TenantOwned


class Role(StrEnum):
    CUSTOMER = "customer"
    AGENT = "agent"
    ADMIN = "admin"

    @property
    def is_staff(self) -> bool:
        return self is not Role.CUSTOMER


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The caller, as the credential and the database say; never built from a request's body."""

    tenant_id: UUID
    role: Role
    user_id: UUID | None = None
    customer_id: UUID | None = None
    audience: frozenset[str] = field(default_factory=frozenset)
    is_server: bool = False
    """A tenant's own server with a secret key: it reaches what its scopes name, and nothing else."""
    scopes: frozenset[str] = field(default_factory=frozenset)

    @property
    def key(self) -> str:
        """Names the caller in idempotency rows, rate limits and the audit log."""
        if self.user_id is not None:
            return f"{'key' if self.is_server else 'user'}:{self.user_id}"
        return f"customer:{self.customer_id}" if self.customer_id else f"tenant:{self.tenant_id}"

    @property
    def is_colleague(self) -> bool:
        """A person of the staff: a server speaks for customers and sees what they may see."""
        return self.role.is_staff and not self.is_server

    def must_be(self, *roles: Role) -> None:
        if self.role not in roles:
            raise NotAllowed("your role does not reach this")


def scope(session: Session, tenant_id: UUID, *, filtered: bool = True) -> None:
    """Bind a session to one tenant; `filtered=False` leaves row-level security alone on guard (for its proof)."""
    session.info["tenant_id"] = tenant_id
    session.info["filtered"] = filtered


@event.listens_for(Session, "do_orm_execute")
def _filter(state: ORMExecuteState) -> None:
    if state.execution_options.get("all_tenants") or not (state.is_select or state.is_update or state.is_delete):
        return
    tenant_id = _tenant_of(state.session)
    if not state.session.info.get("filtered", True) or state.is_column_load or state.is_relationship_load:
        return
    state.statement = state.statement.options(*_criteria(tenant_id, state.is_select))


@lru_cache(maxsize=4096)
def _criteria(tenant_id: UUID, reading: bool) -> tuple[LoaderCriteriaOption, ...]:
    """The filter of every tenant-owned table, aliases and joins included; global rows only while reading."""
    readable = (tenant_id, GLOBAL_TENANT)
    return tuple(
        with_loader_criteria(
            model,
            model.tenant_id.in_(readable) if reading and shared else model.tenant_id == tenant_id,
            include_aliases=True,
        )
        for model, shared in _scoped_models()
    )


@cache
def _scoped_models() -> tuple[tuple[Any, bool], ...]:
    models = [mapper.class_ for mapper in SQLModel._sa_registry.mappers]
    return tuple(
        (model, issubclass(model, SharedRead)) for model in models if issubclass(model, TenantOwned | SharedRead)
    )


@event.listens_for(Session, "before_flush")
def _stamp(session: Session, context: Any, instances: Any) -> None:
    for row in session.new:
        if isinstance(row, TenantOwned | SharedRead):
            tenant_id = _tenant_of(session)
            if row.tenant_id is None:
                row.tenant_id = tenant_id
            elif row.tenant_id != tenant_id:
                raise NoTenant(f"a row of another tenant in a transaction of {tenant_id}")


def _tenant_of(session: Session) -> UUID:
    tenant_id = session.info.get("tenant_id")
    if tenant_id is None:
        raise NoTenant("a statement ran outside a tenant's transaction")
    return tenant_id  # type: ignore[no-any-return]
