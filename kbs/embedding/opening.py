"""Opening the embedder that the settings name, with batching and caching around it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from kbs.embedding.embedder import Batched, ByteCache, Cached, Embedder, Encoder
from kbs.embedding.minilm import open_minilm
from kbs.embedding.shipped_vectors import Shipped, read_shipped


@asynccontextmanager
async def open_embedder(
    model: str, *, base_url: str | None, api_key: str | None, cache: ByteCache | None
) -> AsyncIterator[Embedder]:
    """`minilm`, or the name of a model behind an OpenAI-compatible endpoint. Raises EmbeddingUnavailable."""
    async with _open_encoder(model, base_url, api_key) as encoder:
        batched = Batched(encoder)
        shipped = read_shipped(encoder.id)
        try:
            yield Cached(Shipped(batched, shipped) if shipped else batched, cache)
        finally:
            await batched.aclose()


def _open_encoder(model: str, base_url: str | None, api_key: str | None) -> AbstractAsyncContextManager[Encoder]:
    if model == "minilm":
        return open_minilm()
    from kbs.embedding.openai_compatible import open_openai  # the SDK takes half a second to load

    return open_openai(model, base_url=base_url, api_key=api_key)
