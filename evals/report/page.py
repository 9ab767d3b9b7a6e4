"""The page: one file that needs nothing else."""

import math
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from evals.report.plots import draw
from evals.report.summary import Line, Summary, shown


def write_html(summary: Summary, path: Path) -> None:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["score"] = lambda value, line: "–" if math.isnan(value) else shown(value, line.unit)
    environment.globals.update(bar=bar, draw=draw)
    path.write_text(environment.get_template("page.html").render(summary=summary), encoding="utf-8")


def bar(line: Line, value: float) -> float:
    """Width of a score's bar in percent: of 1, or of the slowest that is named."""
    if math.isnan(value):
        return 0.0
    most = 1.0 if line.unit == "" else max([*line.values, line.goal or 0.0, line.floor or 0.0]) or 1.0
    return round(100 * min(max(value / most, 0.0), 1.0), 1)
