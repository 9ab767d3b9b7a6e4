"""The cues of classification: phrases that are data, by what they tell."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from tools.intents import INTENTS_FILE, IntentFileError, read_intents_file
from tools.phrases import NO_PHRASES, PhraseBook, Phrases, Reading, fold, parse_phrase, tokenize

Kind = Literal["question", "greeting", "thanks", "smalltalk", "goodbye", "refusal", "introduction", "complaint"]
TALK: tuple[Kind, ...] = ("goodbye", "thanks", "smalltalk", "greeting")
"""Kinds of small talk; of equals the earlier is taken."""
LISTS = ("presence", "human", "not_human", "ticket", "not_ticket", "assent", "dissent")


@dataclass(frozen=True, kw_only=True)
class Cues:
    """The cues of the file, parsed, and the book that reads for all of them."""

    book: PhraseBook
    languages: tuple[str, ...]
    """That a text may be in; the fewer, the surer."""
    talk: Mapping[Kind, Mapping[str, Phrases]]
    talk_firsts: Mapping[str, frozenset[str]]
    """Words that small talk begins with, by language."""
    filler: Mapping[str, Phrases]
    refusal: Mapping[str, Phrases]
    beside_refusal: Mapping[str, Phrases]
    complaint: Mapping[str, Phrases]
    beside_complaint: Mapping[str, Phrases]
    introduction: Mapping[str, tuple[tuple[str, ...], ...]]
    """Words before a name, folded."""
    presence: Phrases
    human: Phrases
    not_human: Phrases
    ticket: Phrases
    not_ticket: Phrases
    assent: Phrases
    dissent: Phrases
    severity: Mapping[str, Phrases]
    mood: Mapping[str, Phrases]

    def read(self, text: str, *, across: bool = False) -> Reading:
        return self.book.read(tokenize(text), across=across)


@cache
def load_cues(path: Path = INTENTS_FILE) -> Cues:
    """The cues of the intents' file. Raises `IntentFileError`."""
    content = read_intents_file(path)
    try:
        cues = content["cues"]
        languages = tuple(cues["languages"])
        talk = {kind: _parse_each(cues["talk"][kind]) for kind in TALK}
        spoken = {language: Phrases() for phrases in talk.values() for language in phrases}
        filler = {**spoken, **_parse_each(cues["talk"]["filler"])}
        refusal, beside = _parse_each(cues["refusal"]["words"]), _parse_each(cues["refusal"]["beside"])
        complaint = _parse_each(cues["complaint"]["words"])
        beside_complaint = _parse_each(cues["complaint"]["beside"])
        introduction = {
            language: tuple(tuple(fold(each).split()) for each in openers)
            for language, openers in cues["introduction"].items()
        }
        severity, mood = _parse_each(cues["severity"]), _parse_each(cues["sentiment"])
        lists = {name: _parse(cues[name]) for name in LISTS}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise IntentFileError(f"{path}: cues: {error!r}") from error
    groups = [*talk.values(), filler, refusal, beside, complaint, beside_complaint, severity, mood]
    listed = [phrase for group in groups for phrases in group.values() for phrase in phrases]
    return Cues(
        book=PhraseBook((*listed, *(phrase for phrases in lists.values() for phrase in phrases))),
        languages=languages,
        talk=talk,
        talk_firsts={
            language: frozenset[str]().union(*(talk[kind].get(language, NO_PHRASES).firsts for kind in TALK))
            for language in filler
        },
        filler=filler,
        refusal=refusal,
        beside_refusal=beside,
        complaint=complaint,
        beside_complaint=beside_complaint,
        introduction=introduction,
        **lists,
        severity=severity,
        mood=mood,
    )


def _parse(sources: Iterable[str]) -> Phrases:
    return Phrases(parse_phrase(source) for source in sources)


def _parse_each(lists: Mapping[str, Iterable[str]]) -> dict[str, Phrases]:
    return {name: _parse(sources) for name, sources in lists.items()}
