"""What kind of message it is: intent, severity, tier, language, mood, small talk, and whether a person is wanted.

Everything but the nearest prototypes works on words alone, and its cues are data in `intents.yaml`. Tier, from severity
and the kind of intent (0 self-service, 1 front line, 2 technical, 3 specialist, 4 management or security incident):

    severity   any other   technical   sensitive   sensitive and technical
    LOW            0           0           1                  1
    MEDIUM         1           2           1                  2
    HIGH           2           2           2                  2
    CRITICAL       3           3           4                  4

On the finished answer both may rise, never fall: an answer that speaks of an incident makes it HIGH and tier 3 at least,
one that needs staff makes it tier 2 at least, and a question left open goes up to 1, 2, 3 or 4 by severity.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, reduce
from operator import or_
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from tools.intents import (
    CERTAINTY_WHEN_NONE,
    INTENTS_FILE,
    NO_INTENT,
    Intent,
    IntentFileError,
    IntentMatch,
    Packs,
    Phrase,
    PhraseBook,
    Reading,
    find_intent,
    in_force,
    parse_phrase,
    rank_intents,
    read_intents_file,
    tokenize,
)

Severity = Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"]
Kind = Literal["question", "greeting", "thanks", "smalltalk", "goodbye"]
Vectors = NDArray[np.float32]

SEVERITIES: tuple[Severity, ...] = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
TIERS: dict[Severity, tuple[int, int, int, int]] = {
    # any other, technical, sensitive, sensitive and technical
    "LOW": (0, 0, 1, 1),
    "MEDIUM": (1, 2, 1, 2),
    "HIGH": (2, 2, 2, 2),
    "CRITICAL": (3, 3, 4, 4),
}
UNANSWERED_TIERS: dict[Severity, int] = {"LOW": 1, "MEDIUM": 2, "HIGH": 3, "CRITICAL": 4}

EMBEDDED_FLOOR = 0.3
"""Below this similarity the nearest prototypes say nothing."""
MARGIN_PER_WORD = 0.1
MARGIN_WORDS = 3
"""Lead over the keywords' intent that lets the prototypes decide: this much for each word that the keywords matched,
up to so many. These numbers were tuned for MiniLM's similarities."""

LONGEST_TALK = 100
"""Characters; a longer message is a question whatever it is made of."""
LANGUAGE_LETTERS = 12
"""Fewer letters than this don't tell the language of a text in Latin script."""
LANGUAGE_CERTAINTY = 0.75
LANGUAGE_DOUBT = 0.35
NOT_ENGLISH = 0.02
"""A language that is only likely is taken when English is as good as excluded."""
LANGUAGE_WINDOW = 2000
"""Characters that are looked at."""


class Embeds(Protocol):
    """What is needed of an embedder: rows of unit length, in order."""

    async def embed_texts(self, texts: Sequence[str]) -> Vectors: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """A message as classified; with an embedding both labels are shown, and `intent` is the one that holds."""

    intent: str | None
    certainty: float
    keywords: tuple[str, ...]
    keyword_intent: str | None = None
    embedded_intent: str | None = None
    embedded_score: float = 0.0
    severity: Severity
    tier: int
    language: str
    sentiment: float
    """-1 furious to 1 delighted; 0 when no word tells."""
    wants_human: bool
    kind: Kind


@dataclass(frozen=True, kw_only=True)
class Prototypes:
    """Example messages as unit vectors (n, dimensions), the intent of each, and the mean direction of each intent."""

    labels: tuple[str, ...]
    owners: NDArray[np.int64]
    vectors: Vectors
    centres: Vectors


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """The intent whose prototypes are nearest; `scores` are those of all intents, for margins."""

    intent: str
    score: float
    margin: float
    scores: Mapping[str, float]


def make_prototypes(labels: Sequence[str], vectors: Vectors) -> Prototypes:
    """Prototypes from labelled unit vectors (n, dimensions)."""
    names = tuple(dict.fromkeys(labels))
    owners = np.array([names.index(label) for label in labels], dtype=np.int64)
    means = np.stack([vectors[owners == owner].mean(axis=0) for owner in range(len(names))])
    centres = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
    return Prototypes(labels=names, owners=owners, vectors=vectors, centres=centres.astype(np.float32))


async def build_prototypes(embedder: Embeds, packs: Packs) -> Prototypes:
    """Prototypes from the packs' example messages."""
    examples = [(intent.name, text) for pack in in_force(packs) for intent in pack.intents for text in intent.examples]
    vectors = await embedder.embed_texts([text for _, text in examples])
    return make_prototypes([name for name, _ in examples], np.asarray(vectors, dtype=np.float32))


def nearest_intent(embedding: Vectors, prototypes: Prototypes, allowed: Iterable[str] | None = None) -> Nearest | None:
    """The nearest intent by the mean of its best example's similarity and its centre's; `allowed` limits the labels."""
    similar = prototypes.vectors @ embedding
    best = np.full(len(prototypes.labels), -1.0, dtype=np.float32)
    np.maximum.at(best, prototypes.owners, similar)
    means = (best + prototypes.centres @ embedding) / 2
    wanted = set(prototypes.labels if allowed is None else allowed)
    scores = {label: float(mean) for label, mean in zip(prototypes.labels, means, strict=True) if label in wanted}
    if not scores:
        return None
    first, second = (*sorted(scores.values(), reverse=True), 0.0)[:2]
    intent = max(scores, key=scores.__getitem__)
    return Nearest(intent=intent, score=first, margin=first - second, scores=scores)


def classify(
    text: str, *, packs: Packs, embedding: Vectors | None = None, prototypes: Prototypes | None = None
) -> Classification:
    """Classify a message. The prototypes may override the keywords' label; they are used with an embedding only."""
    ranked = rank_intents(text, packs)
    match = ranked[0] if ranked else NO_INTENT
    nearest = None
    if embedding is not None and prototypes is not None:
        allowed = [intent.name for pack in in_force(packs) for intent in pack.intents]
        nearest = nearest_intent(np.asarray(embedding, dtype=np.float32), prototypes, allowed)
    chosen = _decide(ranked, nearest)
    reading = load_cues().read(text)
    severity = _severity(reading)
    human = _wants_human(reading)
    kind, language = talk_kind(text)
    return Classification(
        intent=chosen.intent,
        certainty=chosen.certainty,
        keywords=chosen.keywords,
        keyword_intent=match.intent,
        embedded_intent=nearest.intent if nearest else None,
        embedded_score=round(nearest.score, 4) if nearest else 0.0,
        severity=severity,
        tier=tier_of(severity, find_intent(chosen.intent, packs)),
        language=language or detect_language(text),
        sentiment=_sentiment(reading),
        wants_human=human,
        kind="question" if human else kind,
    )


def _decide(ranked: Sequence[IntentMatch], nearest: Nearest | None) -> IntentMatch:
    """The keywords' intent, or that of the prototypes where these are clear; certainty is always that of keywords."""
    match = ranked[0] if ranked else NO_INTENT
    if nearest is None or nearest.score < EMBEDDED_FLOOR or nearest.intent == match.intent:
        return match
    lead = nearest.score - (nearest.scores.get(match.intent, 0.0) if match.intent else 0.0)
    if match.intent and lead <= MARGIN_PER_WORD * min(match.words, MARGIN_WORDS):
        return match
    own = [other for other in ranked if other.intent == nearest.intent]
    return own[0] if own else IntentMatch(intent=nearest.intent, certainty=CERTAINTY_WHEN_NONE, keywords=())


def tier_of(severity: Severity, intent: Intent | None) -> int:
    column = (2 * intent.sensitive + intent.technical) if intent else 0
    return TIERS[severity][column]


def reassess(classification: Classification, answer_text: str, *, answered: bool) -> Classification:
    """The classification in the light of the finished answer; severity and tier only rise."""
    cues = load_cues()
    reading = cues.read(answer_text)
    severity, tier = classification.severity, classification.tier
    if cues.found("incident", reading):
        severity, tier = _worse(severity, "HIGH"), max(tier, 3)
    if cues.found("specialist", reading):
        tier = max(tier, 2)
    if not answered:
        tier = max(tier, UNANSWERED_TIERS[severity])
    return replace(classification, severity=severity, tier=tier)


def _worse(one: Severity, other: Severity) -> Severity:
    return max(one, other, key=SEVERITIES.index)


def _severity(reading: Reading) -> Severity:
    cues = load_cues()
    ends = {name: _any(phrases, reading) for name, phrases in cues.severity.items()}
    supposed = 0
    for sentence in reading.sentences() if ends["hypothetical"] else ():
        supposed |= sentence if sentence & ends["hypothetical"] else 0
    level = max(_level(ends, ~supposed), _level(ends, supposed) - 2)
    if ends["low"] and level < 3:
        return "MEDIUM" if level == 2 else "LOW"
    if ends["everyone"] & ~supposed and level:
        level += 1
    if ends["urgent"] and level < 2:
        level += 1
    return SEVERITIES[min(level, 3)]


def _level(ends: Mapping[str, int], where: int) -> int:
    return next((level for level, name in ((3, "critical"), (2, "high"), (1, "medium")) if ends[name] & where), 0)


def wants_human(text: str) -> bool:
    """Whether the writer asks, in plain words, for a person."""
    return _wants_human(load_cues().read(text))


def _wants_human(reading: Reading) -> bool:
    cues = load_cues()
    asked = _any(cues.human, reading)
    if asked:
        for phrase in cues.not_human:
            ends = reading.ends(phrase)
            asked &= ~(ends | ends << 1 | ends << 2 | ends >> 1 | ends >> 2)
    return bool(asked)


def says_yes(text: str) -> bool:
    """Whether the message takes up an offer and says nothing else: `yes please`, `ja, gerne`."""
    cues = load_cues()
    reading = cues.read(text, across=True)
    return bool(_any(cues.assent, reading)) and not _any(cues.dissent, reading)


def talk_kind(text: str) -> tuple[Kind, str | None]:
    """Small talk of some kind, when the message is nothing else, and its language if the words tell it."""
    if reaction := _REACTIONS.get(text.strip()[:1]):
        return (reaction, None) if not re.search(r"\w", text) else ("question", None)
    cues = load_cues()
    if len(text) > LONGEST_TALK or not text.strip():
        return "question", None
    reading = cues.read(text, across=True)
    whole = (1 << reading.length) - 1
    best: tuple[int, Kind, str | None] = (0, "question", None)
    for language, filler in cues.filler.items():
        said = {kind: _coverage(cues.talk[kind].get(language, ()), reading) for kind in _KINDS}
        if any(said.values()) and reduce(or_, said.values()) | _coverage(filler, reading) == whole:
            kind = max(_KINDS, key=lambda kind: said[kind].bit_count())
            best = max(best, (said[kind].bit_count(), kind, language), key=lambda found: found[0])
    return best[1:]


_KINDS: tuple[Kind, ...] = ("goodbye", "thanks", "smalltalk", "greeting")
_REACTIONS: dict[str, Kind] = {
    "👍": "thanks",
    "🙏": "thanks",
    "❤": "thanks",
    "👋": "greeting",
    "🙂": "smalltalk",
    "😊": "smalltalk",
}


def _coverage(phrases: Iterable[Phrase], reading: Reading) -> int:
    covered = 0
    for phrase in phrases:
        covered |= reading.covers(phrase)
    return covered


def sentiment(text: str) -> float:
    """Mood by words, -1 to 1; a negation before a word of praise turns it."""
    return _sentiment(load_cues().read(text))


def _sentiment(reading: Reading) -> float:
    cues = load_cues()
    negated = _any(cues.mood["negation"], reading)
    near = negated << 1 | negated << 2
    praise, blame = _any(cues.mood["positive"], reading), _any(cues.mood["negative"], reading)
    good = (praise & ~near).bit_count()
    bad = (blame & ~near).bit_count() + (praise & near).bit_count() + _any(cues.mood["strong"], reading).bit_count()
    return round((good - bad) / (good + bad + 1), 2)


def _any(phrases: Iterable[Phrase], reading: Reading) -> int:
    ends = 0
    for phrase in phrases:
        ends |= reading.ends(phrase)
    return ends


# Language

_NOT_PROSE = re.compile(r"https?://\S+|\S+@\S+|`[^`]*`|[\d_/\\<>{}\[\]|=#*]+")
_KANA = re.compile(r"[\u3040-\u30ff]")
_SCRIPTS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("ko", re.compile(r"[\uac00-\ud7a3]")),
    ("zh", re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")),
    ("th", re.compile(r"[\u0e00-\u0e7f]")),
    ("he", re.compile(r"[\u0590-\u05ff]")),
    ("el", re.compile(r"[\u0370-\u03ff]")),
    ("hi", re.compile(r"[\u0900-\u097f]")),
    ("ru", re.compile(r"[\u0400-\u04ff]")),
    ("ar", re.compile(r"[\u0600-\u06ff]")),
)
"""The language that a script stands for when nothing tells more."""
_SHARED_SCRIPTS = ("ru", "ar")


def detect_language(text: str) -> str:
    """ISO 639-1 code; `en` where the text is too short or too mixed to tell. The first call loads a model (0.7 s)."""
    prose = _NOT_PROSE.sub(" ", text[:LANGUAGE_WINDOW])
    letters = sum(char.isalpha() for char in prose)
    script = next((code for code, pattern in _SCRIPTS if 2 * len(pattern.findall(prose)) > letters), None)
    if script and (script not in _SHARED_SCRIPTS or letters < LANGUAGE_LETTERS):
        return "ja" if script == "zh" and _KANA.search(prose) else script
    if letters < LANGUAGE_LETTERS:
        return "en"
    ranking = _identifier().rank(prose)
    best, certainty = ranking[0]
    if certainty >= LANGUAGE_CERTAINTY:
        return str(best)
    if script is None and certainty >= LANGUAGE_DOUBT and dict(ranking)["en"] < NOT_ENGLISH:
        return str(best)
    return script or "en"


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # a second to load, and only some processes classify

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(load_cues().languages)
    return identifier


# Cues


@dataclass(frozen=True, kw_only=True)
class Cues:
    """The cues of the file, parsed, and the book that reads for all of them."""

    book: PhraseBook
    languages: tuple[str, ...]
    """That a text may be in; the fewer, the surer."""
    talk: Mapping[Kind, Mapping[str, tuple[Phrase, ...]]]
    filler: Mapping[str, tuple[Phrase, ...]]
    human: tuple[Phrase, ...]
    not_human: tuple[Phrase, ...]
    assent: tuple[Phrase, ...]
    dissent: tuple[Phrase, ...]
    severity: Mapping[str, tuple[Phrase, ...]]
    mood: Mapping[str, tuple[Phrase, ...]]

    def read(self, text: str, *, across: bool = False) -> Reading:
        return self.book.read(tokenize(text), across=across)

    def found(self, name: str, reading: Reading) -> bool:
        return any(reading.ends(phrase) for phrase in self.severity[name])


@cache
def load_cues(path: Path = INTENTS_FILE) -> Cues:
    """The cues of the intents' file. Raises `IntentFileError`."""
    content = read_intents_file(path)
    try:
        cues = content["cues"]
        languages = tuple(cues["languages"])
        talk = {kind: _parse_each(cues["talk"][kind]) for kind in _KINDS}
        spoken = {language: () for phrases in talk.values() for language in phrases}
        filler = {**spoken, **_parse_each(cues["talk"]["filler"])}
        severity, mood = _parse_each(cues["severity"]), _parse_each(cues["sentiment"])
        lists = {name: _parse(cues[name]) for name in ("human", "not_human", "assent", "dissent")}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise IntentFileError(f"{path}: cues: {error!r}") from error
    groups = [*talk.values(), filler, severity, mood]
    listed = [phrase for group in groups for phrases in group.values() for phrase in phrases]
    return Cues(
        book=PhraseBook((*listed, *(phrase for phrases in lists.values() for phrase in phrases))),
        languages=languages,
        talk=talk,
        filler=filler,
        **lists,
        severity=severity,
        mood=mood,
    )


def _parse(sources: Iterable[str]) -> tuple[Phrase, ...]:
    return tuple(parse_phrase(source) for source in sources)


def _parse_each(lists: Mapping[str, Iterable[str]]) -> dict[str, tuple[Phrase, ...]]:
    return {name: _parse(sources) for name, sources in lists.items()}
