"""A rule and its signals: to whom it applies, and how much of it a text shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tools.phrases import NO_PHRASES, PhraseBook, Phrases, Reading

Action = Literal["allow", "refuse", "escalate"]
Severity = Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """Phrases that count once, however many occur, when they occur at least `times` times."""

    weight: float
    phrases: Phrases
    harmless: Phrases = NO_PHRASES
    """Longer phrases that explain an occurrence away when they end where it ends."""
    times: int = 1

    def ends(self, reading: Reading) -> int:
        """Positions at which the signal's phrases end, as bits."""
        ends = reading.ends(self.phrases)
        return ends & ~reading.ends(self.harmless) if ends else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule as compiled; an empty set of roles or audiences means all of them."""

    name: str
    category: str
    action: Action
    reason: str
    reasons: Mapping[str, str]
    """The reason in other languages."""
    escalate: bool
    severity: Severity | None
    """How bad it is at least, whatever the words tell."""
    threshold: float
    within: int | None
    """Words within which the signals must stand; half of it is the step, so near neighbours never fall apart."""
    roles: frozenset[str]
    audiences: frozenset[str]
    exempt_audiences: frozenset[str]
    signals: tuple[Signal, ...]
    unless: Phrases
    firsts: frozenset[str] = field(init=False)
    """Words that some phrase of its signals begins with: most rules have none of them in a text."""

    def __post_init__(self) -> None:
        firsts = frozenset[str]().union(*(signal.phrases.firsts for signal in self.signals))
        object.__setattr__(self, "firsts", firsts)

    def applies_to(self, role: str, audiences: frozenset[str]) -> bool:
        return (
            (not self.roles or role in self.roles)
            and (not self.audiences or bool(audiences & self.audiences))
            and not audiences & self.exempt_audiences
        )

    def weigh(self, reading: Reading) -> float:
        """Largest sum of weights of signals that stand near each other; 0 when an excuse occurs."""
        if not reading.has_any(self.firsts):
            return 0.0
        found = [(signal, ends) for signal in self.signals if (ends := signal.ends(reading))]
        total = sum(signal.weight for signal, ends in found if ends.bit_count() >= signal.times)
        if self.within and total >= self.threshold:
            total = max(_sum_within(found, start, self.within) for start in _starts(reading.length, self.within))
        if total >= self.threshold and reading.ends(self.unless):
            return 0.0
        return total


def _starts(length: int, width: int) -> range:
    return range(0, max(1, length - width // 2), width // 2)


def _sum_within(found: Sequence[tuple[Signal, int]], start: int, width: int) -> float:
    window = (1 << width) - 1
    return sum(signal.weight for signal, ends in found if (ends >> start & window).bit_count() >= signal.times)


@dataclass(frozen=True, kw_only=True)
class GuardRules:
    """The rules for messages and for documents, each in the order of the file."""

    messages: tuple[Rule, ...]
    documents: tuple[Rule, ...]
    message_book: PhraseBook
    document_book: PhraseBook
