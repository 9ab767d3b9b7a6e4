"""How far the sent reply is from its draft, and what that teaches: the specification's rule, exactly."""

from dataclasses import dataclass
from typing import Final

from rapidfuzz.distance import Levenshtein

from tools.learning.lessons import LessonKind

EXAMPLE_FROM: Final = 0.70
"""Levenshtein similarity of draft and sent reply from which it becomes an example; below, a correction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    similarity: float
    """1 less the distance relative to the longer text: 1 for equal texts, 0 for texts with nothing in common."""
    distance: int
    """Insertions, deletions and replacements of characters."""

    @property
    def kind(self) -> LessonKind:
        return "example" if self.similarity >= EXAMPLE_FROM else "correction"


def compare(draft: str, sent: str) -> Comparison:
    distance = Levenshtein.distance(draft, sent)
    longest = max(len(draft), len(sent))
    return Comparison(similarity=1 - distance / longest if longest else 1.0, distance=distance)
