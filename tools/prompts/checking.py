"""What the parts of a prompt may hold: which placeholders, how much text, and no tag that the system itself writes.

    system_prompt      no placeholder: it is the same on every turn; sections for some audiences (`audiences.py`)
    context_template   {context} once: the passages
    task_template      {content} once: the customer's words; {subject} and {department} where they are wanted

A message never repeats what was sent: it names the part, the line and what would be right.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from memory.errors import Invalid
from tools.prompts.audiences import heard_by, wrong_lines

TAGS = ("passages", "passage", "customer_message", "customer_facts", "conversation_summary", "staff_notes")
"""Stand around everything that staff did not write; text that holds one could be taken for such data."""
_TAG = re.compile(rf"</?\\*(?:{'|'.join(TAGS)})\b", re.IGNORECASE)
_BRACED = re.compile(r"(?<!\{)\{++\s*([A-Za-z_]\w*)?[^{}\n]{0,40}?\}+")
"""Whatever a reader could take for a placeholder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one part may hold."""

    needed: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    longest: int


PARTS: dict[str, Rule] = {
    "system_prompt": Rule(longest=8000),
    "context_template": Rule(needed=("context",), longest=2000),
    "task_template": Rule(needed=("content",), allowed=("subject", "department"), longest=4000),
}
LONGEST_NAME = 120
LONGEST_DESCRIPTION = 500
LONGEST_NOTE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTexts:
    """The three parts."""

    system_prompt: str
    context_template: str
    task_template: str


def check(texts: PromptTexts) -> None:
    """Raises Invalid with everything that is wrong, one sentence each."""
    wrong = [sentence for name, rule in PARTS.items() for sentence in _wrong(name, getattr(texts, name), rule)]
    if wrong:
        raise Invalid(" ".join(wrong))


def _wrong(name: str, text: str, rule: Rule) -> Iterator[str]:
    if not text.strip():
        yield f"{name} is blank."
        return
    if len(text) > rule.longest:
        yield f"{name} has more than {rule.longest} characters."
        return
    known = (*rule.needed, *rule.allowed)
    for found in _BRACED.finditer(text):
        if found[0] not in {f"{{{each}}}" for each in known} and _is_meant(found):
            yield f"{name}, line {_line(text, found)}: {_may_hold(known)}."
    for needed in rule.needed:
        if (count := text.count(f"{{{needed}}}")) != 1:
            yield f"{name} needs {{{needed}}} {'once, not more often' if count else 'once'}."
    if name == "system_prompt":
        for line in wrong_lines(text):
            yield f"{name}, line {line}: a section begins with [for everyone] or with audiences, as in [for trainee]."
        if not heard_by(text, frozenset()).strip():
            yield f"{name} says nothing to customers of no audience: a part of it must be for everyone."
    if tag := _TAG.search(text):
        yield f"{name}, line {_line(text, tag)}: this tag is written by the system itself."


def _is_meant(found: re.Match[str]) -> bool:
    """A name in braces is meant as a placeholder; braces around anything else, such as JSON, are just text."""
    inside = found[0].strip("{} \t")
    return bool(found[1]) and re.fullmatch(r"\w+(?:[.!:\[][^\s\"']*)?", inside) is not None


def _may_hold(known: tuple[str, ...]) -> str:
    if not known:
        return "it takes no placeholders"
    return f"a placeholder that is not known; there are {', '.join(f'{{{name}}}' for name in known)}"


def _line(text: str, found: re.Match[str]) -> int:
    return text.count("\n", 0, found.start()) + 1
