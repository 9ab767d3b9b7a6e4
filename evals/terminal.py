"""The report in a terminal: every score beside its baseline."""

from rich.console import Console
from rich.table import Table

from evals.report import Line, Summary, shown

STATES = {"below": "[red]below its floor[/red]", "missed": "[yellow]goal missed[/yellow]", "": ""}


def show(summary: Summary, console: Console) -> None:
    for section in summary.sections:
        table = Table("set", "metric", *summary.versions, "beside", "n", title=section.suite, title_justify="left")
        for line in section.lines:
            if line.main or line.state:
                table.add_row(line.dataset, line.metric, *_values(line), _beside(line), str(line.n))
        console.print(table)
    for case, error in summary.errors:
        console.print(f"[red]{case}: {error}[/red]")
    below = [line for section in summary.sections for line in section.lines if line.state == "below"]
    console.print(f"{summary.seconds:.0f} s; {len(below)} below their floor; {summary.folder}/report.html")


def _values(line: Line) -> list[str]:
    return [shown(value, line.unit) for value in line.values]


def _beside(line: Line) -> str:
    marks = [f"{name} {shown(value, line.unit)}" for name, value in line.held_against]
    return "  ".join([*marks, STATES[line.state]]).strip()
