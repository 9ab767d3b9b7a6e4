"""What a run has observed so far, as JSON lines: a run that is stopped goes on where it was.

<out>/<time>/run.json       what is run: suites, versions, data, limits, and a digest of the product's files
<out>/<time>/rows.jsonl     one line per case as it is done
<out>/<time>/report.json    scores with their baselines, when it has ended
<out>/<time>/report.html    the same for people
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson

PLAN, ROWS, REPORT = "run.json", "rows.jsonl", "report.json"
ROOT = Path(__file__).parents[1]
PACKAGES = ("memory", "kbs", "tools", "agent", "evals")
MEASURED = {".py", ".yaml", ".md", ".npz", ".json"}
"""Kinds of files on which figures depend."""


@dataclass(frozen=True, slots=True)
class Journal:
    """The folder of one run."""

    folder: Path

    def done(self) -> dict[str, dict[str, Any]]:
        """Lines by their key. What was cut off in mid-line is forgotten, and what raised is tried again."""
        path = self.folder / ROWS
        found: dict[str, dict[str, Any]] = {}
        for line in path.read_bytes().split(b"\n") if path.is_file() else []:
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if not row["error"]:
                found[row["key"]] = row
        return found

    def add(self, row: Mapping[str, Any]) -> None:
        with (self.folder / ROWS).open("ab") as file:
            file.write(b"\n" + orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")


def open_journal(out: Path, plan: Mapping[str, Any], *, fresh: bool) -> Journal:
    """The newest unfinished run of the same plan, else a new one."""
    out.mkdir(parents=True, exist_ok=True)
    if not fresh:
        for folder in sorted((path.parent for path in out.glob(f"*/{PLAN}")), reverse=True):
            if not (folder / REPORT).exists() and _plan(folder) == plan:
                return Journal(folder)
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S-%f")
    folder = out / stamp
    folder.mkdir()
    (folder / PLAN).write_bytes(orjson.dumps(plan, option=orjson.OPT_INDENT_2))
    return Journal(folder)


@cache
def product_digest() -> str:
    """Of all files that figures depend on: rows of two different products never make one report."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            if path.suffix in MEASURED and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _plan(folder: Path) -> Any:
    try:
        return orjson.loads((folder / PLAN).read_bytes())
    except orjson.JSONDecodeError:
        return None
