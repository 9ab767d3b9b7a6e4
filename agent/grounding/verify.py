"""The verdict on a unit, and the checks that it rests on; the package's docstring lists them in their order."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agent.grounding.copies import Copy, copies, leaves_condition_out
from agent.grounding.reading import (
    A_DATE,
    CITATION,
    FENCE,
    Clause,
    PassageReading,
    Reading,
    occurs,
    read,
    read_passages,
    with_one_form,
)
from agent.grounding.records import mixes
from agent.grounding.smalltalk import claims_nothing
from agent.grounding.words import guess_language, opposites, stem
from agent.sentences import Kind, kind_of
from kbs.passages import Passage
from tools.dates import with_years

COVERAGE = 0.6
"""Share of a claim's content words that the passage must have; up to two content words must all be there."""
NEW_IN_A_ROW = 3
"""So many new content words one after the other are an addition."""
CLAUSE_NEW = 0.5
"""A clause with this share of new words is an addition."""
WINDOW = 3
"""How many units of a passage one claim may draw together."""
MATCHES = 0.5
"""Share of a clause's words that a passage's clause must have to be compared with it for polarity and values."""
COMPANY = 0.3
"""Share of its words (or of the claim's, if fewer) that a unit with the claim's number must have in common with it."""
NEAR = 0.75
"""A clause of the passage is as close as the closest one if it shares this part of what that one shares."""

Reason = Literal[
    "no claim", "supported", "miscited", "translated", "number", "other value", "identifier", "name", "code",
    "negation", "opposite", "altered", "condition", "strong word", "addition", "coverage", "action", "citation",
    "no passage",
]  # fmt: skip

_ACTION = re.compile(
    r"\b(?:i|we)(?:'ve| have| had| just)\b|\b(?:ich|wir) (?:habe|haben)\b|\bhabe ich\b|\b(?:j'ai|nous avons)\b|"
    r"\b(?:yo )?(?:he|hemos) \w+[dt]o\b|\b(?:я|мы) (?:\w+ )?\w+(?:ла|ли|л)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """The verdict on one unit."""

    supported: bool
    """It may be released: it claims nothing, or the passages below say it."""
    factual: bool
    passage_numbers: tuple[int, ...] = ()
    """Passages that say it, counted from 1; where the reason is `miscited`, others than the unit names."""
    reason: Reason


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What one passage says of a claim."""

    reason: Reason
    share: float
    """Of the claim's words that the passage has."""
    copied: Copy | None = None
    """Whether it was copied from this passage, and how."""

    @property
    def supports(self) -> bool:
        return self.reason in ("supported", "translated")


def verify_sentence(unit: str, passages: Sequence[Passage], *, said: str = "") -> Support:
    """Check one unit of an answer against the passages that its citations count; only quotable ones can support. `said`
    is what was asked and what the answer said before: a condition that stands there may be left out."""
    cited = list(dict.fromkeys(int(number) for number in CITATION.findall(FENCE.sub("", unit))))
    quotable = {number: passage for number, passage in enumerate(passages, 1) if passage.source.quotable}
    known = [number for number in cited if number in quotable]
    if cited and not CITATION.sub("", unit).strip(" \t\n.,;()"):
        reason: Reason = "supported" if known else "citation"
        return Support(supported=bool(known), factual=True, passage_numbers=tuple(known), reason=reason)
    language = guess_language(unit)
    if claims_nothing(unit, language):
        return Support(supported=True, factual=False, reason="no claim")
    unit = with_one_form(unit, language)
    found = {n: _judge(unit, language, [quotable[n]], said, cites=True) for n in known}
    if len(known) > 1 and not any(verdict.reason == "supported" for verdict in found.values()):
        together = _judge(unit, language, [quotable[n] for n in known], said, cites=True)
        if together.reason == "supported":
            return Support(supported=True, factual=True, passage_numbers=tuple(known), reason="supported")
    if named := tuple(n for n, verdict in found.items() if verdict.supports):
        return Support(supported=True, factual=True, passage_numbers=named, reason=found[named[0]].reason)
    found = {n: found.get(n) or _judge(unit, language, [each], said, cites=False) for n, each in quotable.items()}
    return _conclude(cited, known, found)


def _conclude(cited: list[int], known: list[int], found: dict[int, _Verdict]) -> Support:
    """No passage that the unit names supports it. One that the claim was copied from wrongly speaks louder than another
    one that happens to have its words."""
    good = {n: verdict for n, verdict in found.items() if verdict.supports}
    altered = [verdict for verdict in found.values() if verdict.copied == "altered"]
    if any(found[n].copied == "altered" for n in known):
        good = {n: verdict for n, verdict in good.items() if verdict.copied == "verbatim"}
    elif altered:
        good = {n: verdict for n, verdict in good.items() if verdict.copied is not None}
    if good:
        best = max(good, key=lambda n: (good[n].share, -n))
        reason: Reason = "miscited" if cited else good[best].reason
        return Support(supported=True, factual=True, passage_numbers=(best,), reason=reason)
    nearest = max(altered or found.values(), key=lambda verdict: verdict.share, default=_Verdict("no passage", 0.0))
    return Support(supported=False, factual=True, reason=nearest.reason)


def _judge(unit: str, language: str | None, passages: Sequence[Passage], said: str, *, cites: bool) -> _Verdict:
    """A date without a year may be of any that the passage has: the first that is supported is meant."""
    passage = read_passages(passages)
    records = all(each.told_by for each in passages)
    verdicts = (
        _hear(each, language, passage, said, cites=cites, records=records) for each in with_years(unit, passage.dates)
    )
    first = next(verdicts)
    return first if first.supports else next((other for other in verdicts if other.supports), first)


def _hear(
    unit: str, language: str | None, passage: PassageReading, said: str, *, cites: bool, records: bool
) -> _Verdict:
    claim = read(unit, language or passage.language)
    if kind_of(unit) is Kind.FENCE:
        stands = all(occurs(line, passage.text) for line in claim.codes)
        return _Verdict("supported" if stands and claim.codes else "code", float(stands))
    translated = language is not None and language != passage.language
    share = _share(claim.stems, passage.stems)
    if share < COVERAGE and not translated:
        return _Verdict("coverage", share)
    if missing := _missing_fact(claim, passage, names=not translated):
        return _Verdict(missing, share)
    if records and mixes(claim, passage):
        return _Verdict("other value", share)
    if _ACTION.search(unit) and not _ACTION.search(passage.folded):
        return _Verdict("action", 0.0)
    if translated:
        return _Verdict("translated", COVERAGE) if cites else _Verdict("coverage", 0.0)
    if kind_of(unit) is Kind.ROW:
        return _Verdict(*_find_row(claim, passage))
    return _hold_to(claim, passage, said)


def _hold_to(claim: Reading, passage: PassageReading, said: str) -> _Verdict:
    """The verdict on a claim whose facts the passage has: by its words, and where it copies a unit by that unit's."""
    copied = copies(claim, passage)
    if copied == "verbatim":
        return _Verdict("supported", 1.0, copied)
    reason, share = _compare(claim, passage)
    if reason == "supported" and copied == "altered":
        return _Verdict("altered", share, copied)
    if reason == "supported" and leaves_condition_out(claim, passage, said):
        return _Verdict("condition", share, "altered")
    return _Verdict(reason, share, copied)


def _missing_fact(claim: Reading, passage: PassageReading, *, names: bool) -> Reason | None:
    if not all(occurs(code, passage.text) for code in claim.codes):
        return "code"
    if not all(occurs(fact, passage.folded) for fact in (*claim.addresses, *claim.identifiers)):
        return "identifier"
    for number in claim.numbers:
        kinds = passage.kinds_of.get(number.value)
        if kinds is None and (number.has_unit or number.value not in passage.digits):
            return "number"
        if kinds is not None and number.has_unit and number.kind not in kinds and ("" not in kinds or not claim.stems):
            return "number"
    known = passage.words
    if names and not all(name in known or stem(name, passage.language) in passage.about for name in claim.names):
        return "name"
    return None


def _find_row(claim: Reading, passage: PassageReading) -> tuple[Reason, float]:
    """A table row stands in the passage as one unit, with all that it says; it is copied rather than told."""
    values = {number.value for number in claim.numbers}
    for unit, stems in zip(passage.units, passage.unit_stems, strict=True):
        same_facts = values <= {number.value for number in unit.numbers} and set(claim.identifiers) <= set(
            unit.identifiers
        )
        if same_facts and set(claim.stems) <= stems | passage.about:
            flipped = any(_flips(part, unit.statements, negatable=False) for part in claim.statements)
            return ("negation" if flipped else "supported"), 1.0
    return "coverage", _share(claim.stems, passage.stems)


def _compare(claim: Reading, passage: PassageReading) -> tuple[Reason, float]:
    window = _window(claim, passage)
    stems = passage.about.union(*(passage.unit_stems[place] for place in window))
    share = _share(claim.stems, stems)
    clauses = [clause for place in window for clause in passage.units[place].clauses]
    statements = [statement for place in window for statement in passage.units[place].statements]
    words = {word for place in window for word in passage.units[place].words}
    needed = 1.0 if len(claim.stems) <= 2 else COVERAGE
    negatable = any(passage.units[place].negated for place in window)
    checks: tuple[tuple[Reason, bool], ...] = (
        ("coverage", share < needed),
        ("addition", _adds(claim, stems)),
        ("number", not all(_belongs(number.value, claim, passage) for number in claim.numbers)),
        ("strong word", any(word not in words for word in claim.strong)),
        ("opposite", _says_opposite(claim, stems, passage.language)),
        ("negation", any(_flips(part, statements, negatable=negatable) for part in claim.statements)),
        ("other value", any(_differs(clause, clauses, claim) for clause in claim.clauses)),
    )
    return next((reason for reason, fails in checks if fails), "supported"), share


def _window(claim: Reading, passage: PassageReading) -> list[int]:
    """The units that together say most of the claim, closest first."""
    wanted = set(claim.stems)
    values = {number.value for number in claim.numbers}
    chosen: list[int] = []
    left = set(range(len(passage.units)))
    while left and len(chosen) < WINDOW:
        best = max(sorted(left), key=lambda place: _gain(passage, place, wanted, values))
        if not _gain(passage, best, wanted, values):
            break
        chosen.append(best)
        left.discard(best)
        wanted = wanted - passage.unit_stems[best]
        values = values - {number.value for number in passage.units[best].numbers}
    return chosen


def _gain(passage: PassageReading, place: int, wanted: set[str], values: set[str]) -> int:
    unit = passage.units[place]
    return 2 * len(wanted & passage.unit_stems[place]) + sum(number.value in values for number in unit.numbers)


def _share(stems: Sequence[str], known: frozenset[str]) -> float:
    return sum(word in known for word in stems) / len(stems) if stems else 1.0


def _adds(claim: Reading, known: frozenset[str]) -> bool:
    run = 0
    for word in claim.stems:
        run = 0 if word in known else run + 1
        if run >= NEW_IN_A_ROW:
            return True
    return any(_is_new(clause, known, first=place == 0) for place, clause in enumerate(claim.clauses))


def _belongs(value: str, claim: Reading, passage: PassageReading) -> bool:
    """Whether a unit that has this number speaks about what the claim does."""
    wanted = set(claim.stems) - passage.about
    for unit, stems in zip(passage.units, passage.unit_stems, strict=True):
        if any(number.value == value for number in unit.numbers) and (
            not wanted or len(wanted & stems) >= COMPANY * min(len(wanted), len(stems - passage.about) or 1)
        ):
            return True
    return all(number.value != value for unit in passage.units for number in unit.numbers)


def _is_new(clause: Clause, stems: frozenset[str], *, first: bool) -> bool:
    """Half of the words new is too much for a clause that goes on; the first one may be half introduction."""
    new = sum(word not in stems for word in clause.stems)
    allowed = CLAUSE_NEW * len(clause.stems)
    return new > allowed or (new == allowed and new > 0 and not first)


def _says_opposite(claim: Reading, stems: frozenset[str], language: str) -> bool:
    against = opposites(language)
    return any(word not in stems and against.get(word, frozenset()) & stems for word in claim.stems)


def _closest(clause: Clause, clauses: Sequence[Clause], near: float) -> list[Clause]:
    """The passage's clauses that speak about the same, if any shares enough."""
    wanted = set(clause.stems)
    shared = [len(wanted & set(other.stems)) for other in clauses]
    most = max(shared, default=0)
    if not wanted or most < MATCHES * len(wanted):
        return []
    return [other for other, count in zip(clauses, shared, strict=True) if count >= near * most]


def _flips(clause: Clause, clauses: Sequence[Clause], *, negatable: bool) -> bool:
    """Whether all clauses that match have the other polarity; `negatable`: a negation elsewhere in the units counts."""
    closest = _closest(clause, clauses, NEAR)
    if not closest or any(other.negated == clause.negated for other in closest):
        return False
    return not (clause.negated and negatable)


def _differs(clause: Clause, clauses: Sequence[Clause], claim: Reading) -> bool:
    """Whether the closest clause gives another value where this one gives a number of the same kind."""
    claimed = {number.value for number in claim.numbers}
    for number in clause.numbers:
        if not number.kind:
            continue
        closest = _closest(clause, clauses, 1.0)
        same_subject = [near for near in closest if clause.stems[0] in near.stems]
        near_ones = closest if number.kind == A_DATE else same_subject or closest
        given = [{other.value for other in near.numbers if other.kind == number.kind} for near in near_ones]
        if any(given) and not any(number.value in values for values in given) and any(v - claimed for v in given):
            return True
    return False
