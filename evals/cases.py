"""A case: one question with what is known about its answer. Our own are lines of YAML in `evals/cases/`."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from memory.errors import Misconfigured
from memory.yaml_files import read_yaml

FOLDER = Path(__file__).with_name("cases")
T = TypeVar("T")


class BadCases(Misconfigured):
    """A file of cases can't be used; the message names the file and the fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case; `fields` are as they stand in its file, and `id` stays the same for as long as they do."""

    id: str
    dataset: str
    fields: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.fields.get(name, default)

    @classmethod
    def of(cls, dataset: str, fields: Mapping[str, Any], *, key: str | None = None) -> "Case":
        """`key` where the set has ids of its own, else the fields' digest."""
        digest = hashlib.sha256(json.dumps(fields, sort_keys=True, default=str).encode()).hexdigest()[:12]
        return cls(id=f"{dataset}/{key or digest}", dataset=dataset, fields=fields)


def own(name: str, needed: Sequence[str], *, dataset: str | None = None, folder: Path = FOLDER) -> list[Case]:
    """The cases of `evals/cases/<name>.yaml`, each with at least the fields `needed`. Raises BadCases."""
    path = folder / f"{name}.yaml"
    try:
        entries = read_yaml(path)
    except (OSError, yaml.YAMLError) as error:
        raise BadCases(f"{path}: {error}") from error
    if not isinstance(entries, list):
        raise BadCases(f"{path}: a list of cases is expected")
    for number, entry in enumerate(entries, 1):
        missing = [field for field in needed if not isinstance(entry, dict) or field not in entry]
        if missing:
            raise BadCases(f"{path}: case {number} has no {', '.join(missing)}")
    cases = [Case.of(dataset or f"own-{name.replace('_', '-')}", entry) for entry in entries]
    twice = len(cases) - len({case.id for case in cases})
    if twice:
        raise BadCases(f"{path}: {twice} cases stand there twice")
    return cases


def sample(cases: Sequence[Case], limit: int | None) -> list[Case]:
    """At most `limit` of each dataset, the same ones every time, spread over the set by digest."""
    if limit is None:
        return list(cases)
    order = sorted(cases, key=lambda case: digest_of(case.id))
    taken: dict[str, int] = {}
    kept = set()
    for case in order:
        if taken.setdefault(case.dataset, 0) < limit:
            taken[case.dataset] += 1
            kept.add(case.id)
    return [case for case in cases if case.id in kept]


def digest_of(text: str) -> str:
    """sha256 hex of a text as it is compared between sets: case and spaces do not matter."""
    return hashlib.sha256(" ".join(text.casefold().split()).encode()).hexdigest()
