"""Which intent a message is nearest to, by the embeddings of example messages."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tools.classification.severity import severity_examples
from tools.classification.taught import Embeds, Taught, Vectors, teach
from tools.intents import Packs, in_force

LOCAL = "minilm"
"""Beginning of the id of the local embedder; an endpoint's model is taken to read every language."""


@dataclass(frozen=True, kw_only=True)
class Prototypes:
    """Example messages as unit vectors (n, dimensions), the intent of each, and the mean direction of each intent."""

    labels: tuple[str, ...]
    owners: NDArray[np.int64]
    vectors: Vectors
    centres: Vectors
    severity: Taught | None = None
    """How bad a message is, by its nearest examples."""
    english_only: bool = False
    """Made by an embedder that reads English: of other languages it tells less, of other scripts nothing."""


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
    made = make_prototypes([name for name, _ in examples], np.asarray(vectors, dtype=np.float32))
    local = embedder.id.startswith(LOCAL)
    return replace(made, severity=await teach(embedder, severity_examples()), english_only=local)


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
