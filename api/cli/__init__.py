"""The command line `helpdesk`: serve, work, set up, feed the knowledge base, and talk to the agent."""

import sys

import typer

from api.cli import knowledge, serving, setup, talking
from memory.errors import HelpdeskError

app = typer.Typer(
    name="helpdesk", no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False,
    help="A support agent that answers from your knowledge base, cites it, and hands over to people.",
)  # fmt: skip
for module in (serving, talking, knowledge, setup):
    module.add_to(app)


def main() -> None:
    """Run a command; an error of ours is one line, not a trace."""
    try:
        app()
    except HelpdeskError as error:
        typer.secho(f"helpdesk: {error.detail or error.code}", fg=typer.colors.RED, err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
