"""The vectors that ship: all there, and those that the model makes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from agent.build_shipped_vectors import what_ships
from kbs.embedding.embedder import Batched, Vectors
from kbs.embedding.minilm import open_minilm
from kbs.embedding.shipped_vectors import Shipped, ShippedVectors, read_shipped, write_shipped


class Counting:
    """An embedder that counts what it was asked."""

    id = "counting"
    dimensions = 4

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def embed_query(self, text: str) -> Vectors:
        return (await self.embed_texts([text]))[0]

    async def embed_texts(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        return np.eye(4, dtype=np.float32)[[len(text) % 4 for text in texts]]


@pytest.fixture
async def shipped() -> ShippedVectors:
    async with open_minilm() as encoder:
        found = read_shipped(encoder.id)
    assert found, "the file is another model's: run `python -m agent.build_shipped_vectors`"
    return found


class TestTheFile:
    async def test_it_holds_all_that_ships_and_nothing_else(self, shipped: ShippedVectors) -> None:
        texts = what_ships()
        missing = [text for text in texts if shipped.find(text) is None]
        assert missing == [], "run `python -m agent.build_shipped_vectors`"
        assert len(shipped.digests) == len(texts)

    async def test_its_vectors_are_the_models(self, shipped: ShippedVectors) -> None:
        texts = what_ships()[::97]
        async with open_minilm() as encoder:
            fresh = await Batched(encoder).embed_texts(texts)
        for text, vector in zip(texts, fresh, strict=True):
            known = shipped.find(text)
            assert known is not None
            assert float(known @ vector) > 0.9999
            assert abs(float(np.linalg.norm(known)) - 1) < 1e-6


class TestLookingThereFirst:
    @pytest.fixture
    def known(self, tmp_path: Path) -> ShippedVectors:
        path = tmp_path / "shipped.npz"
        rows = {"one": np.array([0.6, 0.8, 0, 0], np.float32), "two": np.array([0, 0, 1, 0], np.float32)}
        write_shipped("counting", rows, path)
        assert read_shipped("another", path) is None
        assert read_shipped("counting", tmp_path / "missing.npz") is None
        found = read_shipped("counting", path)
        assert found
        return found

    async def test_only_what_is_not_there_is_embedded_and_the_order_stays(self, known: ShippedVectors) -> None:
        model = Counting()
        embedder = Shipped(model, known)
        rows = await embedder.embed_texts(["new", " two ", "other", "one"])
        assert model.asked == ["new", "other"]
        assert np.allclose(rows, [[0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0], [0.6, 0.8, 0, 0]], atol=1e-3)
        assert np.allclose(await embedder.embed_query("two"), [0, 0, 1, 0])
        assert (await embedder.embed_texts([])).shape == (0, 4)
        assert model.asked == ["new", "other"]
