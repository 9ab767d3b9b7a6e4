"""Embeddings of any OpenAI-compatible endpoint: OpenAI, vLLM, Ollama, LiteLLM and the like.

Retries are the client library's, twice, and end at the deadline of the call; nothing above retries again. Whatever
comes back is checked (number, dimensions, finite, not zero) and brought to unit length, since not every server does.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import numpy as np
import orjson
from openai import APIStatusError, AsyncOpenAI, OpenAIError

from kbs.embedding.embedder import EmbeddingUnavailable, Vectors, normal_form
from kbs.endpoints import open_client

OPENAI_URL = "https://api.openai.com/v1"
DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
"""Known without asking, so that a start does not need the endpoint; other models are asked once."""

MAX_INPUTS = 256
MAX_TEXT_BYTES = 8_000
"""A token is at least one byte, so a text of this size is within the API's 8,191 tokens in every language."""
MAX_REQUEST_BYTES = 250_000
"""By the same reasoning within the API's 300,000 tokens of one request."""

RETRIES = 2
CONNECT_S = 3.0
QUERY_DEADLINE_S = 5.0
BULK_DEADLINE_S = 120.0
"""Each for one request with its retries and the pauses that the server asks for."""


class OpenAIEmbeddings:
    """One model of one endpoint; `dimensions` is 0 until it is known."""

    lanes = 4

    def __init__(
        self, client: AsyncOpenAI, model: str, *, dimensions: int = 0, query_deadline_s: float = QUERY_DEADLINE_S
    ) -> None:
        self.id = f"openai:{model}"
        self.dimensions = dimensions
        self._client = client
        self._model = model
        self._query_deadline_s = query_deadline_s

    async def learn_dimensions(self) -> None:
        vectors = await self._request(["dimensions"], self._query_deadline_s)
        self.dimensions = vectors.shape[1]

    async def embed_query(self, text: str) -> Vectors:
        vector: Vectors = (await self.embed_queries([text]))[0]
        return vector

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return await self._embed(texts, self._query_deadline_s)

    async def embed_texts(self, texts: Sequence[str]) -> Vectors:
        return await self._embed(texts, BULK_DEADLINE_S)

    async def _embed(self, texts: Sequence[str], deadline_s: float) -> Vectors:
        parts = [await self._request(batch, deadline_s) for batch in _batches(texts)]
        return np.concatenate(parts) if parts else np.empty((0, self.dimensions), np.float32)

    async def _request(self, batch: list[str], deadline_s: float) -> Vectors:
        try:
            async with asyncio.timeout(deadline_s):
                # Not through `embeddings.create`, which unpacks base64 number by number.
                response = await self._client.post(
                    "/embeddings", cast_to=httpx2.Response,
                    body={"model": self._model, "input": batch, "encoding_format": "base64"},
                )  # fmt: skip
            return self._unit_rows(orjson.loads(response.content)["data"], len(batch))
        except APIStatusError as error:
            raise EmbeddingUnavailable(f"the embedding endpoint answered {error.status_code}") from error
        except OpenAIError as error:
            raise EmbeddingUnavailable(f"the embedding endpoint failed: {type(_cause(error)).__name__}") from error
        except TimeoutError as error:
            raise EmbeddingUnavailable(f"no embedding within {deadline_s:g} s") from error
        except (LookupError, TypeError, ValueError) as error:
            raise EmbeddingUnavailable("the embedding endpoint's answer is not an embedding") from error

    def _unit_rows(self, data: list[dict[str, Any]], expected: int) -> Vectors:
        rows = [_decode(item["embedding"]) for item in sorted(data, key=lambda item: int(item["index"]))]
        if len(rows) != expected:
            raise EmbeddingUnavailable(f"asked for {expected} embeddings, got {len(rows)}")
        vectors = np.stack(rows)
        if self.dimensions and vectors.shape[1] != self.dimensions:
            raise EmbeddingUnavailable(f"{self.id} answered {vectors.shape[1]} dimensions instead of {self.dimensions}")
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or not lengths.all():
            raise EmbeddingUnavailable("the embedding endpoint answered a vector without direction")
        unit: Vectors = vectors / lengths
        return unit


@asynccontextmanager
async def open_openai(
    model: str, *, base_url: str | None, api_key: str | None, query_deadline_s: float = QUERY_DEADLINE_S
) -> AsyncIterator[OpenAIEmbeddings]:
    """Without a base URL this is OpenAI itself, which needs a key. Raises EmbeddingUnavailable."""
    if base_url is None and not api_key:
        raise EmbeddingUnavailable(f"the embedding model {model} needs an API key or the URL of an endpoint")
    # Both are always given, else the library takes them from the environment; local servers want any key.
    timeout = httpx2.Timeout(BULK_DEADLINE_S, connect=CONNECT_S)
    client = AsyncOpenAI(
        base_url=base_url or OPENAI_URL,
        api_key=api_key or "none",
        timeout=timeout,
        max_retries=RETRIES,
        http_client=open_client(timeout),
    )
    async with client:
        embeddings = OpenAIEmbeddings(
            client, model, dimensions=DIMENSIONS.get(model, 0), query_deadline_s=query_deadline_s
        )
        if not embeddings.dimensions:
            await embeddings.learn_dimensions()
        yield embeddings


def _cause(error: BaseException) -> BaseException:
    """What happened first: the layers above call a refused connection a timeout."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in map(_sent, texts):
        length = len(text.encode())
        if batch and (len(batch) == MAX_INPUTS or size + length > MAX_REQUEST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += length
    if batch:
        yield batch


def _sent(text: str) -> str:
    """The text as it is sent: cut to what the API takes, and never empty, which it refuses."""
    return normal_form(text).encode()[:MAX_TEXT_BYTES].decode(errors="ignore") or " "


def _decode(embedding: str | list[float]) -> Vectors:
    """Servers that do not know base64 send numbers."""
    if isinstance(embedding, str):
        return np.frombuffer(base64.b64decode(embedding), "<f4").astype(np.float32)
    return np.asarray(embedding, np.float32)
