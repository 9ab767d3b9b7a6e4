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
from kbs.words.spelling import FOREIGN, LANGUAGES, Vocabulary, is_common, script_of
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
            "hallo",
            "guten",
            "zusammen",
            "ihnen",
            "hoffe",
            "danke",
            "vielen",
            "sehr",
            "geehrte",
            "damen",
            "herren",
        ]
    ),
    "fr": frozenset(
        [
            "pour",
            "dans",
            "avec",
            "vous",
            "votre",
            "comment",
            "cette",
            "sont",
            "peut",
            "mais",
            "quand",
            "plus",
            "bonjour",
            "merci",
            "salut",
        ]
    ),
    "es": frozenset(
        [
            "para",
            "como",
            "este",
            "esta",
            "desde",
            "puede",
            "cuando",
            "donde",
            "tiene",
            "pero",
            "todos",
            "sobre",
            "hola",
            "gracias",
            "buenos",
            "días",
        ]
    ),
    "it": frozenset(
        [
            "come",
            "posso",
            "della",
            "delle",
            "dello",
            "sono",
            "questo",
            "questa",
            "quando",
            "anche",
            "perché",
            "vorrei",
            "dove",
            "buongiorno",
            "grazie",
            "salve",
        ]
    ),
    "pt": frozenset(
        [
            "como",
            "para",
            "posso",
            "meu",
            "minha",
            "quando",
            "onde",
            "não",
            "também",
            "quero",
            "uma",
            "fazer",
            "faço",
            "obrigado",
            "obrigada",
            "olá",
        ]
    ),
    "ru": frozenset(
        [
            "как",
            "что",
            "где",
            "когда",
            "можно",
            "мне",
            "мой",
            "моего",
            "для",
            "или",
            "если",
            "почему",
            "сколько",
            "нужно",
            "могу",
            "здравствуйте",
            "спасибо",
            "добрый",
            "день",
        ]
    ),
    "ar": frozenset(["كيف", "يمكنني", "متى", "أين", "هل", "على", "من", "إلى", "في", "أريد", "لماذا", "ما"]),
}
FEW_WORDS = 3
"""Of so few words the look does not tell the language."""
LONG_WORD = 6
SCRIPTS = ("ru", "ar")
"""Languages that are told by their script."""
ENGLISH_WORDS = ("with", "your", "that", "this", "from", "when", "which", "have", "will", "then", "into")
ENOUGH = 5
"""So many of a language's function words tell that articles are written in it."""

_WORD = re.compile(r"[^\W\d_]{2,}")
_LINKS = ("", "s", "n", "en", "es")
"""Between the parts of a German compound."""


def glossed(text: str, known: Vocabulary, *, among_english: bool = False) -> str:
    """The question's words in English, where nothing is written in its language; else the same text. With
    `among_english` what it is compared with is known to be English, whatever else is known."""
    language = foreign_language(text)
    if language is None or not known.counts or (_written_in(language, known) and not among_english):
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


def is_english_too(known: Vocabulary) -> bool:
    """Whether a knowledge base is, at least in part, written in English."""
    return sum(word in known for word in ENGLISH_WORDS) >= ENOUGH


def _written_in(language: str, known: Vocabulary) -> bool:
    if language in SCRIPTS:
        return language in known.scripts
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


def languages_of(word: str) -> frozenset[str]:
    """The languages that know a word as one of support or of their grammar, and everyday English does not: `Rechnung`,
    `facture`. Who has it as it stands comes before who has another form of it."""
    low = word.lower()
    if len(low) < SHORTEST_PART or is_common(low):
        return frozenset()
    exact = frozenset(language for language, words in FUNCTION_WORDS.items() if low in words | _words(language))
    return exact or frozenset(language for language in _entries() if translations(low, language))


def _forms(word: str) -> Iterator[str]:
    """The word and, of what may be a participle, the verb: `geändert`, `ändern`."""
    yield word
    if word.endswith("t"):
        for verb in (word, word.removeprefix("ge")):
            yield f"{verb[:-1]}n"
            yield f"{verb[:-1]}en"


def foreign_language(text: str) -> str | None:
    """The language of the glossary that a text is in: by its script, by its look, and of a few words by themselves."""
    if script := script_of(text):
        return script
    language, certainty = rank_languages(text, LANGUAGES)[0]
    if certainty >= FOREIGN:
        return language if language in FUNCTION_WORDS else None
    return language_by_words(text) if len(text.split()) <= FEW_WORDS else None


def language_by_words(text: str) -> str | None:
    """The one language that knows all those words of a text that are no English: of `Rechnung?`, of `facture`."""
    told = [languages for word in _WORD.findall(text) if (languages := languages_of(word))]
    common = frozenset[str].intersection(*told) if told else frozenset[str]()
    return next(iter(common)) if len(common) == 1 else None


@cache
def _table(language: str) -> Mapping[str, tuple[str, ...]]:
    """Stem to its English words."""
    found: dict[str, list[str]] = {}
    for english, words in _entries()[language].items():
        for word in words.split():
            found.setdefault(stemmed(word, language), []).append(english)
    return {stem: tuple(dict.fromkeys(english)) for stem, english in found.items()}


@cache
def _words(language: str) -> frozenset[str]:
    return frozenset(word for words in _entries()[language].values() for word in words.split())


@cache
def _entries() -> dict[str, dict[str, str]]:
    loaded: dict[str, dict[str, str]] = read_yaml(FILE)
    return loaded
