"""Our embedder as LangChain's `Embeddings`, for vector stores of that ecosystem."""

from typing import NoReturn

from langchain_core.embeddings import Embeddings

from kbs.embedding.embedder import Embedder


class LangChainEmbeddings(Embeddings):
    """Only the asynchronous methods work: a synchronous one would have to block the loop that the embedder lives in."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def aembed_query(self, text: str) -> list[float]:
        vector: list[float] = (await self._embedder.embed_query(text)).tolist()
        return vector

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = (await self._embedder.embed_texts(texts)).tolist()
        return vectors

    def embed_query(self, text: str) -> NoReturn:
        raise NotImplementedError("this embedder is asynchronous: use aembed_query")

    def embed_documents(self, texts: list[str]) -> NoReturn:
        raise NotImplementedError("this embedder is asynchronous: use aembed_documents")
