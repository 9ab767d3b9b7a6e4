"""What each score is held against. Keys are `suite/dataset/metric`.

`baselines.yaml`   by hand: published or measured marks, a goal, and the floor below which a run fails
`measured.yaml`    by `--record`: every score as it was measured last; one without a floor fails where it fell by more
                   than SLACK and more than CASES of its cases
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from evals.results import Score
from memory.errors import Misconfigured
from memory.yaml_files import read_yaml

FILE = Path(__file__).with_name("baselines.yaml")
MEASURED = Path(__file__).with_name("measured.yaml")
SLACK = 0.03
CASES = 2
"""Another processor may round a similarity differently; so little is not a drop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Marks by name, for the reader; `floor` is a ceiling where less is better."""

    floor: float | None = None
    goal: float | None = None
    """What is aimed at; missing it is shown and fails nothing."""
    marks: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


@cache
def load_baselines(path: Path = FILE) -> dict[str, Baseline]:
    """Raises Misconfigured, naming the entry."""
    found = {}
    for key, entry in read_yaml(path).items():
        try:
            found[key] = Baseline(**entry)
        except TypeError as error:
            raise Misconfigured(f"{path}: {key}: {error}") from error
    return found


def dropped(score: Score, baseline: Baseline | None) -> bool:
    """Whether the score is worse than its floor."""
    if baseline is None or baseline.floor is None:
        return False
    return score.value > baseline.floor if score.lower_is_better else score.value < baseline.floor


@cache
def load_measured(path: Path = MEASURED) -> dict[str, float]:
    """The scores that were recorded last, by key."""
    return dict(read_yaml(path) or {}) if path.is_file() else {}


def record(scores: Iterable[Score], path: Path = MEASURED) -> None:
    """Keep these scores as what later ones are held against; others stay."""
    known = dict(load_measured(path)) | {score.key: round(float(score.value), 4) for score in scores}
    lines = [f"{json.dumps(key)}: {known[key]}\n" for key in sorted(known)]
    path.write_text(f"# Every score as it was measured last; written by `python -m evals --record`.\n{''.join(lines)}")
    load_measured.cache_clear()


def fallen(score: Score, before: float | None) -> bool:
    """Whether a score that is a share is worse than it was, by more than may be chance."""
    if before is None or score.unit:
        return False
    worse = score.value - before if score.lower_is_better else before - score.value
    return worse > max(SLACK, CASES / max(score.n, 1))


def missed(score: Score, baseline: Baseline | None) -> bool:
    """Whether the score is worse than its goal."""
    if baseline is None or baseline.goal is None:
        return False
    return score.value > baseline.goal if score.lower_is_better else score.value < baseline.goal
