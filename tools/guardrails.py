"""What may be asked, by whom, and what smells of manipulation: rules that are data, checked before anything else runs.

A rule has signals (phrases with a weight); it fires when the weights of the signals found reach its threshold, and the
first rule in the file that fires decides. Rules apply by role and audience. A message is read in several views: as
written, with look-alike spellings undone, and whatever was encoded in it decoded, so that a disguise does not help.
A check that can't be carried out ends in `escalate`, never in `allow`.
"""

import base64
import codecs
import html
import logging
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import groupby, islice
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tools.intents import Phrase, PhraseBook, Reading, fold, parse_phrase, tokenize

Action = Literal["allow", "refuse", "escalate"]
Role = Literal["customer", "agent", "admin"]
STAFF = ("agent", "admin")
"""Every other role is held to what customers are."""

RULES_FILE = Path(__file__).with_name("guard_rules.yaml")
MAX_CHARACTERS = 200_000
"""Longer texts are not read: they escalate."""
LONGEST_DECODED = 20_000
FAILED_REASON = "I could not check this message, so I am passing it to a colleague."

log = logging.getLogger(__name__)


class GuardRulesError(ValueError):
    """The rules' file can't be used; the message names the file, the rule and the fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of a message or a document."""

    action: Action
    category: str = ""
    reason: str = ""
    """A sentence that the customer may read; empty when allowed."""
    rule: str = ""
    score: float = 0.0
    """Sum of the weights found, at most 1; for an allowed text that of the rule which came nearest to firing."""
    escalate: bool = False
    """A person must hear of it; a refusal may need that too."""


ALLOWED = Verdict(action="allow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """Phrases that count once, however many occur, when they occur at least `times` times."""

    weight: float
    phrases: tuple[Phrase, ...]
    harmless: tuple[Phrase, ...] = ()
    """Longer phrases that explain an occurrence away when they end where it ends."""
    times: int = 1

    def ends(self, reading: Reading) -> int:
        """Positions at which the signal's phrases end, as bits."""
        ends = 0
        for phrase in self.phrases:
            ends |= reading.ends(phrase)
        for phrase in self.harmless if ends else ():
            ends &= ~reading.ends(phrase)
        return ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule as compiled; an empty set of roles or audiences means all of them."""

    name: str
    category: str
    action: Action
    reason: str
    escalate: bool
    threshold: float
    within: int | None
    """Words within which the signals must stand; half of it is the step, so near neighbours never fall apart."""
    roles: frozenset[str]
    audiences: frozenset[str]
    exempt_audiences: frozenset[str]
    signals: tuple[Signal, ...]
    unless: tuple[Phrase, ...]

    def applies_to(self, role: str, audiences: frozenset[str]) -> bool:
        return (
            (not self.roles or role in self.roles)
            and (not self.audiences or bool(audiences & self.audiences))
            and not audiences & self.exempt_audiences
        )

    def weigh(self, reading: Reading) -> float:
        """Largest sum of weights of signals that stand near each other; 0 when an excuse occurs."""
        found = [(signal, ends) for signal in self.signals if (ends := signal.ends(reading))]
        total = sum(signal.weight for signal, ends in found if ends.bit_count() >= signal.times)
        if self.within and total >= self.threshold:
            total = max(_sum_within(found, start, self.within) for start in _starts(reading.length, self.within))
        if total >= self.threshold and any(reading.ends(phrase) for phrase in self.unless):
            return 0.0
        return total


def _starts(length: int, width: int) -> range:
    return range(0, max(1, length - width // 2), width // 2)


def _sum_within(found: Sequence[tuple[Signal, int]], start: int, width: int) -> float:
    window = (1 << width) - 1
    return sum(signal.weight for signal, ends in found if (ends >> start & window).bit_count() >= signal.times)


@dataclass(frozen=True, kw_only=True)
class GuardRules:
    """The rules for messages and for documents, each in the order of the file."""

    messages: tuple[Rule, ...]
    documents: tuple[Rule, ...]
    message_book: PhraseBook
    document_book: PhraseBook


class _SignalEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    weight: Annotated[float, Field(gt=0, le=1)]
    any: Annotated[list[str], Field(min_length=1)]
    harmless: list[str] = []
    times: Annotated[int, Field(ge=1)] = 1


class _RuleEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    category: Annotated[str, Field(pattern=r"^[a-z_]+$")]
    action: Literal["refuse", "escalate"]
    reason: Annotated[str, Field(min_length=10)]
    escalate: bool = False
    threshold: Annotated[float, Field(gt=0, le=2)] = 1.0
    within: Annotated[int, Field(ge=20)] | None = None
    roles: list[Role] = []
    audiences: list[str] = []
    exempt_audiences: list[str] = []
    any: list[str] = []
    signals: list[_SignalEntry] = []
    unless: list[str] = []

    @model_validator(mode="after")
    def _can_fire(self) -> "_RuleEntry":
        if not self.any and sum(signal.weight for signal in self.signals) < self.threshold:
            raise ValueError("its signals can never reach its threshold")
        return self


class _RulesEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    words: dict[str, str]
    messages: Annotated[list[_RuleEntry], Field(min_length=1)]
    documents: Annotated[list[_RuleEntry], Field(min_length=1)]


@cache
def load_rules(path: Path | None = None) -> GuardRules:
    """The rules of a file, by default the product's own. Raises `GuardRulesError`."""
    path = path or RULES_FILE
    try:
        entry = _RulesEntry.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        messages = tuple(_compile(rule, entry.words) for rule in entry.messages)
        documents = tuple(_compile(rule, entry.words) for rule in entry.documents)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError, GuardRulesError) as error:
        raise GuardRulesError(f"guard rules {path}: {error}") from error
    names = [rule.name for rule in (*messages, *documents)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise GuardRulesError(f"guard rules {path}: used twice: {', '.join(twice)}")
    return GuardRules(
        messages=messages,
        documents=documents,
        message_book=PhraseBook(_phrases(messages)),
        document_book=PhraseBook(_phrases(documents)),
    )


def _compile(entry: _RuleEntry, words: dict[str, str]) -> Rule:
    def parse(sources: Iterable[str]) -> tuple[Phrase, ...]:
        return tuple(parse_phrase(source, words) for source in sources)

    try:
        signals = [
            Signal(weight=s.weight, phrases=parse(s.any), harmless=parse(s.harmless), times=s.times)
            for s in entry.signals
        ]
        if entry.any:
            signals.append(Signal(weight=entry.threshold, phrases=parse(entry.any)))
        unless = parse(entry.unless)
    except (ValueError, KeyError, IndexError) as error:
        raise GuardRulesError(f"rule {entry.name}: {error!r}") from error
    return Rule(
        name=entry.name,
        category=entry.category,
        action=entry.action,
        reason=entry.reason,
        escalate=entry.escalate or entry.action == "escalate",
        threshold=entry.threshold,
        within=entry.within,
        roles=frozenset(entry.roles),
        audiences=frozenset(entry.audiences),
        exempt_audiences=frozenset(entry.exempt_audiences),
        signals=tuple(signals),
        unless=unless,
    )


def _phrases(rules: Iterable[Rule]) -> Iterator[Phrase]:
    for rule in rules:
        yield from rule.unless
        for signal in rule.signals:
            yield from signal.phrases
            yield from signal.harmless


def check_message(text: str, *, role: str, audience: str | Collection[str] | None, rules: GuardRules) -> Verdict:
    """The verdict on what a person wrote; `audience` is one, several or none. Never raises: a check that fails
    escalates."""
    try:
        audiences = frozenset([audience] if isinstance(audience, str) else audience or ())
        role = role if role in STAFF else "customer"
        applicable = [rule for rule in rules.messages if rule.applies_to(role, audiences)]
        return _judge(text, applicable, rules.message_book)
    except Exception:
        log.exception("guard check of a message failed")
        return _failed("guard-failed")


def check_document(text: str, *, rules: GuardRules | None = None) -> Verdict:
    """The verdict on text that nobody here wrote to us: a passage, a tool's result, a ticket. `refuse` means that it
    carries instructions for the model and must not reach it. Never raises: a check that fails escalates."""
    try:
        rules = rules or load_rules()
        return _judge(text, rules.documents, rules.document_book)
    except Exception:
        log.exception("guard check of a document failed")
        return _failed("guard-failed")


def _failed(rule: str) -> Verdict:
    return Verdict(action="escalate", category="unchecked", reason=FAILED_REASON, rule=rule, score=1.0, escalate=True)


def _judge(text: str, rules: Sequence[Rule], book: PhraseBook) -> Verdict:
    if len(text) > MAX_CHARACTERS:
        return _failed("too-long")
    features = frozenset(_features(text))
    readings = [book.read(tokenize(view), across=True, variants=_spellings, features=features) for view in _views(text)]
    nearest = ALLOWED
    for rule in rules:
        weight = max(rule.weigh(reading) for reading in readings)
        score = min(1.0, round(weight, 4))
        if weight >= rule.threshold - 1e-9:
            return Verdict(
                action=rule.action,
                category=rule.category,
                reason=rule.reason,
                rule=rule.name,
                score=score,
                escalate=rule.escalate,
            )
        if score > nearest.score:
            nearest = Verdict(action="allow", category=rule.category, rule=rule.name, score=score)
    return nearest


# How a text is read: each view is checked by itself.

_LEET = str.maketrans("013457", "oieast")
_SYMBOLS = str.maketrans("@$!|", "asil")
_SYMBOL_IN_WORD = re.compile(r"(?<=[^\W\d_])[@$!|](?=[^\W\d_])|(?<![^\s])[@$](?=[^\W\d_]{2})")
_SPACED = re.compile(r"(?<![^\W_])(?:[^\W\d_][ .\-_*]){3}(?:[^\W\d_][ .\-_*])*[^\W\d_](?![^\W_])")
_GAPS = str.maketrans("", "", " .-_*")
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{16,20000}={0,2}(?![A-Za-z0-9+/=])")
_HEX = re.compile(r"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{2} ?){12,10000}(?![0-9A-Za-z])")
_MAX_PAYLOADS = 20
_TAGS = range(0xE0020, 0xE007F)
"""Invisible copies of ASCII; a text written in them shows nothing and a model reads it."""


def _views(text: str) -> Iterator[str]:
    yield text
    if len(text) > LONGEST_DECODED:
        return
    hidden = "".join(chr(ord(char) - 0xE0000) for char in text if ord(char) in _TAGS)
    plain = unquote(html.unescape(text)) if "%" in text or "&" in text else text
    plain = _SPACED.sub(lambda match: match[0].translate(_GAPS), plain)
    plain = _SYMBOL_IN_WORD.sub(lambda match: match[0].translate(_SYMBOLS), plain)
    for view in (hidden, plain, *_decoded(text)):
        if view and view != text:
            yield view
    lowered = fold(text)
    if "rot13" in lowered or "rot 13" in lowered or "caesar" in lowered:
        yield codecs.decode(text, "rot13")
    if "revers" in lowered or "backward" in lowered:
        yield text[::-1]


def _decoded(text: str) -> Iterator[str]:
    """Readable texts that stand in base64 or hexadecimal; keys, certificates and digests decode to no such text."""
    for match in islice(_BASE64.finditer(text), _MAX_PAYLOADS):
        body = match[0].rstrip("=")
        if len(body) % 4 != 1:
            yield from _readable(base64.b64decode(body + "=" * (-len(body) % 4)))
    for match in islice(_HEX.finditer(text), _MAX_PAYLOADS):
        yield from _readable(bytes.fromhex(match[0]))


def _readable(data: bytes) -> Iterator[str]:
    with suppress(UnicodeDecodeError):
        decoded = data.decode("utf-8")
        if decoded.replace("\n", " ").isprintable():
            yield decoded


def _spellings(token: str) -> Iterable[str]:
    """A word with digits for letters, read as the word: `1gn0re`."""
    if token.isascii() and not token.isalpha() and not token.isdigit():
        yield token.translate(_LEET)


_FEATURES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("#chat-template", re.compile(r"<\|\w{2,20}\|>|\[/?INST\]|<</?SYS>>|<start_of_turn>|</?system>")),
    (
        "#role-line",
        re.compile(r"^[\[(*# \t]{0,8}(?:system|assistant|ai|gpt|model|chatgpt|bot)[\])*]{0,4}:", re.I | re.M),
    ),
    ("#sends-data", re.compile(r"!\[[^\]\n]{0,200}\]\(https?://[^)\s?]{0,300}\?[^)\s=]{0,80}=", re.I)),
    ("#html-comment", re.compile(r"<!--")),
    (
        "#blank",
        re.compile(r"\[[A-Z_ ]{0,30}(?:HERE|PROMPT|QUESTION|REQUEST)[A-Z_ ]{0,20}\]|\{\w{0,20}prompt\w{0,20}\}"),
    ),
)
_SPELLED_OUT = 40
"""Characters in words written letter by letter, from which on it is no accident."""
_HIDDEN = 8
_SAME_WORD = 25


def _features(text: str) -> Iterator[str]:
    """What phrases can't express, named so that rules can use it like a word."""
    yield from (name for name, pattern in _FEATURES if pattern.search(text))
    if not text.isascii() and sum(ord(char) in _TAGS for char in text) >= _HIDDEN:
        yield "#hidden"
    start = text[:LONGEST_DECODED]
    if sum(len(match[0]) for match in _SPACED.finditer(start)) >= _SPELLED_OUT:
        yield "#spelled-out"
    if any(len(word) > 3 and sum(1 for _ in run) >= _SAME_WORD for word, run in groupby(start.split())):
        yield "#repeated"
