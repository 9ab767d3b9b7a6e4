"""How far a draft can be trusted, from 0 to 100: the specification's formula, pure, with its numbers in one table.

score = 100 x (0.4 example + 0.3 kb + 0.2 intent + 0.1 safety), rounded half up

example  the best match among approved examples, x 1.15 (at most 1) when two or more are above 0.5
kb       0.6 tenant + 0.4 global, x 0.7 when the intent needs the tenant's own knowledge and none was found
intent   the certainty of the intent
safety   1.0 with no correction above 0.5, falling linearly to 0.4 at 0.8 and above
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

Level = Literal["high", "medium", "low", "very_low"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """The specification's amounts."""

    example_weight: float = 0.4
    kb_weight: float = 0.3
    intent_weight: float = 0.2
    safety_weight: float = 0.1
    good_example: float = 0.5
    good_examples_needed: int = 2
    example_boost: float = 1.15
    tenant_share: float = 0.6
    global_share: float = 0.4
    without_tenant_knowledge: float = 0.7
    correction_from: float = 0.5
    correction_full: float = 0.8
    safety_least: float = 0.4
    levels: tuple[tuple[int, Level], ...] = ((75, "high"), (50, "medium"), (25, "low"), (0, "very_low"))


NUMBERS: Final = Numbers()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the score is made from. Similarities are raw dense cosines, before weights and fusion."""

    example_similarities: tuple[float, ...] = ()
    tenant_similarity: float = 0.0
    """Best match in the tenant's own articles; 0 when none was found."""
    global_similarity: float = 0.0
    intent_certainty: float = 0.3
    needs_tenant_knowledge: bool = False
    correction_similarity: float = 0.0
    """Best match among past corrections; 0 when there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Each part between 0 and 1, before its weight."""

    example: float
    kb: float
    intent: float
    safety: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """The score with its level and its parts."""

    score: int
    level: Level
    parts: Parts

    def as_dict(self) -> dict[str, Any]:
        """As it goes over the wire: the parts to four places."""
        parts = {name: round(part, 4) for name, part in asdict(self.parts).items()}
        return {"score": self.score, "level": self.level, "parts": parts}


def score(evidence: Evidence) -> Confidence:
    """The confidence that this evidence gives."""
    parts = Parts(
        example=_example(evidence),
        kb=_knowledge(evidence),
        intent=_clipped(evidence.intent_certainty),
        safety=_safety(evidence.correction_similarity),
    )
    total = half_up(
        100 * NUMBERS.example_weight * parts.example
        + 100 * NUMBERS.kb_weight * parts.kb
        + 100 * NUMBERS.intent_weight * parts.intent
        + 100 * NUMBERS.safety_weight * parts.safety
    )
    return Confidence(score=total, level=level_of(total), parts=parts)


def level_of(points: int) -> Level:
    """The level that a score of 0 to 100 falls into."""
    return next(level for least, level in NUMBERS.levels if points >= least)


def half_up(value: float) -> int:
    """Nearest whole number, halves upwards; what binary fractions blur is put right before."""
    return math.floor(round(value, 6) + 0.5)


def _example(evidence: Evidence) -> float:
    similarities = [_clipped(similarity) for similarity in evidence.example_similarities]
    good = sum(similarity > NUMBERS.good_example for similarity in similarities)
    boost = NUMBERS.example_boost if good >= NUMBERS.good_examples_needed else 1.0
    return min(1.0, boost * max(similarities, default=0.0))


def _knowledge(evidence: Evidence) -> float:
    tenant, common = _clipped(evidence.tenant_similarity), _clipped(evidence.global_similarity)
    blend = NUMBERS.tenant_share * tenant + NUMBERS.global_share * common
    return blend * NUMBERS.without_tenant_knowledge if evidence.needs_tenant_knowledge and tenant == 0 else blend


def _safety(correction: float) -> float:
    span = NUMBERS.correction_full - NUMBERS.correction_from
    closeness = _clipped((_clipped(correction) - NUMBERS.correction_from) / span)
    return 1.0 - (1.0 - NUMBERS.safety_least) * closeness


def _clipped(value: float) -> float:
    """Into [0, 1]; what is no number counts as nothing."""
    return min(1.0, max(0.0, value))
