"""Everything that is told about a message at once, and again when its answer is finished."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tools.classification.cues import Kind, load_cues
from tools.classification.language import ENOUGH_LETTERS, tell_language
from tools.classification.prototypes import Nearest, Prototypes, nearest_intent
from tools.classification.severity import SEVERITIES, Severity, by_meaning, raised, severity_of, tier_of
from tools.classification.talk import (
    complaint_languages,
    introduction_language,
    refusal_languages,
    says_nothing,
    talk_kind,
)
from tools.classification.taught import Vectors
from tools.classification.writer import human_wanted, mood_of
from tools.intents import CERTAINTY_WHEN_NONE, NO_INTENT, IntentMatch, Packs, find_intent, in_force, rank_intents
from tools.phrases import Reading

EMBEDDED_FLOOR = 0.3
"""Below this similarity the nearest prototypes say nothing."""
LAST_LATIN = "\u024f"
MARGIN_PER_WORD = 0.1
MARGIN_WORDS = 3
"""Lead over the keywords' intent that lets the prototypes decide: this much for each word that the keywords matched,
up to so many. These numbers were tuned for MiniLM's similarities."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ByWords:
    """What the words of a message tell, before anything is known of its meaning."""

    text: str
    ranked: tuple[IntentMatch, ...]
    reading: Reading
    wants_human: bool
    kind: Kind
    language: str
    language_told: bool = True
    """Whether the words tell their language, or it is only supposed."""


def read_words(text: str, packs: Packs, *, spoken: str | None = None) -> ByWords:
    """What the words tell. `spoken` is the language of the conversation so far: it holds where a message is too short to
    tell another, as `ok` and `danke` are."""
    reading = load_cues().read(text)
    human = human_wanted(reading)
    kind, language = _kind_of(text)
    told = tell_language(text, spoken)
    if language is None or (spoken and told is None and sum(char.isalpha() for char in text) < ENOUGH_LETTERS):
        language = told
    return ByWords(
        text=text, ranked=tuple(rank_intents(text, packs)), reading=reading, wants_human=human,
        kind="question" if human else kind, language=language or spoken or "en", language_told=language is not None,
    )  # fmt: skip


def _kind_of(text: str) -> tuple[Kind, str | None]:
    """What kind of message it is by its words, and its language where these tell it."""
    if languages := refusal_languages(text):
        return "refusal", languages[0]
    if languages := complaint_languages(text):
        return "complaint", languages[0]
    if says_nothing(text):
        return "complaint", None
    kind, language = talk_kind(text)
    if kind == "question" and (named := introduction_language(text)):
        return "introduction", named
    return kind, language


def classify(
    text: str, *, packs: Packs, embedding: Vectors | None = None, prototypes: Prototypes | None = None
) -> Classification:
    """Classify a message. The prototypes may override the keywords' label; they are used with an embedding only."""
    return classified(read_words(text, packs), packs=packs, embedding=embedding, prototypes=prototypes)


def classified(
    words: ByWords, *, packs: Packs, embedding: Vectors | None = None, prototypes: Prototypes | None = None
) -> Classification:
    """As `classify` does it, for a message whose words were read before."""
    match = words.ranked[0] if words.ranked else NO_INTENT
    nearest = None
    if embedding is not None and prototypes is not None:
        allowed = [intent.name for pack in in_force(packs) for intent in pack.intents]
        nearest = nearest_intent(np.asarray(embedding, dtype=np.float32), prototypes, allowed)
    chosen = _decide(words.ranked, nearest)
    severity = severity_of(words.reading)
    if embedding is not None and prototypes is not None and prototypes.severity is not None:
        severity = by_meaning(
            severity, prototypes.severity.recognise(words.text, embedding), words.reading,
            most=_trusted_levels(words) if prototypes.english_only else len(SEVERITIES),
        )  # fmt: skip
    return Classification(
        intent=chosen.intent,
        certainty=chosen.certainty,
        keywords=chosen.keywords,
        keyword_intent=match.intent,
        embedded_intent=nearest.intent if nearest else None,
        embedded_score=round(nearest.score, 4) if nearest else 0.0,
        severity=severity,
        tier=tier_of(severity, find_intent(chosen.intent, packs)),
        language=words.language,
        sentiment=mood_of(words.reading),
        wants_human=words.wants_human,
        kind=words.kind,
    )


def _trusted_levels(words: ByWords) -> int:
    """By how many levels an embedder that reads English may raise a message: in another language it takes thanks for a
    disaster now and then, and in another script, or where there are no words, it knows nothing."""
    letters = [char for char in words.text if char.isalpha()]
    if 2 * sum(char <= LAST_LATIN for char in letters) <= len(letters):
        return 0
    return len(SEVERITIES) if words.language == "en" else 1


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


def at_least(classification: Classification, severity: Severity, packs: Packs) -> Classification:
    """The classification of a matter that is known to be this bad; severity and tier only rise."""
    severity = max(severity, classification.severity, key=SEVERITIES.index)
    tier = max(classification.tier, tier_of(severity, find_intent(classification.intent, packs)))
    return replace(classification, severity=severity, tier=tier)


def reassess(classification: Classification, answer_text: str, *, answered: bool) -> Classification:
    """The classification in the light of the finished answer; severity and tier only rise."""
    severity, tier = raised(classification.severity, classification.tier, answer_text, answered=answered)
    return replace(classification, severity=severity, tier=tier)
