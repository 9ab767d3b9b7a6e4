"""What each score is held against, from `baselines.yaml`: published or measured marks, and the floor below which a run
fails. Keys are `suite/dataset/metric`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import yaml

from evals.results import Score
from memory.errors import Misconfigured

FILE = Path(__file__).with_name("baselines.yaml")


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
    for key, entry in yaml.safe_load(path.read_text(encoding="utf-8")).items():
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


def missed(score: Score, baseline: Baseline | None) -> bool:
    """Whether the score is worse than its goal."""
    if baseline is None or baseline.goal is None:
        return False
    return score.value > baseline.goal if score.lower_is_better else score.value < baseline.goal
