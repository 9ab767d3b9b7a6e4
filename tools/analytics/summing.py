"""What figures come to: rates, means and shares. Pure functions of what was counted.

A rate without anything to divide by is None, never 0: nobody asked is not the same as nobody was helped.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.analytics.counting import Figure
from tools.analytics.questions import ANSWER_S
from tools.prices import Prices

EXPECTED_MS = {
    "embed": 100,
    "retrieve": 200,
    "rerank": 200,
    "classify": 5,
    "confidence": 5,
    "prompt": 5,
    "generate": 5000,
    "total": 6000,
}
"""Typical times of a draft's steps that the specification gives, the longest of each range."""
CLOCKS = ("first_response", "resolution")
LEVELS = ("high", "medium", "low", "very_low")
TOP_INTENTS = 20
TRENDS = ("intents",)
"""Figures that are told beside those of the range before."""


@dataclass(slots=True)
class Sums:
    """Counts and totals by name and key."""

    counts: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    totals: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))

    @classmethod
    def of(cls, figures: Iterable[Figure]) -> "Sums":
        sums = cls()
        for _, name, key, count, total in figures:
            counts, totals = sums.counts[name], sums.totals[name]
            counts[key] = counts.get(key, 0) + count
            totals[key] = totals.get(key, 0.0) + total
        return sums

    def by(self, name: str) -> dict[str, int]:
        """Counts of a figure by key, most frequent first."""
        return dict(sorted(self.counts.get(name, {}).items(), key=lambda each: (-each[1], each[0])))

    def count(self, name: str, *keys: str) -> int:
        """Of these keys; of all without any."""
        found = self.counts.get(name, {})
        return sum(found.get(key, 0) for key in keys or found)

    def total(self, name: str, *keys: str) -> float:
        found = self.totals.get(name, {})
        return sum(found.get(key, 0.0) for key in keys or found)

    def mean(self, name: str, *keys: str) -> float | None:
        return ratio(self.total(name, *keys), self.count(name, *keys))


def ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None


def summary(sums: Sums, before: Sums, prices: Prices) -> dict[str, Any]:
    """Everything of a range; `before` is the range of the same length that precedes it."""
    return {
        "conversations": conversations(sums),
        "answers": answers(sums),
        "handoffs": handoffs(sums),
        "tickets": tickets(sums),
        "feedback": feedback(sums),
        "guardrails": sums.by("guardrails"),
        "intents": intents(sums, before),
        "drafts": drafts(sums),
        "sources": sources(sums),
        "cost": cost(sums, prices, asked=conversations(sums)["asked"]),
    }  # fmt: skip


def conversations(sums: Sums) -> dict[str, Any]:
    """Deflected: settled without a person, by the customer's word or in silence. Handed over counts also those that a
    person then settled."""
    outcomes = sums.by("session_outcomes")
    asked = sum(outcomes.values()) - outcomes.get("nothing_asked", 0)
    people = outcomes.get("handed_over", 0) + outcomes.get("confirmed_by_person", 0)
    settled = outcomes.get("confirmed", 0) + outcomes.get("silent", 0)
    return {
        "sessions": sums.count("sessions"), "asked": asked, "messages": sums.by("messages"), "outcomes": outcomes,
        "reopened": sums.count("sessions_reopened"), "reopened_rate": ratio(sums.count("sessions_reopened"), asked),
        "deflection_rate": ratio(settled, asked), "handoff_rate": ratio(people, asked),
        "confirmed_rate": ratio(outcomes.get("confirmed", 0) + outcomes.get("confirmed_by_person", 0), asked),
    }  # fmt: skip


def handoffs(sums: Sums) -> dict[str, Any]:
    """Rates are of the conversations in which something was asked."""
    reasons, asked = sums.by("handoffs"), conversations(sums)["asked"]
    return {
        "requested": sum(reasons.values()), "by_reason": reasons,
        "rate_by_reason": {reason: ratio(count, asked) for reason, count in reasons.items()},
        "by_state": sums.by("handoff_outcomes"), "claimed_after_s": sums.mean("handoff_wait_s"),
    }  # fmt: skip


def answers(sums: Sums) -> dict[str, Any]:
    levels = {
        level: {
            "answers": sums.count("confidence", level), "mean_score": sums.mean("confidence", level),
            "thumbs_up": sums.count("confidence_thumbs", f"{level}:up"),
            "thumbs_down": sums.count("confidence_thumbs", f"{level}:down"),
        }
        for level in LEVELS
    }  # fmt: skip
    outcomes = sums.by("answers")
    return {
        "by_outcome": outcomes, "honest_no_rate": ratio(outcomes.get("honest_no", 0), sum(outcomes.values())),
        "withheld_sentences": int(sums.total("withheld")), "by_confidence": levels, "turns": sums.by("turns"),
        "duration_s": {"mean": sums.mean("answer_s"), "p50": _quantile(sums, 0.5), "p95": _quantile(sums, 0.95)},
    }  # fmt: skip


def tickets(sums: Sums) -> dict[str, Any]:
    clocks = {}
    for clock in CLOCKS:
        met, missed = sums.count("targets", f"{clock}:met"), sums.count("targets", f"{clock}:missed")
        clocks[clock] = {
            "met": met, "missed": missed, "running": sums.count("targets", f"{clock}:open"),
            "met_rate": ratio(met, met + missed),
        }  # fmt: skip
    return {
        "opened": sums.count("tickets"), "by_origin": sums.by("tickets"), "by_severity": sums.by("ticket_severity"),
        "resolved": sums.count("resolution_s"), "reopened": sums.count("tickets_reopened"),
        "first_reply_s": sums.mean("first_reply_s"), "resolution_s": sums.mean("resolution_s"), "targets": clocks,
    }  # fmt: skip


def feedback(sums: Sums) -> dict[str, Any]:
    thumbs, stars = sums.by("thumbs"), sums.by("csat")
    return {
        "thumbs_up": thumbs.get("up", 0), "thumbs_down": thumbs.get("down", 0),
        "csat": {"count": sum(stars.values()), "mean": sums.mean("csat"), "by_stars": dict(sorted(stars.items()))},
    }  # fmt: skip


def intents(sums: Sums, before: Sums) -> list[dict[str, Any]]:
    """The most frequent, each with how often it went to a person and how often it came in the range before."""
    return [
        {
            "intent": intent or None, "answers": count, "escalated": sums.count("intents_escalated", intent),
            "before": before.count("intents", intent),
        }
        for intent, count in list(sums.by("intents").items())[:TOP_INTENTS]
    ]  # fmt: skip


def drafts(sums: Sums) -> dict[str, Any]:
    levels = {}
    for level in LEVELS:
        unchanged, edited = sums.count("approved", f"{level}:unchanged"), sums.count("approved", f"{level}:edited")
        rejected = sums.count("drafts", f"{level}:rejected")
        levels[level] = {
            "unchanged": unchanged, "edited": edited, "rejected": rejected,
            "unchanged_rate": ratio(unchanged, unchanged + edited + rejected),
        }  # fmt: skip
    means = {step: sums.mean("draft_steps_ms", step) for step in sums.by("draft_steps_ms")}
    if written := sums.count("drafts"):
        means["total"] = ratio(sums.total("draft_steps_ms"), written)
    steps = {step: {"mean_ms": mean, "expected_ms": EXPECTED_MS.get(step)} for step, mean in means.items()}
    return {
        "written": sums.count("drafts"), "approved": sums.count("approved"), "by_confidence": levels,
        "mean_similarity": sums.mean("approved"), "mean_edit_distance": sums.mean("edit_distance"),
        "learned": sums.by("edit_distance"), "steps": steps,
    }  # fmt: skip


def sources(sums: Sums) -> list[dict[str, Any]]:
    """How often each source was cited, what customers thought of it, and what became of the drafts that rest on it."""
    names = sums.by("sources") | {key.split(":")[0]: 0 for key in sums.by("draft_sources")}
    found = []
    for name in sorted(names):
        unchanged, edited = (
            sums.count("draft_sources", f"{name}:unchanged"),
            sums.count("draft_sources", f"{name}:edited"),
        )
        found.append({
            "source": name, "answers": sums.count("sources", name), "thumbs": int(sums.total("sources", name)),
            "drafts": unchanged + edited, "unchanged_rate": ratio(unchanged, unchanged + edited),
            "mean_similarity": sums.mean("draft_sources", f"{name}:unchanged", f"{name}:edited"),
        })  # fmt: skip
    return found


def cost(sums: Sums, prices: Prices, *, asked: int) -> dict[str, Any]:
    """Of chats and drafts; by conversation in which something was asked, of chats alone."""
    read = sums.total("input_tokens") + sums.total("draft_input_tokens")
    written = sums.total("output_tokens") + sums.total("draft_output_tokens")
    chats = prices.of(sums.total("input_tokens"), sums.total("output_tokens"))
    return {
        "input_tokens": int(read), "output_tokens": int(written), "cost": round(prices.of(read, written), 4),
        "cost_per_conversation": ratio(chats, asked),
        "tokens_per_conversation": ratio(sums.total("input_tokens") + sums.total("output_tokens"), asked),
    }  # fmt: skip


def line(sums: Sums, prices: Prices) -> dict[str, Any]:
    """One row of a history: a flat choice of what a curve is drawn of."""
    chat = conversations(sums)
    return {
        "sessions": chat["sessions"], "asked": chat["asked"], "customer_messages": chat["messages"].get("customer", 0),
        "reopened": chat["reopened"], "answers": sums.count("answers"), "honest_no": sums.count("answers", "honest_no"),
        "deflection_rate": chat["deflection_rate"], "handoffs": sums.count("handoffs"), "handoff_rate": chat["handoff_rate"],
        "answer_mean_s": sums.mean("answer_s"), "confidence_mean": sums.mean("confidence"),
        "tickets_opened": sums.count("tickets"), "tickets_resolved": sums.count("resolution_s"),
        "tickets_reopened": sums.count("tickets_reopened"),
        "first_reply_s": sums.mean("first_reply_s"), "resolution_s": sums.mean("resolution_s"),
        "targets_missed": sums.count("targets", *(f"{clock}:missed" for clock in CLOCKS)),
        "thumbs_up": sums.count("thumbs", "up"), "thumbs_down": sums.count("thumbs", "down"), "csat": sums.mean("csat"),
        "guardrails": sums.count("guardrails"), "drafts": sums.count("drafts"), "drafts_approved": sums.count("approved"),
        "draft_similarity": sums.mean("approved"), "edit_distance": sums.mean("edit_distance"),
        "failed_turns": sum(count for key, count in sums.counts.get("turns", {}).items() if key.startswith("failed")),
        **cost(sums, prices, asked=chat["asked"]),
    }  # fmt: skip


def _quantile(sums: Sums, share: float) -> float | None:
    """The upper bound of the bucket in which this share of the answers ends."""
    buckets: Mapping[str, int] = sums.by("answer_s")
    wanted, seen = share * sum(buckets.values()), 0
    for number in sorted(map(int, buckets)):
        seen += buckets[str(number)]
        if seen >= wanted:
            return ANSWER_S[min(number, len(ANSWER_S) - 1)]
    return None
