"""The processes that stay: one that serves HTTP, and one that only works. See `api/cli/staying.py` for their commands."""

import asyncio
import gc
import socket
import sys
from types import FrameType

import typer
import uvicorn
from fastapi import FastAPI

from agent.attending import attending
from agent.resources import Resources, open_resources
from agent.seeding import seed_all
from agent.settings import Settings
from api.app import create_app
from api.cli.ending import DRAIN_S, Ending
from api.event_stream import GRACE_S
from memory.cancelling import end
from memory.errors import Misconfigured
from memory.jobs import PACE, work

JOBS_END_S = PACE.grace_s + 4
"""For jobs to use their grace, and for the worker's own tasks."""
KEEP_ALIVE_S = 75
"""An idle connection stays longer than proxies keep theirs (60 s is usual): else one sends a request into a connection
that is just being closed, and its customer gets a 502."""


def _check_port(settings: Settings) -> None:
    """Say that a port is taken before anything is set up for it."""
    with socket.socket(socket.AF_INET6 if ":" in settings.http.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.http.host, settings.http.port))
        except OSError as error:
            raise Misconfigured(f"{settings.http.address()} can't be used ({error.strerror}); set PORT") from None


async def serve(settings: Settings, ending: Ending, *, with_worker: bool) -> None:
    ending.starting()
    _check_port(settings)
    async with open_resources(settings) as resources:
        if settings.embedded:
            await seed_all(resources)
        app = create_app(settings, resources)
        config = uvicorn.Config(
            app, host=settings.http.host, port=settings.http.port, log_config=None, access_log=False,
            timeout_graceful_shutdown=DRAIN_S, server_header=False, proxy_headers=bool(settings.http.trusted_proxies),
            forwarded_allow_ips=settings.http.trusted_proxies, date_header=False, timeout_keep_alive=KEEP_ALIVE_S,
        )  # fmt: skip
        async with attending(resources, delivering=with_worker):
            server = _Server(config, app, resources, ending)
            jobs = asyncio.create_task(_work_until_told(resources, ending)) if with_worker else None
            announcing = asyncio.create_task(_announce(server, settings))
            gc.freeze()  # nor through what was loaded since, which stays as well
            try:
                await server.serve()
            finally:
                ending.hear()
                announcing.cancel()
                await resources.turns.drain(ending.left(GRACE_S))
                if jobs:
                    await jobs


class _Server(uvicorn.Server):
    """Stops starting turns as soon as it is told to end, while the answers that run still reach their readers."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, resources: Resources, ending: Ending) -> None:
        super().__init__(config)
        self._app, self._resources, self._ending = app, resources, ending
        ending.serving(self._stop)  # uvicorn does not listen for signals yet, and raises them again when it is done

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._ending.hear()
        super().handle_exit(sig, frame)

    def _stop(self) -> None:
        self._app.state.closing = True
        self._resources.turns.draining = True
        self.should_exit = True


async def work_only(settings: Settings, ending: Ending) -> None:
    ending.starting()
    async with open_resources(settings) as resources, attending(resources):
        ending.serving()
        jobs = asyncio.create_task(_work_until_told(resources, ending))
        await ending.wait()
        await resources.turns.drain(ending.left(GRACE_S))
        await jobs


async def _work_until_told(resources: Resources, ending: Ending) -> None:
    """Take jobs, and give them back while answers that run still go on."""
    jobs = asyncio.create_task(work(resources.jobs.app), name="jobs")
    await ending.wait()
    await end(jobs, within_s=JOBS_END_S, again_s=JOBS_END_S)


async def _announce(server: uvicorn.Server, settings: Settings) -> None:
    """Say where it is and how to ask, once it really listens."""
    while not server.started:
        await asyncio.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    url = f"http://{settings.http.address(port)}"
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
