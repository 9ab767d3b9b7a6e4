"""Dates as people write them, found in a text and brought into one form, so that two wordings of a day can be compared.

    2026-03-03    3 March 2026, March 3rd, 2026, 3. März 2026, le 3 mars 2026, 3 de marzo de 2026, 3 марта 2026,
                  03.03.2026, 2026/03/03, 13/03/2026
    xxxx-03-03    the same without a year

03/04/2026 is a day of March to some and of April to others: it is read only where the caller knows which.
"""

import re
from calendar import monthrange
from collections.abc import Collection, Iterator
from dataclasses import dataclass

DATE = re.compile(r"(?:\d{4}|xxxx)-\d{2}-\d{2}")
"""The one form."""
ANY_YEAR = "xxxx"
_LEAP_YEAR = 2000
_NAMES = (
    "january|jan|januar|jänner|janvier|janv|enero|января",
    "february|feb|februar|février|févr|febrero|февраля",
    "march|mar|märz|mars|marzo|марта",
    "april|apr|avril|abril|апреля",
    "may|mai|mayo|мая",
    "june|jun|juni|juin|junio|июня",
    "july|jul|juli|juillet|juil|julio|июля",
    "august|aug|août|agosto|августа",
    "september|sept|sep|septembre|septiembre|setiembre|сентября",
    "october|oct|oktober|okt|octobre|octubre|октября",
    "november|nov|novembre|noviembre|ноября",
    "december|dec|dezember|dez|décembre|déc|diciembre|декабря",
)
_MONTHS = {name: number for number, names in enumerate(_NAMES, 1) for name in names.split("|")}
_OTHER_WORDS = frozenset(("may", "march", "mar", "mars", "dec"))
"""Also something else, in lower case and without a year."""
_ENGLISH = "|".join(
    sorted((*(name for names in _NAMES for name in names.split("|")[:2]), "sep"), key=len, reverse=True)
)
_ANY = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DAY_FIRST = re.compile(
    rf"(?<![\w.,/:-])(?P<day>\d{{1,2}})(?:st|nd|rd|th|er|º|\.)?\s(?:of\s|de\s)?(?P<month>{_ANY})"
    r"(?:\.?,?\s(?:de\s|del\s)?(?P<year>\d{4}))?(?!\w)",
    re.IGNORECASE,
)
_MONTH_FIRST = re.compile(
    rf"(?<!\w)(?P<month>{_ENGLISH})\.?\s(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s(?P<year>\d{{4}}))?"
    r"(?![\w%]|[.,:/]\d)",
    re.IGNORECASE,
)
_SPACE_AND_FIGURE = re.compile(r"\s\d")
"""In every date that begins with a month's name: most texts need not be searched for forty of them at each word."""
_YEAR_FIRST = re.compile(
    r"(?<![\w./-])(?P<year>\d{4})(?P<mark>[-/])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})(?!\d|[./-]\d)"
)
_IN_FIGURES = re.compile(
    r"(?<![\w./-])(?P<first>\d{1,2})(?P<mark>[./-])(?P<second>\d{1,2})(?P=mark)(?P<year>\d{4})(?!\d|[./-]\d)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A date in a text."""

    start: int
    end: int
    form: str


def dates_in(text: str, *, day_first: bool | None = None) -> list[Found]:
    """The dates of a text in their order; `day_first`: how 03/04/2026 is read."""
    found: list[Found] = []
    for each in sorted(_all(text, day_first), key=lambda each: (each.start, -each.end)):
        if not found or each.start >= found[-1].end:
            found.append(each)
    return found


def in_one_form(text: str, *, day_first: bool | None = None) -> str:
    """The text with every date in the one form."""
    for each in reversed(dates_in(text, day_first=day_first)):
        text = f"{text[: each.start]}{each.form}{text[each.end :]}"
    return text


def same_day(one: str, other: str) -> bool:
    """Whether two forms may be the same day; without a year it is one of any."""
    return one[4:] == other[4:] and (one[:4] == other[:4] or ANY_YEAR in (one[:4], other[:4]))


def with_years(text: str, known: Collection[str]) -> list[str]:
    """A text in the one form with the years that its dates without one may mean: once for each year, the latest first.
    As it is where it has none, or where none of the known dates is the same day."""
    if not known:
        return [text]
    without = {form for form in DATE.findall(text) if form.startswith(ANY_YEAR)}
    meant = sorted({full for full in known for form in without if same_day(form, full) and full != form}, reverse=True)
    return [_in_year(text, year, meant) for year in dict.fromkeys(full[:4] for full in meant)] or [text]


def _in_year(text: str, year: str, meant: Collection[str]) -> str:
    def replace(found: re.Match[str]) -> str:
        full = f"{year}{found[0][4:]}"
        return full if full in meant and found[0].startswith(ANY_YEAR) else found[0]

    return DATE.sub(replace, text)


def _all(text: str, day_first: bool | None) -> Iterator[Found]:
    for pattern in (_DAY_FIRST, _MONTH_FIRST) if _SPACE_AND_FIGURE.search(text) else (_DAY_FIRST,):
        for found in pattern.finditer(text):
            name, year = found["month"], found["year"]
            if year or name not in _OTHER_WORDS:
                yield from _date(found, year, _MONTHS[name.lower()], int(found["day"]))
    for found in _YEAR_FIRST.finditer(text):
        yield from _date(found, found["year"], int(found["month"]), int(found["day"]))
    for found in _IN_FIGURES.finditer(text):
        first, second = int(found["first"]), int(found["second"])
        if found["mark"] == "." or first > 12 or first == second or day_first:
            yield from _date(found, found["year"], second, first)
        elif second > 12 or day_first is False:
            yield from _date(found, found["year"], first, second)


def _date(found: re.Match[str], year: str | None, month: int, day: int) -> Iterator[Found]:
    """Nothing for a day that no calendar has."""
    if 1 <= month <= 12 and 1 <= day <= monthrange(int(year or _LEAP_YEAR) or 1, month)[1]:
        yield Found(start=found.start(), end=found.end(), form=f"{year or ANY_YEAR}-{month:02}-{day:02}")
