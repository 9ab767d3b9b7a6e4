"""What was counted of each day, and what somebody should look at."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Float, Index, text
from sqlmodel import Field

from memory.models.base import Row, TenantOwned, json_object, optional_time, timestamp


class DailyFigure(TenantOwned, table=True):
    """One figure of one UTC day: how often, and the sum of what was measured. Derived: it can be counted again from the
    rows as long as these are there, and outlives them."""

    __tablename__ = "daily_figures"

    tenant_id: UUID = Field(primary_key=True, foreign_key="tenants.id", ondelete="CASCADE")
    day: date = Field(primary_key=True)
    name: str = Field(primary_key=True)
    key: str = Field(primary_key=True, description="what it is counted by, such as an intent or a level")
    count: int = 0
    total: float = Field(default=0.0, sa_type=Float)


class CountedDay(TenantOwned, table=True):
    """A day whose figures stand in `daily_figures`, also where there were none."""

    __tablename__ = "counted_days"

    tenant_id: UUID = Field(primary_key=True, foreign_key="tenants.id", ondelete="CASCADE")
    day: date = Field(primary_key=True)
    counted_at: datetime = timestamp()


class Alert(Row, TenantOwned, table=True):
    """A condition that somebody should know of; at most one of a kind and subject is open."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index("alerts_open", "tenant_id", "kind", "subject", unique=True, postgresql_where=text("ended_at is null")),
        Index("alerts_newest", "tenant_id", "id"),
    )

    kind: str = Field(
        description="sla_breach | sync_failing | stale_index | model_errors | escalation_spike | webhook_off"
    )
    subject: str = ""
    data: dict[str, Any] = json_object()
    seen_at: datetime = timestamp()
    """When the condition was last found to hold."""
    acknowledged_by: UUID | None = None
    acknowledged_at: datetime | None = optional_time()
    ended_at: datetime | None = optional_time()
