"""The verdict on a message or a document."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tools.guardrails.disguises import spellings, views
from tools.guardrails.features import features
from tools.guardrails.rules import Action, GuardRules, Rule
from tools.guardrails.rules_file import load_rules
from tools.phrases import PhraseBook, tokenize

STAFF = ("agent", "admin")
"""Every other role is held to what customers are."""
MAX_CHARACTERS = 200_000
"""Longer texts are not read: they escalate."""
FAILED_REASON = "I could not check this message, so I am passing it to a colleague."

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of a message or a document."""

    action: Action
    category: str = ""
    reason: str = ""
    """A sentence that the customer may read; empty when allowed."""
    rule: str = ""
    score: float = 0.0
    """Sum of the weights found, at most 1; for an allowed text that of the rule which came nearest to firing."""
    escalate: bool = False
    """A person must hear of it; a refusal may need that too."""


ALLOWED = Verdict(action="allow")


def check_message(text: str, *, role: str, audience: str | Collection[str] | None, rules: GuardRules) -> Verdict:
    """The verdict on what a person wrote; `audience` is one, several or none. Never raises: a check that fails
    escalates."""
    try:
        audiences = frozenset([audience] if isinstance(audience, str) else audience or ())
        role = role if role in STAFF else "customer"
        applicable = [rule for rule in rules.messages if rule.applies_to(role, audiences)]
        return _judge(text, applicable, rules.message_book)
    except Exception:
        log.exception("guard check of a message failed")
        return _failed("guard-failed")


def check_document(text: str, *, rules: GuardRules | None = None) -> Verdict:
    """The verdict on text that nobody here wrote to us: a passage, a tool's result, a ticket. `refuse` means that it
    carries instructions for the model and must not reach it. Never raises: a check that fails escalates."""
    try:
        rules = rules or load_rules()
        return _judge(text, rules.documents, rules.document_book)
    except Exception:
        log.exception("guard check of a document failed")
        return _failed("guard-failed")


def _failed(rule: str) -> Verdict:
    return Verdict(action="escalate", category="unchecked", reason=FAILED_REASON, rule=rule, score=1.0, escalate=True)


def _judge(text: str, rules: Sequence[Rule], book: PhraseBook) -> Verdict:
    if len(text) > MAX_CHARACTERS:
        return _failed("too-long")
    shown = frozenset(features(text))
    readings = [book.read(tokenize(view), across=True, variants=spellings, features=shown) for view in views(text)]
    nearest = ALLOWED
    for rule in rules:
        weight = max(rule.weigh(reading) for reading in readings)
        score = min(1.0, round(weight, 4))
        if weight >= rule.threshold - 1e-9:
            return Verdict(
                action=rule.action,
                category=rule.category,
                reason=rule.reason,
                rule=rule.name,
                score=score,
                escalate=rule.escalate,
            )
        if score > nearest.score:
            nearest = Verdict(action="allow", category=rule.category, rule=rule.name, score=score)
    return nearest
