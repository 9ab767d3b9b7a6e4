"""A tenant's own intents, taught by examples: no training run, only sums over the examples' embeddings.

The label comes from regularised least squares over likeness to the examples (of meaning, and to a part of words), the
doubt whether it is any of these intents from the nearest example and the intent's centre: the one classifies better,
the other rejects better. Both are made honest on the examples themselves, each left out in turn, which for least
squares is a formula and no second run. With k examples of each intent the figures are in `docs/evals.md`.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kbs.words.stemming import stemmed
from memory.errors import Invalid
from tools.phrases import fold

SHARPNESS = 3.0
"""Of likeness of meaning: exp(SHARPNESS * (cosine - 1))."""
WORDS_SHARE = 0.15
PENALTY = 0.1
LANDMARKS = 1500
"""Examples that others are compared with, spread over the intents; all are learned from."""
ACCEPTED = 0.95
"""Share of the examples, each left out in turn, that the threshold of rejection lets through."""
FEWEST = 2
"""Examples of an intent."""
LABEL_SHARE = 0.5
"""Of the label's score beside the nearness, in the doubt."""

_WORD = re.compile(r"[^\W_]+")
Vectors = NDArray[np.float32]
Floats = NDArray[np.floating]


class Embeds(Protocol):
    """What is needed of an embedder: rows of unit length, in order."""

    @property
    def id(self) -> str: ...

    async def embed_texts(self, texts: Sequence[str]) -> Vectors: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    text: str
    intent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """The likeliest intent; `known` says whether it is to be believed that it is any of them."""

    intent: str
    confidence: float
    """Probability that the label is right, for a message that is about one of the intents."""
    known: bool
    likeness: float
    """What `known` rests on: more is more like the examples."""
    scores: Mapping[str, float]
    """The five best."""


@dataclass(frozen=True, kw_only=True)
class Taught:
    """What examples come to. Not changed after it is made."""

    labels: tuple[str, ...]
    vectors: Floats
    owners: NDArray[np.int64]
    centres: Floats
    landmarks: NDArray[np.int64]
    postings: Mapping[str, tuple[NDArray[np.int64], Floats]]
    """Of each word: the landmarks that have it, and its weight there."""
    rarity: Mapping[str, float]
    weights: Floats
    """(landmarks, intents)."""
    threshold: float
    logistic: tuple[float, float, float]

    def recognise(self, text: str, vector: Vectors) -> Recognised:
        """The intent of a message; `vector` is its embedding by the model that embedded the examples."""
        cosines = self.vectors @ vector
        likeness = _likeness(cosines[self.landmarks], self._shared_words(text))
        labelled = likeness @ self.weights
        nearest = np.full(len(self.labels), -1.0)
        np.maximum.at(nearest, self.owners, cosines)
        near = (nearest + self.centres @ vector) / 2
        best = int(labelled.argmax())
        doubt = float(LABEL_SHARE * labelled[best] + near.max())
        bias, by_label, by_near = self.logistic
        ahead = float(labelled[best] - np.partition(labelled, -2)[-2]) if len(labelled) > 1 else 1.0
        order = np.argsort(-labelled)[:5]
        return Recognised(
            intent=self.labels[best], confidence=round(_sigmoid(bias + by_label * ahead + by_near * float(near.max())), 4),
            known=doubt >= self.threshold, likeness=round(doubt, 4),
            scores={self.labels[n]: round(float(labelled[n]), 4) for n in order},
        )  # fmt: skip

    def _shared_words(self, text: str) -> Floats:
        found = np.zeros(len(self.landmarks), dtype=np.float32)
        for word, weight in _weighted(text, self.rarity).items():
            if word in self.postings:
                places, weights = self.postings[word]
                found[places] += weight * weights
        return found


async def teach(embedder: Embeds, examples: Sequence[Example]) -> Taught:
    """Learn the intents of these examples. Raises Invalid for fewer than two intents or too few examples of one."""
    vectors = await embedder.embed_texts([example.text for example in examples])
    return learn(examples, np.asarray(vectors, dtype=np.float32))


def learn(examples: Sequence[Example], vectors: Floats) -> Taught:
    """The same from unit vectors (n, dimensions) of the examples. Raises Invalid."""
    counts = Counter(example.intent for example in examples)
    if len(counts) < 2 or min(counts.values()) < FEWEST:
        raise Invalid(f"teaching needs two intents or more, and {FEWEST} examples of each")
    labels = tuple(counts)
    owners = np.array([labels.index(example.intent) for example in examples], dtype=np.int64)
    landmarks = _spread(owners, len(labels))
    words = [_words(example.text) for example in examples]
    rarity = _rarity(words)
    weighted = [_weigh(each, rarity) for each in words]
    postings = _postings([weighted[n] for n in landmarks])
    likeness = _likeness(vectors @ vectors[landmarks].T, _shared(weighted, postings, len(landmarks)))
    truth = np.full((len(examples), len(labels)), -1 / len(labels), dtype=np.float32)
    truth[np.arange(len(examples)), owners] += 1
    weights, left_out = _solve(likeness, landmarks, truth)
    means = np.stack([vectors[owners == n].mean(axis=0) for n in range(len(labels))])
    near = _near_left_out(vectors, owners, means, np.array([counts[label] for label in labels]))
    doubt = LABEL_SHARE * left_out.max(axis=1) + near.max(axis=1)
    return Taught(
        labels=labels, vectors=vectors, owners=owners, centres=_unit(means), landmarks=landmarks, postings=postings,
        rarity=rarity, weights=weights, threshold=float(np.quantile(doubt, 1 - ACCEPTED)),
        logistic=_logistic(_lead(left_out), near.max(axis=1), left_out.argmax(axis=1) == owners),
    )  # fmt: skip


def _solve(likeness: Floats, landmarks: NDArray[np.int64], truth: Floats) -> tuple[Floats, Floats]:
    """Weights of the landmarks, and each example's scores as if it had been left out."""
    own = likeness[landmarks].astype(np.float64)
    system = likeness.T.astype(np.float64) @ likeness + PENALTY * own + 1e-4 * np.eye(len(landmarks))
    inverse = np.linalg.inv(system)
    weights = inverse @ (likeness.T @ truth)
    scores = likeness @ weights
    pull = np.clip(((likeness @ inverse) * likeness).sum(axis=1), 0.0, 0.99)[:, None]
    return weights.astype(np.float32), (scores - pull * truth) / (1 - pull)


def _near_left_out(vectors: Floats, owners: NDArray[np.int64], means: Floats, counts: NDArray[np.int64]) -> Floats:
    """Mean of the nearest example's and the centre's cosine for each intent, an example's own part taken out."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1.0)
    near = np.stack([cosines[:, owners == n].max(axis=1) for n in range(len(counts))], axis=1)
    centred = vectors @ _unit(means).T
    rows = np.arange(len(vectors))
    others = (means[owners] * counts[owners, None] - vectors) / (counts[owners, None] - 1)
    centred[rows, owners] = np.einsum("ij,ij->i", vectors, _unit(others))
    return np.asarray((near + centred) / 2, dtype=np.float32)


def _logistic(lead: Floats, near: Floats, right: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Probability of being right from the lead and the nearness, by Newton's steps with a mild prior."""
    columns = np.stack([np.ones(len(lead)), lead, near], axis=1).astype(np.float64)
    factors = np.zeros(3)
    prior = np.diag([1e-3, 1e-2, 1e-2])
    for _ in range(30):
        told = 1 / (1 + np.exp(-np.clip(columns @ factors, -30, 30)))
        slope = columns.T @ (right - told) - prior @ factors
        bend = (columns * (told * (1 - told))[:, None]).T @ columns + prior
        step = np.linalg.solve(bend, slope)
        factors = factors + np.clip(step, -5, 5)
        if np.abs(step).max() < 1e-6:
            break
    return float(factors[0]), float(factors[1]), float(factors[2])


def _lead(scores: Floats) -> Floats:
    top = np.partition(scores, -2, axis=1)
    return np.asarray(top[:, -1] - top[:, -2], dtype=np.float32)


def _likeness(cosines: Floats, words: Floats) -> Floats:
    return np.asarray((1 - WORDS_SHARE) * np.exp(SHARPNESS * (cosines - 1)) + WORDS_SHARE * words, dtype=np.float32)


def _spread(owners: NDArray[np.int64], intents: int) -> NDArray[np.int64]:
    """All examples, or of each intent as many as make LANDMARKS together, evenly over its list."""
    if len(owners) <= LANDMARKS:
        return np.arange(len(owners))
    each = max(LANDMARKS // intents, 1)
    chosen = []
    for intent in range(intents):
        places = np.flatnonzero(owners == intent)
        chosen.append(places[np.linspace(0, len(places) - 1, min(each, len(places))).astype(int)])
    return np.unique(np.concatenate(chosen))


def _words(text: str) -> Counter[str]:
    """Stems, and pairs of neighbours."""
    stems = [stemmed(word, "en") for word in _WORD.findall(fold(text))]
    return Counter([*stems, *(f"{a} {b}" for a, b in pairwise(stems))])


def _rarity(words: Sequence[Counter[str]]) -> dict[str, float]:
    having = Counter(word for each in words for word in each)
    return {word: math.log(1 + len(words) / count) for word, count in having.items()}


def _weighted(text: str, rarity: Mapping[str, float]) -> dict[str, float]:
    return _weigh(_words(text), rarity)


def _weigh(words: Counter[str], rarity: Mapping[str, float]) -> dict[str, float]:
    """Rarities, scaled to unit length; a word that no example has counts nothing."""
    known = {word: rarity[word] for word in words if word in rarity}
    length = math.sqrt(sum(value * value for value in known.values())) or 1.0
    return {word: value / length for word, value in known.items()}


def _postings(weighted: Sequence[Mapping[str, float]]) -> dict[str, tuple[NDArray[np.int64], Floats]]:
    places: dict[str, list[int]] = {}
    values: dict[str, list[float]] = {}
    for place, words in enumerate(weighted):
        for word, weight in words.items():
            places.setdefault(word, []).append(place)
            values.setdefault(word, []).append(weight)
    return {word: (np.array(found), np.array(values[word], dtype=np.float32)) for word, found in places.items()}


def _shared(
    weighted: Sequence[Mapping[str, float]], postings: Mapping[str, tuple[NDArray[np.int64], Floats]], landmarks: int
) -> Floats:
    found = np.zeros((len(weighted), landmarks), dtype=np.float32)
    for row, words in enumerate(weighted):
        for word, weight in words.items():
            if word in postings:
                places, weights = postings[word]
                found[row, places] += weight * weights
    return found


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), dtype=np.float32)


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-min(max(value, -30.0), 30.0)))
