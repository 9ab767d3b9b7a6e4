"""How candidates become an order. Pure functions of what was found; the numbers were measured, see each.

fuse      the dense and the lexical score of a passage become one
merge     the sources become one list, the heavier source first among equals
spread    no article takes all places, nor do examples and corrections
mmr       what says the same as something better moves down
rerank    optional: order by similarity alone, and drop what is below a threshold
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from kbs.index import Candidate, Vectors
from kbs.passages import Passage, Source
from kbs.search.weights import Weights

Id = TypeVar("Id", bound=Hashable)
Found = TypeVar("Found", bound=Candidate | Passage)

LEXICAL_WEIGHT = 0.3
DIVERSITY = 0.1
"""Share of novelty in `mmr`; 0 keeps the order of relevance. More costs right answers, on each set that was tried."""
WEIGHT_POWER = 0.25
"""See `merge`."""
PER_ARTICLE = 2
MANY = 20
"""Results beyond which a caller wants the ranking itself, and no article is limited."""
LEAST_SPREAD = 0.1
"""Of scores within one pool: what differs by less is not blown up to the full range."""


def fuse(dense: Mapping[Id, float], lexical: Mapping[Id, float], weight: float = LEXICAL_WEIGHT) -> dict[Id, float]:
    """Each half is stretched over the pool to [0, 1] and the two are averaged, `weight` for the lexical one.

    Ranks alone (RRF) lose how much better the first is than the second, and were measured to be worse than the
    dense half. The result is scaled so that the best passage keeps its unstretched score: 0.9 and 0.3 at the top
    mean different things. A half that found nothing has no say.
    """
    ids = [*dense, *(each for each in lexical if each not in dense)]
    if not any(lexical.values()):
        weight = 0.0
    elif not dense:
        weight = 1.0
    near, worded = _stretched(dense, ids), _stretched(lexical, ids)
    top = max(((1 - weight) * dense.get(each, 0.0) + weight * lexical.get(each, 0.0) for each in ids), default=0.0)
    return {each: min(max(top, 0.0), 1.0) * ((1 - weight) * near[each] + weight * worded[each]) for each in ids}


def merge(by_source: Mapping[Source, Mapping[Id, float]], weights: Weights) -> list[tuple[Id, float]]:
    """All sources in one order, best first.

    A score counts times the fourth root of its source's weight relative to the heaviest: 1 for the examples, 0.96
    for the tenant's articles, 0.87 for global ones, 0.81 for corrections with the default weights. So weights decide
    between passages that match about as well, and never bury a perfect global article below a mediocre one of the
    tenant's, which weights as plain factors (0.57 to 1) do. A source of weight 0 is left out.
    """
    factors = {source: weights.relative(source) ** WEIGHT_POWER for source in by_source if weights.of(source) > 0}
    merged = [(each, score * factor) for source, factor in factors.items() for each, score in by_source[source].items()]
    return sorted(merged, key=lambda item: -item[1])


def spread(ranked: Sequence[Found], k: int) -> list[Found]:
    """Of each article or example the best two (all, where many results are wanted); of the first k places at most
    half for examples and corrections, which steer an answer but cannot be quoted, as long as articles are left."""
    taken: Counter[tuple[Source, str]] = Counter()
    kept: list[Found] = []
    for each in ranked:
        taken[each.source, each.ref] += 1
        if k > MANY or taken[each.source, each.ref] <= PER_ARTICLE:
            kept.append(each)
    articles = sum(each.source.quotable for each in kept)
    room = max(k // 2, k - articles)
    steering = {each.id for each in [each for each in kept if not each.source.quotable][:room]}
    return [each for each in kept if each.source.quotable or each.id in steering]


def mmr(scores: Sequence[float], vectors: Vectors, k: int, diversity: float = DIVERSITY) -> list[int]:
    """Maximal marginal relevance: positions of at most k candidates, each the best given those before it.

    Scores count relative to the first, which is the best; `vectors` (n, d) of unit length are in the same order.
    """
    if not scores:
        return []
    relevance = np.asarray(scores, dtype=np.float32) / max(scores[0], 1e-9)
    chosen = [0]
    likeness = vectors @ vectors[0]
    open_ = np.ones(len(relevance), dtype=bool)
    open_[0] = False
    while len(chosen) < min(k, len(relevance)):
        value = np.where(open_, (1 - diversity) * relevance - diversity * likeness, -np.inf)
        best = int(value.argmax())
        chosen.append(best)
        open_[best] = False
        likeness = np.maximum(likeness, vectors @ vectors[best])
    return chosen


def rerank(candidates: Sequence[Id], similarity: Callable[[Id], float], *, threshold: float) -> list[Id]:
    """By similarity with the question alone, best first; what is below the threshold goes.

    The specification embeds question and passages again for this. A passage's stored vector is just that embedding,
    of the very text, so nothing is computed twice.
    """
    kept = [each for each in candidates if similarity(each) >= threshold]
    return sorted(kept, key=lambda each: -similarity(each))


def _stretched(scores: Mapping[Id, float], ids: Sequence[Id]) -> dict[Id, float]:
    """Scores moved to [0, 1] over the pool; an id without one counts as the lowest."""
    if not scores:
        return dict.fromkeys(ids, 0.0)
    low = min(scores.values()) if len(scores) == len(ids) else min(0.0, *scores.values())
    high = max(scores.values())
    width = max(high - low, LEAST_SPREAD)
    return {each: max(0.0, 1 - (high - scores.get(each, low)) / width) for each in ids}
