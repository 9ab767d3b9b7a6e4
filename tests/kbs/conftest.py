"""What the knowledge base's tests share: an embedder without a model, and the default index on it."""

import pytest

from kbs.indexes.pgvector import PgvectorIndex
from memory.database import Database
from tests.kbs.words import WordEmbedder


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
def index(database: Database, embedder: WordEmbedder) -> PgvectorIndex:
    return PgvectorIndex(database, embedder=embedder.id, dimensions=embedder.dimensions)
