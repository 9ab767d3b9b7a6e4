"""Our knowledge for LangChain: a retriever over the whole search, and a `PGVectorStore` over the vectors alone.

The retriever is the one to use: four sources, both halves, ranking. The vector store is for code that asks for one.
It reads a view through connections of its own, which carry the scope as settings: row-level security keeps the
tenant, the view keeps collections, audience, dates and what is superseded. Nothing can be written through either.

Import this module only where LangChain is wanted: `langchain_postgres` costs 0.7 s and 100 MB.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_postgres import PGEngine, PGVectorStore
from pydantic import ConfigDict
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from kbs.embedding.embedder import Embedder
from kbs.index import Scope
from kbs.langchain_embeddings import LangChainEmbeddings
from kbs.passages import Passage
from kbs.search.retrieval import RetrievalOptions, Retriever
from memory.errors import NotAllowed
from memory.migrate import sqlalchemy_url

METADATA = ["source", "is_global", "collection", "ref", "title", "heading", "version", "language", "digest"]
EVERY_AUDIENCE = "*"
CONNECTIONS = 4


class KnowledgeRetriever(BaseRetriever):
    """`Retriever.search` for one scope; asynchronous only, as everything below it is."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    retriever: Retriever
    scope: Scope
    options: RetrievalOptions
    k: int | None = None

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[Document]:
        found = await self.retriever.search(query, self.scope, self.options, k=self.k)
        return [as_document(passage) for passage in found.passages]

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> NoReturn:
        raise NotImplementedError("this retriever is asynchronous: use ainvoke")


class ReadOnlyVectorStore(PGVectorStore):
    """Articles come in by ingest and examples by approval, never through a vector store."""

    async def _arefuse(self, *values: Any, **named: Any) -> NoReturn:
        raise NotAllowed("this vector store is read-only: articles come and go by ingest")

    def _refuse(self, *values: Any, **named: Any) -> NoReturn:
        raise NotAllowed("this vector store is read-only: articles come and go by ingest")

    aadd_texts = aadd_documents = aadd_embeddings = adelete = _arefuse
    aapply_vector_index = adrop_vector_index = areindex = _arefuse
    add_texts = add_documents = add_embeddings = delete = _refuse
    apply_vector_index = drop_vector_index = reindex = _refuse


@asynccontextmanager
async def open_vector_store(database_url: str, scope: Scope, embedder: Embedder) -> AsyncIterator[PGVectorStore]:
    """A store that sees what `scope` may see, as the application's role; close it with the scope's principal."""
    engine = create_async_engine(sqlalchemy_url(database_url), pool_size=CONNECTIONS, max_overflow=0)
    _bind(engine, scope, embedder)
    try:
        yield await ReadOnlyVectorStore.create(
            PGEngine.from_engine(engine), LangChainEmbeddings(embedder), f"knowledge_documents_{embedder.dimensions}",
            id_column="id", metadata_columns=METADATA, metadata_json_column=None,
        )  # fmt: skip
    finally:
        await engine.dispose()


def as_document(passage: Passage) -> Document:
    fields = {name: getattr(passage, name) for name in ("ref", "title", "heading", "collection", "version", "language")}
    return Document(
        id=str(passage.id), page_content=passage.text,
        metadata=fields | {"source": passage.source.value, "similarity": passage.similarity, "score": passage.score},
    )  # fmt: skip


def _bind(engine: AsyncEngine, scope: Scope, embedder: Embedder) -> None:
    """Every connection of this engine is the scope's for life; no other engine shares them."""
    settings = {
        "app.tenant": str(scope.tenant_id),
        "app.embedder": embedder.id,
        "app.collections": _array(scope.collections),
        "app.audience": EVERY_AUDIENCE if scope.audience is None else _array(sorted(scope.audience)),
    }

    @event.listens_for(engine.sync_engine, "connect")
    def bind(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        for name, value in settings.items():
            cursor.execute("select set_config(%s, %s, false)", (name, value))
        cursor.close()
        connection.commit()


def _array(names: tuple[str, ...] | list[str]) -> str:
    quoted = (name.replace("\\", "\\\\").replace('"', '\\"') for name in names)
    return "{" + ",".join(f'"{name}"' for name in quoted) + "}"
