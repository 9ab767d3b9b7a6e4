"""`helpdesk ask` and `helpdesk chat`: the agent in a terminal, over HTTP like any other client."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

import httpx
import orjson
import typer
from rich.console import Console

from agent.settings import Settings
from api import PREFIX
from api.cli.opening import quiet_settings, run

console = Console(highlight=False)
WidgetKey = Annotated[str, typer.Option(help="Public widget key of the tenant to ask.")]

app = typer.Typer()


@app.command()
def ask(question: str, widget_key: WidgetKey = "demo") -> None:
    """Ask one question and watch the answer stream, with its sources."""
    run(_ask(quiet_settings(), question, widget_key))


@app.command()
def chat(widget_key: WidgetKey = "demo") -> None:
    """Have a conversation; an empty line or Ctrl-D ends it."""
    run(_chat(quiet_settings(), widget_key))


async def _ask(settings: Settings, question: str, widget_key: str) -> None:
    async with connect(settings) as client:
        session = await _open(client, widget_key)
        await speak(client, session, question)


async def _chat(settings: Settings, widget_key: str) -> None:
    async with connect(settings) as client:
        session = await _open(client, widget_key)
        console.print(session["message"], style="cyan")
        while True:
            try:
                line = await asyncio.to_thread(console.input, "\n[bold]you[/bold]  ")
            except (EOFError, KeyboardInterrupt):
                return
            if not line.strip():
                return
            await speak(client, session, line)


@asynccontextmanager
async def connect(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The server at HOST:PORT, or one started in this process where there is none."""
    url = f"http://{settings.http.address()}"
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        if await _is_there(client):
            yield client
            return
    from api.cli.in_process import serving  # takes seconds to load, and only where no server is

    async with serving(settings) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        yield client


async def _is_there(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/livez")).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


async def _open(client: httpx.AsyncClient, widget_key: str) -> dict[str, Any]:
    answer = await client.post(f"{PREFIX}/chat/sessions", headers={"X-Widget-Key": widget_key})
    check(answer.status_code, answer.content)
    session: dict[str, Any] = answer.json()
    return session


async def speak(client: httpx.AsyncClient, session: dict[str, Any], text: str) -> None:
    """Say something and show the answer as it comes; while a person has the conversation there is none to wait for."""
    url = f"{PREFIX}/chat/sessions/{session['session_id']}/messages"
    headers = {"Authorization": f"Bearer {session['visitor_token']}", "Accept": "text/event-stream"}
    async with client.stream("POST", url, json={"message": text}, headers=headers) as answer:
        if answer.status_code != httpx.codes.OK:
            check(answer.status_code, await answer.aread())
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
                place = " > ".join(filter(None, (source["metadata"]["title"], source["metadata"]["heading"])))
                console.print(f"  [{number}] {place} ({source['id']})", style="dim", markup=False, soft_wrap=True)
        case "message.created" if data["author"] == "system":
            console.print(data["text"], style="yellow")
        case "turn.failed" | "turn.cancelled":
            console.print(f"({kind}: {data.get('reason')})", style="red")


def check(status: int, body: bytes) -> None:
    if status >= httpx.codes.BAD_REQUEST:
        with suppress(orjson.JSONDecodeError):
            console.print(f"{status}: {orjson.loads(body).get('detail', '')}", style="red")
        raise typer.Exit(1)
