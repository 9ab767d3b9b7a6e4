"""`make faults`: the whole table, in its true lengths, with counts, figures and what did not hold.

FAULTS=0.1 make faults              a tenth of the counts, at least one each
FAULT="redis killed" make faults    those whose name holds the word
SEED=7 make faults                  the same moments again
"""

import asyncio
import math
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from statistics import median

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.faults.cluster import Cluster, running_cluster
from tests.faults.prober import Prober, probing
from tests.faults.stage import Report, Stage, percentile
from tests.faults.table import FAULTS, Fault

LONGEST_S = 240
"""Of one repetition; one that takes longer is stuck."""
SHOWN = 8
"""Different violations of one fault that are printed."""


def http_client() -> httpx.AsyncClient:
    unlimited = httpx.Limits(max_connections=None, max_keepalive_connections=20)
    return httpx.AsyncClient(timeout=httpx.Timeout(60, connect=3), limits=unlimited)


async def repeat(
    fault: Fault, count: int, cluster: Cluster, prober: Prober, http: httpx.AsyncClient, seed: str,
    progress: Progress, shown: TaskID,
) -> Report:  # fmt: skip
    """One row of the table; a repetition that breaks is a violation, and the next one begins on a cluster that is well."""
    report = Report(fault.name)
    while report.runs < count and not report.skipped:
        batch = min(fault.together, count - report.runs)
        stages = [
            Stage(cluster, prober, http, random.Random(f"{seed}/{fault.name}/{report.runs + n}"), report, patient=True)
            for n in range(batch)
        ]
        for outcome in await asyncio.gather(*(_once(fault, stage) for stage in stages), return_exceptions=True):
            if isinstance(outcome, BaseException):
                report.violations.append("".join(traceback.format_exception(outcome)[-3:]).strip())
        await cluster.heal()
        if not report.skipped:
            report.runs += batch
        progress.update(shown, advance=batch, description=_line(fault, report))
    return report


async def _once(fault: Fault, stage: Stage) -> None:
    async with asyncio.timeout(LONGEST_S):
        await fault.run(stage)


def _line(fault: Fault, report: Report) -> str:
    wrong = f"[red]{len(report.violations)} wrong[/red]" if report.violations else "[green]holds[/green]"
    return f"{fault.name:<26} {wrong}"


async def run(chosen: Sequence[tuple[Fault, int]], seed: str, console: Console) -> list[Report]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    reports = []
    with Progress(*columns, console=console) as progress:
        starting = progress.add_task("starting the cluster", total=None)
        async with running_cluster() as cluster, probing(cluster) as prober, http_client() as http:
            progress.remove_task(starting)
            for fault, count in chosen:
                shown = progress.add_task(fault.name, total=count)
                reports.append(await repeat(fault, count, cluster, prober, http, seed, progress, shown))
                if not console.is_terminal:  # where no bar moves, a line says how far it is
                    console.print(f"{_line(fault, reports[-1])} {reports[-1].runs} of {count}", soft_wrap=True)
                    _tell_what_is_wrong(reports[-1], console)  # a run that is stopped has told what it found
    return reports


def table_of(reports: Sequence[Report]) -> Table:
    table = Table("fault", "runs", "violations", "figures", title="What the product survives")
    for report in reports:
        wrong = f"[red]{len(report.violations)}[/red]" if report.violations else "0"
        figures = "\n".join(_figure(name, values, report) for name, values in report.figures.items() if values)
        table.add_row(report.name, str(report.runs), report.skipped or wrong, figures)
    return table


def _figure(name: str, values: list[float], report: Report) -> str:
    most = f"  (at most {report.limits[name]:g})" if name in report.limits else ""
    if name in report.usual:
        most = f"  (p95 at most {report.usual[name]:g})"
    return f"{name}: p50 {median(values):.2f}  p95 {percentile(values, 95):.2f}  max {max(values):.2f}{most}"


def tell(reports: Sequence[Report], console: Console) -> bool:
    """Print what came of it; True where everything was tried and holds."""
    console.print(table_of(reports))
    for report in reports:
        _tell_what_is_wrong(report, console)
    return not any(report.violations or report.over or report.skipped for report in reports)


def _tell_what_is_wrong(report: Report, console: Console) -> None:
    for wrong, times in Counter(report.violations).most_common(SHOWN):
        console.print(f"[red]{report.name}[/red] {f'{times} times: ' if times > 1 else ''}{wrong}", markup=True)
    for over in report.over:
        console.print(f"[yellow]{report.name}[/yellow] {over}")


def main() -> int:
    scale, wanted = float(os.environ.get("FAULTS", "1")), os.environ.get("FAULT", "")
    seed = os.environ.get("SEED", str(int(time.time())))
    chosen = [(fault, max(1, math.ceil(fault.count * scale))) for fault in FAULTS if wanted in fault.name]
    console = Console()
    if not chosen:
        console.print(f"no fault is named {wanted!r}; there are {', '.join(fault.name for fault in FAULTS)}")
        return 2
    console.print(f"SEED={seed}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended, also then
    return 0 if tell(asyncio.run(run(chosen, seed, console)), console) else 1


if __name__ == "__main__":
    sys.exit(main())
