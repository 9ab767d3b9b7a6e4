"""What differs between two answers to the same question, and what that comes to over many. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any, Literal

from rapidfuzz.distance import Levenshtein

Aspect = Literal["answer", "sources", "confidence", "escalation", "cost"]
Cause = Literal["candidate", "knowledge", "setting", "other"]
Since = Literal["knowledge", "prompt", "ranking", "memory", "inputs", "account"]
"""What is not any more as it was: articles or what was learned; the prompt in force; the ranking; the summary of the
conversation; of an old answer nothing was kept of how the turn found things; and the customer's account elsewhere, which
a replay does not look into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An answer as it is compared. None: not known of this one, and so not compared."""

    answer: str
    sources: tuple[tuple[str, int], ...] = ()
    """Article and version, in the order of their numbers."""
    confidence: int | None = None
    level: str | None = None
    outcome: str | None = None
    escalates: bool | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """As it is stored and shown."""
        return {**asdict(self), "sources": [{"id": ref, "version": version} for ref, version in self.sources]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a case came to."""

    changed: tuple[Aspect, ...] = ()
    cause: Cause | None = None


def differences(before: Given, after: Given) -> tuple[Aspect, ...]:
    """The aspects in which two answers differ."""
    pairs: dict[Aspect, Sequence[tuple[Any, Any]]] = {
        "answer": [(before.answer.strip(), after.answer.strip())],
        "sources": [(before.sources, after.sources)],
        "confidence": [(before.confidence, after.confidence)],
        "escalation": [(before.escalates, after.escalates), (before.outcome, after.outcome)],
        "cost": [(before.input_tokens, after.input_tokens), (before.output_tokens, after.output_tokens)],
    }
    return tuple(aspect for aspect, values in pairs.items() if any(a != b for a, b in values if None not in (a, b)))


def similarity(before: Given, after: Given) -> float:
    """Of the two texts, 0 to 1."""
    return round(Levenshtein.normalized_similarity(before.answer, after.answer), 4)


def judge(stored: Given, candidate: Given, current: Given | None, since: Iterable[Since]) -> Verdict:
    """Whose doing a difference is. `current` is what would be answered today without the candidate; None where the
    candidate is what is in force."""
    changed = differences(stored, candidate)
    if not changed:
        return Verdict()
    if current is not None and (own := differences(current, candidate)):
        return Verdict(changed=own, cause="candidate")
    known = set(since)
    if "knowledge" in known:
        return Verdict(changed=changed, cause="knowledge")
    return Verdict(changed=changed, cause="setting" if known & {"prompt", "ranking"} else "other")


@dataclass(slots=True)
class Tally:
    """The sum over a replay's cases."""

    done: int = 0
    failed: int = 0
    changed: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    aspects: Counter[str] = field(default_factory=Counter)
    """Of the changes that are the candidate's doing."""
    _scores: list[tuple[int, int]] = field(default_factory=list)
    _likeness: list[float] = field(default_factory=list)
    _escalations: list[tuple[bool, bool]] = field(default_factory=list)
    _read: list[tuple[int, int]] = field(default_factory=list)
    """Tokens of the input, as the answer stands and with the candidate."""
    _written: list[tuple[int, int]] = field(default_factory=list)
    """Those of the output."""

    def add(self, case: Mapping[str, Any]) -> None:
        """One case's row."""
        if case["status"] != "done":
            self.failed += 1
            return
        self.done += 1
        if case["cause"]:
            self.changed += 1
            self.causes[case["cause"]] += 1
        if case["cause"] == "candidate":
            self.aspects.update(case["changed"])
        stored, candidate = case["current"] or case["stored"], case["candidate"]
        self._likeness.append(candidate["similarity"])
        self._pair(self._scores, stored["confidence"], candidate["confidence"])
        self._pair(self._escalations, stored["escalates"], candidate["escalates"])
        self._pair(self._read, stored["input_tokens"], candidate["input_tokens"])
        self._pair(self._written, stored["output_tokens"], candidate["output_tokens"])

    def _pair(self, pairs: list[Any], before: Any, after: Any) -> None:
        if before is not None and after is not None:
            pairs.append((before, after))

    def as_dict(self) -> dict[str, Any]:
        return {
            "done": self.done, "failed": self.failed, "unchanged": self.done - self.changed, "changed": self.changed,
            "causes": dict(self.causes), "aspects": dict(self.aspects),
            "similarity": round(fmean(self._likeness), 4) if self._likeness else None,
            "confidence": _both(self._scores, lambda values: round(fmean(values), 2)),
            "escalations": _both(self._escalations, sum),
            "tokens": _both([*self._read, *self._written], sum),
            "input_tokens": _both(self._read, sum),
            "output_tokens": _both(self._written, sum),
        }  # fmt: skip


def _both(pairs: Sequence[tuple[Any, Any]], total: Any) -> dict[str, Any] | None:
    if not pairs:
        return None
    before, after = zip(*pairs, strict=True)
    return {"before": total(before), "after": total(after)}
