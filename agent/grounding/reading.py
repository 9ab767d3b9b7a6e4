"""What a text says, as far as it can be compared: facts, content words, and clauses with their polarity."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from agent.grounding.words import (
    CONJUNCTIONS,
    NEGATIONS,
    STRONG_WORDS,
    UNIT_OF,
    VALUE_OF,
    guess_language,
    is_content,
    stem,
)
from agent.sentences import Kind, kind_of, split
from kbs.passages import Passage
from tools.dates import DATE, in_one_form

FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n]*\n(.*?)(?:^[ \t]*\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
CITATION = re.compile(r"(?<!\w)\[(\d{1,3})\]")
_CODE = re.compile(r"(`{1,8})(.+?)\1", re.DOTALL)
_LINK = re.compile(r"\[([^\]]*+)\]\(([^)\s]++)[^)]*+\)")
_ADDRESS = re.compile(r"(?:https?://|www\.)[^\s<>()\[\]\"'`|]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+", re.IGNORECASE)
_MARKER = re.compile(r"\s*(?:[-*+•]|\d{1,9}[.)]|#{1,6}|>)\s+")
_EMPHASIS = re.compile(r"\*+|(?<!\w)_+|_+(?!\w)|~~")
_GROUPED = re.compile(r"(?<=\d)[\u00a0\u202f'](?=\d{3}\b)")
_NUMBER = re.compile(r"([$€£]?)(\d+(?:[.,]\d+)*)-?([%$€£]|[^\W\d_]+)?")
_SERIES = re.compile(r"\d+(?:[-–/]\d+)+")
_THOUSANDS = re.compile(r"\d{1,3}(?:[.,]\d{3})+")
_JOINED = re.compile(r"\w[.\\_@:=#+&/<>]\w")
_WORDS_IN_TOKEN = re.compile(r"[^\W\d_]+(?:/[^\W\d_]+)+")
_WORD = re.compile(r"[^\W_]+")
_EDGES = ".,;:!?¡¿()[]{}<>\"'“”„«»‘’…*#|"
_DOTTED = frozenset(("e.g", "i.e", "z.b", "d.h", "u.a", "p.ex", "т.е", "т.д"))
_AND = frozenset(("and", "und", "et", "y", "и", "plus", "including"))
_STEP_WORDS = frozenset(("step", "schritt", "étape", "paso", "шаг"))
A_DATE = "date"
"""The kind of a date among the numbers."""


class Number(NamedTuple):
    value: str
    kind: str
    """Its unit in English, else the stem of the word before it; empty where neither is there."""
    has_unit: bool


@dataclass(slots=True)
class Clause:
    stems: list[str] = field(default_factory=list)
    numbers: list[Number] = field(default_factory=list)
    negated: bool = False


@dataclass(slots=True)
class Reading:
    """A sentence, or any stretch of text; not changed once it is read."""

    clauses: list[Clause] = field(default_factory=lambda: [Clause()])
    """Parts between marks and conjunctions: what a number belongs to, and what may be an addition."""
    statements: list[Clause] = field(default_factory=lambda: [Clause()])
    """Wider parts, in which a negation counts for every word; enumerations stay whole."""
    stems: list[str] = field(default_factory=list)
    """Content words in order."""
    numbers: list[Number] = field(default_factory=list)
    identifiers: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """Lower-case words that are written like proper names."""
    strong: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    """Every word in lower case."""
    runs: list[list[str]] = field(default_factory=lambda: [[]])
    """Every word, number and identifier in order, parted at marks and conjunctions; code and addresses are not in it."""

    @property
    def has_facts(self) -> bool:
        return bool(self.numbers or self.identifiers or self.addresses or self.codes)

    @property
    def negated(self) -> bool:
        return any(statement.negated for statement in self.statements)


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageReading:
    """A passage ready for comparison."""

    language: str
    text: str
    """Title, heading and text without marks and line ends, for exact search."""
    folded: str
    """The same in lower case."""
    words: frozenset[str]
    digits: frozenset[str]
    about: frozenset[str]
    """Stems of title and heading: every unit of the passage speaks about these."""
    units: tuple[Reading, ...]
    unit_stems: tuple[frozenset[str], ...]
    unit_tokens: tuple[Counter[str], ...]
    """See `tokens_of`."""
    stems: frozenset[str]
    """Of all units, title and heading."""
    kinds_of: dict[str, frozenset[str]]
    """Each number's value with the units that it stands with; an empty one where it has none."""
    dates: frozenset[str]


def read_passages(passages: Sequence[Passage]) -> PassageReading:
    """One passage, or several as if they were one."""
    first = passages[0]
    about = "\n".join(dict.fromkeys(f"{passage.title}. {passage.heading}" for passage in passages))
    return _read_passage(first.language, about, "\n\n".join(passage.text for passage in passages))


@lru_cache(maxsize=512)  # of some 35 KB each
def _read_passage(language: str, about: str, text: str) -> PassageReading:
    language = guess_language(text) or language
    written = f"{about}\n{text}"
    about, text = (with_one_form(part, language) for part in (about, text))
    units = tuple(_read_units(text, language))
    plain = " ".join(f"{about}\n{text}".replace("`", "").replace("**", "").split())
    unit_stems = tuple(frozenset(unit.stems) for unit in units)
    heads = frozenset(read(about, language).stems)
    kinds: dict[str, set[str]] = {}
    for number in (number for unit in (*units, read(about, language)) for number in unit.numbers):
        kinds.setdefault(number.value, set()).add(number.kind if number.has_unit else "")
    return PassageReading(
        language=language,
        text=plain,
        folded=plain.lower(),
        words=frozenset(_WORD.findall(f"{written}\n{plain}".lower())),
        digits=frozenset(re.findall(r"\d+", plain)),
        about=heads,
        units=units,
        unit_stems=unit_stems,
        unit_tokens=tuple(tokens_of(unit) for unit in units),
        stems=heads.union(*unit_stems),
        kinds_of={value: frozenset(found) for value, found in kinds.items()},
        dates=frozenset(value for value, found in kinds.items() if A_DATE in found),
    )


def with_one_form(text: str, language: str | None) -> str:
    """The text with its dates in one form; in English nobody knows which of 03/04/2026 is the month."""
    return in_one_form(text, day_first=None if language in (None, "en") else True)


def _read_units(text: str, language: str) -> Iterator[Reading]:
    """The units; a table's row also says, as one clause, what it says under the heads of its columns."""
    heads: list[str] | None = None
    for unit in split(text):
        found = read(unit, language, quoting=True)
        if kind_of(unit) is not Kind.ROW:
            heads = None
        elif heads is None:
            heads = found.stems
        else:
            row = Clause(stems=heads + found.stems, numbers=found.numbers)
            found = replace(found, clauses=[*found.clauses, row])
        yield found


@lru_cache(maxsize=1024)
def read(unit: str, language: str, *, quoting: bool = False) -> Reading:
    """Read a unit; in a passage (`quoting`) the words of code count as words, in a claim they are only facts."""
    found = Reading()
    kind = kind_of(unit)
    if kind is Kind.FENCE:
        lines = [line for fence in FENCE.finditer(unit) for line in fence[2].splitlines() if line.strip()]
        found.codes += [" ".join(line.split()) for line in lines]
        unit = ""
    text = _MARKER.sub("", unit, count=1) if _MARKER.match(unit) else unit
    text = text.replace("|", " ; ") if kind is Kind.ROW else text

    def take_code(code: re.Match[str]) -> str:
        if words := code[2].split():  # marks around nothing are no code
            found.codes.append(" ".join(words))
        return " "

    def take_address(address: re.Match[str]) -> str:
        found.addresses.append(address[0].rstrip(".,;:!?)/").lower())
        return " "

    text = CITATION.sub(" ", _CODE.sub(take_code, text))
    text = _ADDRESS.sub(take_address, _LINK.sub(r"\1 \2", text))
    text = _EMPHASIS.sub("", _GROUPED.sub("", text)).replace("’", "'")
    _Reader(found, language, titled=kind in (Kind.HEADING, Kind.ROW)).take(text.split())
    if quoting:
        _count_code(found, language)
    return found


def tokens_of(reading: Reading) -> Counter[str]:
    """How often each word, number, identifier and code stands in it."""
    return Counter([*(token for run in reading.runs for token in run), *reading.codes])


def _count_code(found: Reading, language: str) -> None:
    """Adds the words of code as a clause of their own, so that prose may speak of them; they negate nothing."""
    words = [word for code in found.codes for word in _WORD.findall(code.lower())]
    stems = [stem(word, language) for word in words if len(word) > 1 and is_content(word, language)]
    found.words += words
    found.stems += stems
    found.clauses.append(Clause(stems=stems))


class _Reader:
    """Goes through the tokens of a text once and sorts them into a `Reading`."""

    def __init__(self, found: Reading, language: str, *, titled: bool) -> None:
        self._found = found
        self._language = language
        self._titled = titled or language == "de"
        self._last_stem = ""
        self._conditional = False

    def take(self, tokens: list[str]) -> None:
        starts = True
        for place, raw in enumerate(tokens):
            if raw.startswith(("(", "—", ";")) or raw == "–":
                self._new_clause(statement=True)
            token = raw.strip(_EDGES)
            following = tokens[place + 1].strip(_EDGES).lower() if place + 1 < len(tokens) else ""
            if token:
                self._take_token(token, following, starts=starts)
            starts = raw.endswith((".", ":", "!", "?")) or (starts and not token)
            if raw.endswith((",", ";", ":", ")", "—", ".", "!", "?")):
                listing = raw.endswith(",") and not self._conditional and following not in _AND
                self._new_clause(statement=not listing)

    def _take_token(self, token: str, following: str, *, starts: bool) -> None:
        number = _NUMBER.fullmatch(token)
        if DATE.fullmatch(token):
            self._add_number(Number(token, A_DATE, True))
        elif number and (not number[3] or "-" in token or number[3].lower() in UNIT_OF):
            self._take_number(number[2], (number[3] or number[1] or following).lower())
            if number[3] and number[3].lower() not in UNIT_OF:
                self._take_word(number[3], starts=False)
        elif _SERIES.fullmatch(token):
            for value in re.findall(r"\d+", token):
                self._take_number(value, following)
        elif _is_identifier(token):
            self._found.identifiers.append(token.lower())
            self._found.runs[-1].append(token.lower())
            self._found.words += _WORD.findall(token.lower())
        elif value := VALUE_OF.get(self._language, {}).get(token.lower()):
            self._take_number(value, following)
        else:
            for word in re.split(r"[/–-]", token):
                if word:
                    self._take_word(word, starts=starts)
                starts = False

    def _take_number(self, value: str, beside: str) -> None:
        if self._last_stem in _STEP_WORDS:
            return
        unit = UNIT_OF.get(beside, "")
        self._add_number(Number(_canonical(value), unit or self._last_stem, bool(unit)))

    def _add_number(self, number: Number) -> None:
        self._found.runs[-1].append(number.value)
        self._found.numbers.append(number)
        self._found.clauses[-1].numbers.append(number)

    def _take_word(self, word: str, *, starts: bool) -> None:
        folded = word.lower()
        if folded.endswith("n't"):
            folded, word = folded[:-3], word[:-3]
            self._found.statements[-1].negated = True
            self._found.words.append("not")
            self._found.runs[-1].append("not")
        clause, statement = self._found.clauses[-1], self._found.statements[-1]
        for part in folded.split("'"):
            if part in CONJUNCTIONS:
                self._new_clause(statement=part not in _AND)
                self._conditional = part not in _AND
                clause, statement = self._found.clauses[-1], self._found.statements[-1]
            statement.negated = statement.negated or part in NEGATIONS
            self._found.words.append(part)
            if part not in _AND:
                self._found.runs[-1].append(part)
            if part in UNIT_OF or len(part) < 2 or not is_content(part, self._language) or part in NEGATIONS:
                continue
            self._last_stem = stem(part, self._language)
            self._found.stems.append(self._last_stem)
            clause.stems.append(self._last_stem)
            statement.stems.append(self._last_stem)
            if part in STRONG_WORDS:
                self._found.strong.append(part)
        if self._named(word, starts):
            self._found.names.append(folded.split("'")[0])

    def _named(self, word: str, starts: bool) -> bool:
        letters = word.split("'")[0]
        if len(letters) < 2 or not letters[0].isalpha():
            return False
        shouted = letters.isupper() or any(a.islower() and b.isupper() for a, b in pairwise(letters))
        return shouted or (letters[0].isupper() and not starts and not self._titled)

    def _new_clause(self, *, statement: bool) -> None:
        if self._found.runs[-1]:
            self._found.runs.append([])
        if self._found.clauses[-1].stems or self._found.clauses[-1].numbers:
            self._found.clauses.append(Clause())
        if statement:
            self._conditional = False
            if self._found.statements[-1].stems:
                self._found.statements.append(Clause())


def _is_identifier(token: str) -> bool:
    if token.lower() in _DOTTED or _WORDS_IN_TOKEN.fullmatch(token):
        return False
    mixed = any(c.isdigit() for c in token) and (any(c.isalpha() for c in token) or bool(re.search(r"\W", token)))
    return mixed or (token.startswith(("/", "--", "~/", "./")) and token[-1].isalnum()) or bool(_JOINED.search(token))


def _canonical(value: str) -> str:
    """One spelling for a number: 1,000 and 1.000 are 1000, 2,50 is 2.5, 08 is 8."""
    if _THOUSANDS.fullmatch(value):
        return re.sub(r"[.,]", "", value)
    *whole, fraction = re.split(r"[.,]", value)
    if not whole:
        return value.lstrip("0") or "0" if len(value) < 3 else value
    if len(whole) > 1 and len(set(re.findall(r"[.,]", value))) == 1:
        return value
    return f"{''.join(whole)}.{fraction}".rstrip("0").rstrip(".")


def occurs(wanted: str, text: str) -> bool:
    """Whether `wanted` stands in `text` by itself, not as part of a longer word, name, path or address."""
    start = text.find(wanted)
    while start >= 0:
        end = start + len(wanted)
        before = text[start - 1] if start else " "
        after, beyond = text[end : end + 1], text[end + 1 : end + 2]
        whole_before = not (before.isalnum() or before in "._@/\\-") or not wanted[0].isalnum()
        whole_after = not after.isalnum() and not (after in tuple("._@/\\:-") and beyond.isalnum())
        if whole_before and (whole_after or not wanted[-1].isalnum()):
            return True
        start = text.find(wanted, start + 1)
    return False
