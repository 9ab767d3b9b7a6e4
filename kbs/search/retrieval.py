"""From a question to ranked passages.

Four sources are searched at once: the global knowledge base (the collections that the tenant has enabled), the
tenant's own, approved examples, corrections. What the caller may not see (another tenant's, another audience's, a
superseded or dated article) is never fetched: the filter is in the query. The steps:

    1. revision    of the tenant's and the global knowledge; with it in the key, a cached result is never stale
    2. spelling    typing errors put right, with the knowledge base's own words
    3. embed       the question, unless the caller has its vector
    4. candidates  the nearest and the best by words of every source, in one statement
    5. fuse        dense and lexical score of each candidate
    6. merge       the four sources by their weights
    7. spread      places between articles, and between what may be quoted and what may not
    8. mmr         against repetition
    9. rerank      optional, with its threshold; then the first k
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from kbs.embedding.embedder import Embedder
from kbs.index import Candidate, KnowledgeIndex, Postgres, Scope, Vectors
from kbs.passages import Passage, Source
from kbs.search.cache import ByteStore, Retrieved, SearchCache, knowledge_state
from kbs.search.presence import Presence
from kbs.search.ranking import DIVERSITY, LEXICAL_WEIGHT, fuse, merge, mmr, rerank, spread
from kbs.search.vocabularies import Vocabularies
from kbs.search.weights import Weights
from memory.errors import Invalid

Mode = Literal["hybrid", "dense", "lexical"]
MAX_K = 100
POOL = 20
"""Candidates of each half and source, at least; four times as many as are wanted."""
FOREIGN_LEXICAL_WEIGHT = 0.6
"""For a question in a script that the local model was not trained on: there words are the better half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalOptions:
    """How a tenant's search ranks; its newest row of `retrieval_settings`."""

    weights: Weights = field(default_factory=Weights)
    lexical_weight: float = LEXICAL_WEIGHT
    diversity: float = DIVERSITY
    rerank: bool = False
    threshold: float = 0.0
    """Least similarity that `rerank` lets through."""
    top_k: int = 6
    spelling: bool = True
    """Whether typing errors are put right."""


class Retriever:
    """Searches the index; remembers results where it is given a cache."""

    def __init__(
        self, index: KnowledgeIndex, embedder: Embedder, database: Postgres, *, cache: ByteStore | None = None
    ) -> None:
        self._index = index
        self._embedder = embedder
        self._database = database
        self.cache = SearchCache(cache) if cache is not None else None
        self._vocabularies = Vocabularies(database)
        self._presence = Presence(database)

    async def search(
        self,
        query: str,
        scope: Scope,
        options: RetrievalOptions,
        *,
        mode: Mode = "hybrid",
        k: int | None = None,
        vector: Vectors | None = None,
    ) -> Retrieved:
        """The best passages for a question, at most `k` (up to 100), each with its similarity and score.

        In the lexical mode nothing is embedded and similarities are 0. Raises Invalid for a k out of range.
        """
        k = options.top_k if k is None else k
        if not 1 <= k <= MAX_K:
            raise Invalid(f"k is 1 to {MAX_K}")
        if not query.strip():
            return Retrieved(passages=(), vector=vector)
        if self.cache is None:
            return await self._search(query, scope, options, mode, k, vector)
        state = await knowledge_state(self._database, scope.tenant_id)
        key = self.cache.key(scope, state, self._index.embedder, (options, mode, k), query)
        found = await self.cache.get(key, scope.tenant_id)
        if found is None:
            scope = await self._presence.narrowed(scope, state)
            found = await self._search(query, scope, options, mode, k, vector)
            await self.cache.put(key, scope.tenant_id, found)
        return found

    async def _search(
        self, query: str, scope: Scope, options: RetrievalOptions, mode: Mode, k: int, vector: Vectors | None
    ) -> Retrieved:
        clock = _Clock()
        if options.spelling:
            local = self._embedder.id.startswith("minilm")  # an endpoint's model is taken to read every language
            spelled = await self._vocabularies.correct(query, scope, gloss=local)
            query, vector = spelled, vector if spelled == query else None
        clock.mark("spelling")
        if mode == "lexical":
            vector = None
        elif vector is None:
            vector = await self._embedder.embed_query(query)
        clock.mark("embed")
        candidates = await self._index.candidates(
            scope, vector=vector, text=None if mode == "dense" else query, k=min(MAX_K, max(POOL, 4 * k))
        )
        clock.mark("candidates")
        vectors = np.array([each.vector for each in candidates])
        cosines = _cosines(vectors, vector)
        passages = self._ranked(candidates, vectors, cosines, query, options, k)
        clock.mark("rank")
        return Retrieved(
            passages=tuple(passages), vector=vector, similarities=_similarities(candidates, cosines),
            timings_ms=clock.marks,
        )  # fmt: skip

    def _ranked(
        self,
        candidates: Sequence[Candidate],
        vectors: Vectors,
        cosines: Sequence[float] | None,
        query: str,
        options: RetrievalOptions,
        k: int,
    ) -> list[Passage]:
        if not candidates:
            return []
        fused = fuse(
            {} if cosines is None else dict(enumerate(cosines)),
            {n: each.lexical for n, each in enumerate(candidates)},
            self._lexical_weight(query, options),
        )
        by_source: dict[Source, dict[int, float]] = {}
        for n, each in enumerate(candidates):
            by_source.setdefault(each.source, {})[n] = fused[n]
        scores = dict(merge(by_source, options.weights))
        position = {candidates[n]: n for n in scores}
        chosen = [position[each] for each in spread(list(position), k)]
        if options.rerank and cosines is not None:
            best = rerank(chosen, cosines.__getitem__, threshold=options.threshold)[:k]
        else:
            best = [chosen[n] for n in mmr([scores[n] for n in chosen], vectors[chosen], k, options.diversity)]
        return [
            replace(candidates[n].passage, similarity=cosines[n] if cosines else 0.0, score=scores[n]) for n in best
        ]

    def _lexical_weight(self, query: str, options: RetrievalOptions) -> float:
        """The local model reads Latin script; an endpoint's model is taken to read them all."""
        if self._embedder.id.startswith("minilm") and _mostly_foreign(query):
            return max(options.lexical_weight, FOREIGN_LEXICAL_WEIGHT)
        return options.lexical_weight


def _mostly_foreign(text: str) -> bool:
    letters = [char for char in text if char.isalpha()]
    return sum(char > "\u024f" for char in letters) * 2 > len(letters)


def _cosines(vectors: Vectors, vector: Vectors | None) -> list[float] | None:
    """Of each candidate with the question, clipped to [0, 1]; None where the question has no vector."""
    if vector is None or not len(vectors):
        return None
    found: list[float] = np.clip(vectors @ vector, 0.0, 1.0).tolist()
    return found


def _similarities(
    candidates: Sequence[Candidate], cosines: Sequence[float] | None
) -> Mapping[Source, tuple[float, ...]]:
    """The five best raw cosines of each source, best first: what confidence is made of. A learned reply counts once,
    however many passages it was cut into: two good examples are two replies."""
    found: dict[Source, dict[int | str, float]] = {}
    for n, (each, cosine) in enumerate(zip(candidates, cosines or (), strict=False)):
        best, key = found.setdefault(each.source, {}), n if each.source.quotable else each.ref
        if cosine > best.get(key, -1.0):
            best[key] = cosine
    return {source: tuple(sorted(values.values(), reverse=True)[:5]) for source, values in found.items()}


class _Clock:
    """Milliseconds between marks."""

    def __init__(self) -> None:
        self.marks: dict[str, float] = {}
        self._last = time.perf_counter()

    def mark(self, step: str) -> None:
        now = time.perf_counter()
        self.marks[step] = round((now - self._last) * 1000, 2)
        self._last = now
