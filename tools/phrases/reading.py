"""A text indexed by the terms of many phrases, and where in it a phrase occurs."""

from collections.abc import Iterator, Mapping
from itertools import pairwise

from tools.phrases.parsing import Phrase, Phrases


class Reading:
    """A text made ready for matching: for each term of a book, the positions it stands at, as bits."""

    __slots__ = ("_breaks", "_found", "_inside", "_masks", "_terms", "length")

    def __init__(self, found: Mapping[str, int], breaks: int, length: int) -> None:
        self.length = length
        self._breaks = breaks
        self._found = found
        self._terms = frozenset(found)
        self._inside = ((1 << length) - 1) & ~breaks
        self._masks: dict[frozenset[str], int] = {}

    def has_any(self, terms: frozenset[str]) -> bool:
        return not self._terms.isdisjoint(terms)

    def possible(self, phrases: Phrases) -> list[Phrase]:
        """Without those whose first or last words are not there: nearly all, and quickly seen."""
        if self._terms.isdisjoint(phrases.firsts):
            return []
        begun = self._terms & phrases.firsts
        places = sorted({place for term in begun for place in phrases.by_first[term]})
        missing = self._terms.isdisjoint
        return [phrases[place] for place in places if not missing(phrases[place].steps[-1].terms)]

    def ends(self, phrases: Phrases) -> int:
        """Positions at which any of the phrases ends, as bits; 0 when none occurs."""
        ends = 0
        for phrase in self.possible(phrases):
            ends |= self.ends_of(phrase)
        return ends

    def ends_of(self, phrase: Phrase) -> int:
        """The same of one phrase."""
        reaches = self._reaches(phrase)
        return reaches[-1] if len(reaches) == len(phrase.steps) else 0

    def covers(self, phrases: Phrases) -> int:
        """Positions of the words that occurrences of the phrases consist of, gaps included, as bits."""
        covered = 0
        for phrase in self.possible(phrases):
            covered |= self._covered(phrase)
        return covered

    def words_of(self, phrase: Phrase) -> int:
        """Positions of the words that occurrences of one phrase consist of, without those in its gaps, as bits."""
        return self._covered(phrase, gaps=False)

    def sentences(self) -> Iterator[int]:
        """The positions of each sentence in turn, as bits."""
        starts = [position for position in range(1, self.length) if self._breaks >> position & 1]
        for start, end in pairwise((0, *starts, self.length)):
            yield (1 << end) - (1 << start)

    def _covered(self, phrase: Phrase, *, gaps: bool = True) -> int:
        reaches = self._reaches(phrase)
        if len(reaches) < len(phrase.steps):
            return 0
        live = covered = reaches[-1]
        for step, before in zip(reversed(phrase.steps), reversed(reaches[:-1]), strict=False):
            hop, live = live, 0
            for width in range(step.gap + 1):
                hop >>= 1
                live |= hop & before
                for inside in range(1, width + 1 if gaps else 0):
                    covered |= (hop & before) << inside
            covered |= live
        return covered

    def _reaches(self, phrase: Phrase) -> list[int]:
        """Positions that each step can stand at given the steps before it; cut short where none can."""
        reach = self._mask(phrase.steps[0].terms)
        if phrase.lead is not None:
            reach &= (1 << phrase.lead + 1) - 1
        reaches = [reach] if reach else []
        for step in phrase.steps[1:] if reach else ():
            target = self._mask(step.terms)
            hop, reach = reach, 0
            for _ in range(step.gap + 1 if target else 0):
                hop = (hop << 1) & self._inside
                reach |= hop & target
            if not reach:
                return []
            reaches.append(reach)
        if phrase.tail is not None and reaches:
            last = max(0, self.length - 1 - phrase.tail)
            reaches[-1] = reaches[-1] >> last << last
        return reaches

    def _mask(self, terms: frozenset[str]) -> int:
        mask = self._masks.get(terms)
        if mask is None:
            mask = 0
            for term in terms & self._terms:
                mask |= self._found[term]
            self._masks[terms] = mask
        return mask
