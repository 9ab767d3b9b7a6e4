"""The terms of many phrases in one place, and the one pass over a text that finds them all."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from tools.phrases.parsing import Phrase
from tools.phrases.reading import Reading
from tools.phrases.tokens import BREAKS

Variants = Callable[[str], Iterable[str]]
"""Other spellings of a word; the same ones each time."""
WORDS_KEPT = 2_048
"""Words of which a book knows the terms without looking; order numbers and typing errors never end."""
LONGEST_KEPT = 40
"""Letters."""


class PhraseBook:
    """The words of many phrases, so that one pass over a text serves them all."""

    def __init__(self, phrases: Iterable[Phrase]) -> None:
        terms = {term for phrase in phrases for step in phrase.steps for term in step.terms}
        self._words = frozenset(term for term in terms if not term.endswith("*"))
        self._stems = frozenset(term[:-1] for term in terms if term.endswith("*"))
        self._lengths = sorted({len(stem) for stem in self._stems})
        self._known: dict[tuple[str, Variants | None], frozenset[str]] = {}

    def read(
        self,
        tokens: Sequence[str],
        *,
        across: bool = False,
        variants: Variants | None = None,
        features: Iterable[str] = (),
    ) -> Reading:
        """Index tokens. `across` lets phrases span sentences; `variants` gives other spellings of a token."""
        words = [token for token in tokens if token[0] not in BREAKS]
        if len(self._known) > WORDS_KEPT:
            self._known.clear()
        terms = {word: self._terms_of(word, variants) for word in set(words)}
        places: dict[str, list[int]] = {}
        for position, word in enumerate(words):
            for term in terms[word]:
                places.setdefault(term, []).append(position)
        breaks = 0 if across or len(words) == len(tokens) else _breaks(tokens)
        found = {term: _bits(where, len(words)) for term, where in places.items()}
        found.update((feature, 1) for feature in features if feature in self._words)
        return Reading(found, breaks, max(len(words), 1))

    def _terms_of(self, word: str, variants: Variants | None) -> frozenset[str]:
        known = self._known.get((word, variants))
        if known is None:
            spellings = (word,) if variants is None else (word, *variants(word))
            known = frozenset(term for spelling in spellings for term in self._spelled(spelling))
            if len(word) <= LONGEST_KEPT and len(self._known) <= WORDS_KEPT:
                self._known[word, variants] = known
        return known

    def _spelled(self, word: str) -> Iterator[str]:
        if word in self._words:
            yield word
        for length in self._lengths:
            if word[:length] in self._stems:
                yield word[:length] + "*"


def _breaks(tokens: Sequence[str]) -> int:
    """Positions of the words that open a new sentence, as bits."""
    starts: list[int] = []
    position = 0
    for token in tokens:
        if token[0] in BREAKS:
            starts.append(position)
        else:
            position += 1
    return _bits(starts, position + 1)


def _bits(positions: Sequence[int], length: int) -> int:
    if len(positions) < 16:
        return sum(1 << position for position in set(positions))
    buffer = bytearray(length // 8 + 1)
    for position in positions:
        buffer[position >> 3] |= 1 << (position & 7)
    return int.from_bytes(buffer, "little")
