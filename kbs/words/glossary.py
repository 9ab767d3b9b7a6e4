"""A question in another language in the words of an English knowledge base, as far as a short glossary knows them.

The local embedder reads English, and words are matched as they are written: a German question finds little among
English articles. So a word that the knowledge base does not have is replaced by what it is called there. Where the
knowledge base is written in the question's language its words are known, and nothing is replaced.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from kbs.words.language import rank_languages
from kbs.words.spelling import FOREIGN, LANGUAGES, Vocabulary
from kbs.words.stemming import stemmed
from memory.yaml_files import read_yaml

FILE = Path(__file__).with_name("glossary.yaml")
SHORTEST_PART = 4
"""Letters of a part of a compound: `Rechnungsadresse`."""
FUNCTION_WORDS = {
    "de": frozenset(
        [
            "nicht",
            "oder",
            "eine",
            "einen",
            "wird",
            "werden",
            "sind",
            "auch",
            "nach",
            "wenn",
            "kann",
            "habe",
            "meine",
            "wann",
            "warum",
            "welche",
            "welcher",
            "wieso",
            "mein",
            "meinen",
            "ich",
            "mich",
            "wie",
            "was",
            "wo",
            "bitte",
        ]
    ),
    "fr": frozenset(
        ["pour", "dans", "avec", "vous", "votre", "comment", "cette", "sont", "peut", "mais", "quand", "plus"]
    ),
    "es": frozenset(
        ["para", "como", "este", "esta", "desde", "puede", "cuando", "donde", "tiene", "pero", "todos", "sobre"]
    ),
}
LONG_WORD = 6
ENOUGH = 5
"""So many of a language's function words tell that articles are written in it."""

_WORD = re.compile(r"[^\W\d_]{2,}")
_LINKS = ("", "s", "n", "en", "es")
"""Between the parts of a German compound."""


def glossed(text: str, known: Vocabulary) -> str:
    """The question's words in English, where nothing is written in its language; else the same text."""
    language = _language(text)
    if language is None or not known.counts or _written_in(language, known):
        return text
    found: list[str] = []
    for word in _WORD.findall(text):
        low = word.lower()
        if low in FUNCTION_WORDS[language]:
            continue
        english = [each for each in translations(low, language) if _has(each, known)]
        found += english or ([low] if low in known or _tells(word, language) else [])
    return " ".join(dict.fromkeys(found)) or text


def _tells(word: str, language: str) -> bool:
    """Whether a word that has no translation is kept: what the question is about may not be forgotten."""
    if word.isupper():
        return True  # `SSL`, `DNS`
    return len(word) >= SHORTEST_PART and (word[0].isupper() if language == "de" else len(word) >= LONG_WORD)


def _written_in(language: str, known: Vocabulary) -> bool:
    return sum(word in known for word in FUNCTION_WORDS[language]) >= ENOUGH


def _has(english: str, known: Vocabulary) -> bool:
    return all(word in known or len(word) < SHORTEST_PART for word in re.findall(r"[a-z]+", english))


def translations(word: str, language: str) -> tuple[str, ...]:
    """What a word may be called in English; of a German compound its parts."""
    table = _table(language)
    for form in _forms(word) if language == "de" else (word,):
        if whole := table.get(stemmed(form, language)):
            return whole
    if language != "de" or len(word) < 2 * SHORTEST_PART:
        return ()
    for place in range(len(word) - SHORTEST_PART, SHORTEST_PART - 1, -1):
        head, tail = word[:place], word[place:]
        parts = [table[stemmed(head.removesuffix(link), language)] for link in _LINKS
                 if head.endswith(link) and stemmed(head.removesuffix(link), language) in table]  # fmt: skip
        if parts:
            return (*parts[0], *table.get(stemmed(tail, language), ()))
    for place in range(SHORTEST_PART, len(word) - SHORTEST_PART + 1):
        if whole := table.get(stemmed(word[place:], language)):
            return whole
    return ()


def _forms(word: str) -> Iterator[str]:
    """The word and, of what may be a participle, the verb: `geändert`, `ändern`."""
    yield word
    if word.endswith("t"):
        for verb in (word, word.removeprefix("ge")):
            yield f"{verb[:-1]}n"
            yield f"{verb[:-1]}en"


def _language(text: str) -> str | None:
    language, certainty = rank_languages(text, LANGUAGES)[0]
    return language if language in FUNCTION_WORDS and certainty >= FOREIGN else None


@cache
def _table(language: str) -> Mapping[str, tuple[str, ...]]:
    """Stem to its English words."""
    found: dict[str, list[str]] = {}
    for english, words in _entries()[language].items():
        for word in words.split():
            found.setdefault(stemmed(word, language), []).append(english)
    return {stem: tuple(dict.fromkeys(english)) for stem, english in found.items()}


@cache
def _entries() -> dict[str, dict[str, str]]:
    loaded: dict[str, dict[str, str]] = read_yaml(FILE)
    return loaded
