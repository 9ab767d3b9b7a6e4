"""Stems of words, each computed once: a stemmer in Python takes longer than all else that reads a message."""

from functools import lru_cache
from threading import Lock
from typing import Any

import snowballstemmer

_NAMES = {
    "en": "english", "de": "german", "fr": "french", "es": "spanish", "ru": "russian", "it": "italian",
    "pt": "portuguese", "ar": "arabic",
}  # fmt: skip
_stemming = Lock()
WORDS_KEPT = 8_192
"""About as many as a knowledge base has; each takes a quarter of a kilobyte, and codes and typing errors never end."""


@lru_cache(maxsize=WORDS_KEPT)
def stemmed(word: str, language: str) -> str:
    """The stem of a lower-case word; the word itself in a language that has no stemmer here."""
    if language not in _NAMES:
        return word
    with _stemming:  # a stemmer keeps the word it works on in itself
        return str(_stemmer(language).stemWord(word))


@lru_cache(maxsize=len(_NAMES))
def _stemmer(language: str) -> Any:
    return snowballstemmer.stemmer(_NAMES[language])
