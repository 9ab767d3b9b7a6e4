"""The product inside a command, where no server is there to talk to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from rich.console import Console

from agent.attending import attending
from agent.resources import open_resources
from agent.seeding import seed_all
from agent.settings import Settings
from api.app import create_app


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[int]:
    """The product on a free port of this machine, for as long as the block runs."""
    with Console(stderr=True).status("starting"):
        context = open_resources(settings)
        resources = await context.__aenter__()
        if settings.embedded:
            await seed_all(resources)
    try:
        config = uvicorn.Config(
            create_app(settings, resources), host="127.0.0.1", port=0, log_config=None, access_log=False
        )
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # Ctrl-C is the command's
        running = asyncio.create_task(server.serve())
        async with attending(resources):
            while not server.started:
                await asyncio.sleep(0.01)
            try:
                yield server.servers[0].sockets[0].getsockname()[1]
            finally:
                server.should_exit = True
                await running
    finally:
        await context.__aexit__(None, None, None)
