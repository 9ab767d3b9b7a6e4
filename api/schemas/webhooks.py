"""Bodies of webhooks: endpoints, their secrets, and the log of what was sent."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, model_validator

from api.schemas.common import Body, CleanText, Out, Time
from tools.outbound import LONGEST_URL
from tools.webhooks.events import EVENTS, EVERYTHING


def _known(name: str) -> str:
    if name != EVERYTHING and name not in EVENTS:
        raise ValueError("is no event that is told; `*` is every one")
    return name


EventName = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": [EVERYTHING, *EVENTS]})]
Events = Annotated[list[EventName], Field(min_length=1, max_length=len(EVENTS) + 1)]
Address = Annotated[
    str, StringConstraints(min_length=1, max_length=LONGEST_URL, pattern=r"^[!-~]+$"),
    Field(description="https, on a public host, port 443 or 8443"),
]  # fmt: skip
Description = Annotated[CleanText, StringConstraints(max_length=200)]
Status = Literal["active", "disabled"]
DeliveryStatus = Literal["pending", "delivered", "failed"]


class EventKindOut(Out):
    name: EventName
    tells: str


class EndpointIn(Body):
    url: Address
    events: Events
    description: Description = ""


class EndpointChange(Body):
    url: Address | None = None
    events: Events | None = None
    description: Description | None = None
    status: Status | None = None

    @model_validator(mode="after")
    def _no_empty_values(self) -> "EndpointChange":
        if any(getattr(self, name) is None for name in self.model_fields_set):
            raise ValueError("null is not a value of this field")
        return self


class EndpointOut(Out):
    id: UUID
    url: str
    description: str
    events: list[str]
    status: Status
    disabled_because: str | None
    failures: int = Field(description="attempts in a row that failed")
    failing_since: Time | None
    rests_until: Time | None = Field(description="it failed again and again: until then nothing is sent")
    previous_secret_until: Time | None = Field(description="until then the secret before signs too")
    created_at: Time


class NewEndpointOut(EndpointOut):
    secret: str = Field(description="shown this once")


class DeliveryOut(Out):
    id: UUID = Field(description="`webhook-id` is `msg_` and this without dashes")
    endpoint_id: UUID
    event_type: str
    status: DeliveryStatus
    attempts: int
    last_status: int | None = Field(description="the status that the receiver answered last")
    last_error: str | None
    next_attempt_at: Time | None
    created_at: Time
    delivered_at: Time | None


class DeliveryDetail(DeliveryOut):
    payload: dict[str, Any]


class RedeliverIn(Body):
    since: AwareDatetime = Field(description="of the events whose delivery failed, those since then")


class RedeliverOut(Out):
    deliveries: int = Field(description="how many are sent again; 10000 at most, so ask again where it is as many")
