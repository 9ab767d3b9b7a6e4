"""The vectors of what ships with the product, so that a first start does not embed it all again.

`shipped.npz` holds `id`, the embedder's; `digests` (n,) of texts in their `normal_form`, sorted; and `vectors`
(n, dimensions) of 16-bit floats, which is what the index stores too. `python -m agent.build_shipped_vectors` writes it.
A text that is not there, or another embedder's file, only costs the time of embedding.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kbs.embedding.embedder import Embedder, Vectors, normal_form

FILE = Path(__file__).with_name("shipped.npz")
DIGEST = "S12"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedVectors:
    digests: NDArray[np.bytes_]
    vectors: NDArray[np.float16]

    def find(self, text: str) -> Vectors | None:
        """The vector of a text, of unit length."""
        digest = digest_of(text)
        place = int(np.searchsorted(self.digests, digest))
        if place == len(self.digests) or self.digests[place] != digest:
            return None
        vector = self.vectors[place].astype(np.float32)
        return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


class Shipped:
    """An embedder that looks there first."""

    def __init__(self, embedder: Embedder, known: ShippedVectors) -> None:
        self.id = embedder.id
        self.dimensions = embedder.dimensions
        self._embedder = embedder
        self._known = known

    async def embed_query(self, text: str) -> Vectors:
        found = self._known.find(text)
        return await self._embedder.embed_query(text) if found is None else found

    async def embed_texts(self, texts: Sequence[str]) -> Vectors:
        found = [self._known.find(text) for text in texts]
        missing = [text for text, vector in zip(texts, found, strict=True) if vector is None]
        fresh = iter(await self._embedder.embed_texts(missing) if missing else ())
        rows = [next(fresh) if vector is None else vector for vector in found]
        return np.stack(rows) if rows else np.empty((0, self.dimensions), np.float32)


def read_shipped(embedder_id: str, path: Path = FILE) -> ShippedVectors | None:
    """What the file holds for this embedder; None where it is another's, or missing."""
    if not path.is_file():
        return None
    with np.load(path) as stored:
        if str(stored["id"]) != embedder_id:
            return None
        return ShippedVectors(digests=stored["digests"], vectors=stored["vectors"])


def write_shipped(embedder_id: str, vectors: dict[str, Vectors], path: Path = FILE) -> None:
    """Write the file for these texts."""
    rows = sorted((digest_of(text), vector) for text, vector in vectors.items())
    np.savez_compressed(
        path, id=np.array(embedder_id), digests=np.array([digest for digest, _ in rows], dtype=DIGEST),
        vectors=np.stack([vector for _, vector in rows]).astype(np.float16),
    )  # fmt: skip


def digest_of(text: str) -> bytes:
    """Twelve hexadecimal digits: among some thousand texts, two are alike once in many million builds."""
    return hashlib.sha256(normal_form(text).encode()).hexdigest()[:12].encode()
