"""`helpdesk demo`: a whole story against the running server, from a customer's question to the solved ticket."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console

from agent.settings import Settings
from api import PREFIX
from api.cli.opening import installation, quiet_settings, run
from api.cli.talking import check, connect, speak

app = typer.Typer()
console = Console(highlight=False)
Headers = dict[str, str]
NAME = "Ada"


@app.callback()
def _() -> None:
    """Keeps the command's name when it stands alone."""


@app.command()
def demo(
    tenant: Annotated[str, typer.Option(help="Slug of the tenant to play in.")] = "demo",
    widget_key: Annotated[str, typer.Option(help="Its public widget key.")] = "demo",
) -> None:
    """Watch a customer ask, be answered, ask for a person, talk to one, and the ticket that shows it all."""
    run(_demo(quiet_settings(), tenant, widget_key))


@dataclass(frozen=True, slots=True)
class Stage:
    """The client, and who speaks through it."""

    client: httpx.AsyncClient
    session: dict[str, Any]
    colleague: Headers

    @property
    def session_id(self) -> str:
        found: str = self.session["session_id"]
        return found

    @property
    def customer(self) -> Headers:
        return {"Authorization": f"Bearer {self.session['visitor_token']}"}

    async def call(self, method: str, path: str, who: Headers, **body: Any) -> Any:
        answer = await self.client.request(method, f"{PREFIX}{path}", headers=who, json=body or None)
        check(answer.status_code, answer.content)
        return answer.json()

    async def customer_says(self, text: str) -> None:
        """While the bot has the conversation its answer streams; while a person has it there is nothing to wait for."""
        console.print(f"\n[bold]customer[/bold]  {text}")
        await speak(self.client, self.session, text)

    async def ada_says(self, handoff: str, text: str) -> None:
        console.print(f"\n[bold magenta]{NAME}[/bold magenta]  {text}")
        await self.call("POST", f"/handoffs/{handoff}/messages", self.colleague, message=text)


async def _demo(settings: Settings, tenant: str, widget_key: str) -> None:
    async with connect(settings) as client, _colleague(settings, client, tenant) as colleague:
        opened = await client.post(f"{PREFIX}/chat/sessions", headers={"X-Widget-Key": widget_key})
        check(opened.status_code, opened.content)
        console.print(f"[cyan]bot[/cyan]  {opened.json()['message']}")
        await _play(Stage(client, opened.json(), colleague))


async def _play(stage: Stage) -> None:
    await stage.customer_says("How do I reset my mailbox password?")
    await stage.customer_says("That did not help. I want to talk to a person.")
    [waiting] = [
        found for found in (await stage.call("GET", "/handoffs?limit=100", stage.colleague))["items"]
        if found["session_id"] == stage.session_id
    ]  # fmt: skip
    handoff = waiting["id"]
    found = await stage.call("GET", f"/handoffs/{handoff}", stage.colleague)
    _aside(f"the queue shows: {found['reason']}, severity {found['severity']}, ticket #{found['ticket_number']}")
    _aside(f"and what was tried: {', '.join(found['findings'].get('sources', [])) or 'nothing'}")
    await stage.call("POST", f"/handoffs/{handoff}/claim", stage.colleague)
    _aside(f"{NAME} claims the conversation; the bot is silent from here")
    await stage.ada_says(handoff, "Hello, I'm Ada. Which address is it?")
    await stage.customer_says("office@example.com, since this morning.")
    await stage.call("POST", f"/handoffs/{handoff}/notes", stage.colleague, message="Mailbox was locked; unlocked it.")
    _aside("a note for colleagues alone: Mailbox was locked; unlocked it.")
    await stage.ada_says(handoff, "It was locked after too many attempts. I have unlocked it: please try again.")
    await stage.customer_says("It works, thank you!")
    await stage.call("POST", f"/handoffs/{handoff}/resolve", stage.colleague, outcome="mailbox unlocked")
    _aside(f"{NAME} resolves it; the conversation ends")
    feedback = f"/chat/sessions/{stage.session_id}/feedback"
    await stage.call("POST", feedback, stage.customer, kind="csat", value=5, comment="Quick and friendly")
    _aside("the customer gives 5 of 5")
    await _show_ticket(stage, found["ticket_id"])


async def _show_ticket(stage: Stage, ticket_id: str) -> None:
    ticket = await stage.call("GET", f"/tickets/{ticket_id}", stage.colleague)
    console.rule(f"ticket #{ticket['number']}: {ticket['subject']}", align="left")
    console.print(f"status {ticket['status']}, priority {ticket['priority']}, assigned to {ticket['assignee_name']}")
    for event in (await stage.call("GET", f"/tickets/{ticket_id}/events?limit=100", stage.colleague))["items"]:
        data = event["data"]
        moved = f"{data['from']} to {data['to']}" if event["type"] == "status_changed" else ""
        words = event["text"] or data.get("outcome") or data.get("by") or moved
        who = f"{event['author']}: " if event["text"] and event["author"] else ""
        console.print(f"  {event['created_at'][11:19]}  {event['type']:<18} {who}{words}", markup=False, soft_wrap=True)


def _aside(text: str) -> None:
    console.print(f"\n          [dim]{text}[/dim]")


@asynccontextmanager
async def _colleague(settings: Settings, client: httpx.AsyncClient, tenant: str) -> AsyncIterator[Headers]:
    """A colleague for as long as the story lasts, with a password that nobody learns."""
    from tools.identity.provisioning import lend_account, take_back_account  # with a database driver

    email, password = f"ada@{tenant}.example.com", secrets.token_urlsafe(24)
    async with installation(settings) as owner:
        await lend_account(owner, tenant, email=email, password=password, name=NAME)
    try:
        signed_in = await client.post(f"{PREFIX}/auth/login", json={"email": email, "password": password})
        check(signed_in.status_code, signed_in.content)
        yield {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
    finally:
        async with installation(settings) as owner:
            await take_back_account(owner, tenant, email=email)
