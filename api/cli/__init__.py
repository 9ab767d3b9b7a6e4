"""The command line `helpdesk`: serve, work, set up, feed the knowledge base, and talk to the agent.

A command's module is imported when the command runs: asking a server that is there must not wait for a database
driver and a graph library to load.
"""

import gc
import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from api.cli.giving_back import give_back_what_is_large
from memory.errors import HelpdeskError

COMMANDS = {
    "serve": "staying", "worker": "staying", "ask": "talking", "chat": "talking", "ingest": "knowledge",
    "reindex": "knowledge", "migrate": "setup", "seed": "setup", "tenant": "setup", "user": "setup",
    "rotate-keys": "keys", "demo": "demo", "customer": "privacy",
}  # fmt: skip


class _OnDemand(TyperGroup):
    """Commands by name, each from its module."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        part = get_command(import_module(f"api.cli.{COMMANDS[cmd_name]}").app)
        assert isinstance(part, TyperGroup)  # each module has more than one command
        return part.get_command(ctx, cmd_name)


app = typer.Typer(
    name="helpdesk", cls=_OnDemand, no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False,
    help="A support agent that answers from your knowledge base, cites it, and hands over to people.",
)  # fmt: skip


@app.callback()
def root() -> None:
    """A support agent that answers from your knowledge base, cites it, and hands over to people."""


def main() -> None:
    """Run a command; an error of ours is one line, not a trace."""
    gc.disable()  # nothing that is imported becomes garbage, and looking for some is a fifth of a start; see `run`
    give_back_what_is_large()
    try:
        app()
    except HelpdeskError as error:
        typer.secho(f"helpdesk: {error.detail or error.code}", fg=typer.colors.RED, err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
