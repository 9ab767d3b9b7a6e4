"""From outcomes to weights: how well each source has served, how sure that is, and what to make of it. Pure.

An outcome is one decided draft or judged answer with a value in [0, 1], and it credits the sources that it relied on
by their shares, which sum to 1. The estimate of a source is Beta-binomial:

    prior      Beta with the mean of all outcomes (itself drawn to 0.5 by two) and the weight of PRIOR outcomes
    posterior  the prior with the source's credited successes and failures added
    interval   the middle 90 % of the posterior, which is shown; the middle 98.75 % decides, because one of four sources
               looks better or worse by chance four times as often as one alone
    weight     default weight x (posterior mean / mean of all) ^ EMPHASIS, at most x LIMIT or / LIMIT, normalised

So a source without outcomes keeps its default share, few outcomes move little, and many move it as far as they carry.
A change is recommended only where the outcomes suffice, one source differs from the rest beyond doubt, and a weight
moves visibly; else it is recommended to keep what is there, and said why. What it cannot know is why a source was near
in the first place: outcomes are observed, not randomised, so replay a change before it is applied.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from kbs.passages import Source
from kbs.search.weights import DEFAULT_WEIGHTS, Weights

PRIOR = 20.0
"""Outcomes that the prior is worth."""
ENOUGH = 30
"""Outcomes in all before any change is recommended."""
EMPHASIS = 1.5
LIMIT = 2.5
"""No source gets more than so many times its default, or less than that part of it, before normalising."""
VISIBLE = 0.01
"""Least change of a weight that is worth recommending."""
INTERVAL = (0.05, 0.95)
DECISIVE = (0.00625, 0.99375)
_DRAWS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one answer or draft."""

    value: float
    """1: sent as it was or liked; 0: rejected or disliked; between: how much of a draft was kept."""
    shares: Mapping[Source, float]
    """How much it relied on each source; summing to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effectiveness:
    """One source's record."""

    source: Source
    outcomes: float
    """Credited: two outcomes that relied on it by half make one."""
    mean: float
    low: float
    high: float
    differs: bool
    """From the mean of all outcomes, beyond doubt."""
    weight: float
    """Recommended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """What the outcomes say about the weights."""

    change: bool
    weights: Weights
    """The recommended ones; where nothing is to change, the current ones."""
    outcomes: int
    mean: float
    """Of all outcomes."""
    sources: tuple[Effectiveness, ...] = field(default=())
    reason: str = ""


def recommend(outcomes: Sequence[Outcome], current: Weights) -> Recommendation:
    """The weights that the outcomes speak for."""
    rate = (sum(outcome.value for outcome in outcomes) + 1.0) / (len(outcomes) + 2.0)
    found = [_estimate(source, outcomes, rate) for source in Source]
    weights = Weights(**{each.source.value: each.weight for each in found})
    found = [replace(each, weight=weights.of(each.source)) for each in found]
    why_not = _why_not(found, len(outcomes), weights, current)
    return Recommendation(
        change=not why_not, weights=current if why_not else weights, outcomes=len(outcomes), mean=rate,
        sources=tuple(found), reason=why_not or _why(found, rate),
    )  # fmt: skip


def _estimate(source: Source, outcomes: Sequence[Outcome], rate: float) -> Effectiveness:
    shares = [(outcome.shares.get(source, 0.0), outcome.value) for outcome in outcomes]
    good = sum(share * value for share, value in shares)
    bad = sum(share * (1 - value) for share, value in shares)
    a, b = PRIOR * rate + good, PRIOR * (1 - rate) + bad
    mean = a / (a + b)
    low, high, least, most = _quantiles(a, b)
    pull = min(max((mean / rate) ** EMPHASIS, 1 / LIMIT), LIMIT)
    return Effectiveness(
        source=source, outcomes=good + bad, mean=mean, low=low, high=high,
        differs=good + bad > 0 and not least <= rate <= most, weight=DEFAULT_WEIGHTS[source] * pull,
    )  # fmt: skip


def _quantiles(a: float, b: float) -> list[float]:
    """Of Beta(a, b), both intervals, by drawing from the same seed every time."""
    draws = np.random.default_rng(7).beta(a, b, _DRAWS)
    return [float(value) for value in np.quantile(draws, (*INTERVAL, *DECISIVE))]


def _why_not(found: Sequence[Effectiveness], count: int, weights: Weights, current: Weights) -> str:
    if count < ENOUGH:
        return f"Keep the weights: {count} outcomes are too few to tell the sources apart; {ENOUGH} are needed."
    if not any(each.differs for each in found):
        return f"Keep the weights: after {count} outcomes no source does better or worse than the rest beyond doubt."
    if max(abs(weights.of(source) - current.of(source)) for source in Source) < VISIBLE:
        return f"Keep the weights: they are what {count} outcomes speak for."
    return ""


def _why(found: Sequence[Effectiveness], rate: float) -> str:
    told = [
        f"{each.source.value} {'better' if each.mean > rate else 'worse'} "
        f"({each.mean:.0%}, between {each.low:.0%} and {each.high:.0%}, {each.outcomes:.0f} outcomes)"
        for each in found
        if each.differs
    ]
    return f"Against {rate:.0%} of all outcomes that went well: {'; '.join(told)}."
