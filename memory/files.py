"""Bytes that people sent, kept by what they are: `<folder>/<tenant>/<first two of the digest>/<sha256>`.

A name never comes near a path: it is made of a tenant's id and a digest that this module computed itself. A file is
written beside its place and moved there whole, so that a reader or a crash never meets half of one.
"""

import asyncio
import hashlib
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from memory.errors import Unavailable

PIECE = 256 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A file that has arrived and is not yet kept."""

    path: Path
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Files:
    """The files of all tenants below one folder, which no web server looks into."""

    folder: Path

    def path(self, tenant_id: UUID, sha256: str) -> Path:
        """Where the file of this digest lies, if it is there."""
        if not _SHA256.fullmatch(sha256):
            raise ValueError("a digest is 64 lower-case hexadecimal digits")
        return self.folder / str(UUID(str(tenant_id))) / sha256[:2] / sha256

    async def receive(self, tenant_id: UUID, source: BinaryIO) -> Draft:
        """Copy and digest what is read from `source`. Raises Unavailable where there is no room."""
        try:
            return await asyncio.to_thread(self._receive, tenant_id, source)
        except OSError as error:
            raise Unavailable("files can't be stored now", retry_after=30) from error

    async def keep(self, tenant_id: UUID, draft: Draft) -> None:
        """Move a draft to its place; the same content is there once."""
        try:
            await asyncio.to_thread(_move, draft.path, self.path(tenant_id, draft.sha256))
        except OSError as error:
            raise Unavailable("files can't be stored now", retry_after=30) from error

    async def discard(self, draft: Draft) -> None:
        """Forget a draft that was not kept; one that was kept is no longer there to forget."""
        await asyncio.to_thread(_remove, draft.path)

    async def remove(self, tenant_id: UUID, sha256: str) -> None:
        """Delete a file; the caller has made sure that no row names it."""
        await asyncio.to_thread(_remove, self.path(tenant_id, sha256))

    def _receive(self, tenant_id: UUID, source: BinaryIO) -> Draft:
        home = self.folder / str(UUID(str(tenant_id)))
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = home / f".new-{secrets.token_hex(16)}"
        digest, size = hashlib.sha256(), 0
        source.seek(0)
        try:
            with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as target:
                while piece := source.read(PIECE):
                    digest.update(piece)
                    size += target.write(piece)
                target.flush()
                os.fsync(target.fileno())
        except BaseException:
            _remove(path)
            raise
        return Draft(path=path, sha256=digest.hexdigest(), size=size)


def _move(path: Path, place: Path) -> None:
    place.parent.mkdir(mode=0o700, exist_ok=True)
    path.replace(place)


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
