"""Our store through LangChain's interfaces: the same walls, and nothing can be written."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
import pytest_asyncio
from langchain_core.documents import Document

from kbs.articles.passage_making import Document as Source
from kbs.articles.passage_making import cut, with_vectors
from kbs.index import Kind, Scope, replace
from kbs.indexes.pgvector import PgvectorIndex
from kbs.langchain_store import KnowledgeRetriever, open_vector_store
from kbs.search.retrieval import RetrievalOptions, Retriever
from memory.database import Database, open_owner
from memory.embedded import EmbeddedUrls
from memory.errors import NotAllowed
from memory.models import GLOBAL_TENANT
from tests.kbs.words import WordEmbedder

NewTenant = Callable[..., Awaitable[UUID]]


class House:
    def __init__(
        self, database: Database, index: PgvectorIndex, embedder: WordEmbedder, tenant_id: UUID, urls: EmbeddedUrls
    ):
        self.database, self.index, self.embedder, self.tenant_id, self.urls = database, index, embedder, tenant_id, urls

    async def put(self, ref: str, body: str, *, kind: Kind = "article", collection: str = "", **fields: object) -> None:
        document = Source(kind=kind, collection=collection, ref=ref, title=ref, body=body, **fields)  # type: ignore[arg-type]
        rows, _ = await with_vectors(cut(document), self.embedder, {})
        if collection:
            async with open_owner(self.urls.owner) as owner:
                await replace(self.index, owner, GLOBAL_TENANT, kind, ref, rows)
        else:
            await replace(self.index, self.database, self.tenant_id, kind, ref, rows)

    async def seen(self, question: str, **scope: object) -> set[str]:
        """Refs that the vector store finds for a scope."""
        wanted = Scope(**{"tenant_id": self.tenant_id, **scope})  # type: ignore[arg-type]
        async with open_vector_store(self.urls.app, wanted, self.embedder) as store:
            return {document.metadata["ref"] for document in await store.asimilarity_search(question, k=20)}


@pytest_asyncio.fixture(loop_scope="session")
async def house(
    database: Database, index: PgvectorIndex, embedder: WordEmbedder, tenant: NewTenant, database_urls: EmbeddedUrls
) -> House:
    return House(database, index, embedder, await tenant(), database_urls)


class TestRetriever:
    async def test_gives_documents_with_what_a_citation_needs(self, house: House) -> None:
        await house.put("mail", "Reset the mailbox password.", version=4)
        retriever = KnowledgeRetriever(
            retriever=Retriever(house.index, house.embedder, house.database),
            scope=Scope(tenant_id=house.tenant_id), options=RetrievalOptions(), k=3,
        )  # fmt: skip
        (document,) = await retriever.ainvoke("mailbox")
        assert document.page_content == "Reset the mailbox password."
        assert (document.metadata["ref"], document.metadata["version"]) == ("mail", 4)
        assert document.metadata["source"] == "tenant_kb"
        assert document.metadata["similarity"] > 0.3

    def test_says_that_it_is_asynchronous(self, house: House) -> None:
        retriever = KnowledgeRetriever(
            retriever=Retriever(house.index, house.embedder, house.database),
            scope=Scope(tenant_id=house.tenant_id), options=RetrievalOptions(),
        )  # fmt: skip
        with pytest.raises(NotImplementedError, match="ainvoke"):
            retriever.invoke("mailbox")


class TestVectorStore:
    async def test_finds_the_nearest_first(self, house: House) -> None:
        await house.put("mail", "Reset the mailbox password.")
        await house.put("dns", "Edit the zone.")
        async with open_vector_store(house.urls.app, Scope(tenant_id=house.tenant_id), house.embedder) as store:
            (best, distance), (other, further) = await store.asimilarity_search_with_score("mailbox password", k=2)
            assert (best.metadata["ref"], other.metadata["ref"]) == ("mail", "dns")
            assert distance < further
            filtered = await store.asimilarity_search("mailbox password", k=2, filter={"ref": "dns"})
            assert [document.metadata["ref"] for document in filtered] == ["dns"]

    async def test_never_shows_another_tenant(self, house: House, tenant: NewTenant) -> None:
        await house.put("secret", "The mailbox password of one tenant.")
        house.tenant_id = await tenant()
        assert await house.seen("mailbox password") == set()

    async def test_shows_enabled_collections_only(self, house: House) -> None:
        await house.put("shared", "Edit the zone.", collection='lc\'s, "odd" one')
        assert await house.seen("zone", collections=('lc\'s, "odd" one',)) == {"shared"}
        assert await house.seen("zone", collections=("another",)) == set()
        assert await house.seen("zone") == set()

    async def test_keeps_to_the_audience(self, house: House) -> None:
        await house.put("all", "Reset the machine.")
        await house.put("guide", "Reset the machine of a trainee.", audience=("instructor",))
        assert await house.seen("machine") == {"all"}
        assert await house.seen("machine", audience=frozenset({"instructor"})) == {"all", "guide"}
        assert await house.seen("machine", audience=None) == {"all", "guide"}

    async def test_hides_what_is_superseded(self, house: House) -> None:
        await house.put("old", "Refund policy.", active=False)
        await house.put("new", "Refund policy.")
        assert await house.seen("refund") == {"new"}

    async def test_cannot_be_written(self, house: House) -> None:
        async with open_vector_store(house.urls.app, Scope(tenant_id=house.tenant_id), house.embedder) as store:
            with pytest.raises(NotAllowed):
                await store.aadd_documents([Document("planted")])
            with pytest.raises(NotAllowed):
                await store.adelete(["x"])
