"""The language model's tables, unpacked into a folder once: the big one is mapped from there. Only what texts touch of
it takes memory, once for all processes of a machine, and a start needs not unpack it again."""

import mmap
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import numpy as np

SCORES, REST = "scores.f16", "rest.npz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """An identifier whose big table is a file."""

    identifier: Any
    scores: mmap.mmap

    def forget_scores(self) -> None:
        """Give back the memory that they took; what is wanted of them is read again."""
        self.scores.madvise(mmap.MADV_DONTNEED)


def mapped_languages(folder: Path) -> Mapped:
    """Over the tables in this folder, which are put there where they are not. Raises OSError where that can't be done."""
    from kbs.words.language_trie import Trie, TrieIdentifier  # not every process reads prose

    unpacked = folder / f"languages-{version('py3langid')}-trie"
    if not unpacked.exists():
        _unpack(unpacked)
    scores = _map(unpacked / SCORES)
    with np.load(unpacked / REST, allow_pickle=False) as rest:
        trie = Trie(
            letters=rest["letters"].tobytes(), first=rest["first"].data, suffix=rest["suffix"].data,
            found=rest["found"].data,
        )  # fmt: skip
        table = np.frombuffer(scores, np.float16).reshape(-1, len(rest["prior"]))
        return Mapped(identifier=TrieIdentifier(trie, table, rest["prior"], rest["codes"].tolist()), scores=scores)


def _map(file: Path) -> mmap.mmap:
    with file.open("rb") as opened:
        return mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)


def _unpack(target: Path) -> None:
    """Under another name first: who finds the folder finds it whole. Of two processes the second throws its own away."""
    from py3langid.langid import MODEL_DIR, MODEL_FILE
    from py3langid.modelio import load_model

    from kbs.words.language_trie import grown

    scores, prior, codes, moves, row, found = load_model(MODEL_DIR / MODEL_FILE)
    trie = grown(moves, np.asarray(row), found)
    target.parent.mkdir(parents=True, exist_ok=True)
    made = Path(mkdtemp(dir=target.parent))
    try:
        np.asarray(scores, np.float16).tofile(made / SCORES)
        np.savez(
            made / REST, prior=prior, codes=np.array(codes), letters=np.frombuffer(trie.letters, np.uint8),
            first=trie.first, suffix=trie.suffix, found=trie.found,
        )  # fmt: skip
        with suppress(OSError):
            made.rename(target)
    finally:
        rmtree(made, ignore_errors=True)
