"""The learned half of the guard: how much a message resembles attempts to manipulate an assistant.

One weighted sum over three views of a message: its local embedding, its words, pairs of words, pieces of words and what
words mean in nine languages (in hashed slots, so that any script works), and how near each rule came to firing.
Weights are made by `python -m evals.training.guard` from `evals/training/lessons` and the training sides of public sets,
and nothing else; they are small, and the same data give the same file. A second set of weights does without an
embedding where there is no local one. A third set, without it too, is for all languages but English: the local embedder
reads English, and its vectors of other languages were measured to do harm.
"""

import logging
import math
import re
import zlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from memory.errors import HelpdeskError, Misconfigured
from tools.classification.language import detect_language
from tools.guardrails.concepts import concept_grams
from tools.phrases import fold

WEIGHTS_FILE = Path(__file__).with_name("learned.npz")
LOCAL = "minilm"
"""Beginning of the id of the embedder whose vectors the weights are for."""
DIMENSIONS = 384
ENGLISH = "en"
SLOTS = 1 << 16
MOST_WORDS = 400
"""Of a message; what stands further on is left to the rules."""
LONGEST_WORD = 60
"""Letters of a word that is taken to pieces; the rest of a longer one is not."""
PIECES = (3, 4, 5)
UNSPACED_PIECES = (1, 2, 3)
"""Where words are not written apart."""
RESERVE = 150
"""Slots by which each message counts as longer than it is: a few words say little either way."""

log = logging.getLogger(__name__)
_WORD = re.compile(r"[^\W_]+|[^\w\s]")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
Vector = NDArray[np.float32]


class Embeds(Protocol):
    """What is needed of an embedder."""

    @property
    def id(self) -> str: ...

    async def embed_query(self, text: str) -> Vector: ...


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One set of weights; a score above `threshold` is an attack."""

    slots: NDArray[np.float32]
    vector: NDArray[np.float32] | None
    rules: Mapping[str, float]
    bias: float
    threshold: float

    def score(self, text: str, vector: Vector | None, rules: Mapping[str, float]) -> float:
        """Between 0 and 1, where 0.5 is the threshold. `rules`: how near each came, 1 where it fires."""
        places = slots_of(text)
        total = self.bias + float(self.slots[places].sum()) * share_of(len(places))
        total += sum(weight * min(1.0, rules.get(name, 0.0)) for name, weight in self.rules.items())
        if self.vector is not None:
            assert vector is not None  # `Learned.score` chooses the weights by it
            total += float(self.vector @ vector)
        return 1 / (1 + math.exp(-min(max(total - self.threshold, -30.0), 30.0)))


@dataclass(frozen=True, kw_only=True)
class Learned:
    """All sets of weights."""

    embedded: Weights
    worded: Weights
    foreign: Weights

    @property
    def rules(self) -> Sequence[str]:
        return list(self.embedded.rules)

    def score(self, text: str, vector: Vector | None, rules: Mapping[str, float]) -> float:
        if detect_language(text) != ENGLISH:
            return self.foreign.score(text, None, rules)
        if vector is not None and vector.shape == (DIMENSIONS,):
            return self.embedded.score(text, vector, rules)
        return self.worded.score(text, None, rules)


async def local_vector(embedder: Embeds, text: str) -> Vector | None:
    """A message's embedding if it is the local model's; None where it is another's or can't be had, and the guard
    goes by the words alone."""
    if not embedder.id.startswith(LOCAL):
        return None
    try:
        return await embedder.embed_query(text)
    except HelpdeskError as error:
        log.warning("the guard goes by words alone: %s", error)
        return None


@cache
def load_learned(path: Path = WEIGHTS_FILE) -> Learned:
    """Raises Misconfigured where the file can't be used."""
    try:
        with np.load(path, allow_pickle=False) as file:
            names = [str(name) for name in file["rules"]]
            return Learned(
                embedded=_weights(file, "embedded", names), worded=_weights(file, "worded", names),
                foreign=_weights(file, "foreign", names),
            )  # fmt: skip
    except (OSError, KeyError, ValueError) as error:
        raise Misconfigured(f"weights of the guard {path}: {error}") from error


def slots_of(text: str) -> NDArray[np.int64]:
    """The slots that a text's words, pairs and pieces fall into, each once."""
    words = _WORD.findall(fold(text))[:MOST_WORDS]
    pairs = (f"b{first} {second}" for first, second in pairwise(words))
    places = set(map(_slot, chain(pairs, concept_grams(text))))
    for word in set(words):
        places.update(_known_slots_of(word) if len(word) <= LONGEST_WORD else _slots_of_word(word))
    return np.fromiter(places, dtype=np.int64)


def _slots_of_word(word: str) -> "array[int]":
    """Those of a word and its pieces."""
    framed = f"<{word[:LONGEST_WORD]}>"
    sizes = UNSPACED_PIECES if _UNSPACED.search(word) else PIECES
    pieces = (f"c{framed[start : start + size]}" for size in sizes for start in range(len(framed) - size + 1))
    return array("H", {_slot(gram) for gram in (f"w{word}", *pieces)})


_known_slots_of = lru_cache(maxsize=4_096)(_slots_of_word)
"""The same words come again and again."""


def _slot(gram: str) -> int:
    return zlib.crc32(gram.encode(errors="replace")) % SLOTS


def share_of(slots: int) -> float:
    """What each slot counts of a text that has so many."""
    return 1 / math.sqrt(slots + RESERVE)


def _weights(file: Any, name: str, rules: Sequence[str]) -> Weights:
    vector = file[f"{name}_vector"].astype(np.float32)
    bias, threshold = (float(number) for number in file[f"{name}_numbers"])
    return Weights(
        slots=file[f"{name}_slots"].astype(np.float32), vector=vector if len(vector) else None,
        rules=dict(zip(rules, (float(weight) for weight in file[f"{name}_rules"]), strict=True)),
        bias=bias, threshold=threshold,
    )  # fmt: skip
