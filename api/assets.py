"""Static files of a page under one version, which is the digest of them all: kept for ever, and a release is seen at once."""

import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib.resources.abc import Traversable
from mimetypes import guess_type

from fastapi import Response

from memory.errors import NotFound

SHORTLY = "public, max-age=300"
FOR_EVER = "public, max-age=31536000, immutable"


class Assets:
    """What a page may ask for by name, and nothing else. Files are looked for at the first request, not at the start."""

    def __init__(self, find: Callable[[], Mapping[str, Traversable]]) -> None:
        self._find = find
        self._read: dict[str, bytes] = {}

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(self._files)

    @cached_property
    def version(self) -> str:
        """Changes with any of the files."""
        digest = hashlib.sha256()
        for name in sorted(self.names):
            digest.update(self.read(name))
        return digest.hexdigest()[:12]

    def read(self, name: str) -> bytes:
        """Raises NotFound for anything that is none of them."""
        if name not in self.names:
            raise NotFound("no such file")
        if name not in self._read:
            self._read[name] = self._files[name].read_bytes()
        return self._read[name]

    def answer(self, digest: str, name: str) -> Response:
        """`digest` only keeps caches apart: a page of an older release gets the newer file, and reloads later."""
        media_type = guess_type(name)[0] or "application/octet-stream"
        headers = {"Cache-Control": FOR_EVER if digest == self.version else "no-store"}
        return Response(self.read(name), media_type=media_type, headers=headers)

    def filled(self, name: str, **values: str) -> str:
        """A page with its `{names}` replaced, and with `{version}` for the addresses of its files."""
        text = self.read(name).decode()
        for key, value in {"version": self.version, **values}.items():
            text = text.replace(f"{{{key}}}", value)
        return text

    @cached_property
    def _files(self) -> Mapping[str, Traversable]:
        return self._find()


def files_in(folder: Traversable, below: str = "") -> dict[str, Traversable]:
    """The files of a folder by name, without what lies deeper; `below` goes before each name."""
    return {f"{below}{entry.name}": entry for entry in folder.iterdir() if entry.is_file()}
