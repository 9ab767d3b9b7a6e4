"""Which language a message is in, however short and technical it is."""

import re

from kbs.words.glossary import language_by_words
from kbs.words.language import rank_languages
from tools.classification.cues import load_cues

ENOUGH_LETTERS = 12
"""Fewer letters than this don't tell the language of a text in Latin script."""
CERTAIN = 0.75
LIKELY = 0.35
EXCLUDED = 0.02
"""A language that is only likely is taken when English, and what was spoken so far, are as good as excluded."""
WINDOW = 2000
"""Characters that are looked at."""

_NOT_PROSE = re.compile(r"https?://\S+|\S+@\S+|`[^`]*`|[\d_/\\<>{}\[\]|=#*]+")
_INVERTED = re.compile("[¿¡]")
_KANA = re.compile(r"[\u3040-\u30ff]")
_SCRIPTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("ko", re.compile(r"[\uac00-\ud7a3]")),
    ("zh", re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")),
    ("he", re.compile(r"[\u0590-\u05ff]")),
    ("el", re.compile(r"[\u0370-\u03ff]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
)
"""The language that a script stands for when nothing tells more."""
_SHARING = {"ru": ("ru", "uk", "bg", "sr"), "ar": ("ar", "fa")}
"""Languages written in one script: which of them it is a short text does not tell."""
_SHARED_SCRIPTS = tuple(_SHARING)


def detect_language(text: str) -> str:
    """ISO 639-1 code; `en` where the text is too short or too mixed to tell. The first call loads a model (half a second)."""
    return tell_language(text) or "en"


def tell_language(text: str, spoken: str | None = None) -> str | None:
    """The same; None where the text does not tell. Where `spoken` is the language of the conversation so far, another
    one must be plain: by its script, by certainty, or because nothing else comes into question."""
    prose = _NOT_PROSE.sub(" ", text[:WINDOW])
    letters = sum(char.isalpha() for char in prose)
    script = None if prose.isascii() else _script_of(prose, letters)
    if script and (script not in _SHARED_SCRIPTS or letters < ENOUGH_LETTERS):
        if script in _SHARED_SCRIPTS and spoken in _SHARING[script]:
            return None
        return "ja" if script == "zh" and _KANA.search(prose) else script
    if letters < ENOUGH_LETTERS:
        return None if spoken else _by_words(prose)
    ranking = rank_languages(prose, load_cues().languages)
    best, certainty = ranking[0]
    if certainty >= CERTAIN:
        return best
    shares = dict(ranking)
    if script is None and certainty >= LIKELY and max(shares["en"], shares.get(spoken or "en", 0.0)) < EXCLUDED:
        return best
    if script or spoken:
        return None if spoken in _SHARING.get(script or "", ()) else script
    return _by_words(prose)


def _script_of(prose: str, letters: int) -> str | None:
    return next((code for code, pattern in _SCRIPTS if 2 * len(pattern.findall(prose)) > letters), None)


def _by_words(prose: str) -> str | None:
    return "es" if _INVERTED.search(prose) else language_by_words(prose)
