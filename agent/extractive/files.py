"""Passages of files that came with the conversation: when they are the ones to answer from, and how a log is quoted.

A question that points at a file is answered from files if they can; any other first from the knowledge base.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from agent.extractive.blocks import Block
from agent.prompting import NumberedPassage, Question
from tools.attachments.asking import is_about_file, without_reference
from tools.attachments.reading import REF

MOST_LINES = 6
_LINES = (".log", ".csv", ".json")
_STAMPED = re.compile(
    r"\W{0,3}(?:\d{2,4}[-/:.]\d|\w{3}\s+\d{1,2}\s\d\d:|(?:trace|debug|info|warn|error|fatal)\b)", re.I
)


def is_file(passage: NumberedPassage) -> bool:
    return passage.ref.startswith(REF)


def in_turn(
    question: Question, passages: Sequence[NumberedPassage]
) -> list[tuple[Question, Sequence[NumberedPassage]]]:
    """Which passages to try first and which then, each with the question as it is put to them."""
    files = [passage for passage in passages if is_file(passage)]
    known = [passage for passage in passages if not is_file(passage)]
    if not files:
        return [(question, passages)]
    names = [passage.title for passage in files]
    if not is_about_file(question.text, names):
        return [(question, known), (question, files)]
    return [(replace(question, text=without_reference(question.text, names)), files), (question, known)]


def has_lines(passage: NumberedPassage) -> bool:
    """Whether each line stands for itself, as in a log or a table of values."""
    if not is_file(passage):
        return False
    lines = [line for line in passage.text.split("\n") if line.strip()]
    stamped = sum(bool(_STAMPED.match(line)) for line in lines)
    return passage.title.lower().endswith(_LINES) or (len(lines) > 1 and stamped * 2 > len(lines))


def quoted_lines(lines: Sequence[str], scores: Sequence[float], nearly_best: float) -> Block | None:
    """The lines that score best, in their order, as they stand."""
    best = max(scores, default=0.0)
    order = sorted(range(len(lines)), key=lambda n: (-scores[n], n))[:MOST_LINES]
    chosen = [lines[n] for n in sorted(order) if scores[n] >= nearly_best * best]
    return Block("code", ("```\n" + "\n".join(chosen) + "\n```\n",)) if chosen else None


def lines_of(passage: NumberedPassage) -> list[str]:
    return [line for line in passage.text.split("\n") if line.strip() and "```" not in line]
