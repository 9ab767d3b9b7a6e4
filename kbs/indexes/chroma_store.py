"""Talking to Chroma: a private server over HTTP, or its library in this process with the folder to ourselves.

Chroma's own tenants are not a wall (anyone who reaches the server reads every collection by its id) and its library
loses vectors where two processes open one folder. So the server belongs on a private network, the folder is held
under an exclusive lock, and names and ids of collections are made here and never taken from a caller.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import fasteners

from memory.errors import Misconfigured, Unavailable

LOCK = ".helpdesk.lock"
CONFIGURATION = {"hnsw": {"space": "cosine", "ef_search": 100}}


class IndexHeld(Misconfigured):
    """The folder belongs to another process, which can be asked to do the work."""


class ChromaStore:
    """Collections by name. Blocking calls of the library run in threads, those of the server's client as they are."""

    def __init__(self, client: Any, *, threaded: bool) -> None:
        self._client = client
        self._threaded = threaded
        self._collections: dict[str, Any] = {}
        self._batch_size = 0

    async def use(self, name: str, verb: str, *, create: bool = False, **values: Any) -> Any:
        """Call `verb` (query, get, upsert, delete, count) of a collection; None where there is no such collection.

        A collection that another process made anew has another id behind the same name, so that is tried twice.
        """
        for attempt in (1, 2):
            collection = await self._collection(name, create=create)
            if collection is None:
                return None
            try:
                return await self._call(getattr(collection, verb), **values)
            except self._missing:
                self._collections.pop(name, None)
                if attempt == 2 and create:
                    raise Unavailable("the collection vanished while it was written") from None
        return None

    async def drop(self, name: str) -> None:
        self._collections.pop(name, None)
        with suppress(self._missing):
            await self._call(self._client.delete_collection, name=name)

    async def names(self, prefix: str) -> tuple[str, ...]:
        """All collections whose names begin so."""
        found = await self._call(self._client.list_collections)
        return tuple(sorted(each.name for each in found if each.name.startswith(prefix)))

    async def batch_size(self) -> int:
        """Vectors that one call may write."""
        if self._batch_size == 0:
            self._batch_size = int(await self._call(self._client.get_max_batch_size))
        return self._batch_size

    async def _collection(self, name: str, *, create: bool) -> Any:
        if name not in self._collections:
            if create:
                found = await self._call(
                    self._client.get_or_create_collection,
                    name=name, embedding_function=None, configuration=CONFIGURATION,
                )  # fmt: skip
            else:
                try:
                    found = await self._call(self._client.get_collection, name=name, embedding_function=None)
                except self._missing:
                    return None
            self._collections[name] = found
        return self._collections[name]

    async def _call(self, function: Callable[..., Any], **values: Any) -> Any:
        try:
            if self._threaded:
                return await asyncio.to_thread(functools.partial(function, **values))
            return await function(**values)
        except self._missing:
            raise
        except Exception as error:
            raise Unavailable(f"the vector index is away ({type(error).__name__})", retry_after=5) from error

    @functools.cached_property
    def _missing(self) -> type[Exception]:
        from chromadb.errors import NotFoundError

        return NotFoundError


@asynccontextmanager
async def open_chroma_server(host: str, port: int) -> AsyncIterator[ChromaStore]:
    """A server on a private network: it knows no passwords."""
    import chromadb  # half a second and 77 MB, for those who chose it

    try:
        client: Any = await chromadb.AsyncHttpClient(host=host, port=port, settings=_settings())
    except Exception as error:
        raise Unavailable(f"no Chroma server answers at {host}:{port}", retry_after=5) from error
    try:
        yield ChromaStore(client, threaded=False)
    finally:
        await client._server.__aexit__(None, None, None)  # the client itself has nothing that closes its connections


@asynccontextmanager
async def open_chroma_folder(folder: Path) -> AsyncIterator[ChromaStore]:
    """The library on a folder that is ours alone; Misconfigured where another process has it."""
    lock, client = await asyncio.to_thread(_open_folder, folder)
    try:
        yield ChromaStore(client, threaded=True)
    finally:
        await asyncio.to_thread(client.close)
        lock.release()


def _open_folder(folder: Path) -> tuple[Any, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    lock = fasteners.InterProcessLock(folder / LOCK)
    if not lock.acquire(blocking=False):
        raise IndexHeld(
            f"another process holds the knowledge index in {folder}: let that one do the work, "
            "or run a Chroma server for several processes"
        )
    try:
        import chromadb

        return lock, chromadb.PersistentClient(str(folder), settings=_settings())
    except BaseException:
        lock.release()
        raise


def _settings() -> Any:
    from chromadb.config import Settings

    return Settings(anonymized_telemetry=False, _env_file=None)
