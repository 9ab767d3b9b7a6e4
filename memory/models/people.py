"""Tenants and the people in them: staff and registered customers sign in as users; every asker is a customer."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import Field

from memory.models.base import (
    Row,
    TenantOwned,
    json_object,
    named_by_tenant,
    of_tenant,
    optional_time,
    text_list,
    timestamp,
)


class Tenant(Row, table=True):
    __tablename__ = "tenants"

    slug: str = Field(unique=True)
    name: str
    status: str = Field(default="active", description="active | suspended")
    widget_key: str = Field(unique=True, description="public: names the tenant of an anonymous visitor")


class TenantSettings(TenantOwned, table=True):
    __tablename__ = "tenant_settings"

    tenant_id: UUID = Field(primary_key=True, foreign_key="tenants.id", ondelete="CASCADE")
    options: dict[str, Any] = json_object()
    identity_secret: str | None = Field(default=None, description="encrypted; signs the site's identity tokens")
    version: int = 1
    updated_at: datetime = timestamp()


class User(Row, TenantOwned, table=True):
    """Someone with a password. Staff addresses are unique everywhere, customers' within their tenant; one address may
    have an account of either kind, so that nobody who registers can keep a colleague out."""

    __tablename__ = "users"
    __table_args__ = (
        Index("users_staff_email", "email", unique=True, postgresql_where=text("role <> 'customer'")),
        Index("users_customer_email", "tenant_id", "email", unique=True, postgresql_where=text("role = 'customer'")),
        named_by_tenant(),
    )

    email: str = Field(description="lower case")
    name: str = ""
    role: str = Field(description="customer | agent | admin")
    password_hash: str
    is_active: bool = True
    token_epoch: int = Field(default=0, description="raised to end every token given out before")
    signed_out: dict[str, float] = json_object()
    """Sign-ins that were ended, and when their last token would have ended by itself; seconds since 1970."""
    audience: list[str] = text_list()
    teams: list[str] = text_list()
    is_available: bool = Field(default=True, sa_column_kwargs={"server_default": "true"}, description="on duty")
    last_assigned_at: datetime | None = optional_time()

    def end_sign_ins(self) -> None:
        """Every token that was given out before ends."""
        self.token_epoch, self.signed_out = self.token_epoch + 1, {}


class Customer(Row, TenantOwned, table=True):
    """Whoever asks: a visitor, a signed identity of the site, or a registered user."""

    __tablename__ = "customers"
    __table_args__ = (
        Index("customers_external", "tenant_id", "external_id", unique=True,
              postgresql_where=text("external_id is not null")),
        Index("customers_user", "user_id", unique=True, postgresql_where=text("user_id is not null")),
        of_tenant("user_id", "users", "SET NULL"),
        of_tenant("merged_into", "customers", "SET NULL"),
        named_by_tenant(),
    )  # fmt: skip

    external_id: str | None = None
    email: str | None = None
    email_verified: bool = False
    name: str = ""
    audience: list[str] = text_list()
    user_id: UUID | None = None
    merged_into: UUID | None = None
    visitor_epoch: int = 0


class ApiKey(Row, TenantOwned, table=True):
    """A tenant's secret key for its own servers; only its hash is kept."""

    __tablename__ = "api_keys"

    name: str
    prefix: str = Field(description="the first characters, to recognise a key in a list")
    secret_hash: str = Field(unique=True)
    scopes: list[str] = text_list()
    created_by: UUID | None = None
    last_used_at: datetime | None = optional_time()
    revoked_at: datetime | None = optional_time()
