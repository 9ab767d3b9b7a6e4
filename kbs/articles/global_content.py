"""The knowledge that ships with the product: one folder per global collection, which a tenant enables by name."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

from memory.errors import NotFound


def global_collections() -> tuple[str, ...]:
    """Names of the collections, such as `hosting`."""
    return tuple(sorted(folder.name for folder in files("kbs").joinpath("content").iterdir() if folder.is_dir()))


@contextmanager
def open_global_content(collection: str) -> Iterator[Path]:
    """The folder of a collection, to be ingested; NotFound for a name that does not ship."""
    if collection not in global_collections():
        raise NotFound(f"no such collection: the product ships {', '.join(global_collections())}")
    with as_file(files("kbs").joinpath("content", collection)) as folder:
        yield folder
