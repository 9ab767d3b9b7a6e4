"""Runs suites over their cases, one case at a time so that milliseconds mean something, and keeps what was seen."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from agent.settings import Settings
from evals.cases import Case, sample
from evals.journal import Journal, open_journal, product_digest
from evals.public import Public
from evals.results import Evaluator, Findings, Row
from evals.suite import Suite
from evals.variants import DEFAULT, Variant, parse_variant
from evals.world import World, open_world, with_variables

Opener = Callable[..., AbstractAsyncContextManager[World]]
"""Opens the product for one version; tests of the runner itself do without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be run."""

    suites: Sequence[Suite]
    variants: Sequence[Variant] = field(default_factory=lambda: [parse_variant(DEFAULT)])
    data: Path | None = None
    limit: int | None = None
    repeat: int = 1
    live: bool = False

    @property
    def partial(self) -> bool:
        """A part of the cases: too few to hold against a floor."""
        return self.limit is not None

    @property
    def usual(self) -> bool:
        """The product as it ships, on all cases."""
        return not self.partial and not self.live and [variant.name for variant in self.variants] == [DEFAULT]

    def as_dict(self) -> dict[str, Any]:
        """As it is compared: a run goes on only with the same plan, of the same product."""
        return {
            "product": product_digest(),
            "suites": [suite.name for suite in self.suites],
            "versions": [variant.as_dict() for variant in self.variants],
            "data": str(self.data.resolve()) if self.data else None,
            "limit": self.limit, "repeat": self.repeat, "live": self.live,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came of it, by version and suite."""

    plan: Plan
    folder: Path
    findings: Mapping[str, Mapping[str, Findings]]
    seconds: float
    errors: Sequence[tuple[str, str]] = ()
    models: Sequence[str] = ()
    """That were asked, in a live run."""


async def run(
    plan: Plan, settings: Settings, out: Path, *, fresh: bool = False, console: Console | None = None,
    opener: Opener = open_world,
) -> Run:  # fmt: skip
    """Run the plan, or the rest of it where it was stopped before."""
    started = time.perf_counter()
    journal = open_journal(out, plan.as_dict(), fresh=fresh)
    done = journal.done()
    public = Public(plan.data)
    findings: dict[str, dict[str, Findings]] = {}
    errors: list[tuple[str, str]] = []
    with _progress(console) as progress:
        for variant in plan.variants:
            async with opener(settings, variant, public, live=plan.live) as world:
                for suite in plan.suites:
                    rows = await _run_suite(suite, world, plan, journal, done, progress)
                    errors += [(row.case.id, row.error) for row in rows if row.error]
                    good = [row for row in rows if not row.error]
                    findings.setdefault(variant.name, {})[suite.name] = suite.conclude(good)
    return Run(
        plan=plan, folder=journal.folder, findings=findings, seconds=time.perf_counter() - started, errors=errors,
        models=_models(settings, plan) if plan.live else (),
    )  # fmt: skip


def _models(settings: Settings, plan: Plan) -> list[str]:
    chosen = [with_variables(settings, variant.settings).models for variant in plan.variants]
    return [name for name in dict.fromkeys(each for models in chosen for each in (models.answer, models.fast)) if name]


async def _run_suite(
    suite: Suite, world: World, plan: Plan, journal: Journal, done: Mapping[str, dict[str, Any]], progress: Progress
) -> list[Row]:
    cases = sample(suite.cases(world.public), plan.limit)
    task = progress.add_task(f"{suite.name} [dim]{world.variant.name}[/dim]", total=len(cases) * plan.repeat)
    evaluator: Evaluator | None = None
    rows = []
    for repeat in range(plan.repeat):
        for case in cases:
            key = f"{world.variant.name}|{suite.name}|{case.id}|{repeat}"
            if key in done:
                rows.append(_row(case, done[key]))
            else:
                evaluator = evaluator or await suite.prepare(world, cases)
                row = await _evaluate(evaluator, case, repeat)
                journal.add({"key": key, "ms": row.ms, "observed": row.observed, "error": row.error, "repeat": repeat})
                rows.append(row)
            progress.advance(task)
    return rows


async def _evaluate(evaluator: Evaluator, case: Case, repeat: int) -> Row:
    """A case that raises is an error in the report; the others go on."""
    before = time.perf_counter()
    try:
        observed, error = await evaluator.evaluate(case), ""
    except Exception as failure:
        observed, error = {}, f"{type(failure).__name__}: {failure}"
    ms = (time.perf_counter() - before) * 1000
    return Row(case=case, repeat=repeat, ms=round(ms, 3), observed=observed, error=error)


def _row(case: Case, kept: Mapping[str, Any]) -> Row:
    return Row(case=case, repeat=kept["repeat"], ms=kept["ms"], observed=kept["observed"], error=kept["error"])


@contextmanager
def _progress(console: Console | None) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console or Console(stderr=True), disable=console is None) as progress:
        yield progress
