"""Which language a message is in, however short and technical it is."""

import re

from kbs.language import rank_languages
from tools.classification.cues import load_cues

ENOUGH_LETTERS = 12
"""Fewer letters than this don't tell the language of a text in Latin script."""
CERTAIN = 0.75
LIKELY = 0.35
NOT_ENGLISH = 0.02
"""A language that is only likely is taken when English is as good as excluded."""
WINDOW = 2000
"""Characters that are looked at."""

_NOT_PROSE = re.compile(r"https?://\S+|\S+@\S+|`[^`]*`|[\d_/\\<>{}\[\]|=#*]+")
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
_SHARED_SCRIPTS = ("ru", "ar")


def detect_language(text: str) -> str:
    """ISO 639-1 code; `en` where the text is too short or too mixed to tell. The first call loads a model (half a second)."""
    prose = _NOT_PROSE.sub(" ", text[:WINDOW])
    letters = sum(char.isalpha() for char in prose)
    script = next((code for code, pattern in _SCRIPTS if 2 * len(pattern.findall(prose)) > letters), None)
    if script and (script not in _SHARED_SCRIPTS or letters < ENOUGH_LETTERS):
        return "ja" if script == "zh" and _KANA.search(prose) else script
    if letters < ENOUGH_LETTERS:
        return "en"
    ranking = rank_languages(prose, load_cues().languages)
    best, certainty = ranking[0]
    if certainty >= CERTAIN:
        return best
    if script is None and certainty >= LIKELY and dict(ranking)["en"] < NOT_ENGLISH:
        return best
    return script or "en"
