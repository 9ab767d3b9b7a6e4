"""A phrase as it is written, parsed into steps."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from tools.phrases.tokens import tokenize


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One position of a phrase."""

    terms: frozenset[str]
    """Words, stems ending in `*`, or features such as `#hidden` that a caller adds to a reading."""
    gap: int = 0
    """Words that may stand between the step before and this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """A parsed phrase; `source` is how it was written."""

    source: str
    steps: tuple[Step, ...]
    lead: int | None = None
    """Words that may come first where the phrase is bound to the start of the text."""
    tail: int | None = None
    """Words that may follow where it is bound to the end."""


class Phrases(tuple[Phrase, ...]):
    """Phrases that are looked for together, with a table of the words that one of them begins with: of hundreds, the two
    or three that a text may hold are found by its words instead of one by one."""

    by_first: dict[str, list[int]]
    firsts: frozenset[str]
    """Its words."""

    def __new__(cls, phrases: Iterable[Phrase] = ()) -> Self:
        self = super().__new__(cls, phrases)
        self.by_first = {}
        for place, phrase in enumerate(self):
            for term in phrase.steps[0].terms:
                self.by_first.setdefault(term, []).append(place)
        self.firsts = frozenset(self.by_first)
        return self


NO_PHRASES = Phrases()


def parse_phrase(source: str, words: Mapping[str, str] | None = None) -> Phrase:
    """The phrase written in the phrase language; `words` resolves `{name}`. Raises `ValueError` for anything else."""
    parts = source.split()
    starts, ends = parts[:1] == ["^"], parts[-1:] == ["$"]
    steps: list[Step] = []
    gap: int | None = None
    for part in parts[starts : len(parts) - ends]:
        if part.startswith("~"):
            gap = int(part[1:])
            continue
        for terms in _step_terms(part, words or {}):
            steps.append(Step(terms=terms, gap=gap or 0))
            gap = None
    if not steps or (gap is not None and not ends) or (steps[0].gap and not starts):
        raise ValueError(f"not a phrase: {source!r}")
    return Phrase(
        source=source, steps=tuple(steps), lead=steps[0].gap if starts else None, tail=(gap or 0) if ends else None
    )


def _step_terms(part: str, words: Mapping[str, str]) -> list[frozenset[str]]:
    named = re.sub(r"\{([^}]*)\}", lambda match: words[match[1]], part)
    options = [_term(option) for option in re.split(r"[|\s]+", named)]
    if len(options) == 1:
        return [frozenset([term]) for term in options[0]]
    if long := [option for option in options if len(option) != 1]:
        raise ValueError(f"an alternative must be one word: {long} in {part!r}")
    return [frozenset(option[0] for option in options)]


def _term(option: str) -> list[str]:
    if option.startswith("#"):
        return [option]
    tokens = tokenize(option.removesuffix("*"))
    if not tokens:
        raise ValueError(f"no word in {option!r}")
    return [*tokens[:-1], tokens[-1] + "*"] if option.endswith("*") else tokens
