"""Cuts streamed Markdown into units that can be checked and released one by one.

A unit is a heading, a list item, a table row, a whole fenced code block, or a sentence of a paragraph, with the
white space after it. Citations such as `[1]` that follow a full stop belong to its sentence. The units joined give
the input back exactly, and where they end depends on the text alone: nothing is cut before the characters that decide
are there.
"""

import re
from collections.abc import Iterator
from enum import StrEnum


class Kind(StrEnum):
    """What a line of Markdown opens."""

    TEXT = "text"
    HEADING = "heading"
    ITEM = "item"
    ROW = "row"
    FENCE = "fence"


_OPENINGS = (
    (Kind.FENCE, re.compile(r"[ \t]*(?:`{3,}|~{3,})")),
    (Kind.HEADING, re.compile(r"[ \t]*#{1,6}[ \t]")),
    (Kind.ITEM, re.compile(r"[ \t]*(?:[-*+•]|\d{1,9}[.)])[ \t]")),
    (Kind.ROW, re.compile(r"[ \t]*\|")),
)
# A line that so far could still become one of the above; with more text it is decided.
_UNDECIDED = re.compile(r"[ \t]*(?:`{1,2}|~{1,2}|#{1,6}|[-*+•]|\d{1,9}[.)]?)?\Z")
# What makes a reader of a paragraph stop: sentence ends, line ends, code spans.
_STOPS = re.compile(r"[.!?…]+|[。！？]+|\n|`+")
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})[^\n]*\n")
_CLOSERS = re.compile(r"[\"'”’»)\]*_]*")
_CITATIONS = re.compile(r"(?:[ \t]*\[\d{1,3}\])*")
_MAYBE_CITATION = re.compile(r"[ \t]*(?:\[\d{0,3})?\Z")
_WORD_BEFORE = re.compile(r"([^\W_]+)\Z")
_WORD_AFTER = re.compile(r"[^\W\d_]+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MONTHS = _words("januar jänner februar märz april mai juni juli august september oktober november dezember")
# Abbreviations that keep their sentence going, and those that do so only before a number.
_ABBREVIATIONS = _words(
    "mr mrs ms dr prof st vs approx ca bzw inkl exkl evtl ggf vgl abs bspw sog usf zzgl gem cf al inc ltd co corp jr "
    "sr sra ud uds ej ing avda mme mlle env resp стр др тыс руб им гл напр"
)
_BEFORE_NUMBER = _words("no nr nrs fig art tel min max vol sec pp núm pág рис")


def kind_of(unit: str) -> Kind:
    """What a complete unit is."""
    if unit.lstrip(" \t")[:1].isalpha():
        return Kind.TEXT
    return next((kind for kind, pattern in _OPENINGS if pattern.match(unit)), Kind.TEXT)


def split(text: str) -> list[str]:
    """All units of a finished text."""
    buffer = SentenceBuffer()
    return buffer.feed(text) + buffer.flush()


class SentenceBuffer:
    """Holds what has streamed in until its unit is complete."""

    def __init__(self) -> None:
        self._text = ""
        self._line_start = True
        self._may_end = False

    def feed(self, text: str) -> list[str]:
        self._text += text
        if not self._may_end and not _STOPS.search(text):
            return []  # most pieces of a stream: no unit ends without a stop
        units = list(self._take(final=False))
        self._may_end = bool(_STOPS.search(self._text))
        return units

    def flush(self) -> list[str]:
        """The rest, when the stream is over; the buffer is then empty and can be used again."""
        units = list(self._take(final=True))
        self._line_start, self._may_end = True, False
        return units

    def _take(self, *, final: bool) -> Iterator[str]:
        while self._text:
            end = _unit_end(self._text, line_start=self._line_start, final=final)
            if end is None:
                return
            unit, self._text = self._text[:end], self._text[end:]
            self._line_start = unit.endswith("\n")
            yield unit


def _unit_end(text: str, *, line_start: bool, final: bool) -> int | None:
    """Where the first unit of `text` ends; None while more text could move that place."""
    kind: Kind | None = Kind.TEXT
    start = 0
    if line_start:
        start = len(text) - len(text.lstrip())
        start = text.rfind("\n", 0, start) + 1
        kind = _opening(text, start, final)
    match kind:
        case None:
            return None
        case Kind.FENCE:
            return _fence_end(text, start, final)
        case Kind.HEADING | Kind.ROW:
            newline = text.find("\n", start)
            return _past_blank(text, newline, final) if newline >= 0 else (len(text) if final else None)
        case _:
            return _text_end(text, start, final, sentences=kind is Kind.TEXT)


def _opening(text: str, at: int, final: bool) -> Kind | None:
    """What the line that starts at `at` opens; None while undecided."""
    line = text[at : text.find("\n", at) % (len(text) + 1)]
    if not final and at + len(line) == len(text) and _UNDECIDED.match(line):
        return None
    return kind_of(line)


def _fence_end(text: str, at: int, final: bool) -> int | None:
    opened = _FENCE.match(text, at)
    if opened:
        mark = opened[1]
        close = re.compile(rf"^[ \t]*{re.escape(mark[0])}{{{len(mark)},}}[ \t\r]*(\n|\Z)", re.MULTILINE)
        closed = close.search(text, opened.end())
        if closed and closed[1]:
            return _past_blank(text, closed.end() - 1, final)
    return len(text) if final else None


def _text_end(text: str, at: int, final: bool, *, sentences: bool) -> int | None:
    """End of a paragraph's sentence, or of a list item, which is never cut inside."""
    position = at
    while stop := _STOPS.search(text, position):
        mark, position = stop[0], stop.end()
        if mark == "\n":
            end = _line_break(text, stop.start(), final)
        elif mark[0] == "`":
            span_end = _code_span_end(text, stop, final)
            if span_end is None:
                return None
            position, end = span_end, 0
        else:
            end = _sentence_end(text, stop, final) if sentences else 0
        if end != 0:
            return end
    return len(text) if final else None


def _line_break(text: str, newline: int, final: bool) -> int | None:
    """End of the unit at this newline, 0 where the paragraph goes on in the next line."""
    past = _past_blank(text, newline, final)
    if past is None or past == len(text):
        return past
    if text.count("\n", newline, past) > 1:
        return past
    kind = _opening(text, past, final)
    if kind is None:
        return None
    return 0 if kind is Kind.TEXT else past


def _past_blank(text: str, newline: int, final: bool) -> int | None:
    """Position after the line end at `newline` and the blank lines behind it; the next line keeps its indent."""
    position = newline + 1
    while position < len(text) and text[position].isspace():
        position += 1
    if position == len(text):
        return len(text) if final else None
    return text.rfind("\n", newline, position) + 1


def _code_span_end(text: str, ticks: re.Match[str], final: bool) -> int | None:
    """Position after the code span that the backticks open, or after them where the paragraph does not close them."""
    paragraph = re.compile(r"\n[ \t\r]*\n").search(text, ticks.end())
    limit = paragraph.start() if paragraph else len(text)
    close = re.compile(rf"(?<!`){ticks[0]}(?!`)").search(text, ticks.end(), limit)
    if close and (close.end() < len(text) or final):
        return close.end()
    return ticks.end() if paragraph or final else None


def _sentence_end(text: str, stop: re.Match[str], final: bool) -> int | None:
    """End of the sentence with citations and white space, 0 where the mark ends none, None while undecided."""
    closers = _CLOSERS.match(text, stop.end())
    assert closers  # it matches the empty string too
    cited = _CITATIONS.match(text, closers.end())
    assert cited
    if not final and (cited.end() == len(text) or _MAYBE_CITATION.match(text, cited.end())):
        return None
    after = cited.end()
    rest = text[after:].lstrip()
    wide = stop[0][0] in "。！？"
    if after < len(text) and not text[after].isspace() and not wide:
        return 0
    if not rest:
        return len(text) if final else None
    if not wide and not cited[0]:
        goes_on = _goes_on(text, stop, rest, final)
        if goes_on is not False:
            return None if goes_on is None else 0
    space = len(text) - len(rest)
    newline = text.find("\n", after, space)
    return space if newline < 0 else text.rfind("\n", after, space) + 1


def _goes_on(text: str, stop: re.Match[str], rest: str, final: bool) -> bool | None:
    """Whether the mark is inside a sentence: an abbreviation, an initial, a German date, or small letters after it."""
    if rest[0].islower() and stop[0][0] in ".…":
        return True
    before = _WORD_BEFORE.search(text, max(0, stop.start() - 24), stop.start())
    if stop[0] != "." or not before:
        return False
    word = before[1].lower()
    if word in _ABBREVIATIONS or (len(word) == 1 and word.isalpha()):
        return True
    if word in _BEFORE_NUMBER:
        return rest[0].isdigit()
    if word.isdigit() and len(word) < 3:
        following = _WORD_AFTER.match(rest)
        if following and following.end() == len(rest) and not final:
            return None
        return following is not None and following[0].lower() in _MONTHS
    return False
