"""Between searching and answering: what the search says about whether this can be answered, and the score's evidence."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import snowballstemmer

from agent.confidence import Evidence
from kbs.passages import Passage, Source
from kbs.retrieval_cache import Retrieved

COVERAGE_WEIGHT = 0.3
"""Share of lexical coverage in answerability; the rest is the best similarity. Tuned on the cases in `evals/`."""
LOOKED_AT = 3

_WORD = re.compile(r"[^\W_]{3,}")
_STOP = frozenset(
    [
        "the",
        "and",
        "for",
        "you",
        "your",
        "yours",
        "our",
        "are",
        "was",
        "were",
        "can",
        "could",
        "how",
        "what",
        "when",
        "where",
        "why",
        "who",
        "which",
        "does",
        "did",
        "do",
        "not",
        "have",
        "has",
        "had",
        "with",
        "from",
        "that",
        "this",
        "these",
        "those",
        "there",
        "here",
        "into",
        "onto",
        "about",
        "please",
        "would",
        "should",
        "will",
        "want",
        "need",
        "get",
        "got",
        "any",
        "some",
        "all",
        "out",
        "off",
        "its",
        "it's",
        "i'm",
        "i've",
        "my",
        "me",
        "mine",
        "is",
        "in",
        "on",
        "at",
        "to",
        "of",
        "a",
        "an",
        "or",
        "if",
        "but",
        "so",
        "be",
        "been",
        "being",
        "by",
        "as",
        "it",
        "we",
        "us",
        "they",
        "them",
        "der",
        "die",
        "das",
        "und",
        "ist",
        "ich",
        "wie",
        "was",
        "ein",
        "eine",
        "mein",
        "meine",
        "kann",
        "den",
        "dem",
        "nicht",
        "mit",
        "auf",
        "für",
        "von",
        "zu",
        "im",
    ]
)


def answerability(question: str, passages: Sequence[Passage]) -> float:
    """How likely the passages hold the answer, in [0, 1]: the best similarity and the words covered."""
    if not passages:
        return 0.0
    similarity = max(passage.similarity for passage in passages)
    wanted = _stems(question)
    if not wanted:
        return similarity
    best = max(len(wanted & _passage_stems(passage)) / len(wanted) for passage in passages[:LOOKED_AT])
    return (1 - COVERAGE_WEIGHT) * similarity + COVERAGE_WEIGHT * best


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
