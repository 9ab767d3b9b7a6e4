"""What the index holds of an example and of a correction: the specification's texts, to the letter."""

import re
from typing import Final

EXAMPLE: Final = "Customer Issue: {subject}\n{content}\n\nApproved Response:\n{final_reply}"
CORRECTION: Final = (
    "Customer Issue: {subject}\n{content}\n\n"
    "INCORRECT Response (Do Not Use):\n{ai_reply}\n\n"
    "CORRECT Response:\n{final_reply}\n\n"
    "Edit Notes: {edit_summary}"
)


def text_of(kind: str, *, subject: str, issue: str, reply: str, wrong: str = "", notes: str = "") -> str:
    """The text of a learned reply. What the parts contain is never read as a placeholder."""
    values = {"subject": subject, "content": issue, "final_reply": reply, "ai_reply": wrong, "edit_summary": notes}
    return (EXAMPLE if kind == "example" else CORRECTION).format(**values)


def title_of(subject: str) -> str:
    return " ".join(subject.split())[:200] or "Request"


def without_headings(text: str) -> str:
    """What a customer wrote without anything that reads like one of the headings above: it can't pass for a reply."""
    return _HEADING.sub(r"\1 -", text)


def staff_words(text: str) -> str:
    """Of a piece of such a text, what colleagues wrote; empty where the piece does not show where that begins."""
    found = _HEADING.search(text)
    return text[found.start() :] if found else ""


_HEADING = re.compile(r"((?:in)?correct response(?: \(do not use\))?|approved response|edit notes) *:", re.IGNORECASE)
