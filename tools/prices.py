"""What tokens cost."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Of a million tokens, in whatever currency the operator counts."""

    input: float = 0.0
    output: float = 0.0

    def of(self, read: float, written: float) -> float:
        """What so many tokens of input and output cost."""
        return (read * self.input + written * self.output) / 1_000_000
