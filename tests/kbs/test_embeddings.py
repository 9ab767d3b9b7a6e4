"""Batching, caching, the OpenAI-compatible client against a server on a real socket, and the factory."""

import asyncio
import base64
import time
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from kbs.embedding.embedder import Batched, Cached, EmbeddingUnavailable, Vectors, normal_form
from kbs.embedding.openai_compatible import MAX_TEXT_BYTES, OpenAIEmbeddings, open_openai
from kbs.embedding.opening import open_embedder
from kbs.langchain_embeddings import LangChainEmbeddings
from tests.machine import usual

D = 8


def direction(text: str, dimensions: int = D) -> Vectors:
    """A vector that stands for a text, of any length but 1."""
    return np.random.default_rng(zlib.crc32(text.encode())).normal(size=dimensions).astype(np.float32) * 3


def unit(text: str, dimensions: int = D) -> Vectors:
    vector: Vectors = direction(text, dimensions)
    vector /= np.linalg.norm(vector)
    return vector


class Recorder:
    """An encoder that keeps the batches it got, and works only while its gate is open."""

    id = "recorder"
    dimensions = D

    def __init__(self, lanes: int = 1) -> None:
        self.lanes = lanes
        self.queries: list[list[str]] = []
        self.bulk: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def embed_query(self, text: str) -> Vectors:
        vector: Vectors = (await self.embed_queries([text]))[0]
        return vector

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        self.queries.append(list(texts))
        await self.gate.wait()
        if "fails" in texts:
            raise EmbeddingUnavailable("as asked")
        return np.stack([unit(text) for text in texts])

    async def embed_texts(self, texts: Sequence[str]) -> Vectors:
        self.bulk.append(list(texts))
        return np.stack([unit(text) for text in texts])


async def ask(embedder: Any, *texts: str) -> list[asyncio.Task[Vectors]]:
    """Questions under way, each in a task of its own, as far as they come without waiting."""
    tasks = [asyncio.create_task(embedder.embed_query(text)) for text in texts]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


class TestBatched:
    async def test_a_question_alone_runs_at_once(self) -> None:
        encoder = Recorder()
        embedder = Batched(encoder)
        async with asyncio.timeout(3):
            for text in ("one", "two", "three"):
                assert np.array_equal(await embedder.embed_query(text), unit(text))
        assert encoder.queries == [["one"], ["two"], ["three"]]

    async def test_what_arrives_while_a_batch_runs_forms_the_next(self) -> None:
        encoder = Recorder()
        embedder = Batched(encoder)
        encoder.gate.clear()
        first = await ask(embedder, "one")
        rest = await ask(embedder, "two", "three")
        rest += await ask(embedder, "four")
        encoder.gate.set()
        vectors = await asyncio.gather(*first, *rest)
        assert encoder.queries == [["one"], ["two", "three", "four"]]
        assert np.array_equal(vectors, [unit(text) for text in ("one", "two", "three", "four")])

    async def test_questions_of_the_same_moment_share_batches_of_limited_size(self) -> None:
        encoder = Recorder()
        texts = [f"question {i}" for i in range(10)]
        embedder = Batched(encoder, limit=4)
        vectors = await asyncio.gather(*(embedder.embed_query(text) for text in texts))
        assert [len(batch) for batch in encoder.queries] == [4, 4, 2]
        assert np.array_equal(vectors, [unit(text) for text in texts])

    async def test_a_model_with_several_lanes_starts_before_the_first_batch_is_back(self) -> None:
        encoder = Recorder(lanes=2)
        embedder = Batched(encoder)
        encoder.gate.clear()
        tasks = [*await ask(embedder, "one"), *await ask(embedder, "two"), *await ask(embedder, "three")]
        assert encoder.queries == [["one"], ["two"]]
        encoder.gate.set()
        await asyncio.gather(*tasks)
        assert encoder.queries[2:] == [["three"]]

    async def test_a_cancelled_caller_takes_nobody_along(self) -> None:
        encoder = Recorder()
        embedder = Batched(encoder)
        encoder.gate.clear()
        running, beside = await ask(embedder, "running", "beside")
        waiting, other = await ask(embedder, "waiting", "other")
        running.cancel()
        waiting.cancel()
        await asyncio.sleep(0)
        encoder.gate.set()
        async with asyncio.timeout(3):
            assert np.array_equal(await beside, unit("beside"))
            assert np.array_equal(await other, unit("other"))
        assert encoder.queries == [["running", "beside"], ["other"]]
        assert running.cancelled()
        assert waiting.cancelled()

    async def test_a_failed_batch_fails_its_callers_and_not_the_next(self) -> None:
        encoder = Recorder()
        embedder = Batched(encoder)
        encoder.gate.clear()
        first = await ask(embedder, "fails")
        second = await ask(embedder, "works")
        encoder.gate.set()
        with pytest.raises(EmbeddingUnavailable, match="as asked"):
            await first[0]
        assert np.array_equal(await second[0], unit("works"))

    async def test_closing_tells_whoever_waits(self) -> None:
        encoder = Recorder()
        embedder = Batched(encoder)
        encoder.gate.clear()
        tasks = [*await ask(embedder, "running"), *await ask(embedder, "waiting")]
        await embedder.aclose()
        for task in tasks:
            with pytest.raises(EmbeddingUnavailable, match="closed"):
                await task
        with pytest.raises(EmbeddingUnavailable, match="closed"):
            await embedder.embed_query("late")


class Shelf:
    """A shared cache: a dict with a switch."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.fault: Exception | None = None
        self.delay_s = 0.0

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        await self._meet_the_fault()
        return [self.values.get(key) for key in keys]

    async def set_many(self, values: dict[str, bytes], ttl_s: int) -> None:
        assert ttl_s > 0
        await self._meet_the_fault()
        self.values |= values

    async def _meet_the_fault(self) -> None:
        await asyncio.sleep(self.delay_s)
        if self.fault:
            raise self.fault


class TestCached:
    async def test_the_same_text_is_embedded_once(self) -> None:
        encoder = Recorder()
        embedder = Cached(encoder)
        first = await embedder.embed_query("Reset my password")
        assert np.array_equal(await embedder.embed_query("  Reset my password\n"), first)
        assert np.array_equal(await embedder.embed_texts(["Reset my password"]), [first])
        assert (encoder.queries, encoder.bulk) == ([["Reset my password"]], [])

    async def test_bulk_embeds_only_what_is_new_and_keeps_the_order(self) -> None:
        encoder = Recorder()
        embedder = Cached(encoder)
        await embedder.embed_texts(["b"])
        vectors = await embedder.embed_texts(["a", "b", "c", "a"])
        assert encoder.bulk == [["b"], ["a", "c"]]
        assert np.array_equal(vectors, [unit(text) for text in "abca"])
        assert (await embedder.embed_texts([])).shape == (0, D)

    async def test_another_process_finds_the_vector_in_the_shared_cache(self) -> None:
        shelf = Shelf()
        await Cached(Recorder(), shelf).embed_texts(["secret question", "other"])
        encoder = Recorder()
        elsewhere = Cached(encoder, shelf)
        assert np.array_equal(await elsewhere.embed_query("secret question"), unit("secret question"))
        assert encoder.queries == []

    async def test_the_shared_cache_never_sees_the_text(self) -> None:
        shelf = Shelf()
        await Cached(Recorder(), shelf).embed_query("secret question")
        ((key, value),) = shelf.values.items()
        assert len(value) == 4 * D
        assert "secret" not in key
        assert b"secret" not in value

    async def test_another_model_does_not_read_these_vectors(self) -> None:
        shelf = Shelf()
        await Cached(Recorder(), shelf).embed_query("question")
        other = Recorder()
        other.id = "recorder-2"
        await Cached(other, shelf).embed_query("question")
        assert other.queries == [["question"]]

    @pytest.mark.parametrize("damage", [b"", b"short", bytes(4 * D), b"\xff" * 4 * D])
    async def test_a_damaged_value_counts_as_none(self, damage: bytes) -> None:
        shelf = Shelf()
        await Cached(Recorder(), shelf).embed_query("question")
        shelf.values = dict.fromkeys(shelf.values, damage)
        assert np.array_equal(await Cached(Recorder(), shelf).embed_query("question"), unit("question"))

    async def test_a_failing_shared_cache_is_logged_once_and_never_felt(self, caplog: pytest.LogCaptureFixture) -> None:
        shelf = Shelf()
        shelf.fault = ConnectionError("gone")
        embedder = Cached(Recorder(), shelf)
        assert np.array_equal(await embedder.embed_query("one"), unit("one"))
        assert np.array_equal(await embedder.embed_texts(["two"]), [unit("two")])
        assert [record.levelname for record in caplog.records] == ["WARNING"]

    async def test_a_hanging_shared_cache_is_not_waited_for(self) -> None:
        shelf = Shelf()
        shelf.delay_s = 30
        async with asyncio.timeout(3):
            assert np.array_equal(await Cached(Recorder(), shelf).embed_query("one"), unit("one"))

    async def test_memory_is_bounded_and_drops_the_least_used(self) -> None:
        encoder = Recorder()
        embedder = Cached(encoder, capacity=2)
        for text in ("a", "b", "a", "c", "a", "b"):
            await embedder.embed_query(text)
        assert encoder.queries == [["a"], ["b"], ["c"], ["b"]]

    async def test_a_caller_cannot_change_what_is_remembered(self) -> None:
        embedder = Cached(Recorder())
        vector = await embedder.embed_query("text")
        with pytest.raises(ValueError, match="read-only"):
            vector[0] = 9
        rows = await embedder.embed_texts(["text"])
        rows[0] = 0
        assert np.array_equal(await embedder.embed_query("text"), unit("text"))

    async def test_failures_are_not_remembered(self) -> None:
        encoder = Recorder()
        embedder = Cached(encoder)
        for _ in range(2):
            with pytest.raises(EmbeddingUnavailable):
                await embedder.embed_query("fails")
        assert len(encoder.queries) == 2


class TestNormalForm:
    def test_equal_texts_have_one_form(self) -> None:
        assert normal_form(" cafe\u0301\n") == normal_form("caf\u00e9") == "café"

    def test_it_can_always_be_encoded(self) -> None:
        assert normal_form("a\ud800b").encode() == b"a?b"


class Endpoint:
    """Speaks `POST /v1/embeddings`; `faults` are answered first, one per request."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.faults: list[web.Response] = []
        self.dimensions = D
        self.numbers = False
        self.delay_s = 0.0

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/v1/embeddings", self._answer)
        async with TestServer(app) as server:
            yield str(server.make_url("/v1"))

    async def _answer(self, request: web.Request) -> web.Response:
        self.requests.append(body := await request.json())
        self.keys.append(request.headers["Authorization"])
        await asyncio.sleep(self.delay_s)
        if self.faults:
            return self.faults.pop(0)
        data = [self._item(i, text) for i, text in enumerate(body["input"])]
        data.reverse()  # the index says what belongs where, not the place
        return web.json_response({"object": "list", "model": body["model"], "data": data, "usage": {}})

    def _item(self, index: int, text: str) -> dict[str, Any]:
        vector = direction(text, self.dimensions)
        embedding = vector.tolist() if self.numbers else base64.b64encode(vector.tobytes()).decode()
        return {"object": "embedding", "index": index, "embedding": embedding}


def status(code: int) -> web.Response:
    body = {"error": {"message": "as asked", "type": "fault"}}
    return web.json_response(body, status=code, headers={"retry-after-ms": "5"})


@pytest.fixture
async def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
async def openai(endpoint: Endpoint) -> AsyncIterator[OpenAIEmbeddings]:
    async with endpoint.serve() as url, open_openai("small", base_url=url, api_key="k", query_deadline_s=2) as opened:
        endpoint.requests.clear()
        yield opened


class TestOpenAI:
    @pytest.mark.parametrize("numbers", [True, False])
    async def test_rows_come_back_in_order_and_of_unit_length(
        self, endpoint: Endpoint, openai: OpenAIEmbeddings, numbers: bool
    ) -> None:
        endpoint.numbers = numbers
        vectors = await openai.embed_texts(["one", "two", "three"])
        assert vectors.dtype == np.float32
        assert np.allclose(vectors, [unit(text) for text in ("one", "two", "three")], atol=1e-6)
        assert np.allclose(await openai.embed_query("two"), vectors[1])

    async def test_dimensions_of_an_unknown_model_are_learned(self, openai: OpenAIEmbeddings) -> None:
        assert (openai.id, openai.dimensions) == ("openai:small", D)

    async def test_a_known_model_opens_while_its_endpoint_is_away(self) -> None:
        url = f"http://127.0.0.1:{unused_port()}/v1"
        async with open_openai("text-embedding-3-small", base_url=url, api_key="k") as embedder:
            assert (embedder.id, embedder.dimensions) == ("openai:text-embedding-3-small", 1536)
            with pytest.raises(EmbeddingUnavailable, match=r"ClientConnectorError|ConnectionRefused"):
                await embedder.embed_query("hello")

    @pytest.mark.parametrize("code", [500, 429])
    async def test_one_fault_is_retried(self, endpoint: Endpoint, openai: OpenAIEmbeddings, code: int) -> None:
        endpoint.faults = [status(code)]
        assert np.allclose(await openai.embed_query("one"), unit("one"), atol=1e-6)
        assert len(endpoint.requests) == 2

    @pytest.mark.parametrize(("code", "calls"), [(500, 3), (429, 3), (401, 1), (400, 1)])
    async def test_retries_are_bounded(
        self, endpoint: Endpoint, openai: OpenAIEmbeddings, code: int, calls: int
    ) -> None:
        endpoint.faults = [status(code) for _ in range(10)]
        with pytest.raises(EmbeddingUnavailable, match=f"answered {code}"):
            await openai.embed_query("one")
        assert len(endpoint.requests) == calls

    async def test_other_dimensions_than_the_index_has_are_refused(
        self, endpoint: Endpoint, openai: OpenAIEmbeddings
    ) -> None:
        endpoint.dimensions = D + 1
        with pytest.raises(EmbeddingUnavailable, match="9 dimensions instead of 8"):
            await openai.embed_query("one")

    @pytest.mark.parametrize(
        "body",
        [
            "<html>welcome</html>",
            "{}",
            '{"data": null}',
            '{"data": []}',
            '{"data": [{"index": 0, "embedding": "%%%"}]}',
            '{"data": [{"index": 0, "embedding": [0,0,0,0,0,0,0,0]}]}',
            '{"data": [{"index": 0, "embedding": [NaN,0,0,0,0,0,0,1]}]}',
        ],
    )
    async def test_an_answer_that_is_no_embedding_is_one_error(
        self, endpoint: Endpoint, openai: OpenAIEmbeddings, body: str
    ) -> None:
        endpoint.faults = [web.Response(text=body, content_type="application/json")]
        with pytest.raises(EmbeddingUnavailable):
            await openai.embed_query("one")

    async def test_a_question_is_not_waited_for_longer_than_its_deadline(self, endpoint: Endpoint) -> None:
        endpoint.delay_s = 1
        started = time.perf_counter()
        async with endpoint.serve() as url:
            with pytest.raises(EmbeddingUnavailable, match=r"no embedding within 0\.2 s"):
                async with open_openai("small", base_url=url, api_key="k", query_deadline_s=0.2):
                    pass
            assert time.perf_counter() - started < usual(1)

    async def test_requests_stay_within_the_api_limits(self, endpoint: Endpoint, openai: OpenAIEmbeddings) -> None:
        texts = [f"text {i}" for i in range(600)] + ["日本語 " * 3000] * 40
        vectors = await openai.embed_texts(texts)
        assert np.allclose(vectors[:600], [unit(text) for text in texts[:600]], atol=1e-6)
        sizes = [[len(text.encode()) for text in request["input"]] for request in endpoint.requests]
        assert max(len(request) for request in sizes) == 256
        assert max(sum(request) for request in sizes) <= 250_000
        assert MAX_TEXT_BYTES - 4 < max(max(request) for request in sizes) <= MAX_TEXT_BYTES

    async def test_no_text_is_sent_empty(self, endpoint: Endpoint, openai: OpenAIEmbeddings) -> None:
        assert (await openai.embed_texts(["", " \n", "x"])).shape == (3, D)
        assert (await openai.embed_texts([])).shape == (0, D)
        assert [request["input"] for request in endpoint.requests] == [[" ", " ", "x"]]

    async def test_the_environment_is_not_read(self, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "from-the-environment")
        async with endpoint.serve() as url:
            async with open_openai("small", base_url=url, api_key=None):
                pass
            async with open_openai("small", base_url=url, api_key="given"):
                pass
        assert endpoint.keys == ["Bearer none", "Bearer given"]
        with pytest.raises(EmbeddingUnavailable, match="needs an API key"):
            async with open_openai("text-embedding-3-small", base_url=None, api_key=None):
                pass


class TestOpenEmbedder:
    async def test_minilm_finds_the_article_that_answers(self) -> None:
        async with open_embedder("minilm", base_url=None, api_key=None, cache=None) as embedder:
            assert (embedder.id, embedder.dimensions) == ("minilm-l6-v2@53aa5117", 384)
            articles = await embedder.embed_texts(
                ["Choose a new mailbox password", "Renew an SSL certificate", "Read an invoice"]
            )
            question = await embedder.embed_query("I forgot the password of my email")
            assert int(np.argmax(articles @ question)) == 0

    async def test_a_model_name_means_the_endpoint_and_is_cached(self, endpoint: Endpoint) -> None:
        async with (
            endpoint.serve() as url,
            open_embedder("small", base_url=url, api_key="k", cache=Shelf()) as embedder,
        ):
            vectors = await asyncio.gather(*(embedder.embed_query(f"question {i}") for i in range(20)))
            again = await embedder.embed_texts([f"question {i}" for i in range(20)])
        assert np.array_equal(vectors, again)
        assert [len(request["input"]) for request in endpoint.requests] == [1, 20]  # the first learns dimensions


class TestLangChain:
    async def test_asynchronous_methods_give_plain_numbers(self) -> None:
        adapter = LangChainEmbeddings(Recorder())
        assert await adapter.aembed_query("one") == unit("one").tolist()
        assert await adapter.aembed_documents(["one", "two"]) == [unit("one").tolist(), unit("two").tolist()]

    def test_synchronous_methods_say_what_to_use(self) -> None:
        adapter = LangChainEmbeddings(Recorder())
        with pytest.raises(NotImplementedError, match="aembed_query"):
            adapter.embed_query("one")
        with pytest.raises(NotImplementedError, match="aembed_documents"):
            adapter.embed_documents(["one"])
