"""`helpdesk ask` and `helpdesk chat`: the agent in a terminal, over HTTP like any other client."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

import httpx
import orjson
import typer
import uvicorn
from rich.console import Console

from agent.resources import attending, open_resources
from agent.settings import Settings
from api.app import PREFIX, create_app
from api.cli.opening import quiet_settings, run
from api.cli.setup import seed_all

console = Console(highlight=False)
WidgetKey = Annotated[str, typer.Option(help="Public widget key of the tenant to ask.")]


def add_to(app: typer.Typer) -> None:
    app.command()(ask)
    app.command()(chat)


def ask(question: str, widget_key: WidgetKey = "demo") -> None:
    """Ask one question and watch the answer stream, with its sources."""
    run(_ask(quiet_settings(), question, widget_key))


def chat(widget_key: WidgetKey = "demo") -> None:
    """Have a conversation; an empty line or Ctrl-D ends it."""
    run(_chat(quiet_settings(), widget_key))


async def _ask(settings: Settings, question: str, widget_key: str) -> None:
    async with _connect(settings) as client:
        session = await _open(client, widget_key)
        await _say(client, session, question)


async def _chat(settings: Settings, widget_key: str) -> None:
    async with _connect(settings) as client:
        session = await _open(client, widget_key)
        console.print(session["message"], style="cyan")
        while True:
            try:
                line = await asyncio.to_thread(console.input, "\n[bold]you[/bold]  ")
            except (EOFError, KeyboardInterrupt):
                return
            if not line.strip():
                return
            await _say(client, session, line)


@asynccontextmanager
async def _connect(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The server at HOST:PORT, or one started in this process where there is none."""
    url = f"http://{settings.http.host}:{settings.http.port}"
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        with suppress(httpx.HTTPError):
            if (await client.get("/livez")).status_code == httpx.codes.OK:
                yield client
                return
    async with (
        _in_process(settings) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        yield client


@asynccontextmanager
async def _in_process(settings: Settings) -> AsyncIterator[int]:
    with console.status("starting"):
        context = open_resources(settings)
        resources = await context.__aenter__()
        if settings.embedded:
            await seed_all(settings, resources)
    try:
        config = uvicorn.Config(
            create_app(settings, resources), host="127.0.0.1", port=0, log_config=None, access_log=False
        )
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # Ctrl-C is the command's
        serving = asyncio.create_task(server.serve())
        async with attending(resources):
            while not server.started:
                await asyncio.sleep(0.01)
            yield server.servers[0].sockets[0].getsockname()[1]
            server.should_exit = True
            await serving
    finally:
        await context.__aexit__(None, None, None)


async def _open(client: httpx.AsyncClient, widget_key: str) -> dict[str, Any]:
    answer = await client.post(f"{PREFIX}/chat/sessions", headers={"X-Widget-Key": widget_key})
    _check(answer.status_code, answer.content)
    session: dict[str, Any] = answer.json()
    return session


async def _say(client: httpx.AsyncClient, session: dict[str, Any], text: str) -> None:
    url = f"{PREFIX}/chat/sessions/{session['session_id']}/messages"
    headers = {"Authorization": f"Bearer {session['visitor_token']}", "Accept": "text/event-stream"}
    async with client.stream("POST", url, json={"message": text}, headers=headers) as answer:
        if answer.status_code != httpx.codes.OK:
            _check(answer.status_code, await answer.aread())
            return
        kind = ""
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                _show(kind, orjson.loads(value))


def _show(kind: str, data: dict[str, Any]) -> None:
    """One event, as a reader of a terminal wants it."""
    match kind:
        case "message.delta":
            console.out(data["text"], end="", highlight=False)
        case "message.completed":
            console.print()
            for number, source in enumerate(data["sources"], 1):
                console.print(f"  [{number}] {source['metadata']['title']} ({source['id']})", style="dim", markup=False)
        case "message.created" if data["author"] == "system":
            console.print(data["text"], style="yellow")
        case "turn.failed" | "turn.cancelled":
            console.print(f"({kind}: {data.get('reason')})", style="red")


def _check(status: int, body: bytes) -> None:
    if status >= httpx.codes.BAD_REQUEST:
        with suppress(orjson.JSONDecodeError):
            console.print(f"{status}: {orjson.loads(body).get('detail', '')}", style="red")
        raise typer.Exit(1)
