"""Bodies of the ranking: weights of the four sources and limits, their history, and what the outcomes speak for."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from api.schemas.common import Body, CleanText, Out, Time
from kbs.passages import Source
from kbs.search.weights import Weights
from tools.numbers import Whole
from tools.ranking.advice import Advice
from tools.ranking.effectiveness import INTERVAL
from tools.ranking.settings import MOST_PASSAGES, Ranking

Amount = Annotated[float, Field(ge=0, le=1_000_000, strict=True, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, strict=True, allow_inf_nan=False)]
Reason = Annotated[CleanText, StringConstraints(max_length=500)]
TopK = Annotated[Whole, Field(ge=1, le=MOST_PASSAGES, description="passages that an answer may rest on")]


class WeightsIn(Body):
    """Four amounts of any size; they are normalised to sum to 1."""

    global_kb: Amount
    tenant_kb: Amount
    example: Amount
    correction: Amount

    @model_validator(mode="after")
    def _weigh_something(self) -> "WeightsIn":
        if not any(self.model_dump().values()):
            raise ValueError("one of the weights must be more than 0")
        return self


class RankingIn(Body):
    """A change or a candidate: what is left out stays as it is."""

    weights: WeightsIn | None = None
    rerank: Annotated[bool, Field(strict=True)] | None = None
    threshold: Annotated[Share, Field(description="least similarity that rerank lets through")] | None = None
    top_k: TopK | None = None

    def changes(self) -> dict[str, Any]:
        named = {"weights", "rerank", "threshold", "top_k"}
        return self.model_dump(exclude_unset=True, exclude_none=True, include=named)


class RankingChange(RankingIn):
    reason: Reason = Field(default="", description="kept in the history")
    version: UUID | None = Field(
        default=None,
        description="as read before, null included; 409 where somebody was faster. Left out: whatever holds",
    )

    @model_validator(mode="after")
    def _something(self) -> "RankingChange":
        if not self.changes():
            raise ValueError("names nothing to change")
        return self


class ResetIn(Body):
    reason: Reason = ""


class ApplyIn(Body):
    recommendation: Annotated[CleanText, StringConstraints(max_length=40)] | None = Field(
        default=None, description="the `id` that you read; 409 where another one is recommended by now"
    )


class WeightsOut(Out):
    global_kb: float
    tenant_kb: float
    example: float
    correction: float

    @classmethod
    def of(cls, weights: Weights) -> "WeightsOut":
        return cls(**{source.value: round(weights.of(source), 6) for source in Source})


class RankingOut(Out):
    weights: WeightsOut
    rerank: bool
    threshold: float
    top_k: int
    version: UUID | None = Field(description="null while nobody has changed anything: the defaults")
    kind: Literal["default", "set", "reset", "recommended"]
    reason: str
    changed_by: UUID | None
    changed_by_name: str | None
    changed_at: Time | None

    @classmethod
    def of(cls, ranking: Ranking) -> "RankingOut":
        row, options = ranking.row or {}, ranking.options
        return cls(
            weights=WeightsOut.of(options.weights), rerank=options.rerank, threshold=options.threshold,
            top_k=options.top_k, version=ranking.version, kind=row.get("kind", "default"),
            reason=row.get("reason", ""), changed_by=row.get("changed_by"),
            changed_by_name=row.get("changed_by_name"), changed_at=row.get("created_at"),
        )  # fmt: skip

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> "RankingOut":
        """An entry of the history."""
        weights = Weights(**{source.value: row[f"weight_{source.value}"] for source in Source})
        return cls(
            weights=WeightsOut.of(weights), rerank=row["rerank"], threshold=row["threshold"], top_k=row["top_k"],
            version=row["id"], kind=row["kind"], reason=row["reason"], changed_by=row["changed_by"],
            changed_by_name=row["changed_by_name"], changed_at=row["created_at"],
        )  # fmt: skip


class EffectivenessOut(Out):
    """One source's record."""

    source: Source
    outcomes: float = Field(description="answers and drafts that relied on it, by how much they did")
    mean: float = Field(description="share of them that went well, drawn to the mean of all while there are few")
    low: float = Field(description=f"from here to `high` it lies with {INTERVAL[1] - INTERVAL[0]:.0%} probability")
    high: float
    weight: float = Field(description="what the outcomes speak for")


class RecommendationOut(Out):
    id: str = Field(description="send it to `apply`")
    change: bool = Field(description="false: keep the weights; `reason` says why")
    weights: WeightsOut
    current: WeightsOut
    outcomes: int
    mean: float
    reason: str
    sources: list[EffectivenessOut]

    @classmethod
    def of(cls, advice: Advice) -> "RecommendationOut":
        found = advice.recommendation
        return cls(
            id=advice.id, change=found.change, weights=WeightsOut.of(found.weights),
            current=WeightsOut.of(advice.current.options.weights),
            outcomes=found.outcomes, mean=round(found.mean, 4), reason=found.reason,
            sources=[
                EffectivenessOut(
                    source=each.source, outcomes=round(each.outcomes, 2), mean=round(each.mean, 4),
                    low=round(each.low, 4), high=round(each.high, 4), weight=round(each.weight, 4),
                )
                for each in found.sources
            ],
        )  # fmt: skip
