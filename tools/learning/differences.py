"""What a person changed of a draft, in a line: the same for the same two texts, for when they left no note."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

_SENTENCE = re.compile(r"[^\n.!?]+(?:[.!?](?!\s|$)[^\n.!?]*)*[.!?]*")
QUOTED = 160
MOST = 3


def summarise(draft: str, sent: str) -> str:
    """Which sentences went, came and were reworded; the first few of each are quoted."""
    if draft == sent:
        return "Sent as it was."
    before, after = _sentences(draft), _sentences(sent)
    removed: list[str] = []
    added: list[str] = []
    reworded: list[tuple[str, str]] = []
    for what, a, b, c, d in SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes():
        if what == "equal":
            continue
        gone, come = before[a:b], after[c:d]
        pairs = _pairs(gone, come)
        reworded += pairs
        removed += [each for each in gone if all(each != old for old, _ in pairs)]
        added += [each for each in come if all(each != new for _, new in pairs)]
    parts = [
        _listed("Removed", removed),
        _listed("Added", added),
        _listed("Reworded", [f"{_cut(old)}” to “{_cut(new)}" for old, new in reworded]),
    ]
    return " ".join(part for part in parts if part) or "Changed in layout only."


def _pairs(gone: Sequence[str], come: Sequence[str]) -> list[tuple[str, str]]:
    """Sentences that are the same thing said differently."""
    left = list(come)
    found = []
    for old in gone:
        near = [(SequenceMatcher(a=old, b=new, autojunk=False).ratio(), new) for new in left]
        share, new = max(near, default=(0.0, ""))
        if share >= 0.6:
            found.append((old, new))
            left.remove(new)
    return found


def _listed(what: str, sentences: Sequence[str]) -> str:
    if not sentences:
        return ""
    quoted = ", ".join(f"“{sentence if '” to “' in sentence else _cut(sentence)}”" for sentence in sentences[:MOST])
    more = f" and {len(sentences) - MOST} more" if len(sentences) > MOST else ""
    return f"{what}: {quoted}{more}."


def _cut(text: str) -> str:
    return text if len(text) <= QUOTED else f"{text[: QUOTED - 1]}…"


def _sentences(text: str) -> list[str]:
    return [" ".join(found.split()) for found in _SENTENCE.findall(text) if found.strip()]
