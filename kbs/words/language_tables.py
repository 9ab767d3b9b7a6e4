"""The language model's tables, 65 MB, unpacked into a folder once and mapped from there: only what texts touch takes
memory, once for all processes of a machine, and a start needs not unpack them again."""

import mmap
from array import array
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import numpy as np

SCORES, MOVES, REST = "scores.f16", "moves.u32", "rest.npz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """An identifier whose big tables are files."""

    identifier: Any
    scores: mmap.mmap

    def forget_scores(self) -> None:
        """Give back the memory that they took; what is wanted of them is read again."""
        self.scores.madvise(mmap.MADV_DONTNEED)


def mapped_languages(folder: Path) -> Mapped:
    """Over the tables in this folder, which are put there where they are not. Raises OSError where that can't be done."""
    from py3langid.langid import LanguageIdentifier  # not every process reads prose

    unpacked = folder / f"languages-{version('py3langid')}"
    if not unpacked.exists():
        _unpack(unpacked)
    scores, moves = _map(unpacked / SCORES), _map(unpacked / MOVES)
    with np.load(unpacked / REST, allow_pickle=False) as rest:
        identifier = LanguageIdentifier(
            np.frombuffer(scores, np.float16).reshape(-1, len(rest["prior"])), rest["prior"], rest["codes"].tolist(),
            memoryview(moves).cast("I"), memoryview(rest["output"]), norm_probs=True, tk_row=memoryview(rest["row"]),
        )  # fmt: skip
    identifier._rowbase = array("I", identifier._rowbase)  # as a list of a hundred thousand numbers it is 4 MB
    return Mapped(identifier=identifier, scores=scores)


def _map(file: Path) -> mmap.mmap:
    with file.open("rb") as opened:
        return mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)


def _unpack(target: Path) -> None:
    """Under another name first: who finds the folder finds it whole. Of two processes the second throws its own away."""
    from py3langid.langid import MODEL_DIR, MODEL_FILE
    from py3langid.modelio import load_model

    scores, prior, codes, moves, row, output = load_model(MODEL_DIR / MODEL_FILE)
    target.parent.mkdir(parents=True, exist_ok=True)
    made = Path(mkdtemp(dir=target.parent))
    try:
        np.asarray(scores, np.float16).tofile(made / SCORES)
        np.asarray(moves, np.uint32).tofile(made / MOVES)
        np.savez(made / REST, prior=prior, codes=np.array(codes), output=np.array(output, np.int32), row=np.array(row))
        with suppress(OSError):
            made.rename(target)
    finally:
        rmtree(made, ignore_errors=True)
