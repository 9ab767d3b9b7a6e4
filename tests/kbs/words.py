"""An embedder without a model, for tests: near is what shares words."""

import hashlib
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class WordEmbedder:
    """Texts that share words are near each other: each word is a fixed random direction, a text their sum."""

    id = "words-384"
    dimensions = 384

    def __init__(self) -> None:
        self.embedded: list[str] = []
        self.queries: list[str] = []

    async def embed_query(self, text: str) -> NDArray[np.float32]:
        self.queries.append(text)
        return self._vector(text)

    async def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.embedded.extend(texts)
        return np.stack([self._vector(text) for text in texts])

    def _vector(self, text: str) -> NDArray[np.float32]:
        words = re.findall(r"\w+", text.lower()) or ["nothing"]
        vector = np.sum([self._direction(word) for word in words], axis=0)
        return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)

    def _direction(self, word: str) -> NDArray[np.float64]:
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
        return np.random.default_rng(seed).normal(size=self.dimensions)
