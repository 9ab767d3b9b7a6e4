"""What an evaluation finds: observations by case, scores by dataset, and figures to be drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from evals.cases import Case

Observed = dict[str, Any]
"""What was observed of one case, as JSON."""


class Evaluator(Protocol):
    """A frozen dataclass with what it needs, and this one method."""

    async def evaluate(self, case: Case) -> Observed: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One case, once evaluated."""

    case: Case
    repeat: int
    ms: float
    observed: Observed
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One number of a dataset; `key` finds its baseline."""

    suite: str
    dataset: str
    metric: str
    value: float
    n: int
    unit: Literal["", "ms"] = ""
    lower_is_better: bool = False

    @property
    def key(self) -> str:
        return f"{self.suite}/{self.dataset}/{self.metric}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Lines over one another."""

    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[tuple[float, float]]]
    diagonal: bool = False
    kind: Literal["curve"] = "curve"


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """A confusion matrix: rows are the truth."""

    title: str
    labels: Sequence[str]
    cells: Sequence[Sequence[int]]
    kind: Literal["matrix"] = "matrix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Distributions beside one another, such as milliseconds or scores of two kinds of cases."""

    title: str
    x: str
    values: Mapping[str, Sequence[float]]
    kind: Literal["spread"] = "spread"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Shares of several sets, each with the same named variations."""

    title: str
    x: str
    values: Mapping[str, Mapping[str, float]]
    """Set, variation, share."""
    kind: Literal["bars"] = "bars"


Figure = Bars | Curve | Matrix | Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a suite makes of its rows."""

    scores: Sequence[Score] = ()
    figures: Sequence[Figure] = ()
    misses: Sequence[tuple[str, str]] = field(default=())
    """Cases of our own that came out wrong, with what was told: (case, observed)."""
