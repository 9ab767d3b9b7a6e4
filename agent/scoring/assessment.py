"""Between searching and answering: what the search says about whether this can be answered, and the score's evidence."""

import re
from collections.abc import Sequence
from functools import lru_cache
from math import log

from agent.grounding.words import STOP_WORDS, stem
from agent.prompting import NumberedPassage
from agent.scoring.confidence import Evidence
from kbs.passages import Passage, Source
from kbs.search.cache import Retrieved
from kbs.words.glossary import foreign_language, glossed
from kbs.words.spelling import corrected, is_everyday, unknown_words, vocabulary_of

COVERAGE_WEIGHT = 0.25
"""Share of lexical coverage in answerability; the rest is the best similarity. See the suite `confidence`."""
COVERAGE_WEIGHT_ELSEWHERE = 0.35
"""The same for articles in another language than English, which the local embedder knows less of: there the words say
more."""
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
    weight = COVERAGE_WEIGHT if passages[0].language == "en" else COVERAGE_WEIGHT_ELSEWHERE
    return (1 - weight) * similarity + weight * _covered(wanted, [_passage_stems(passage) for passage in passages])


def _covered(wanted: frozenset[str], having: Sequence[frozenset[str]]) -> float:
    """The part of the question's words that one of the first passages has; a word that few passages have weighs more."""
    weights = {word: log(1 + len(having) / (1 + sum(word in stems for stems in having))) for word in wanted}
    best = max(sum(weights[word] for word in wanted & stems) for stems in having[:LOOKED_AT])
    return best / sum(weights.values())


def spelled_as(question: str, passages: Sequence[Passage | NumberedPassage]) -> str:
    """The question in the passages' own words: its typing errors put right, or what they call it in English."""
    if is_everyday(question):
        return question
    known = vocabulary_of(f"{each.title} {each.heading} {each.text}" for each in passages)
    if foreign_language(question) is None and unknown_words(question):
        return corrected(question, known)
    return glossed(question, known, among_english=bool(passages) and passages[0].language == "en")


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


@lru_cache(maxsize=1024)
def _stems(text: str) -> frozenset[str]:
    return frozenset(stem(word, "en") for word in _WORD.findall(text.casefold()) if word not in _STOP)
