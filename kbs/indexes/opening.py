"""Opens the knowledge index that the settings name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from kbs.embedding.embedder import Embedder
from kbs.index import KnowledgeIndex, Postgres
from kbs.indexes.chroma import ChromaIndex
from kbs.indexes.chroma_store import open_chroma_folder, open_chroma_server
from kbs.indexes.pgvector import PgvectorIndex
from memory.errors import Misconfigured

CHROMA_PORT = 8000


@asynccontextmanager
async def open_index(
    kind: Literal["pgvector", "chroma"],
    database: Postgres,
    embedder: Embedder,
    *,
    name: str,
    chroma_url: str | None,
    folder: Path,
) -> AsyncIterator[KnowledgeIndex]:
    """pgvector, or Chroma at a server or in `folder`. Raises Misconfigured, and Unavailable for a server that is away."""
    if kind == "pgvector":
        yield PgvectorIndex(database, embedder=embedder.id, dimensions=embedder.dimensions)
        return
    async with open_chroma_server(*_address(chroma_url)) if chroma_url else open_chroma_folder(folder) as store:
        yield ChromaIndex(database, store, embedder=embedder.id, dimensions=embedder.dimensions, name=name)


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if not parts.hostname:
        raise Misconfigured("CHROMA_URL must be an address such as http://chroma:8000")
    return parts.hostname, parts.port or CHROMA_PORT
