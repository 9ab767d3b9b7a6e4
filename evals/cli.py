"""The command: which suites, on what, compared with what.

    python -m evals                                     every suite on our own cases
    python -m evals retrieval --data FOLDER             one suite, on public sets too
    python -m evals --compare default lexical_weight=0.5 retrieval

Ends with 1 where a score is below its floor or a case could not be evaluated, with 2 where it can't begin. A run that
was stopped goes on when the same command is given again.
"""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.console import Console

from agent.settings import Settings
from evals.baselines import record
from evals.report import Summary, summarise, write_html, write_json
from evals.runner import Plan, Run
from evals.runner import run as run_plan
from evals.suites import SUITES
from evals.terminal import show
from evals.variants import DEFAULT, parse_variant
from evals.world import check_live, own_settings
from memory.errors import HelpdeskError, Misconfigured

NAMES = [suite.name for suite in SUITES]


def evaluate(
    suites: Annotated[
        list[str] | None, typer.Argument(help=f"any of {', '.join(NAMES)}; all when none is named")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="folder of public sets")] = None,
    out: Annotated[Path | None, typer.Option(help="where runs are kept; DATA_DIR/evals/runs by default")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="cases of each set")] = None,
    repeat: Annotated[int, typer.Option(min=1, help="times that each case is run")] = 1,
    compare: Annotated[tuple[str, str] | None, typer.Option(help="two versions, see docs/evals.md")] = None,
    live: Annotated[bool, typer.Option("--live", help="with the configured model, not the built-in one")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="begin anew where a run was stopped")] = False,
    keep: Annotated[bool, typer.Option("--record", help="later runs are held against these scores")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="no progress bar")] = False,
) -> None:
    """Measure the product."""
    console = Console(stderr=True)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    try:
        plan = Plan(
            suites=[suite for suite in SUITES if suite.name in _known(suites or NAMES)],
            variants=[parse_variant(text) for text in compare or (DEFAULT,)],
            data=_folder(data), limit=limit, repeat=repeat, live=live,
        )  # fmt: skip
        base = Settings.load().app.data_dir.absolute() / "evals"
        settings = own_settings(base, live=live)
        check_live(settings, plan.variants, live=live)
        if keep and not plan.usual:
            raise Misconfigured("--record keeps the scores of the product as it ships, on all cases")
        run, summary = asyncio.run(_run(plan, settings, out or base / "runs", fresh, None if quiet else console))
    except HelpdeskError as error:
        console.print(f"[red]{error}[/red]")
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on from here")
        raise typer.Exit(130) from None
    show(summary, Console())
    if keep:
        record(score for findings in run.findings[DEFAULT].values() for score in findings.scores)
    raise typer.Exit(1 if summary.failed else 0)


async def _run(plan: Plan, settings: Settings, out: Path, fresh: bool, console: Console | None) -> tuple[Run, Summary]:
    ended = await run_plan(plan, settings, out, fresh=fresh, console=console)
    summary = summarise(ended)
    write_html(summary, ended.folder / "report.html")
    write_json(summary, ended.folder / "report.json")  # last: it says that the run has ended
    return ended, summary


def _known(names: list[str]) -> list[str]:
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise typer.BadParameter(f"no such suite: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    return names


def _folder(path: Path | None) -> Path | None:
    if path is not None and not path.is_dir():
        raise typer.BadParameter(f"{path} is not a folder")
    return path


def main() -> None:
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(evaluate)
    app(prog_name="python -m evals", args=sys.argv[1:])
