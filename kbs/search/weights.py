"""Weights of the four sources, with the specification's defaults; they sum to 1 by construction."""

from dataclasses import dataclass

from kbs.passages import Source

DEFAULT_WEIGHTS = {
    Source.GLOBAL_KB: 0.20,
    Source.TENANT_KB: 0.30,
    Source.EXAMPLE: 0.35,
    Source.CORRECTION: 0.15,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """How much each source counts; any four amounts of which one is positive."""

    global_kb: float = DEFAULT_WEIGHTS[Source.GLOBAL_KB]
    tenant_kb: float = DEFAULT_WEIGHTS[Source.TENANT_KB]
    example: float = DEFAULT_WEIGHTS[Source.EXAMPLE]
    correction: float = DEFAULT_WEIGHTS[Source.CORRECTION]

    def __post_init__(self) -> None:
        amounts = {name: float(getattr(self, name)) for name in self.__slots__}
        total = sum(amounts.values())
        if not all(0 <= amount < float("inf") for amount in amounts.values()) or total <= 0:
            raise ValueError("weights are amounts of at least 0, and one of them is more")
        for name, amount in amounts.items():
            object.__setattr__(self, name, amount / total)

    def of(self, source: Source) -> float:
        return float(getattr(self, source.value))

    def relative(self, source: Source) -> float:
        """In [0, 1]: 1 for the heaviest source."""
        return self.of(source) / max(self.of(each) for each in Source)
