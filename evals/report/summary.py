"""A run's scores beside their baselines. Floors hold for whole sets: a part of one (`--limit`) fails nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import orjson

from evals.baselines import Baseline, dropped, fallen, load_baselines, load_measured, missed
from evals.results import Figure, Score
from evals.runner import Run

VARIATIONS = (
    "dense only", "lexical only", "no MMR", "with rerank", "no spelling", "no rewrite", "by a person", "words only",
    "meaning only",
)  # fmt: skip
"""How the names of metrics end that only show what a step is worth."""
State = Literal["", "below", "missed"]


def varies(metric: str) -> bool:
    """Whether a metric only shows what a step is worth."""
    return metric.endswith(VARIATIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One metric of one set: its value in every version, and what it is held against."""

    dataset: str
    metric: str
    values: Sequence[float]
    n: int
    unit: str
    lower_is_better: bool
    marks: Mapping[str, float]
    before: float | None
    """As it was recorded last."""
    floor: float | None
    goal: float | None
    note: str
    state: State

    @property
    def key(self) -> tuple[str, str]:
        return self.dataset, self.metric

    @property
    def main(self) -> bool:
        """Not a variation of another line."""
        return not varies(self.metric) or bool(self.marks) or self.goal is not None

    @property
    def held_against(self) -> list[tuple[str, float]]:
        """Everything known beside the value, by name."""
        own = {"before": self.before, "goal": self.goal, "floor": self.floor}
        return [*self.marks.items(), *((name, value) for name, value in own.items() if value is not None)]

    @property
    def best_mark(self) -> float | None:
        marks = self.marks.values()
        return (min(marks) if self.lower_is_better else max(marks)) if marks else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    suite: str
    about: str
    lines: Sequence[Line]
    figures: Sequence[Figure]
    misses: Sequence[tuple[str, str]]
    changed: Sequence[tuple[str, str, str]]
    """Of two versions: cases that came out differently, with what each told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    versions: Sequence[str]
    sections: Sequence[Section]
    plan: Mapping[str, Any]
    folder: str
    seconds: float
    finished: str
    errors: Sequence[tuple[str, str]]
    models: Sequence[str] = ()
    """That were asked, in a live run."""

    @property
    def failed(self) -> bool:
        return bool(self.errors) or any(line.state == "below" for section in self.sections for line in section.lines)


def summarise(run: Run) -> Summary:
    """Floors are held against the last version, which is the new one of two."""
    return Summary(
        versions=[variant.name for variant in run.plan.variants],
        sections=[_section(run, suite.name, suite.about) for suite in run.plan.suites],
        plan=run.plan.as_dict(), folder=str(run.folder), seconds=round(run.seconds, 1),
        finished=datetime.now(UTC).isoformat(timespec="seconds"), errors=run.errors, models=run.models,
    )  # fmt: skip


def write_json(summary: Summary, path: Path) -> None:
    sections = [
        {
            "suite": section.suite, "scores": [_score(line, summary.versions) for line in section.lines],
            "misses": section.misses, "changed": section.changed,
        }
        for section in summary.sections
    ]  # fmt: skip
    told = {
        "plan": summary.plan, "finished": summary.finished, "seconds": summary.seconds, "failed": summary.failed,
        "errors": summary.errors, "models": summary.models, "suites": sections,
    }  # fmt: skip
    path.write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY))


def _score(line: Line, versions: Sequence[str]) -> dict[str, Any]:
    return {**asdict(line), "values": dict(zip(versions, line.values, strict=True))}


def shown(value: float, unit: str) -> str:
    """A score as people read it."""
    return f"{value:.1f} ms" if unit == "ms" else f"{value:.3f}"


def _section(run: Run, suite: str, about: str) -> Section:
    versions = [run.findings[variant.name][suite] for variant in run.plan.variants]
    by_key = [{score.key: score for score in findings.scores} for findings in versions]
    last = versions[-1]
    lines = [
        _line(score, [scores[score.key].value if score.key in scores else float("nan") for scores in by_key],
              partial=run.plan.partial)
        for score in last.scores
    ]  # fmt: skip
    first_misses, last_misses = dict(versions[0].misses), dict(last.misses)
    changed = [
        (case, first_misses.get(case, "right"), last_misses.get(case, "right"))
        for case in dict.fromkeys([*first_misses, *last_misses])
        if first_misses.get(case) != last_misses.get(case)
    ]
    return Section(
        suite=suite, about=about, lines=lines, figures=last.figures, misses=last.misses,
        changed=changed if len(versions) > 1 else (),
    )  # fmt: skip


def _line(score: Score, values: Sequence[float], *, partial: bool) -> Line:
    baseline = load_baselines().get(score.key, Baseline())
    before = load_measured().get(score.key)
    below = not partial and (
        dropped(score, baseline) if baseline.floor is not None else not varies(score.metric) and fallen(score, before)
    )
    return Line(
        dataset=score.dataset, metric=score.metric, values=values, n=score.n, unit=score.unit,
        lower_is_better=score.lower_is_better, marks=baseline.marks, before=before, floor=baseline.floor, goal=baseline.goal,
        note=baseline.note, state="below" if below else "missed" if missed(score, baseline) else "",
    )  # fmt: skip
