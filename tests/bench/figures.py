"""What a run came to: times over the model's own, throughput, and what it cost."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from tests.bench.load import Turn

Log = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Milliseconds at the median, the 95th and the 99th percentile."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Spread":
        if not seconds:
            return cls(p50=float("nan"), p95=float("nan"), p99=float("nan"))
        p50, p95, p99 = (round(float(value) * 1000, 1) for value in np.percentile(seconds, [50, 95, 99]))
        return cls(p50=p50, p95=p95, p99=p99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    target: str
    streams: int
    turns: int
    refused: int
    failed: int
    """Answers without a word, or broken off."""
    turns_per_s: float
    first_ms: Spread
    """From the question to the first words shown, less the model's own time to its first token."""
    token_ms: Spread
    """From the model's first token to the first words shown: what is waited for where nothing is verified."""
    sentence_ms: Spread
    """From the end of the model's first whole sentence to the first words shown."""
    total_ms: Spread
    """From the question to the end, less the model's own time for all of it."""
    server_cpu_ms: float
    """Of the measured process, per turn."""
    postgres_cpu_ms: float
    rss_mb: float
    fast_calls: float
    """Of the fast model, per turn."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def figures(
    target: str, streams: int, turns: Sequence[Turn], log: Log, *, seconds: float, server_cpu_s: float,
    postgres_cpu_s: float, rss_mb: float,
) -> Figures:  # fmt: skip
    """From what the customers saw and what the model's log says."""
    good = [
        turn for turn in turns if turn.status == 200 and turn.first and turn.ended and "last" in log.get(turn.mark, {})
    ]
    refused = sum(turn.status in (429, 503) for turn in turns)
    count = max(1, len(good))
    first, token, sentence, total = [], [], [], []
    for turn in good:
        own = log[turn.mark]
        assert turn.first is not None and turn.ended is not None  # noqa: PT018  chosen above
        first.append(turn.first - turn.asked - (own["first"] - own["asked"]))
        token.append(turn.first - own["first"])
        sentence.append(turn.first - own["sentence"])
        total.append(turn.ended - turn.asked - (own["last"] - own["asked"]))
    return Figures(
        target=target, streams=streams, turns=len(good), refused=refused, failed=len(turns) - len(good) - refused,
        turns_per_s=round(len(good) / seconds, 1), first_ms=Spread.of(first), token_ms=Spread.of(token),
        sentence_ms=Spread.of(sentence), total_ms=Spread.of(total), server_cpu_ms=round(server_cpu_s / count * 1000, 2),
        postgres_cpu_ms=round(postgres_cpu_s / count * 1000, 2), rss_mb=round(rss_mb),
        fast_calls=round(sum("fast" in log[turn.mark] for turn in good) / count, 2),
    )  # fmt: skip


def median(rounds: Sequence[Figures]) -> Figures:
    """Figure by figure, of all rounds of one target at one number of streams."""
    first = rounds[0]
    return replace(first, **{each.name: _median([getattr(one, each.name) for one in rounds]) for each in fields(first)})


def _median(values: Sequence[Any]) -> Any:
    one = values[0]
    if isinstance(one, str):
        return one
    if isinstance(one, Spread):
        return Spread(**{each.name: _median([getattr(value, each.name) for value in values]) for each in fields(one)})
    middle = round(float(np.median(values)), 2)
    return round(middle) if isinstance(one, int) else middle


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """One target's figures as parts of another's, round by round, which a noisy minute leaves as they are."""

    target: str
    streams: int
    cpu: list[float]
    turns: list[float]

    @classmethod
    def of(cls, ours: Sequence[Figures], theirs: Sequence[Figures]) -> "Ratio":
        pairs = list(zip(ours, theirs, strict=True))
        return cls(
            target=ours[0].target, streams=ours[0].streams,
            cpu=[round(one.server_cpu_ms / other.server_cpu_ms, 2) for one, other in pairs],
            turns=[round(one.turns_per_s / other.turns_per_s, 2) for one, other in pairs],
        )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "cpu_median": _median(self.cpu), "turns_median": _median(self.turns)}
