"""The tenant's connection to its WHMCS, and each synchronisation with what came of it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import Field

from memory.models.base import Row, TenantOwned, json_object, long_text, optional_time, timestamp


class WhmcsConnection(TenantOwned, table=True):
    """One per tenant. A removed one stays as a row without credentials: its tickets are still known by its ids."""

    __tablename__ = "whmcs_connections"
    __table_args__ = (
        Index("whmcs_connections_due", "next_sync_at", postgresql_where=text("next_sync_at is not null")),
    )

    tenant_id: UUID = Field(primary_key=True, foreign_key="tenants.id", ondelete="CASCADE")
    created_at: datetime = timestamp()
    updated_at: datetime = timestamp()
    version: int = Field(default=1, description="rises with every change of the settings")
    url: str = Field(description="of the installation, without includes/api.php")
    identifier: str = Field(description="encrypted")
    secret: str = Field(description="encrypted")
    access_key: str | None = Field(default=None, description="encrypted; lets us in from any address")
    options: dict[str, Any] = json_object()
    history_until: datetime = timestamp()
    """Tickets and words that WHMCS dates earlier come as history: no webhook and no draft is made for each of them. When
    the connection was made, made anew, pointed at another installation, or widened."""
    next_sync_at: datetime | None = optional_time()
    """When the schedule syncs again; null where it does not."""
    synced_at: datetime | None = optional_time()
    """The end of the last synchronisation that succeeded."""
    failures: int = Field(default=0, description="synchronisations in a row that failed")
    failing_since: datetime | None = optional_time()
    error_code: str | None = None
    error: str | None = None
    removed_at: datetime | None = optional_time()


class WhmcsSync(Row, TenantOwned, table=True):
    """One synchronisation. At most one of a tenant runs, and whoever runs it holds a lease."""

    __tablename__ = "whmcs_syncs"
    __table_args__ = (
        Index("whmcs_syncs_running", "tenant_id", unique=True, postgresql_where=text("state = 'running'")),
        Index("whmcs_syncs_newest", "tenant_id", "id"),
    )

    state: str = Field(default="running", description="running | succeeded | failed")
    asked_by: str = Field(default="", description="`user:<id>`, or `schedule`")
    owner: str = Field(default="", description="who runs it now; a later owner ends an earlier one's writing")
    lease_until: datetime = timestamp()
    listed: int = 0
    opened: int = 0
    changed: int = 0
    failed: int = Field(
        default=0, description="tickets that could not be taken over; the next synchronisation tries again"
    )
    report: dict[str, Any] = json_object()
    """`tickets`: the first ids that it touched; `problems`: the first that failed, with why; `statuses`: of WHMCS that
    no setting maps."""
    error_code: str | None = None
    error: str = long_text()
    ended_at: datetime | None = optional_time()
