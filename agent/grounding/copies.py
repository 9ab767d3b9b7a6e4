"""A claim that copies a unit of a passage is held to its words: what was changed on the way is no paraphrase.

    negation    it has as many
    order       the same words stand in the same order between two marks
    contrast    no word stands in the place of its opposite, or of one of its family: `must` for `can`
    facts       no number, unit, name, address or code stands in the place of another one
    condition   a statement keeps what it depends on, unless that was said before

A paraphrase shares too few words with any unit to be a copy; the other checks are for it.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Literal

from agent.grounding.contrasts import CONDITIONAL, EXCEPTIONS, FINITE, RESTRICTIONS, SENSE_OF, SUBJECTS
from agent.grounding.reading import PassageReading, Reading, tokens_of
from agent.grounding.words import NEGATIONS, UNIT_OF, content_stems, is_content, opposites, stem

COPY = 0.7
"""A claim and a unit that have this part of the longer one's words in common are copy and original."""
PART = 0.8
"""The same for the part of a unit that stands beside its condition."""
MAIN_PART = 0.4
"""Share of that part which the claim must say."""
FEWEST = 3
"""Words of a copy."""
SUBJECT_WORDS = 6
"""Words among which a statement has come to its verb."""

Copy = Literal["verbatim", "faithful", "altered"]


def copies(claim: Reading, passage: PassageReading) -> Copy | None:
    """How faithfully the claim copies a unit of the passage, at best; None where it copies none."""
    told = tokens_of(claim)
    length = told.total()
    verdict: Copy | None = None
    for unit, stands in zip(passage.units, passage.unit_tokens, strict=True):
        if not _is_copy(told, length, stands):
            continue
        if told == stands and claim.runs == unit.runs and claim.codes == unit.codes:
            return "verbatim"
        if not _altered(claim, told, unit, stands, passage.language):
            verdict = "faithful"
        verdict = verdict or "altered"
    return verdict


def leaves_condition_out(claim: Reading, passage: PassageReading, said: str) -> bool:
    """Whether the claim says without its condition what a unit says under one, and no unit says without."""
    told = tokens_of(claim)
    length = told.total()
    if length < FEWEST:
        return False
    kept = _conditions(told)
    left_out = False
    for unit, stands in zip(passage.units, passage.unit_tokens, strict=True):
        if _shared(told, stands) < PART * length or (kept and kept >= _conditions(stands)):
            continue
        main, depends, exception = _parted(unit)
        if not depends and _is_copy(told, length, stands):
            return False
        if depends and main and _says(told, length, main) and (exception or _states(main)):
            left_out = left_out or _is_new(depends, main, told, said, passage.language)
    return left_out


def _is_copy(told: Counter[str], length: int, stands: Counter[str]) -> bool:
    other = stands.total()
    longer, shorter = (length, other) if length > other else (other, length)
    return shorter >= max(FEWEST, COPY * longer) and _shared(told, stands) >= COPY * longer


def _shared(one: Counter[str], other: Counter[str]) -> int:
    """Words that they have in common; `&` would make a counter of them, unit after unit."""
    return sum(min(count, other[word]) for word, count in one.items() if word in other)


def _conditions(tokens: Counter[str]) -> int:
    return sum(tokens[word] for word in CONDITIONAL)


def _parted(unit: Reading) -> tuple[list[str], list[str], bool]:
    """What a unit says, on what it depends, and whether that is an exception."""
    main: list[str] = []
    depends: list[str] = []
    exception = False
    for run in unit.runs:
        place = next((n for n in range(len(run)) if _restricts(run[n : n + 3])), None)
        if place is not None:
            exception = True
        else:
            place = next((n for n, token in enumerate(run) if token in CONDITIONAL), len(run))
            if place == 1 < len(run):
                place = 0  # `and if ...`
            if place == 0 and main and main[-1] in ("only", "nur", "erst", "solo", "только"):
                main.pop()
                exception = True
        main += run[:place]
        depends += run[place:]
    return main, depends, exception


def _restricts(tokens: Sequence[str]) -> bool:
    return tokens[0] in EXCEPTIONS or any(tuple(tokens[:length]) in RESTRICTIONS for length in (2, 3))


def _says(told: Counter[str], length: int, main: Sequence[str]) -> bool:
    shared = _shared(told, Counter(main))
    return shared >= PART * length and shared >= MAIN_PART * len(main)


def _is_new(depends: Sequence[str], main: Sequence[str], told: Counter[str], said: str, language: str) -> bool:
    """Whether nothing that was said speaks of what it depends on."""
    about = {stem(token, language) for token in depends if is_content(token, language) and not token[0].isdigit()}
    about -= {stem(token, language) for token in (*told, *main)}
    return bool(about) and about.isdisjoint(content_stems(said, language))


def _states(main: Sequence[str]) -> bool:
    """A statement, not an instruction: who follows one sees whether it applies."""
    if len(main) > 1 and main[1] == "sie" and main[0] not in FINITE:
        return False
    return main[0] in SUBJECTS or any(token in FINITE for token in main[:SUBJECT_WORDS])


def _altered(claim: Reading, told: Counter[str], unit: Reading, stands: Counter[str], language: str) -> bool:
    if _negations(told) != _negations(stands) or _exchanged(claim.codes, unit.codes):
        return True
    if claim.runs == unit.runs:
        return claim.codes != unit.codes
    if told == stands:
        return not (_moved(claim.runs, unit.runs) or _moved(unit.runs, claim.runs))
    new, gone = (told - stands).keys(), (stands - told).keys()
    return (
        _turned(new, gone, language)
        or _contrasted(new, gone)
        or (any(name in new for name in claim.names) and any(name in gone for name in unit.names))
        or _exchanged(claim.addresses, unit.addresses)
    )


def _counts(word: str) -> bool:
    return word[0].isdigit() or any(family == "count" for family, _ in SENSE_OF.get(word, ()))


def _moved(parts: Sequence[Sequence[str]], whole: Sequence[Sequence[str]]) -> bool:
    """Whether each part stands in the whole as it is: only their order is another one."""
    flat = [token for run in whole for token in run]
    return all(
        any(flat[place : place + len(part)] == list(part) for place in range(len(flat) - len(part) + 1))
        for part in parts
    )


def _exchanged(claimed: Sequence[str], stands: Sequence[str]) -> bool:
    """Whether one has come where another one stood."""
    came, went = Counter(claimed), Counter(stands)
    return bool(came - went) and bool(went - came)


def _negations(tokens: Counter[str]) -> int:
    return sum(count for token, count in tokens.items() if token in NEGATIONS)


def _turned(new: Collection[str], gone: Collection[str], language: str) -> bool:
    against = opposites(language)
    went = {stem(word, language) for word in gone}
    return any(against.get(stem(word, language), frozenset()) & went for word in new)


def _contrasted(new: Collection[str], gone: Collection[str]) -> bool:
    """Whether a word took the place of one of its family, or a number or unit that of another."""
    counted, stood = ({word for word in words if _counts(word)} for words in (new, gone))
    if counted and stood and counted | stood != {"1", "one"}:
        return True
    units = {UNIT_OF[word] for word in gone if word in UNIT_OF}
    if units and any(word in UNIT_OF and UNIT_OF[word] not in units for word in new):
        return True
    came, went = ({sense for word in words for sense in SENSE_OF.get(word, ())} for words in (new, gone))
    families = {family for family, _ in went - came}
    return any(family in families for family, _ in came - went)
