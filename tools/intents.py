"""What a message is about: the intents of the specification, found by keywords that are data.

Also the small phrase language that the rules, intents and cues in the YAML files are written in:
    words one after the other     reset password
    alternatives                  reset|change|lost
    a stem                        migrat*
    up to n words in between      reset ~3 password
    the start or end of the text  ^ hello $   (^ ~2 hello: after two words at most)
    a named list of words         {reveal} ~3 prompt
Text and phrases pass through the same `fold` and `tokenize`. Matching works on sets of positions held as bits, without
backtracking: its cost grows linearly with the text, whatever the text is.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

INTENTS_FILE = Path(__file__).with_name("intents.yaml")
PER_FURTHER_KEYWORD = 0.05
CERTAINTY_WHEN_NONE = 0.3

# Scripts written without spaces: each character is a token of its own (Thai, kana, Han).
_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+|[.!?](?=\s)|\n\s*|。")
_BREAKS = frozenset(".!?\n。")
_NOT = re.compile(r"(?<=n)['’ʼ`](?=t\b)")
_RUN_TOGETHER = re.compile(r"\b(i|you|we|they)(m|ve|re|ll)\b|\b(that|what|let|how|who)(s)\b")
_WORDS = frozenset(["ill", "were", "well", "ire"])
_LATIN = re.compile("[a-z]")
_CYRILLIC_OR_GREEK = re.compile(r"[\u0370-\u03ff\u0400-\u04ff]")
_LOOKALIKES = str.maketrans(
    "\u0430\u0432\u0441\u0435\u04bb\u0456\u0458\u043a\u043c\u043e\u0440\u0455\u0442\u0445\u0443\u03b1\u03b5\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5",
    "abcehijkmopstxyaeikvoptu",
)
_INVISIBLE: dict[int, int | str | None] = {
    code: None
    for code in (*range(0x10000), *range(0xE0000, 0xE01F0))
    if unicodedata.category(chr(code)) in ("Mn", "Mc", "Cf")
}
_INVISIBLE[ord("ı")] = "i"


class IntentFileError(ValueError):
    """The intents' file can't be used; the message names the place and the fault."""


def fold(text: str) -> str:
    """Text as it is compared: compatibility forms, case, accents and invisible characters gone."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text.casefold()).translate(_INVISIBLE)
        text = unicodedata.normalize("NFC", text)
    return _NOT.sub("", text.casefold())


def tokenize(text: str) -> list[str]:
    """Words of a text in order, folded, with a mark from `.!?` or a newline where a sentence ends."""
    found = _TOKEN.findall(_RUN_TOGETHER.sub(_apart, fold(text)))
    if text.isascii():
        return found
    latin = {token: _latin(token) for token in set(found)}
    return [latin[token] for token in found]


def _apart(match: re.Match[str]) -> str:
    """`im` and `whats` as the two words that `I'm` and `what's` are; real words such as `ill` and `were` stay."""
    return match[0] if match[0] in _WORDS else f"{match[1] or match[3]} {match[2] or match[4]}"


def _latin(token: str) -> str:
    """A word that mixes scripts, with the letters that only look Latin made Latin."""
    mixed = not token.isascii() and _LATIN.search(token) and _CYRILLIC_OR_GREEK.search(token)
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
    lead: int | None = None
    """Words that may come first where the phrase is bound to the start of the text."""
    tail: int | None = None
    """Words that may follow where it is bound to the end."""


def parse_phrase(source: str, words: Mapping[str, str] | None = None) -> Phrase:
    """The phrase written in the language above; `words` resolves `{name}`. Raises `ValueError` for anything else."""
    parts = source.split()
    starts, ends = parts[:1] == ["^"], parts[-1:] == ["$"]
    steps: list[Step] = []
    gap: int | None = None
    for part in parts[starts : len(parts) - ends]:
        if part.startswith("~"):
            gap = int(part[1:])
            continue
        for terms in _step_terms(part, words or {}):
            steps.append(Step(terms=terms, gap=gap or 0))
            gap = None
    if not steps or (gap is not None and not ends) or (steps[0].gap and not starts):
        raise ValueError(f"not a phrase: {source!r}")
    return Phrase(
        source=source, steps=tuple(steps), lead=steps[0].gap if starts else None, tail=(gap or 0) if ends else None
    )


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

    __slots__ = ("_breaks", "_found", "_inside", "_masks", "_terms", "length")

    def __init__(self, found: Mapping[str, int], breaks: int, length: int) -> None:
        self.length = length
        self._breaks = breaks
        self._found = found
        self._terms = frozenset(found)
        self._inside = ((1 << length) - 1) & ~breaks
        self._masks: dict[frozenset[str], int] = {}

    def ends(self, phrase: Phrase) -> int:
        """Positions at which the phrase ends, as bits; 0 when it does not occur."""
        reaches = self._reaches(phrase)
        return reaches[-1] if len(reaches) == len(phrase.steps) else 0

    def covers(self, phrase: Phrase) -> int:
        """Positions of the words that the phrase's occurrences consist of, gaps included, as bits."""
        reaches = self._reaches(phrase)
        if len(reaches) < len(phrase.steps):
            return 0
        live = covered = reaches[-1]
        for step, before in zip(reversed(phrase.steps), reversed(reaches[:-1]), strict=False):
            hop, live = live, 0
            for width in range(step.gap + 1):
                hop >>= 1
                live |= hop & before
                for inside in range(1, width + 1):
                    covered |= (hop & before) << inside
            covered |= live
        return covered

    def sentences(self) -> Iterator[int]:
        """The positions of each sentence in turn, as bits."""
        starts = [position for position in range(1, self.length) if self._breaks >> position & 1]
        for start, end in pairwise((0, *starts, self.length)):
            yield (1 << end) - (1 << start)

    def _reaches(self, phrase: Phrase) -> list[int]:
        """Positions that each step can stand at given the steps before it; cut short where none can."""
        reach = self._mask(phrase.steps[0].terms)
        if phrase.lead is not None:
            reach &= (1 << phrase.lead + 1) - 1
        reaches = [reach] if reach else []
        for step in phrase.steps[1:] if reach else ():
            target = self._mask(step.terms)
            hop, reach = reach, 0
            for _ in range(step.gap + 1 if target else 0):
                hop = (hop << 1) & self._inside
                reach |= hop & target
            if not reach:
                return []
            reaches.append(reach)
        if phrase.tail is not None and reaches:
            last = max(0, self.length - 1 - phrase.tail)
            reaches[-1] = reaches[-1] >> last << last
        return reaches

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
        words = [token for token in tokens if token[0] not in _BREAKS]
        terms = {word: self._terms_of(word, variants) for word in set(words)}
        places: dict[str, list[int]] = {}
        for position, word in enumerate(words):
            for term in terms[word]:
                places.setdefault(term, []).append(position)
        breaks = 0 if across or len(words) == len(tokens) else _breaks(tokens)
        found = {term: _bits(where, len(words)) for term, where in places.items()}
        found.update((feature, 1) for feature in features if feature in self._words)
        return Reading(found, breaks, max(len(words), 1))

    def _terms_of(self, word: str, variants: Callable[[str], Iterable[str]] | None) -> frozenset[str]:
        terms = set()
        for spelling in (word,) if variants is None else (word, *variants(word)):
            if spelling in self._words:
                terms.add(spelling)
            for length in self._lengths:
                if spelling[:length] in self._stems:
                    terms.add(spelling[:length] + "*")
        return frozenset(terms)


def _breaks(tokens: Sequence[str]) -> int:
    """Positions of the words that open a new sentence, as bits."""
    starts: list[int] = []
    position = 0
    for token in tokens:
        if token[0] in _BREAKS:
            starts.append(position)
        else:
            position += 1
    return _bits(starts, position + 1)


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
class Pack:
    """The intents of one line of business, with the book that finds their keywords."""

    name: str
    intents: tuple[Intent, ...]
    book: PhraseBook


Packs = Mapping[str, Pack] | Sequence[Pack]
"""The packs in force; where two intents match equally well, that of the earlier pack is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentMatch:
    """An intent that a text's keywords point to; `keywords` as they stand in the file, first alternatives only."""

    intent: str | None
    certainty: float
    keywords: tuple[str, ...]
    words: int = 0
    """Words of the text that the keywords consist of."""


NO_INTENT = IntentMatch(intent=None, certainty=CERTAINTY_WHEN_NONE, keywords=())


@cache
def load_packs(path: Path = INTENTS_FILE) -> dict[str, Pack]:
    """All packs of the file by name. Raises `IntentFileError`."""
    content = read_intents_file(path)["packs"]
    if not isinstance(content, dict) or not all(isinstance(entries, dict) for entries in content.values()):
        raise IntentFileError(f"{path}: `packs` must map names to intents")
    packs: dict[str, Pack] = {}
    for pack, entries in content.items():
        intents = tuple(_intent(path, pack, name, entry) for name, entry in entries.items())
        book = PhraseBook(keyword for intent in intents for keyword in intent.keywords)
        packs[pack] = Pack(name=pack, intents=intents, book=book)
    return packs


def read_intents_file(path: Path = INTENTS_FILE) -> dict[str, Any]:
    """The file's content, checked for its outline only. Raises `IntentFileError`."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise IntentFileError(f"{path}: {error}") from error
    if not isinstance(content, dict) or "packs" not in content:
        raise IntentFileError(f"{path}: must have `packs` at its top")
    return content


def in_force(packs: Packs) -> Sequence[Pack]:
    return list(packs.values()) if isinstance(packs, Mapping) else packs


def find_intent(name: str | None, packs: Packs) -> Intent | None:
    """The intent of that name, of the earliest pack that has it."""
    return next((intent for pack in in_force(packs) for intent in pack.intents if intent.name == name), None)


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
    """The intent that the keywords speak for most; without any keyword, none and the certainty for that."""
    return next(iter(rank_intents(text, packs)), NO_INTENT)


def rank_intents(text: str, packs: Packs) -> list[IntentMatch]:
    """Every intent with a keyword in the text, best first: by number of words matched, then by base certainty."""
    tokens = tokenize(text)
    found = [match for pack in in_force(packs) for match in _matches(pack, pack.book.read(tokens))]
    return [match for _, _, match in sorted(found, key=lambda entry: entry[:2], reverse=True)]


def _matches(pack: Pack, reading: Reading) -> Iterator[tuple[int, float, IntentMatch]]:
    for intent in pack.intents:
        hits = [keyword for keyword in intent.keywords if reading.ends(keyword)]
        if hits:
            match = _match(intent, hits)
            yield match.words, intent.base, match


def _match(intent: Intent, hits: Sequence[Phrase]) -> IntentMatch:
    certainty = min(1.0, intent.base + PER_FURTHER_KEYWORD * (len(hits) - 1))
    words = sum(len(hit.steps) for hit in hits)
    return IntentMatch(
        intent=intent.name, certainty=round(certainty, 4), keywords=tuple(map(_label, hits)), words=words
    )


def _label(keyword: Phrase) -> str:
    first = re.sub(r"\|\S+|\s*~\d+|\*", "", keyword.source)
    return " ".join(first.split())
