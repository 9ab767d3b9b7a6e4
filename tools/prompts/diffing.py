"""What one version of a prompt changed against another: as a unified diff, whole and by part."""

from dataclasses import dataclass
from difflib import unified_diff

from tools.prompts.checking import PARTS, PromptTexts


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """Empty texts where nothing differs."""

    parts: dict[str, str]
    """Of each part that differs."""
    unified: str
    added: int
    """Lines."""
    removed: int


def diff(old: PromptTexts, new: PromptTexts, *, old_name: str, new_name: str) -> Diff:
    """From `old` to `new`."""
    parts = {}
    for part in PARTS:
        lines = unified_diff(
            getattr(old, part).splitlines(), getattr(new, part).splitlines(), f"{old_name}/{part}",
            f"{new_name}/{part}", lineterm="",
        )  # fmt: skip
        if text := "\n".join(lines):
            parts[part] = text
        elif getattr(old, part) != getattr(new, part):
            parts[part] = f"--- {old_name}/{part}\n+++ {new_name}/{part}\n only line ends differ"
    changes = [line for text in parts.values() for line in text.splitlines()[2:]]
    return Diff(
        parts=parts, unified="\n".join(parts.values()), added=sum(line.startswith("+") for line in changes),
        removed=sum(line.startswith("-") for line in changes),
    )  # fmt: skip
