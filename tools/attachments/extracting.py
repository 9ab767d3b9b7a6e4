"""Runs the extractor: short plain text here at once, everything else in a process that is killed when it takes too long.

Nothing that a file does to its reader reaches this process: it sees a line of JSON of bounded length, or a failure.
"""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import orjson
import structlog

from tools.attachments import extractor
from tools.attachments.kinds import DOCX

log = structlog.get_logger()
TIME_S = 3.5
MOST_OUTPUT = 2 * 2**20
PIECE = 65_536
MISSING = "missing"
"""Why a file was not read: it is not here, such as on a machine without the volume of files."""
SHORT = 256 * 1024
"""Plain text up to this many bytes needs no process."""
AT_ONCE = 2
READ_AS = {
    "text/plain": "text", "text/markdown": "text", "text/csv": "text", "application/json": "text", "text/html": "html",
    "application/pdf": "pdf", DOCX: "docx", "image/png": "image", "image/jpeg": "image", "image/gif": "image",
    "image/webp": "image",
}  # fmt: skip
ARTICLES = {"html": "article-html", "pdf": "article-pdf", "docx": "article-docx"}
_TURNS: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """What was read; `state` is one of `attachments.extraction`."""

    state: str
    text: str = ""
    details: dict[str, Any] = field(default_factory=dict)


async def extract(path: Path, media_type: str, *, time_s: float = TIME_S, as_article: bool = False) -> Extracted:
    """The text of a stored file, or the article that it makes. Never raises for what is in it: a file that can't be
    read is `failed`."""
    kind = READ_AS.get(media_type)
    if as_article and kind is not None:
        kind = ARTICLES.get(kind)
    if kind is None:
        return Extracted(state="unsupported")
    try:
        if kind == "text" and (here := await asyncio.to_thread(_read_here, path)):
            return _answer(here)
        async with _turn():
            return await _run(path, kind, time_s)
    except OSError as error:
        log.warning("a file could not be read", error=type(error).__name__)
        return Extracted(state="failed", details={"reason": MISSING})


def _turn() -> asyncio.Semaphore:
    """A few at once in this process: each may take a core and half a gigabyte."""
    return _TURNS.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE))


def _read_here(path: Path) -> dict[str, Any] | None:
    """None for what is too long to be read here."""
    with path.open("rb") as file:
        return extractor.read_text(file) if os.fstat(file.fileno()).st_size <= SHORT else None


async def _run(path: Path, kind: str, time_s: float) -> Extracted:
    with path.open("rb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-B", extractor.__file__, kind,
            stdin=file, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, env={}, cwd="/",
            start_new_session=True, close_fds=True,
        )  # fmt: skip
    assert process.stdout is not None  # it was asked for
    try:
        async with asyncio.timeout(time_s):
            output = b""
            while piece := await process.stdout.read(PIECE):
                output += piece
                if len(output) > MOST_OUTPUT:
                    return Extracted(state="failed", details={"reason": "output"})
            return _answer(orjson.loads(output))
    except TimeoutError:
        return Extracted(state="failed", details={"reason": "time"})
    except (orjson.JSONDecodeError, KeyError, TypeError):  # it was killed: by its processor time, or by the kernel
        return Extracted(state="failed", details={"reason": "killed"})
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Whatever happened, nothing of it is left running."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(asyncio.CancelledError):
            await asyncio.shield(process.wait())


def _answer(found: dict[str, Any]) -> Extracted:
    return Extracted(state=str(found["state"]), text=str(found["text"]), details=dict(found["details"]))
