"""What a message is about: the intents of the specification, found by keywords that are data.

Also the small phrase language that the rules, intents and cues in the YAML files are written in:
    words one after the other     reset password
    alternatives                  reset|change|lost
    a stem                        migrat*
    up to n words in between      reset ~3 password
    the start or end of the text  ^ hello $
    a named list of words         {reveal} ~3 prompt
Text and phrases pass through the same `fold` and `tokenize`. Matching works on sets of positions held as bits, without
backtracking: its cost grows linearly with the text, whatever the text is.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

INTENTS_FILE = Path(__file__).with_name("intents.yaml")
PER_FURTHER_KEYWORD = 0.05
CERTAINTY_WHEN_NONE = 0.3

# Scripts written without spaces: each character is a token of its own (Thai, kana, Han).
_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+|[.!?](?=\s)|\n|[。]")
_BREAKS = frozenset(".!?\n。")
_CONTRACTION = re.compile(r"(?<=[a-z])['’ʼ`](?=(?:t|s|re|ll|ve|d|m)\b)")
_CYRILLIC_OR_GREEK = re.compile(r"[\u0370-\u03ff\u0400-\u04ff]")
_LOOKALIKES = str.maketrans(
    "\u0430\u0432\u0441\u0435\u04bb\u0456\u0458\u043a\u043c\u043e\u0440\u0455\u0442\u0445\u0443\u03b1\u03b5\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5",
    "abcehijkmopstxyaeikvoptu",
)
_INVISIBLE: dict[int, int | str | None] = {
    code: None
    for code in (*range(0x10000), *range(0xE0000, 0xE01F0))
    if unicodedata.category(chr(code)) in ("Mn", "Cf")
}
_INVISIBLE[ord("ı")] = "i"


class IntentFileError(ValueError):
    """The intents' file can't be used; the message names the place and the fault."""


def fold(text: str) -> str:
    """Text as it is compared: compatibility forms, case, accents and invisible characters gone."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text.casefold()).translate(_INVISIBLE)
        text = unicodedata.normalize("NFC", text)
    return _CONTRACTION.sub("", text.casefold())


def tokenize(text: str) -> list[str]:
    """Words of a text in order, folded, with a mark from `.!?` or a newline where a sentence ends."""
    found = _TOKEN.findall(fold(text))
    return found if text.isascii() else [_latin(token) for token in found]


def _latin(token: str) -> str:
    """A word that mixes scripts, with the letters that only look Latin made Latin."""
    mixed = not token.isascii() and re.search("[a-z]", token) and _CYRILLIC_OR_GREEK.search(token)
    return token.translate(_LOOKALIKES) if mixed else token


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One position of a phrase."""

    terms: frozenset[str]
    """Words, stems ending in `*`, or features such as `#hidden` that a caller adds to a reading."""
    gap: int = 0
    """Words that may stand between the step before and this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """A parsed phrase; `source` is how it was written."""

    source: str
    steps: tuple[Step, ...]
    at_start: bool = False
    at_end: bool = False


def parse_phrase(source: str, words: Mapping[str, str] | None = None) -> Phrase:
    """The phrase written in the language above; `words` resolves `{name}`. Raises `ValueError` for anything else."""
    steps: list[Step] = []
    gap = 0
    parts = source.split()
    inner = [part for part in parts if part not in ("^", "$")]
    for part in inner:
        if part.startswith("~"):
            gap = int(part[1:])
            continue
        for terms in _step_terms(part, words or {}):
            steps.append(Step(terms=terms, gap=gap))
            gap = 0
    if not steps or gap or "^" in parts[1:] or "$" in parts[:-1]:
        raise ValueError(f"not a phrase: {source!r}")
    return Phrase(source=source, steps=tuple(steps), at_start=parts[0] == "^", at_end=parts[-1] == "$")


def _step_terms(part: str, words: Mapping[str, str]) -> list[frozenset[str]]:
    named = re.sub(r"\{([^}]*)\}", lambda match: words[match[1]], part)
    options = [_term(option) for option in re.split(r"[|\s]+", named)]
    if len(options) == 1:
        return [frozenset([term]) for term in options[0]]
    if long := [option for option in options if len(option) != 1]:
        raise ValueError(f"an alternative must be one word: {long} in {part!r}")
    return [frozenset(option[0] for option in options)]


def _term(option: str) -> list[str]:
    if option.startswith("#"):
        return [option]
    tokens = tokenize(option.removesuffix("*"))
    if not tokens:
        raise ValueError(f"no word in {option!r}")
    return [*tokens[:-1], tokens[-1] + "*"] if option.endswith("*") else tokens


class Reading:
    """A text made ready for matching: for each term of a book, the positions it stands at, as bits."""

    __slots__ = ("_found", "_inside", "_masks", "_terms", "length")

    def __init__(self, found: Mapping[str, int], breaks: int, length: int) -> None:
        self.length = length
        self._found = found
        self._terms = frozenset(found)
        self._inside = ((1 << length) - 1) & ~breaks
        self._masks: dict[frozenset[str], int] = {}

    def ends(self, phrase: Phrase) -> int:
        """Positions at which the phrase ends, as bits; 0 when it does not occur."""
        reach = self._mask(phrase.steps[0].terms)
        if phrase.at_start:
            reach &= 1
        for step in phrase.steps[1:]:
            if not reach:
                return 0
            target = self._mask(step.terms)
            hop, reach = reach, 0
            for _ in range(step.gap + 1 if target else 0):
                hop = (hop << 1) & self._inside
                reach |= hop & target
        return reach & (1 << self.length - 1) if phrase.at_end and reach else reach

    def _mask(self, terms: frozenset[str]) -> int:
        mask = self._masks.get(terms)
        if mask is None:
            mask = 0
            for term in terms & self._terms:
                mask |= self._found[term]
            self._masks[terms] = mask
        return mask


class PhraseBook:
    """The words of many phrases, so that one pass over a text serves them all."""

    def __init__(self, phrases: Iterable[Phrase]) -> None:
        terms = {term for phrase in phrases for step in phrase.steps for term in step.terms}
        self._words = frozenset(term for term in terms if not term.endswith("*"))
        self._stems = frozenset(term[:-1] for term in terms if term.endswith("*"))
        self._lengths = sorted({len(stem) for stem in self._stems})

    def read(
        self,
        tokens: Sequence[str],
        *,
        across: bool = False,
        variants: Callable[[str], Iterable[str]] | None = None,
        features: Iterable[str] = (),
    ) -> Reading:
        """Index tokens. `across` lets phrases span sentences; `variants` gives other spellings of a token."""
        at: dict[str, list[int]] = {}
        breaks: list[int] = []
        position = 0
        for token in tokens:
            if token in _BREAKS:
                if not across:
                    breaks.append(position)
                continue
            at.setdefault(token, []).append(position)
            position += 1
        places: dict[str, list[int]] = {}
        for token, where in at.items():
            spellings = (token,) if variants is None else (token, *variants(token))
            for term in {term for spelling in spellings for term in self._terms_of(spelling)}:
                places.setdefault(term, []).extend(where)
        found = {term: _bits(where, position) for term, where in places.items()}
        found.update((feature, 1) for feature in features if feature in self._words)
        return Reading(found, _bits(breaks, position), max(position, 1))

    def _terms_of(self, token: str) -> Iterable[str]:
        if token in self._words:
            yield token
        for length in self._lengths:
            if length > len(token):
                return
            if token[:length] in self._stems:
                yield token[:length] + "*"


def _bits(positions: Sequence[int], length: int) -> int:
    if len(positions) < 16:
        return sum(1 << position for position in set(positions))
    buffer = bytearray(length // 8 + 1)
    for position in positions:
        buffer[position >> 3] |= 1 << (position & 7)
    return int.from_bytes(buffer, "little")


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One category of a pack."""

    name: str
    pack: str
    base: float
    """Certainty when one keyword matched."""
    needs_tenant_knowledge: bool
    """The answer lies in the company's own articles: prices, policies, procedures."""
    sensitive: bool
    """Money, security or fairness: unanswered, it goes to a person."""
    technical: bool
    keywords: tuple[Phrase, ...]
    examples: tuple[str, ...]
    """Short messages of this kind; prototypes for the embedding classifier."""


@dataclass(frozen=True, kw_only=True)
class Packs:
    """The intents in force, with the book that finds their keywords."""

    names: tuple[str, ...]
    intents: tuple[Intent, ...]
    book: PhraseBook

    def get(self, name: str | None) -> Intent | None:
        return next((intent for intent in self.intents if intent.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentMatch:
    """The best intent by keywords; `keywords` as they stand in the file, stems without their star."""

    intent: str | None
    certainty: float
    keywords: tuple[str, ...]


@cache
def load_packs(names: tuple[str, ...] = ("hosting",), path: Path = INTENTS_FILE) -> Packs:
    """The named packs of the file, in this order. Raises `IntentFileError`."""
    packs = read_intents_file(path)["packs"]
    if unknown := [name for name in names if name not in packs]:
        raise IntentFileError(f"{path}: no intent pack named {', '.join(unknown)}; there are {', '.join(packs)}")
    intents = tuple(_intent(path, pack, name, entry) for pack in names for name, entry in packs[pack].items())
    book = PhraseBook(keyword for intent in intents for keyword in intent.keywords)
    return Packs(names=names, intents=intents, book=book)


def read_intents_file(path: Path = INTENTS_FILE) -> dict[str, Any]:
    """The file's content, checked for its outline only. Raises `IntentFileError`."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise IntentFileError(f"{path}: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("packs"), dict):
        raise IntentFileError(f"{path}: must have `packs` at its top")
    return content


def _intent(path: Path, pack: str, name: str, entry: Mapping[str, Any]) -> Intent:
    try:
        intent = Intent(
            name=name,
            pack=pack,
            base=float(entry["base"]),
            needs_tenant_knowledge=bool(entry.get("needs_tenant_knowledge", False)),
            sensitive=bool(entry.get("sensitive", False)),
            technical=bool(entry.get("technical", False)),
            keywords=tuple(parse_phrase(keyword) for keyword in entry["keywords"]),
            examples=tuple(entry["examples"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise IntentFileError(f"{path}: intent {pack}/{name}: {error!r}") from error
    if not 0 < intent.base <= 1:
        raise IntentFileError(f"{path}: intent {pack}/{name}: base must be above 0 and at most 1")
    return intent


def detect_intent(text: str, packs: Packs) -> IntentMatch:
    """The intent with the most, and the longest, keywords; its certainty is the category's base and a little more
    for each further distinct keyword."""
    reading = packs.book.read(tokenize(text))
    best: tuple[int, float, Intent, tuple[Phrase, ...]] | None = None
    for intent in packs.intents:
        hits = tuple(keyword for keyword in intent.keywords if reading.ends(keyword))
        weight = sum(len(hit.steps) for hit in hits)
        if hits and (best is None or (weight, intent.base) > best[:2]):
            best = (weight, intent.base, intent, hits)
    if best is None:
        return IntentMatch(intent=None, certainty=CERTAINTY_WHEN_NONE, keywords=())
    _, base, intent, hits = best
    certainty = min(1.0, base + PER_FURTHER_KEYWORD * (len(hits) - 1))
    return IntentMatch(
        intent=intent.name, certainty=round(certainty, 4), keywords=tuple(_label(hit) for hit in hits)
    )


def _label(keyword: Phrase) -> str:
    return re.sub(r"\s*~\d+\s*|\s+", " ", keyword.source).replace("*", "").strip()
