"""What tenants' own systems are told: endpoints, and one row per event and endpoint until it has been delivered."""

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


class WebhookEndpoint(Row, TenantOwned, table=True):
    __tablename__ = "webhook_endpoints"
    __table_args__ = (Index("webhook_endpoints_tenant", "tenant_id", "id"), named_by_tenant())

    url: str
    description: str = ""
    events: list[str] = text_list()
    secret: str = Field(description="encrypted; signs what is sent")
    previous_secret: str | None = Field(default=None, description="encrypted; signs beside it for a day after a change")
    previous_until: datetime | None = optional_time()
    status: str = Field(default="active", description="active | disabled")
    disabled_because: str | None = None
    failing_since: datetime | None = optional_time()
    failures: int = Field(default=0, description="attempts in a row that failed")
    rests_until: datetime | None = optional_time()
    created_by: UUID | None = None


class WebhookDelivery(Row, TenantOwned, table=True):
    """One event on its way to one endpoint; written by a trigger in the transaction of the event itself."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("webhook_deliveries_due", "endpoint_id", "next_attempt_at", postgresql_where=text("status = 'pending'")),
        Index("webhook_deliveries_endpoint", "endpoint_id", "id"),
        of_tenant("endpoint_id", "webhook_endpoints"),
    )

    endpoint_id: UUID
    event_type: str
    payload: dict[str, Any] = json_object()
    status: str = Field(default="pending", description="pending | delivered | failed")
    attempts: int = 0
    next_attempt_at: datetime = timestamp()
    last_status: int | None = None
    last_error: str | None = None
    delivered_at: datetime | None = optional_time()
