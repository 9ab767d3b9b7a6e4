"""Between searching and answering: what the search says about whether this can be answered, and the score's evidence."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import snowballstemmer

from agent.confidence import Evidence
from agent.grounding.words import STOP_WORDS
from agent.prompting import NumberedPassage
from kbs.passages import Passage, Source
from kbs.retrieval_cache import Retrieved
from kbs.spelling import corrected, unknown_words, vocabulary_of

COVERAGE_WEIGHT = 0.15
"""Share of lexical coverage in answerability; the rest is the best similarity. More of it was better before typing
errors were put right, and is worse since; see the suite `confidence`."""
LOOKED_AT = 3

_WORD = re.compile(r"[^\W_]{3,}")
_STOP = (
    STOP_WORDS["en"]
    | STOP_WORDS["de"]
    | frozenset(["please", "want", "need", "get", "got", "out", "off", "any", "all"])
)


def answerability(question: str, passages: Sequence[Passage]) -> float:
    """How likely the passages hold the answer, in [0, 1]: the best similarity and the words covered."""
    if not passages:
        return 0.0
    similarity = max(passage.similarity for passage in passages)
    wanted = _stems(spelled_as(question, passages))
    if not wanted:
        return similarity
    best = max(len(wanted & _passage_stems(passage)) / len(wanted) for passage in passages[:LOOKED_AT])
    return (1 - COVERAGE_WEIGHT) * similarity + COVERAGE_WEIGHT * best


def spelled_as(question: str, passages: Sequence[Passage | NumberedPassage]) -> str:
    """The question with its typing errors put right by the passages' own words."""
    if not unknown_words(question):
        return question
    return corrected(question, vocabulary_of(f"{each.title} {each.heading} {each.text}" for each in passages))


def evidence(retrieved: Retrieved, certainty: float, *, needs_tenant: bool) -> Evidence:
    """What the confidence formula takes in: the best raw similarity of each source, and how sure the intent is."""
    by_source = retrieved.similarities

    def best(source: Source) -> float:
        return max(by_source.get(source, ()), default=0.0)

    return Evidence(
        example_similarities=tuple(by_source.get(Source.EXAMPLE, ())),
        tenant_similarity=best(Source.TENANT_KB),
        global_similarity=best(Source.GLOBAL_KB),
        intent_certainty=certainty,
        needs_tenant_knowledge=needs_tenant,
        correction_similarity=best(Source.CORRECTION),
    )


def _passage_stems(passage: Passage) -> frozenset[str]:
    return _stems(f"{passage.title} {passage.heading} {passage.text}")


def _stems(text: str) -> frozenset[str]:
    words = [word for word in _WORD.findall(text.casefold()) if word not in _STOP]
    return frozenset(_stemmer().stemWords(words))


@cache
def _stemmer() -> Any:
    return snowballstemmer.stemmer("english")
