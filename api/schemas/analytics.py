"""Bodies of what was counted. Rates lie between 0 and 1 and are null where there is nothing to divide by."""

from datetime import date
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from api.schemas.common import Out, Time
from tools.analytics.alerts import Kind


class RangeOut(Out):
    first: date = Field(description="UTC day, included")
    last: date = Field(description="UTC day, included")


class AlertOut(Out):
    id: UUID
    kind: Kind
    subject: str = Field(description="what it is about, where there is more than one of its kind")
    data: dict[str, Any]
    created_at: Time
    seen_at: Time = Field(description="when it was last found to hold")
    acknowledged_by: UUID | None
    acknowledged_at: Time | None
    ended_at: Time | None


class AnalyticsSummaryOut(Out):
    """A range, and what its figures come to."""

    range: RangeOut
    conversations: dict[str, Any]
    answers: dict[str, Any]
    handoffs: dict[str, Any]
    tickets: dict[str, Any]
    feedback: dict[str, Any]
    guardrails: dict[str, int] = Field(description="by `category:action`")
    intents: list[dict[str, Any]] = Field(description="most frequent first; `before`: in the range before this one")
    drafts: dict[str, Any]
    sources: list[dict[str, Any]]
    cost: dict[str, Any]


class DashboardOut(AnalyticsSummaryOut):
    """The same with the days one by one, and what somebody should look at."""

    daily: list[dict[str, Any]]
    alerts: list[AlertOut]
    system: dict[str, dict[str, Any]] = Field(
        description="at this moment: what the knowledge base holds, how the WHMCS connection is, and how much waits"
    )


class HistoryOut(Out):
    range: RangeOut
    by: Literal["day", "week"]
    items: list[dict[str, Any]] = Field(
        description="oldest first; `since` is a bucket's first day, weeks begin on Monday"
    )


class GuardrailsOut(Out):
    range: RangeOut
    total: int
    by_category: dict[str, int]
    by_action: dict[str, int]
    daily: list[dict[str, Any]]


class SourcesOut(Out):
    range: RangeOut
    items: list[dict[str, Any]]


class CurveOut(Out):
    """What a confidence score came to mean, from what people decided or said."""

    basis: Literal["prior", "slope", "steps"] = Field(
        description="prior: too few outcomes, nothing of your own is in it; slope: a logistic curve; steps: as observed"
    )
    outcomes: int
    points: list[tuple[float, float]] = Field(description="score 0 to 100, probability; straight lines join them")


class CalibrationOut(Out):
    drafts: CurveOut = Field(description="that a draft is approved unchanged")
    answers: CurveOut = Field(description="that an answer in the chat helps, by thumbs, resolved or not, and stars")
