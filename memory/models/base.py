"""What every table shares: UUIDv7 ids made here, times in UTC, and the tenant that owns a row."""

from datetime import datetime
from typing import Any
from uuid import UUID

import uuid_utils.compat as uuids
from sqlalchemy import DateTime, ForeignKeyConstraint, Text, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

GLOBAL_TENANT = UUID(int=0)
"""The reserved tenant of what everyone may read and nobody may write through the application's role."""


def new_id() -> UUID:
    """A UUIDv7: ordered by time, so that indexes grow at one end."""
    return uuids.uuid7()


def timestamp(**options: Any) -> Any:
    """A required time, set by the database's clock."""
    return Field(
        default=None, sa_type=DateTime(timezone=True), nullable=False,
        sa_column_kwargs={"server_default": func.now()}, **options,
    )  # fmt: skip


def optional_time() -> Any:
    return Field(default=None, sa_type=DateTime(timezone=True), nullable=True)


def json_object() -> Any:
    return Field(default_factory=dict, sa_type=JSONB, nullable=False, sa_column_kwargs={"server_default": "{}"})


def json_list() -> Any:
    return Field(default_factory=list, sa_type=JSONB, nullable=False, sa_column_kwargs={"server_default": "[]"})


def text_list() -> Any:
    return Field(default_factory=list, sa_type=ARRAY(Text), nullable=False, sa_column_kwargs={"server_default": "{}"})


def long_text(default: str | None = "") -> Any:
    return Field(default=default, sa_type=Text, nullable=default is None)


def of_tenant(column: str, table: str, ondelete: str = "CASCADE") -> ForeignKeyConstraint:
    """A foreign key that stays inside the tenant. Postgres checks foreign keys past row-level security, so one of the
    id alone would let a row hang on another tenant's. `table` needs `named_by_tenant()`."""
    clear = f"SET NULL ({column})" if ondelete == "SET NULL" else ondelete
    return ForeignKeyConstraint(["tenant_id", column], [f"{table}.tenant_id", f"{table}.id"], ondelete=clear)


def named_by_tenant() -> UniqueConstraint:
    """What `of_tenant` refers to."""
    return UniqueConstraint("tenant_id", "id")


class TenantOwned(SQLModel):
    """A row of one tenant: filtered and stamped by the query layer, walled off by row-level security."""

    tenant_id: UUID = Field(default=None, foreign_key="tenants.id", ondelete="CASCADE", nullable=False)


class SharedRead(SQLModel):
    """As `TenantOwned`, but rows of the global tenant are readable by all; writing them takes the owner's role."""

    tenant_id: UUID = Field(default=None, foreign_key="tenants.id", ondelete="CASCADE", nullable=False)


class Row(SQLModel):
    id: UUID = Field(default_factory=new_id, primary_key=True)
    created_at: datetime = timestamp()
