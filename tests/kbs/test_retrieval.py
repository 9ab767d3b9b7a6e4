"""From a question to ranked passages, and the cache that never gives a stale or a foreign one."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace as with_
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import psycopg
import pytest
import pytest_asyncio

from kbs.articles.passage_making import Document, cut, with_vectors
from kbs.index import Scope, remove, replace
from kbs.indexes.pgvector import PgvectorIndex
from kbs.passages import Source
from kbs.search.cache import Retrieved, SearchCache
from kbs.search.retrieval import MAX_K, RetrievalOptions, Retriever
from kbs.search.weights import Weights
from memory.database import Database, open_owner
from memory.embedded import EmbeddedUrls
from memory.errors import Invalid
from memory.models import GLOBAL_TENANT
from memory.redis import Redis, open_redis
from tests.kbs.words import WordEmbedder

NewTenant = Callable[..., Awaitable[UUID]]
OPTIONS = RetrievalOptions()


class Library:
    """A tenant's passages and the retriever over them."""

    def __init__(
        self, database: Database, index: PgvectorIndex, embedder: WordEmbedder, tenant_id: UUID, owner_url: str
    ):
        self.database, self.index, self.embedder, self.tenant_id = database, index, embedder, tenant_id
        self.owner_url = owner_url
        self.retriever = Retriever(index, embedder, database)

    async def put(
        self, ref: str, body: str, *, kind: str = "article", collection: str = "house", **fields: object
    ) -> None:
        document = Document(kind=kind, collection=collection, ref=ref, title=ref, body=body, **fields)  # type: ignore[arg-type]
        rows, _ = await with_vectors(cut(document), WordEmbedder(), {})
        if collection == "house":
            await replace(self.index, self.database, self.tenant_id, document.kind, ref, rows)
        else:
            async with open_owner(self.owner_url) as owner:
                await replace(self.index, owner, GLOBAL_TENANT, document.kind, ref, rows)

    def scope(self, **fields: object) -> Scope:
        return Scope(**{"tenant_id": self.tenant_id, **fields})  # type: ignore[arg-type]

    async def search(self, query: str, options: RetrievalOptions = OPTIONS, **how: object) -> Retrieved:
        scope = how.pop("scope", None) or self.scope()
        return await self.retriever.search(query, scope, options, **how)  # type: ignore[arg-type]

    async def refs(self, query: str, **how: object) -> list[str]:
        return [passage.ref for passage in (await self.search(query, **how)).passages]  # type: ignore[arg-type]


@pytest_asyncio.fixture(loop_scope="session")
async def library(
    database: Database, index: PgvectorIndex, embedder: WordEmbedder, tenant: NewTenant, database_urls: EmbeddedUrls
) -> Library:
    return Library(database, index, embedder, await tenant(), database_urls.owner)


class TestSearch:
    async def test_the_best_passage_comes_first(self, library: Library) -> None:
        await library.put("mail", "Reset the mailbox password in the panel.")
        await library.put("dns", "Edit a record of the zone in the panel.")
        found = await library.search("reset mailbox password")
        assert found.passages[0].ref == "mail"
        assert found.passages[0].score > found.passages[1].score
        assert 0 <= found.passages[1].score <= found.passages[0].score <= 1

    async def test_similarity_is_the_raw_cosine_whichever_half_found_it(self, library: Library) -> None:
        await library.put("mail", "Reset the mailbox password in the panel.")
        found = await library.search("mailbox password")
        question = await library.embedder.embed_query("mailbox password")
        (stored,) = (await library.index.vectors(library.tenant_id, "article", "mail")).values()
        assert found.passages[0].similarity == pytest.approx(float(question @ stored), abs=1e-3)
        assert found.best(Source.TENANT_KB) == pytest.approx(found.passages[0].similarity)
        assert found.best(Source.EXAMPLE) == 0.0

    async def test_similarities_are_of_every_source_that_has_something(self, library: Library) -> None:
        await library.put("mail", "Reset the mailbox password.")
        for n in range(7):
            await library.put(f"reply-{n}", f"Reset the mailbox password, dear customer {n}.", kind="example")
        similarities = (await library.search("reset the mailbox password")).similarities
        assert set(similarities) == {Source.TENANT_KB, Source.EXAMPLE}
        assert len(similarities[Source.EXAMPLE]) == 5
        assert list(similarities[Source.EXAMPLE]) == sorted(similarities[Source.EXAMPLE], reverse=True)

    async def test_one_long_example_is_one_match_and_two_are_two(self, library: Library) -> None:
        long = "\n\n".join("Reset the mailbox password in the panel, once more. " * 12 for _ in range(4))
        await library.put("long", long, kind="example")
        await library.put("faq", long)
        found = (await library.search("reset the mailbox password")).similarities
        assert (len(found[Source.EXAMPLE]), len(found[Source.TENANT_KB]) > 2) == (1, True)
        assert found[Source.EXAMPLE][0] == pytest.approx(max(found[Source.TENANT_KB]), abs=0.01)
        await library.put("short", "Reset the password of the mailbox.", kind="example")
        assert len((await library.search("reset the mailbox password")).similarities[Source.EXAMPLE]) == 2

    async def test_each_half_alone(self, library: Library) -> None:
        await library.put("mail", "Reset the mailbox password.")
        await library.put("dns", "Edit the zone.")
        assert await library.refs("mailbox", mode="lexical") == ["mail"]
        assert await library.refs("mailbox", mode="dense") == ["mail", "dns"]

    async def test_a_lexical_search_asks_no_model(self, library: Library) -> None:
        await library.put("mail", "Reset the mailbox password.")
        found = await library.search("mailbox", mode="lexical")
        assert library.embedder.queries == []
        assert found.vector is None
        assert found.passages[0].similarity == 0.0

    async def test_a_vector_that_is_there_is_not_made_again(self, library: Library) -> None:
        await library.put("mail", "Reset the mailbox password.")
        vector = await library.embedder.embed_query("mailbox")
        found = await library.search("mailbox", vector=vector)
        assert library.embedder.queries == ["mailbox"]
        assert found.vector is vector

    async def test_an_article_takes_two_places_unless_many_are_wanted(self, library: Library) -> None:
        await library.put("mail", "\n\n".join(f"## Part {n}\n\nThe mailbox and its part {n}." for n in range(5)))
        assert len(await library.refs("mailbox", k=6)) == 2
        assert len(await library.refs("mailbox", k=50)) == 5

    @pytest.mark.parametrize("k", [0, -1, MAX_K + 1])
    async def test_k_out_of_range_is_refused(self, library: Library, k: int) -> None:
        with pytest.raises(Invalid):
            await library.search("mailbox", k=k)

    @pytest.mark.parametrize("query", ["", "  \n"])
    async def test_no_question_finds_nothing(self, library: Library, query: str) -> None:
        await library.put("mail", "Reset the mailbox password.")
        assert (await library.search(query)).passages == ()

    async def test_weights_are_the_tenants(self, library: Library) -> None:
        await library.put("own", "Refunds are paid within days.")
        await library.put("shared", "Refunds are paid within days.", collection="weights")
        scope = library.scope(collections=("weights",))
        for ahead, weights in (("own", Weights()), ("shared", Weights(global_kb=0.9, tenant_kb=0.1))):
            assert (await library.refs("refunds paid", options=RetrievalOptions(weights=weights), scope=scope))[
                0
            ] == ahead

    async def test_rerank_drops_what_is_not_near(self, library: Library) -> None:
        await library.put("mail", "Reset the mailbox password.")
        await library.put("dns", "Edit the zone.")
        strict = RetrievalOptions(rerank=True, threshold=0.3)
        assert await library.refs("reset the mailbox password", options=strict) == ["mail"]
        assert (await library.search("something else", strict)).passages == ()

    @pytest.mark.parametrize(("model", "first"), [("minilm-test", "worded"), ("endpoint-test", "near")])
    async def test_words_lead_where_the_local_model_cannot_read(self, library: Library, model: str, first: str) -> None:
        await library.put("near", "совсем другое")
        await library.put("worded", "сброс пароля почты")
        (vector,) = (await library.index.vectors(library.tenant_id, "article", "near")).values()
        library.embedder.id = model
        assert (await library.refs("пароль и почта: сброс пароля почты", vector=vector))[0] == first


@pytest_asyncio.fixture(loop_scope="session")
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with open_redis(redis_url) as opened:
        await opened.client.flushdb()
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def cached(library: Library, redis: Redis) -> Library:
    library.retriever = Retriever(library.index, library.embedder, library.database, cache=redis)
    return library


def cache_of(library: Library) -> SearchCache:
    assert library.retriever.cache is not None
    return library.retriever.cache


class TestCache:
    async def test_the_second_time_is_a_hit_and_the_same(self, cached: Library) -> None:
        await cached.put("mail", "Reset the mailbox password.", version=3)
        first, second = await cached.search("mailbox"), await cached.search("mailbox")
        assert (first.cached, second.cached) == (False, True)
        assert second.passages == first.passages
        assert second.similarities == first.similarities
        assert second.vector is not None
        assert np.array_equal(second.vector, first.vector)
        assert (cache_of(cached).hits, cache_of(cached).misses) == (1, 1)
        assert cached.embedder.queries == ["mailbox"]

    async def test_it_does_not_last(self, cached: Library, redis: Redis) -> None:
        await cached.put("mail", "Reset the mailbox password.")
        await cached.search("mailbox")
        (key,) = await redis.client.keys("search:*")
        assert 0 < await redis.client.ttl(key) <= 600

    async def test_an_edited_article_is_never_stale(self, cached: Library) -> None:
        for n in range(5):
            await cached.put("mail", f"The mailbox costs {n} euros.")
            found = await cached.search("mailbox")
            assert [passage.text for passage in found.passages] == [f"The mailbox costs {n} euros."]
            assert not found.cached

    async def test_a_removed_article_is_gone_at_once(self, cached: Library) -> None:
        await cached.put("mail", "Reset the mailbox password.")
        assert await cached.refs("mailbox") == ["mail"]
        await remove(cached.index, cached.database, cached.tenant_id, "article", ["mail"])
        assert await cached.refs("mailbox") == []

    async def test_an_edited_global_article_is_never_stale(self, cached: Library) -> None:
        scope = cached.scope(collections=("fees",))
        for n in range(3):
            await cached.put("fees", f"The setup fee is {n} euros.", collection="fees")
            found = await cached.search("setup fee", scope=scope)
            assert [passage.text for passage in found.passages] == [f"The setup fee is {n} euros."]

    async def test_another_tenant_never_gets_the_hit(self, cached: Library, tenant: NewTenant) -> None:
        await cached.put("mail", "The secret of the mailbox.")
        await cached.search("mailbox")
        stranger = cached.scope(tenant_id=await tenant())
        found = await cached.search("mailbox", scope=stranger)
        assert found.passages == ()
        assert not found.cached

    async def test_a_value_under_the_wrong_key_is_a_miss(
        self, cached: Library, redis: Redis, tenant: NewTenant
    ) -> None:
        await cached.put("mail", "The secret of the mailbox.")
        await cached.search("mailbox")
        (mine,) = await redis.client.keys("search:*")
        stranger = cached.scope(tenant_id=await tenant())
        await cached.search("mailbox", scope=stranger)
        (theirs,) = [key for key in await redis.client.keys("search:*") if key != mine]
        await redis.client.copy(mine, theirs, replace=True)
        found = await cached.search("mailbox", scope=stranger)
        assert found.passages == ()
        assert not found.cached

    @pytest.mark.parametrize(
        "other",
        [
            {"audience": frozenset({"trainee"})},
            {"audience": None},
            {"sources": frozenset({Source.EXAMPLE})},
            {"collections": ("x",)},
        ],
    )
    async def test_another_scope_is_another_search(self, cached: Library, other: dict[str, object]) -> None:
        await cached.put("mail", "Reset the mailbox password.", audience=("instructor",))
        assert await cached.refs("mailbox", scope=cached.scope(audience=frozenset({"instructor"}))) == ["mail"]
        assert not (await cached.search("mailbox", scope=with_(cached.scope(), **other))).cached  # type: ignore[arg-type]

    async def test_other_settings_are_another_search(self, cached: Library) -> None:
        await cached.put("mail", "Reset the mailbox password.")
        await cached.search("mailbox")
        assert not (await cached.search("mailbox", RetrievalOptions(lexical_weight=0.5))).cached
        assert not (await cached.search("mailbox", k=2)).cached
        assert not (await cached.search("mailbox", mode="dense")).cached
        assert not (await cached.search("Mailbox")).cached

    async def test_a_date_that_comes_makes_what_was_found_past(
        self, cached: Library, database_urls: EmbeddedUrls
    ) -> None:
        soon = datetime.now(UTC) + timedelta(hours=1)
        await cached.put("offer", "The mailbox is free.", effective_until=soon)
        assert await cached.refs("mailbox") == ["offer"]
        async with await psycopg.AsyncConnection.connect(database_urls.owner) as connection:
            for table in ("passages", "embeddings_384"):  # an hour goes by, without an edit
                await connection.execute(
                    f"update {table} set effective_until = now() - interval '1 second' where ref = 'offer'"  # type: ignore[arg-type]
                )
        assert await cached.refs("mailbox") == []

    async def test_a_broken_value_is_a_miss(self, cached: Library, redis: Redis) -> None:
        await cached.put("mail", "Reset the mailbox password.")
        await cached.search("mailbox")
        (key,) = await redis.client.keys("search:*")
        await redis.client.set(key, b"{not json")
        assert await cached.refs("mailbox") == ["mail"]


class Broken:
    """A store that fails in every way."""

    async def get(self, key: str) -> bytes | None:
        raise ConnectionError("away")

    async def set(self, key: str, value: bytes, ttl_s: int) -> None:
        raise ConnectionError("away")


class TestFailures:
    async def test_a_broken_cache_breaks_no_search(self, library: Library) -> None:
        await library.put("mail", "Reset the mailbox password.")
        library.retriever = Retriever(library.index, library.embedder, library.database, cache=Broken())
        assert await library.refs("mailbox") == ["mail"]
        assert cache_of(library).misses == 1

    async def test_a_failed_search_is_not_remembered(self, cached: Library, monkeypatch: pytest.MonkeyPatch) -> None:
        await cached.put("mail", "Reset the mailbox password.")

        async def fail(text: str) -> None:
            raise ConnectionError("the model is away")

        with monkeypatch.context() as patch:
            patch.setattr(cached.embedder, "embed_query", fail)
            with pytest.raises(ConnectionError):
                await cached.search("mailbox")
        assert await cached.refs("mailbox") == ["mail"]
