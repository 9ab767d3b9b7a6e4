"""No case that is tested on is taught: not to the guard, not by a prompt, a rule or an article.

The guard's weights carry the digests of every text that they were made from, so this holds without the public sets;
where `EVAL_DATA` names their folder their cases are looked for too.
"""

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from evals.cases import digest_of
from evals.cases import own as own_cases
from evals.public import Public, side
from evals.suites import SUITES
from evals.training.guard import ATTACKS, LOOKALIKES, lesson_files, read_lessons, taught
from tools.classification.severity import severity_examples
from tools.guardrails.rules_file import RULES_FILE
from tools.intents import INTENTS_FILE, load_packs

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ["EVAL_DATA"]) if os.environ.get("EVAL_DATA") else None
TEXTS = ("text", "question", "say")


def short(text: str) -> str:
    return digest_of(text)[:16]


def own_texts() -> Iterator[str]:
    for path in sorted((ROOT / "evals" / "cases").glob("*.yaml")):
        for case in own_cases(path.stem, ()):
            turns = case.get("turns", ())
            yield from (str(case[name]) for name in TEXTS if name in case.fields)
            yield from (turn if isinstance(turn, str) else turn["say"] for turn in turns)


@cache
def evaluated() -> set[str]:
    """Digests of every text that is evaluated on."""
    found = {short(text) for text in own_texts() if len(text.split()) > 1}  # "thanks!" is everybody's
    if DATA:
        public = Public(DATA)
        found |= {short(case.get("text") or case.get("question", "")) for suite in SUITES for case in suite.cases(public)
                  if case.fields.get("text") or case.fields.get("question")}  # fmt: skip
    return found - {short("")}


class TestWhatWasTaught:
    def test_the_guard_saw_nothing_that_it_is_tested_on(self) -> None:
        everyday = {short(text) for text in _everyday()} if DATA else set()
        assert taught() & (evaluated() - everyday) == set()

    def test_the_guard_saw_only_training_sides_and_our_lessons(self) -> None:
        learned = taught()
        lessons = {short(text) for file in lesson_files() for text in read_lessons(file)}
        assert lessons <= learned
        outside = [digest for digest in learned - lessons if int(digest[:8], 16) % 5 == 0]
        # Out-of-scope queries of a set that has a training side of its own are not split again.
        assert len(outside) <= 150

    @pytest.mark.skipif(DATA is None, reason="EVAL_DATA names no folder")
    def test_no_text_of_a_test_side_was_taught(self) -> None:
        public = Public(DATA)
        for name in (*ATTACKS, *LOOKALIKES):
            rows = [row.text for row in public.guard_messages[name] if side(row.text) == "test"]
            assert rows
            assert {short(text) for text in rows} & taught() == set()

    def test_no_case_is_an_example_of_an_intent_or_a_severity(self) -> None:
        examples = {
            short(text) for pack in load_packs().values() for intent in pack.intents for text in intent.examples
        }
        assert (examples | {short(example.text) for example in severity_examples()}) & evaluated() == set()

    def test_no_case_is_a_lesson(self) -> None:
        assert {short(text) for file in lesson_files() for text in read_lessons(file)} & evaluated() == set()

    def test_no_long_case_stands_in_a_prompt_a_rule_or_an_article(self) -> None:
        files = [RULES_FILE, INTENTS_FILE, *sorted((ROOT / "agent").rglob("*.yaml")), ROOT / "agent" / "prompting.py"]
        files += sorted((ROOT / "kbs" / "content").rglob("*.md"))
        sentences = {short(line) for path in files for line in _sentences(path.read_text("utf-8"))}
        assert {short(text) for text in own_texts() if len(text.split()) > 4} & sentences == set()


def _everyday() -> Iterator[str]:
    """To the guard they are nobody's attack, of the training side; what other suites ask of them it was not told."""
    public = Public(DATA)
    for suite in SUITES:
        for case in suite.cases(public) if suite.name in ("retrieval", "answers", "confidence") else ():
            yield case.fields.get("question", "")
    for name in public.files("tickets"):
        for row in public.rows(f"tickets/{name}.jsonl"):
            text = f"{row['subject']}\n{row['body']}"
            if side(text) == "train":
                yield text


def _sentences(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield line.strip(" -*#>\"'")
        yield from re.split(r"(?<=[.!?])\s+", line.strip())


@pytest.mark.parametrize("file", lesson_files())
def test_lessons_are_strings(file: str) -> None:
    assert all(isinstance(text, str) and text.strip() for text in read_lessons(file))
