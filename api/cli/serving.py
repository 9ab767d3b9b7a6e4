"""`helpdesk serve` and `helpdesk worker`: the processes that stay."""

import asyncio
import signal
import socket
import sys
from contextlib import suppress
from types import FrameType

import typer
import uvicorn
from fastapi import FastAPI

from agent.resources import Resources, attending, open_resources
from agent.seeding import seed_all
from agent.settings import Settings
from api.app import create_app
from api.cli.opening import run
from api.logging import configure
from api.sse import GRACE_S
from memory.errors import Misconfigured
from memory.jobs import work

DRAIN_S = 28

app = typer.Typer()


@app.command()
def serve(
    worker: bool = typer.Option(True, help="Take background jobs in this process too."),
    json_logs: bool = typer.Option(None, help="Logs as JSON lines; by default when nobody watches the terminal."),
) -> None:
    """Serve the HTTP API. Embedded mode sets itself up first."""
    settings = Settings.load()
    _configure(settings, json_logs)
    run(_serve(settings, with_worker=worker))


@app.command()
def worker(json_logs: bool = typer.Option(None, help="Logs as JSON lines.")) -> None:
    """Take background jobs, and turns that another process left behind."""
    settings = Settings.load()
    _configure(settings, json_logs)
    run(_work(settings))


def _configure(settings: Settings, json_logs: bool | None) -> None:
    configure(settings.app.log_level, json=not sys.stdout.isatty() if json_logs is None else json_logs)


def _check_port(settings: Settings) -> None:
    """Say that a port is taken before anything is set up for it."""
    with socket.socket(socket.AF_INET6 if ":" in settings.http.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.http.host, settings.http.port))
        except OSError as error:
            raise Misconfigured(
                f"{settings.http.host}:{settings.http.port} can't be used ({error.strerror}); set PORT"
            ) from None


async def _serve(settings: Settings, *, with_worker: bool) -> None:
    _check_port(settings)
    async with open_resources(settings) as resources:
        if settings.embedded:
            await seed_all(resources)
        app = create_app(settings, resources)
        config = uvicorn.Config(
            app, host=settings.http.host, port=settings.http.port, log_config=None, access_log=False,
            timeout_graceful_shutdown=DRAIN_S, server_header=False, proxy_headers=bool(settings.http.trusted_proxies),
            forwarded_allow_ips=settings.http.trusted_proxies, date_header=False,
        )  # fmt: skip
        server = _Server(config, app, resources)
        async with attending(resources, delivering=with_worker):
            jobs = asyncio.create_task(work(resources.jobs.app)) if with_worker else None
            announcing = asyncio.create_task(_announce(server, settings))
            try:
                await server.serve()
            finally:
                announcing.cancel()
                await resources.turns.drain(GRACE_S)
                await _end(jobs)


class _Server(uvicorn.Server):
    """Stops starting turns as soon as it is told to end, while the answers that run still reach their readers."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, resources: Resources) -> None:
        super().__init__(config)
        self._app, self._resources = app, resources
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)  # uvicorn raises the signal again when it is done; we are not yet

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._app.state.closing = True
        self._resources.turns.draining = True
        super().handle_exit(sig, frame)


async def _work(settings: Settings) -> None:
    async with open_resources(settings) as resources, attending(resources):
        jobs = asyncio.create_task(work(resources.jobs.app))
        await _until_told()
        await resources.turns.drain(GRACE_S)
        await _end(jobs)


async def _until_told() -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    await told.wait()


async def _end(task: "asyncio.Task[None] | None") -> None:
    if task is not None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _announce(server: uvicorn.Server, settings: Settings) -> None:
    """Say where it is and how to ask, once it really listens."""
    while not server.started:
        await asyncio.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    url = f"http://{settings.http.host}:{port}"
    if not settings.embedded:
        typer.echo(f"\nready at {url}")
    else:
        typer.echo(f"\nhelpdesk is ready at {url}  (open it to chat; API docs: {url}/docs)")
        typer.echo(EXAMPLE.replace("URL", url).replace("COMMAND", sys.argv[0]))


EXAMPLE = """
Ask it something, and watch the answer stream:

  S=$(curl -s -X POST URL/api/v1/chat/sessions -H 'X-Widget-Key: demo'); \\
  curl -sN URL/api/v1/chat/sessions/$(echo $S | grep -o '"session_id":"[^"]*' | cut -d'"' -f4)/messages \\
    -H "Authorization: Bearer $(echo $S | grep -o '"visitor_token":"[^"]*' | cut -d'"' -f4)" \\
    -H 'Accept: text/event-stream' -H 'Content-Type: application/json' \\
    -d '{"message": "How do I reset my mailbox password?"}'

or: COMMAND ask "How do I reset my mailbox password?"
"""
