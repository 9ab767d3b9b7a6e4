"""Sentences made wrong on purpose, each in one way, so that what a check of citations catches can be counted. Pure.

number      a number becomes another one            name        a name or identifier becomes another one
negation    a negation is put in or taken out       unit        days become weeks
opposite    a word becomes its opposite             strong      a promise is added
invented    a claim that no article makes           foreign     a sentence of another article
"""

import re
import zlib
from collections.abc import Iterator

_MARKER = re.compile(r"\s*\d{1,3}[.)]\s")
"""Of a list: its number claims nothing."""
_NUMBER = re.compile(r"(?<![\w.\[])\d+(?:\.\d+)?(?![\w\]])")
_VERB = re.compile(r"\b(is|are|can|will|must|should|does|do|has|have)\b(?! not)(?!n't)")
_NEGATION = re.compile(r"\b(?:not|never|cannot|without)\b")
_NAME = re.compile(r"(?<=[a-z,] )(?:[A-Z][a-z]+[A-Z]\w*|[A-Z]{3,}\d*|[A-Z][a-z]{3,})(?![\w.])")
_UNITS = {
    "minutes": "hours",
    "hours": "days",
    "days": "weeks",
    "weeks": "months",
    "months": "years",
    "MB": "GB",
    "GB": "MB",
}
_UNIT = re.compile(r"(?<=\d )(" + "|".join(_UNITS) + r")\b")
_OPPOSITES = {
    "before": "after", "after": "before", "enable": "disable", "open": "close", "add": "remove", "allowed": "forbidden",
    "possible": "impossible", "minimum": "maximum", "incoming": "outgoing", "more": "less", "first": "last", "old": "new",
    "new": "old", "public": "private", "start": "stop", "always": "never",
}  # fmt: skip
_OPPOSITE = re.compile(r"\b(" + "|".join(_OPPOSITES) + r")\b")
_NAMES = ("Zephyrion", "QUORVEX", "Marlowe", "TindraDB", "Vexilla", "OBSYDIAN9")
_PROMISES = (
    " This is always free of charge.",
    " We guarantee this without exception.",
    " It is done within two seconds.",
)
INVENTED = (
    "Our telephone hotline is open around the clock at extension 4711.",
    "Every customer gets a dedicated engineer named Rosalind.",
    "The data centre in Reykjavik holds a third copy for ninety years.",
    "You receive a loyalty bonus of 12.5 percent after the second renewal.",
    "Send a fax with your signature to the compliance office to finish the request.",
)


def planted(sentence: str, foreign: str | None) -> Iterator[tuple[str, str]]:
    """(kind, altered sentence) for each way in which this sentence can be made wrong; the same ones every time."""
    seed = zlib.crc32(sentence.encode())
    marker = _MARKER.match(sentence)
    if found := _NUMBER.search(sentence, marker.end() if marker else 0):
        yield "number", _replaced(sentence, found, _other_number(found[0], seed))
    if found := _NEGATION.search(sentence):
        yield (
            "negation",
            _tidy(
                _replaced(sentence, found, "can" if found[0] == "cannot" else "with" if found[0] == "without" else "")
            ),
        )
    elif found := _VERB.search(sentence):
        yield "negation", _replaced(sentence, found, f"{found[0]} not")
    if found := _NAME.search(sentence):
        yield "name", _replaced(sentence, found, _NAMES[seed % len(_NAMES)])
    if found := _UNIT.search(sentence):
        yield "unit", _replaced(sentence, found, _UNITS[found[0]])
    if found := _OPPOSITE.search(sentence):
        yield "opposite", _replaced(sentence, found, _OPPOSITES[found[0]])
    if sentence.rstrip().endswith("."):
        yield "strong", _PROMISES[seed % len(_PROMISES)].strip()
    yield "invented", INVENTED[seed % len(INVENTED)]
    if foreign:
        yield "foreign", foreign


def _other_number(number: str, seed: int) -> str:
    whole = int(float(number))
    return str(whole + 1 + seed % 7 if whole < 50 else whole * 2 + 10)


def _replaced(sentence: str, found: re.Match[str], by: str) -> str:
    return sentence[: found.start()] + by + sentence[found.end() :]


def _tidy(sentence: str) -> str:
    return re.sub(r" {2,}", " ", sentence).replace(" .", ".").replace(" ,", ",")
