"""`helpdesk serve` and `helpdesk worker`: the processes that stay.

Half of a start is reading models from the disk, the other half is importing. The first needs no interpreter, so it
happens on a thread beside the second.
"""

import asyncio
import sys
from collections.abc import Coroutine
from contextlib import suppress
from threading import Thread
from typing import Any

import typer

from agent.settings import Settings
from api.cli.ending import Ending
from api.cli.opening import run
from api.logging import configure

app = typer.Typer()


@app.command()
def serve(
    worker: bool = typer.Option(True, help="Take background jobs in this process too."),
    json_logs: bool = typer.Option(None, help="Logs as JSON lines; by default when nobody watches the terminal."),
) -> None:
    """Serve the HTTP API. Embedded mode sets itself up first."""
    ending = Ending()
    settings = _settings(json_logs)
    _read_models(settings)
    from api.cli import serving  # the rest of the product, while the models are read

    _run(serving.serve(settings, ending, with_worker=worker), ending)


@app.command()
def worker(json_logs: bool = typer.Option(None, help="Logs as JSON lines.")) -> None:
    """Take background jobs, and turns that another process left behind."""
    ending = Ending()
    settings = _settings(json_logs)
    _read_models(settings)
    from api.cli import serving

    _run(serving.work_only(settings, ending), ending)


def _run(work: Coroutine[Any, Any, None], ending: Ending) -> None:
    try:
        run(work)
    except asyncio.CancelledError:
        if ending.at is None:  # else it was told while it started, and has closed what was open
            raise


def _settings(json_logs: bool | None) -> Settings:
    settings = Settings.load()
    configure(settings.app.log_level, json=not sys.stdout.isatty() if json_logs is None else json_logs)
    return settings


def _read_models(settings: Settings) -> None:
    """Begin to read them; whoever needs one waits for it. What fails here fails again, and is told, there."""

    def read_languages() -> None:
        from kbs.words.language import load_languages

        with suppress(OSError, ValueError):  # a full disk, or a file that a crash cut short: read into memory then
            load_languages(settings.app.data_dir / "cache")

    def read_embedder() -> None:
        from kbs.embedding.minilm import load_installed

        load_installed()

    reading = [read_languages, *([read_embedder] if settings.knowledge.embedding_model == "minilm" else [])]
    for read in reading:
        Thread(target=read, daemon=True).start()
