"""Text to vectors of unit length, the same for articles and for questions.

    Cached     what was embedded before is not embedded again: by digest, in the process and in a shared cache
      Batched  questions that are asked at the same moment share one run of the model
        Encoder    the model: `minilm.py` here in the process, `openai_compatible.py` behind HTTP

An embedder's `id` names its vectors. Vectors of different ids are never compared: the index stores the id, and a
change of it asks for a reindex.
"""

import asyncio
import hashlib
import logging
import unicodedata
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from memory.errors import Unavailable

log = logging.getLogger(__name__)

Vectors = NDArray[np.float32]
Question = tuple[str, asyncio.Future[Vectors]]
"""A text, and where its vector is awaited."""

MEMORY_BYTES = 4 * 2**20
"""Of vectors kept in the process: some 2,700 of MiniLM's, 700 of 1536 dimensions; Redis keeps more."""
CACHE_TTL_S = 30 * 24 * 3600
CACHE_PATIENCE_S = 0.25
CACHE_SLICE = 256
"""Texts of a bulk call that are looked up, embedded and stored together."""
QUERY_BATCH = 32


class EmbeddingUnavailable(Unavailable):
    """The model cannot embed now: it is away, refuses, or answers what is not an embedding."""


class Embedder(Protocol):
    """What the product embeds with; texts are embedded in their `normal_form`."""

    id: str
    """Changes whenever the vectors would, such as `minilm-l6-v2@53aa5117` or `openai:text-embedding-3-small`."""
    dimensions: int

    async def embed_query(self, text: str) -> Vectors:
        """One vector (dimensions,) of unit length, soon: a person waits. Raises EmbeddingUnavailable."""

    async def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Rows (n, dimensions) of unit length, in order; questions overtake it. Raises EmbeddingUnavailable."""


class Encoder(Protocol):
    """A model that embeds batches at two priorities; `Batched` makes an embedder of it."""

    id: str
    dimensions: int
    lanes: int
    """Batches of questions that the model may work on at once."""

    async def embed_queries(self, texts: Sequence[str]) -> Vectors: ...

    async def embed_texts(self, texts: Sequence[str]) -> Vectors: ...


class ByteCache(Protocol):
    """A cache shared by processes; it may lose anything at any time."""

    async def get_many(self, keys: list[str]) -> list[bytes | None]: ...

    async def set_many(self, values: dict[str, bytes], ttl_s: int) -> None: ...


def normal_form(text: str) -> str:
    """The text that is embedded: trimmed, composed (NFC), with `?` for what UTF-8 cannot carry."""
    return unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode()).strip()


class Batched:
    """Questions that arrive while a batch runs form the next one; a question that finds the model idle runs at once."""

    def __init__(self, encoder: Encoder, *, limit: int = QUERY_BATCH) -> None:
        self.id = encoder.id
        self.dimensions = encoder.dimensions
        self._encoder = encoder
        self._limit = limit
        self._waiting: deque[Question] = deque()
        self._busy = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def embed_query(self, text: str) -> Vectors:
        if self._closed:
            raise EmbeddingUnavailable("the embedder is closed")
        answer: asyncio.Future[Vectors] = asyncio.get_running_loop().create_future()
        self._waiting.append((text, answer))
        if self._busy < self._encoder.lanes:
            self._busy += 1
            task = asyncio.create_task(self._drain())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await answer

    async def embed_texts(self, texts: Sequence[str]) -> Vectors:
        return await self._encoder.embed_texts(texts)

    async def aclose(self) -> None:
        """Whoever still waits is told that the embedder is closed."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        _fail(self._waiting, EmbeddingUnavailable("the embedder is closed"))

    async def _drain(self) -> None:
        try:
            while batch := self._next_batch():
                await self._answer(batch)
        finally:
            # Counted here and not in the done-callback: a question asked between the two would wait for nobody.
            self._busy -= 1

    def _next_batch(self) -> list[Question]:
        batch: list[Question] = []
        while self._waiting and len(batch) < self._limit:
            text, answer = self._waiting.popleft()
            if not answer.done():  # its caller went away
                batch.append((text, answer))
        return batch

    async def _answer(self, batch: list[Question]) -> None:
        try:
            vectors = await self._encoder.embed_queries([text for text, _ in batch])
            for (_, answer), vector in zip(batch, vectors, strict=True):
                if not answer.done():
                    answer.set_result(vector)
        except asyncio.CancelledError:
            _fail(batch, EmbeddingUnavailable("the embedder is closed"))
            raise
        except Exception as error:
            _fail(batch, error)


class Cached:
    """Remembers vectors by the digest of their text, never the text; without the shared cache it only works more."""

    def __init__(self, embedder: Embedder, cache: ByteCache | None = None, *, capacity: int | None = None) -> None:
        self.id = embedder.id
        self.dimensions = embedder.dimensions
        self._embedder = embedder
        self._cache = cache
        self._cache_works = True
        self._capacity = capacity or MEMORY_BYTES // (4 * embedder.dimensions)
        self._recent: OrderedDict[str, Vectors] = OrderedDict()

    async def embed_query(self, text: str) -> Vectors:
        text = normal_form(text)
        key = self._key(text)
        found = await self._find([key])
        if key not in found:
            found = await self._keep({key: await self._embedder.embed_query(text)})
        return found[key]

    async def embed_texts(self, texts: Sequence[str]) -> Vectors:
        out = np.empty((len(texts), self.dimensions), np.float32)
        for start in range(0, len(texts), CACHE_SLICE):
            part = texts[start : start + CACHE_SLICE]
            out[start : start + len(part)] = await self._embed_slice([normal_form(text) for text in part])
        return out

    async def _embed_slice(self, texts: list[str]) -> Vectors:
        keys = [self._key(text) for text in texts]
        wanted = dict(zip(keys, texts, strict=True))
        found = await self._find(list(wanted))
        missing = [key for key in wanted if key not in found]
        if missing:
            vectors = await self._embedder.embed_texts([wanted[key] for key in missing])
            found |= await self._keep(dict(zip(missing, vectors, strict=True)))
        return np.stack([found[key] for key in keys])

    def _key(self, text: str) -> str:
        return f"embedding:{self.id}:{hashlib.sha256(text.encode()).hexdigest()}"

    async def _find(self, keys: list[str]) -> dict[str, Vectors]:
        found = {key: self._recent[key] for key in keys if key in self._recent}
        elsewhere = await self._read([key for key in keys if key not in found])
        self._remember(found | elsewhere)
        return found | elsewhere

    async def _keep(self, vectors: dict[str, Vectors]) -> dict[str, Vectors]:
        # A copy, so that one row does not hold its whole batch in memory.
        kept = {key: vector.copy() for key, vector in vectors.items()}
        self._remember(kept)
        await self._write(kept)
        return kept

    def _remember(self, vectors: dict[str, Vectors]) -> None:
        for key, vector in vectors.items():
            vector.setflags(write=False)
            self._recent[key] = vector
            self._recent.move_to_end(key)
        while len(self._recent) > self._capacity:
            self._recent.popitem(last=False)

    async def _read(self, keys: list[str]) -> dict[str, Vectors]:
        if self._cache is None or not keys:
            return {}
        try:
            async with asyncio.timeout(CACHE_PATIENCE_S):
                values = await self._cache.get_many(keys)
            read = {key: self._decode(value) for key, value in zip(keys, values, strict=True)}
        except Exception as error:
            self._cache_failed(error)
            return {}
        self._cache_works = True
        return {key: vector for key, vector in read.items() if vector is not None}

    async def _write(self, vectors: dict[str, Vectors]) -> None:
        if self._cache is None:
            return
        try:
            async with asyncio.timeout(CACHE_PATIENCE_S):
                values = {key: vector.astype("<f4").tobytes() for key, vector in vectors.items()}
                await self._cache.set_many(values, CACHE_TTL_S)
        except Exception as error:
            self._cache_failed(error)

    def _decode(self, value: bytes | None) -> Vectors | None:
        """None for what cannot be one of our vectors, such as a value cut short or overwritten."""
        if value is None or len(value) != 4 * self.dimensions:
            return None
        vector = np.frombuffer(value, "<f4").astype(np.float32)
        return vector if abs(float(np.linalg.norm(vector)) - 1) < 1e-3 else None

    def _cache_failed(self, error: Exception) -> None:
        if self._cache_works:
            log.warning("the shared embedding cache fails (%s); embedding without it", type(error).__name__)
        self._cache_works = False


def _fail(questions: Iterable[Question], error: Exception) -> None:
    for _, answer in questions:
        if not answer.done():
            answer.set_exception(error)
