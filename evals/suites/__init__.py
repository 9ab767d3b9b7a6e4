"""The suites, in the order of the report."""

from evals.suite import Suite
from evals.suites import (
    answers,
    confidence,
    conversations,
    escalation,
    guardrails,
    intents,
    learning,
    retrieval,
    severity,
)

SUITES: tuple[Suite, ...] = (
    retrieval.SUITE, answers.SUITE, guardrails.SUITE, intents.SUITE, severity.SUITE, escalation.SUITE, confidence.SUITE,
    conversations.SUITE, learning.SUITE,
)  # fmt: skip
