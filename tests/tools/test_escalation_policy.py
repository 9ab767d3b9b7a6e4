"""When a person is brought in."""

from typing import Any

import pytest

from tools.escalation_policy import EscalationDecision, EscalationReason, decide
from tools.guardrails import Verdict

CALM: dict[str, Any] = {"wants_human": False, "severity": "LOW", "tier": 0, "answerable": True}
ALLOW = Verdict(action="allow")


def decided(**overrides: Any) -> EscalationDecision:
    return decide(**{**CALM, **overrides})


class TestOneReason:
    @pytest.mark.parametrize(
        ("overrides", "reason"),
        [
            ({"wants_human": True}, EscalationReason.HUMAN_REQUESTED),
            ({"verdict": Verdict(action="escalate", rule="threat", escalate=True)}, EscalationReason.GUARDRAIL),
            ({"verdict": Verdict(action="refuse", rule="host", escalate=True)}, EscalationReason.GUARDRAIL),
            ({"severity": "CRITICAL", "tier": 2}, EscalationReason.CRITICAL_SEVERITY),
            ({"severity": "HIGH", "tier": 3}, EscalationReason.SPECIALIST_TIER),
            ({"failed_attempts": 2, "answerable": False}, EscalationReason.REPEATED_FAILURE),
            ({"sensitive": True, "answerable": False, "failed_attempts": 1}, EscalationReason.SENSITIVE_UNANSWERED),
        ],
    )
    def test_each_is_enough_by_itself(self, overrides: dict[str, Any], reason: EscalationReason) -> None:
        decision = decided(**overrides)
        assert decision.escalate
        assert decision.reason is reason
        assert decision.detail

    @pytest.mark.parametrize(
        "overrides",
        [
            {},
            {"verdict": ALLOW},
            {"verdict": Verdict(action="refuse", rule="answer-key")},
            {"severity": "HIGH", "tier": 2},
            {"sensitive": True},
            {"sensitive": True, "answerable": None},
            {"failed_attempts": 1, "answerable": False},
            {"confidence_level": "very_low"},
            {"confidence_level": "very_low", "answerable": False, "failed_attempts": 1},
        ],
    )
    def test_these_are_not(self, overrides: dict[str, Any]) -> None:
        decision = decided(**overrides)
        assert not decision.escalate
        assert decision.reason is None


class TestFailures:
    def test_the_first_is_answered_honestly_with_an_offer_and_the_second_escalates(self) -> None:
        first = decided(answerable=False, failed_attempts=1)
        assert (first.escalate, first.offer_human) == (False, True)
        second = decided(answerable=False, failed_attempts=2)
        assert (second.escalate, second.reason) == (True, EscalationReason.REPEATED_FAILURE)
        assert "2 turns in a row" in second.detail

    def test_an_answer_and_small_talk_bring_no_offer(self) -> None:
        assert not decided(answerable=True).offer_human
        assert not decided(answerable=None).offer_human


class TestSeveralReasons:
    def test_the_strongest_leads_and_the_others_are_named(self) -> None:
        decision = decided(
            severity="CRITICAL", tier=4, sensitive=True, answerable=False, failed_attempts=2, wants_human=True
        )
        assert decision.reason is EscalationReason.HUMAN_REQUESTED
        assert decision.further == (
            EscalationReason.CRITICAL_SEVERITY,
            EscalationReason.SPECIALIST_TIER,
            EscalationReason.REPEATED_FAILURE,
            EscalationReason.SENSITIVE_UNANSWERED,
        )

    def test_very_low_confidence_only_joins_another_reason(self) -> None:
        joined = decided(wants_human=True, confidence_level="very_low")
        assert joined.further == (EscalationReason.VERY_LOW_CONFIDENCE,)
        assert EscalationReason.VERY_LOW_CONFIDENCE not in decided(wants_human=True, confidence_level="low").further


class TestOpenHandoff:
    def test_nothing_opens_a_second_one(self) -> None:
        decision = decided(
            handoff_open=True,
            wants_human=True,
            verdict=Verdict(action="escalate", escalate=True),
            severity="CRITICAL",
            tier=4,
            failed_attempts=5,
            answerable=False,
        )
        assert decision == EscalationDecision(escalate=False, detail="A handoff is open already.")
