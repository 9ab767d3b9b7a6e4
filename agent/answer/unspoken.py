"""What a model is told and no customer may hear: the prompt, and what colleagues noted about similar cases.

A sentence without a claim needs no passage, and a supported one may hold a word more than its passage, so either could
carry such words out. A sentence is held back when it has a run of words of these texts, or one of their names: what
is written like a name, holds digits, or is no common word. What the customer wrote or may read is no secret. It is looked
for as it stands, spelled out, backwards, turned by thirteen letters and in base64 or hexadecimal. A paraphrase and a
translation are not found: whatever must never be told does not belong into a prompt.
"""

import base64
import codecs
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from agent.grounding.words import guess_language
from kbs.passages import Passage
from kbs.words.spelling import is_common

RUN = 7
"""Words in a row that are no chance."""
SHORTEST_NAME = 5
"""Letters; a shorter one stands in too many words by chance."""
_WORD = re.compile(r"[^\W_]+")
_MARKS = re.compile(r"[\W_]+")
_SENTENCE_START = re.compile(r"(?:\A|[.!?:;\n(\[\"“„>#*-])\s*\Z")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{8,}")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}[ ]?){5,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unspoken:
    """The texts, and what of them may be said all the same."""

    texts: tuple[str, ...]
    known: tuple[str, ...] = ()
    """What the customer wrote or may read."""

    def heard_in(self, unit: str, before: str = "", passages: Sequence[Passage] = ()) -> bool:
        """Whether the unit gives something of it away, alone or as the end of what was said `before`; the passages of
        this turn may be told."""
        together = _bare(f"{before}{unit}")
        views = [*map(_bare, _views(unit)), together, together[::-1]]
        said = _runs(unit)
        for text in self.texts:
            names = [name for name in _names(text) if any(name in view for view in views)]
            runs = said & _runs(text)
            if (names or runs) and not self._is_known(names, runs, passages):
                return True
        return False

    def _is_known(self, names: Collection[str], runs: Collection[str], passages: Sequence[Passage]) -> bool:
        known = [*self.known, *(f"{passage.title} {passage.heading} {passage.text}" for passage in passages)]
        bare = " ".join(map(_bare, known))
        words = f" {' '.join(word for text in known for word in _words(text))} "
        return all(name in bare for name in names) and all(f" {run} " in words for run in runs)


@lru_cache(maxsize=256)
def _names(text: str) -> frozenset[str]:
    """Words that tell whose text it is, bare."""
    plain = {word for word in _WORD.findall(text) if word.islower()}
    found: set[str] = set()
    english = guess_language(text) == "en"
    for match in _WORD.finditer(text):
        word = match[0]
        starts = bool(_SENTENCE_START.search(text, max(0, match.start() - 3), match.start())) or not match.start()
        odd = any(char.isdigit() for char in word) and not word.isdigit()
        mixed = word[1:] != word[1:].lower() and not word.isupper()
        plural = f"{word[:-3]}y" if word.endswith("ies") else word
        strange = english and word.isalpha() and not is_common(plural.lower())
        if odd or mixed or strange or (word[0].isupper() and not starts and word.lower() not in plain):
            found.add(word)
    return frozenset(bare for word in found if len(bare := _bare(word)) >= SHORTEST_NAME)


@lru_cache(maxsize=256)
def _runs(text: str) -> frozenset[str]:
    words = _words(text)
    return frozenset(" ".join(words[at : at + RUN]) for at in range(len(words) - RUN + 1))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _bare(text: str) -> str:
    return _MARKS.sub("", text.casefold())


def _views(unit: str) -> Iterator[str]:
    yield unit
    yield unit[::-1]
    yield codecs.encode(unit, "rot13")
    for token in _BASE64.findall(unit):
        yield base64.b64decode(token[: len(token) - (len(token) % 4 == 1)] + "=" * (-len(token) % 4)).decode(
            "utf-8", "ignore"
        )
    for token in _HEX.findall(unit):
        with suppress(ValueError):
            yield bytes.fromhex(token.replace(" ", "")[: len(token.replace(" ", "")) // 2 * 2]).decode(
                "utf-8", "ignore"
            )
