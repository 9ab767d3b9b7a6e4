"""When a conversation goes to a person, and why: one pure decision over what the turn found out.

Where a handoff is open already there is never a second one. A question that the knowledge base can't answer is first
answered honestly with an offer of a person; the second failure in a row escalates. A very low confidence is no reason
by itself: it is only named beside another one.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from tools.guardrails import Verdict

FAILURES_IN_A_ROW = 2
SPECIALIST_TIER = 3


class EscalationReason(StrEnum):
    """Why a person is needed, strongest first; the first that holds is the decision's reason."""

    HUMAN_REQUESTED = "human_requested"
    GUARDRAIL = "guardrail"
    CRITICAL_SEVERITY = "critical_severity"
    SPECIALIST_TIER = "specialist_tier"
    REPEATED_FAILURE = "repeated_failure"
    SENSITIVE_UNANSWERED = "sensitive_unanswered"
    VERY_LOW_CONFIDENCE = "very_low_confidence"
    AGENT_DECISION = "agent_decision"
    """The model asked for a person by its tool, and the turn's own judgement spoke for it; not one of this policy's."""
    INTERRUPTED = "interrupted"
    """An answer broke off with its process; not one of this policy's."""


DETAILS = {
    EscalationReason.HUMAN_REQUESTED: "The customer asked for a person.",
    EscalationReason.GUARDRAIL: "A guard rule asks for a person: {rule}.",
    EscalationReason.CRITICAL_SEVERITY: "The case is critical.",
    EscalationReason.SPECIALIST_TIER: "The case is for tier {tier}.",
    EscalationReason.REPEATED_FAILURE: "{failures} turns in a row ended without an answer.",
    EscalationReason.SENSITIVE_UNANSWERED: "A sensitive question has no answer in the knowledge base.",
    EscalationReason.VERY_LOW_CONFIDENCE: "The confidence is very low.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationDecision:
    """Whether a new handoff is opened; `detail` is for staff, in one or more sentences."""

    escalate: bool
    reason: EscalationReason | None = None
    detail: str = ""
    further: tuple[EscalationReason, ...] = ()
    """The other reasons that hold."""
    offer_human: bool = False
    """Not escalated, but the honest answer comes with the offer of a person."""


def speaks_for_a_person(*, severity: Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"], tier: int, sensitive: bool) -> bool:
    """Whether the judgement of a message bears a model's wish for a person out: a grave matter, a specialist's, or a
    sensitive one that is more than a question. Else the wish becomes an offer: where a stranger's text is in front of the
    model, nobody knows whose wish it is."""
    grave = severity in ("HIGH", "CRITICAL") or (sensitive and severity == "MEDIUM")
    return grave or tier >= SPECIALIST_TIER


def decide(
    *,
    wants_human: bool,
    verdict: Verdict | None = None,
    failed_attempts: int = 0,
    severity: Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"],
    tier: int,
    sensitive: bool = False,
    answerable: bool | None,
    confidence_level: str | None = None,
    handoff_open: bool = False,
) -> EscalationDecision:
    """The decision for one turn. `failed_attempts` counts the failures in a row, this turn's included; `answerable` is
    None where nothing was asked of the knowledge base, as in small talk."""
    if handoff_open:
        return EscalationDecision(escalate=False, detail="A handoff is open already.")
    unanswered = answerable is False
    holding = {
        EscalationReason.HUMAN_REQUESTED: wants_human,
        EscalationReason.GUARDRAIL: verdict is not None and (verdict.escalate or verdict.action == "escalate"),
        EscalationReason.CRITICAL_SEVERITY: severity == "CRITICAL",
        EscalationReason.SPECIALIST_TIER: tier >= SPECIALIST_TIER,
        EscalationReason.REPEATED_FAILURE: failed_attempts >= FAILURES_IN_A_ROW,
        EscalationReason.SENSITIVE_UNANSWERED: sensitive and unanswered,
    }
    reasons = [reason for reason, holds in holding.items() if holds]
    if not reasons:
        return EscalationDecision(escalate=False, offer_human=unanswered)
    if confidence_level == "very_low":
        reasons.append(EscalationReason.VERY_LOW_CONFIDENCE)
    rule = verdict.rule if verdict else ""
    details = [DETAILS[reason].format(rule=rule, tier=tier, failures=failed_attempts) for reason in reasons]
    return EscalationDecision(escalate=True, reason=reasons[0], detail=" ".join(details), further=tuple(reasons[1:]))
