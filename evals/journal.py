"""What a run has observed so far, as JSON lines: a run that is stopped goes on where it was.

<out>/<time>/run.json       what is run: suites, versions, data, limits
<out>/<time>/rows.jsonl     one line per case as it is done
<out>/<time>/report.json    scores with their baselines, when it has ended
<out>/<time>/report.html    the same for people
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

PLAN, ROWS, REPORT = "run.json", "rows.jsonl", "report.json"


@dataclass(frozen=True, slots=True)
class Journal:
    """The folder of one run."""

    folder: Path

    def done(self) -> dict[str, dict[str, Any]]:
        """Lines by their key; what was cut off in mid-line is forgotten."""
        path = self.folder / ROWS
        found: dict[str, dict[str, Any]] = {}
        for line in path.read_bytes().split(b"\n") if path.is_file() else []:
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
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


def _plan(folder: Path) -> Any:
    try:
        return orjson.loads((folder / PLAN).read_bytes())
    except orjson.JSONDecodeError:
        return None
