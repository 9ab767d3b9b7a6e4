"""Public sets below the folder that `--data` names. They are read where they are, and never copied.

    retrieval/<set>/corpus.jsonl, queries.jsonl, qrels.tsv      `file` in a corpus: a Markdown path from the folder
    intent/<set>/train.jsonl [val.jsonl] [oos_*.jsonl]          {text, intent}
    guardrails/*.jsonl                                          {text or document, label}
    tickets/*.jsonl                                             {subject, body, severity}

A set without a test side of its own is split by digest: one text in five is the test side (`side`). What is trained
or tuned sees the other four.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from evals.cases import BadCases, digest_of

Side = Literal["train", "test"]
TEST_PART = 5
"""One text in so many is on the test side."""


def side(text: str) -> Side:
    """On which side of a split a text is, by its digest alone: equal texts are never on both."""
    return "test" if int(digest_of(text)[:8], 16) % TEST_PART == 0 else "train"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    text: str
    label: str


@dataclass(frozen=True)
class Public:
    """The folder; a set that is not there is simply not evaluated."""

    folder: Path | None

    def rows(self, path: str) -> list[dict[str, Any]]:
        """Lines of a JSON lines file; none where it is missing. Raises BadCases."""
        if self.folder is None or not (self.folder / path).is_file():
            return []
        with (self.folder / path).open(encoding="utf-8") as lines:
            try:
                return [json.loads(line) for line in lines if line.strip()]
            except ValueError as error:
                raise BadCases(f"{path}: a line is not JSON") from error

    def names(self, area: str) -> list[str]:
        """Sets of an area, by folder."""
        if self.folder is None or not (self.folder / area).is_dir():
            return []
        return sorted(entry.name for entry in (self.folder / area).iterdir() if entry.is_dir())

    def files(self, area: str) -> list[str]:
        """Sets of an area, by file."""
        if self.folder is None or not (self.folder / area).is_dir():
            return []
        return sorted(entry.stem for entry in (self.folder / area).glob("*.jsonl"))

    def intents(self, name: str, part: Side) -> list[Labelled]:
        """In-scope messages of one side; `val` where the set has it is the test side, else the split by digest."""
        train = self._labelled(f"intent/{name}/train.jsonl")
        test = self._labelled(f"intent/{name}/test.jsonl") or self._labelled(f"intent/{name}/val.jsonl")
        if test:
            return test if part == "test" else train
        return [row for row in train if side(row.text) == part]

    def out_of_scope(self, name: str, part: Side) -> list[Labelled]:
        if part == "train":
            return self._labelled(f"intent/{name}/oos_train.jsonl")
        return self._labelled(f"intent/{name}/oos_test.jsonl") or self._labelled(f"intent/{name}/oos_val.jsonl")

    def qrels(self, name: str) -> dict[str, dict[str, int]]:
        """Grades of relevant documents by query."""
        assert self.folder is not None  # asked for only where the set was found
        found: dict[str, dict[str, int]] = {}
        lines = (self.folder / "retrieval" / name / "qrels.tsv").read_text(encoding="utf-8").splitlines()
        for line in lines[1:]:
            query, document, grade = line.split("\t")
            found.setdefault(query, {})[document] = int(grade)
        return found

    def corpus(self, name: str) -> Iterator[dict[str, str]]:
        """Documents as `id`, `title`, `text`."""
        assert self.folder is not None
        for row in self.rows(f"retrieval/{name}/corpus.jsonl"):
            text = row.get("text") or (self.folder / row["file"]).read_text(encoding="utf-8")
            yield {"id": row["_id"], "title": row.get("title", row["_id"]), "text": text}

    @cached_property
    def guard_messages(self) -> dict[str, list[Labelled]]:
        """Texts by file, those on which a guard of messages and documents is measured."""
        found = {}
        for name in self.files("guardrails"):
            rows = self.rows(f"guardrails/{name}.jsonl")
            found[name] = [Labelled(text=row.get("text") or row["document"], label=row["label"]) for row in rows]
        return found

    def _labelled(self, path: str) -> list[Labelled]:
        return [Labelled(text=row["text"], label=row["intent"]) for row in self.rows(path)]
