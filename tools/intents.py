"""What a message is about: the intents of the specification, found by keywords that are data in `intents.yaml`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from memory.errors import Misconfigured
from memory.yaml_files import read_yaml
from tools.phrases import Phrase, PhraseBook, Phrases, Reading, parse_phrase, tokenize

INTENTS_FILE = Path(__file__).with_name("intents.yaml")
PER_FURTHER_KEYWORD = 0.05
CERTAINTY_WHEN_NONE = 0.3


class IntentFileError(Misconfigured):
    """The intents' file can't be used; the message names the place and the fault."""


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
    keywords: Phrases
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
    """An intent that a text's keywords point to; `keywords` as they stand in the file, first alternatives only, without
    those that are no more than a piece of longer ones."""

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
        content = read_yaml(path)
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
            keywords=Phrases(parse_phrase(keyword) for keyword in entry["keywords"]),
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
        hits = [keyword for keyword in reading.possible(intent.keywords) if reading.ends_of(keyword)]
        if hits:
            match = _match(intent, hits, reading)
            yield match.words, intent.base, match


def _match(intent: Intent, hits: Sequence[Phrase], reading: Reading) -> IntentMatch:
    distinct = _distinct(hits, reading)
    certainty = min(1.0, intent.base + PER_FURTHER_KEYWORD * (len(distinct) - 1))
    words = sum(len(hit.steps) for hit in hits)
    return IntentMatch(
        intent=intent.name, certainty=round(certainty, 4), keywords=tuple(map(_label, distinct)), words=words
    )


def _distinct(hits: Sequence[Phrase], reading: Reading) -> list[Phrase]:
    """Those that say something of their own: each has a word of the text that no longer one has, nor one of equal length
    before it."""
    covered, kept = 0, set()
    for place in sorted(range(len(hits)), key=lambda place: (-len(hits[place].steps), place)):
        words = reading.words_of(hits[place])
        if words & ~covered:
            kept.add(place)
        covered |= words
    return [hit for place, hit in enumerate(hits) if place in kept]


def _label(keyword: Phrase) -> str:
    first = re.sub(r"\|\S+|\s*~\d+|\*", "", keyword.source)
    return " ".join(first.split())
