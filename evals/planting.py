"""Sentences made wrong on purpose, each in one way, so that what a check of citations catches can be counted. Pure.

number      a number becomes another one            name        a name or identifier becomes an invented one
in words    the same for a number in words          other name  a name becomes another one that stands nearby
date        another weekday, month or year          exchanged   two things change places: who does what to whom
unit        days become weeks, euros dollars        condition   what it depends on, or an exception, is left out
negation    a negation is put in or taken out       quantity    always, never, only, all, must, at least
opposite    a word becomes its opposite             strong      a promise is added
invented    a claim that no article makes           foreign     a sentence of another article
code        a command, path or value in code becomes another one that stands nearby
"""

import re
import zlib
from collections.abc import Iterator, Sequence

from evals import planting_words as words

KINDS = (
    "number", "in words", "date", "unit", "name", "other name", "exchanged", "condition", "negation", "opposite", "quantity",
    "code", "strong", "invented", "foreign",
)  # fmt: skip
SHORTEST = 4
"""Words of a sentence that can be made wrong in more than a number: shorter ones say too little to tell what is wrong."""

_MARKER = re.compile(r"\s*(?:\d{1,3}[.)]|[-*+>])\s+")
"""Of a list: its number claims nothing."""
_NUMBER = re.compile(r"(?<![\w.\[/:`_=-])\d+(?:\.\d+)?(?![\w\]/`_=-]|\.\w)")
_ISO_DATE = re.compile(r"\b(?:19|20)\d\d-\d\d-\d\d\b")
_NAME = re.compile(r"(?<=[a-zäöüß,] )(?:[A-Z][a-z]+[A-Z]\w*|[A-Z]{3,}\d*|[A-Z][a-z]{3,})(?![\w.])")
_INLINE = re.compile(r"(?<!`)`[^`\s]+`(?!`)")
_CODE = re.compile(r"`[^`]*`|https?://\S+|\]\([^)]*\)")


def planted(
    sentence: str, foreign: str | None = None, *, language: str = "en", around: Sequence[str] = ()
) -> Iterator[tuple[str, str]]:
    """(kind, altered sentence) for each way in which this sentence can be made wrong; the same ones every time.
    `around`: the texts that it was taken from and stood beside, where other names are found."""
    seed = zlib.crc32(sentence.encode())
    marker = _MARKER.match(sentence)
    start = marker.end() if marker else 0
    if len(sentence[start:].split()) >= SHORTEST:
        yield from _altered(sentence, start, seed, language, around)
    if sentence.rstrip().endswith("."):
        yield "strong", _one_of(words.PROMISES[language], seed)
    yield "invented", _one_of(words.INVENTED[language], seed)
    if foreign:
        yield "foreign", foreign


def _altered(sentence: str, start: int, seed: int, language: str, around: Sequence[str]) -> Iterator[tuple[str, str]]:
    prose = _Prose(sentence, start)
    if found := prose.find(_NUMBER):
        yield "number", _replaced(sentence, found, _other_number(found[0], seed))
    for kind, table in (
        ("in words", words.NUMBERS), ("date", words.DATES), ("unit", words.UNITS), ("opposite", words.OPPOSITES),
        ("quantity", words.QUANTITIES),
    ):  # fmt: skip
        pattern, others = table[language]
        if found := prose.find(pattern):
            yield kind, _replaced(sentence, found, _as_written(found[0], others[found[0].lower()]))
    if found := prose.find(_ISO_DATE):
        yield "date", _replaced(sentence, found, f"{int(found[0][:4]) - 1}{found[0][4:]}")
    yield from _negated(prose, language)
    if language == "en" and (found := prose.find(_NAME)):
        yield "name", _replaced(sentence, found, _one_of(words.STRANGE_NAMES, seed))
        nearby = [name[0] for text in around for name in _NAME.finditer(_CODE.sub(" ", text))]
        if strangers := sorted({name for name in nearby if not _alike(name, sentence) and len(name) > 3}):
            yield "other name", _replaced(sentence, found, _one_of(strangers, seed))
    if swapped := _exchanged(prose, language):
        yield "exchanged", swapped
    if found := _INLINE.search(sentence, start):
        codes = {code[0] for text in around for code in _INLINE.finditer(text)} - {found[0]}
        if codes:
            yield "code", _replaced(sentence, found, _one_of(sorted(codes), seed))
    for pattern in words.CONDITIONS[language]:
        if found := prose.find(pattern):
            left = sentence[:start] + _capital(found["main"].strip().rstrip(",;")) + "."
            yield "condition", left
            break


def _negated(prose: "_Prose", language: str) -> Iterator[tuple[str, str]]:
    pattern, instead = words.NEGATIONS[language]
    if found := prose.find(pattern):
        yield "negation", _tidy(_replaced(prose.text, found, _as_written(found[0], instead.get(found[0].lower(), ""))))
    elif found := prose.find(words.VERBS[language]):
        yield "negation", _replaced(prose.text, found, f"{found[0]} {words.NOT[language]}")


def _exchanged(prose: "_Prose", language: str) -> str | None:
    """The sentence with its two things in each other's place, unless they only stand in a list."""
    found = prose.find(words.THINGS[language])
    if not found or found["one"].lower() == found["other"].lower():
        return None
    if not re.search(r"[^\W\d_]{2}", words.LISTING[language].sub("", found["between"])):
        return None
    text = prose.text
    return (
        text[: found.start("one")] + found["other"] + text[found.end("one") : found.start("other")]
        + found["one"] + text[found.end("other") :]
    )  # fmt: skip


class _Prose:
    """A sentence in which only what stands outside of code, addresses and its list mark is found."""

    def __init__(self, text: str, start: int) -> None:
        self.text = text
        self._start = start
        self._masked = _CODE.sub(lambda code: "\x00" * len(code[0]), text)

    def find(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.search(self._masked, self._start)
        if found is None or "\x00" not in found[0]:
            return found
        return pattern.search(self.text, self._start)


def _alike(name: str, sentence: str) -> bool:
    return name.lower()[:5] in sentence.lower()


def _other_number(number: str, seed: int) -> str:
    whole = int(float(number))
    return str(whole + 1 + seed % 7 if whole < 50 else whole * 2 + 10)


def _as_written(before: str, after: str) -> str:
    return _capital(after) if before[:1].isupper() and after else after


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _one_of(texts: Sequence[str], seed: int) -> str:
    return texts[seed % len(texts)]


def _replaced(sentence: str, found: re.Match[str], by: str) -> str:
    return sentence[: found.start()] + by + sentence[found.end() :]


def _tidy(sentence: str) -> str:
    return re.sub(r"(?<=\S) {2,}", " ", sentence).replace(" .", ".").replace(" ,", ",")
