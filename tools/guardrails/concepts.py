"""What the words of attempts at manipulation mean, whatever their language: `Regeln`, `règles` and `rules` are one.

The local embedder reads English, and pieces of words teach one language nothing of another. What is learned of these
meanings, and of which stand near one another in a sentence, holds in all of them.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path

from memory.yaml_files import read_yaml
from tools.phrases import fold

CONCEPTS_FILE = Path(__file__).with_name("concepts.yaml")
NEAR = 4
"""Meanings that follow in the same sentence and still belong together."""
LONGEST = 4000
"""Characters of a message that are looked at; what stands further on is left to the rules."""
MOST_WORDS = 100
"""Of a sentence."""
SHORTEST_STEM = 3
_WORD = re.compile(r"[^\W_]+")
_SENTENCE_END = re.compile(r"[.!?\n]+")


def concept_grams(text: str) -> Iterator[str]:
    """A text's meanings, and the pairs of them that stand near one another, in either order."""
    for sentence in _SENTENCE_END.split(text[:LONGEST]):
        found = [name for name in map(_concept_of, _WORD.findall(fold(sentence))[:MOST_WORDS]) if name]
        yield from (f"k{name}" for name in found)
        for place, one in enumerate(found):
            yield from (
                "p" + "+".join(sorted((one, other))) for other in found[place + 1 : place + 1 + NEAR] if other != one
            )


@lru_cache(maxsize=4_096)
def _concept_of(word: str) -> str | None:
    """What a folded word means; of words that end in a star the longest that it begins with decides."""
    whole, stems = _tables()
    if word in whole:
        return whole[word]
    return next((stems[word[:n]] for n in range(len(word), SHORTEST_STEM - 1, -1) if word[:n] in stems), None)


@cache
def _tables() -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Whole words and stems, each with its concept; the first concept that names one has it."""
    whole: dict[str, str] = {}
    stems: dict[str, str] = {}
    for name, words in read_yaml(CONCEPTS_FILE).items():
        for word in fold(words).split():
            table = stems if word.endswith("*") else whole
            table.setdefault(word.removesuffix("*"), name)
    return whole, stems
