"""The verdict on a message or a document."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tools.classification.language import detect_language
from tools.guardrails.disguises import spellings, views
from tools.guardrails.features import features
from tools.guardrails.learned import ENGLISH, Vector, load_learned
from tools.guardrails.rules import Action, GuardRules, Rule, Severity
from tools.guardrails.rules_file import load_rules
from tools.phrases import PhraseBook, Reading, tokenize

STAFF = ("agent", "admin")
"""Every other role is held to what customers are."""
MAX_CHARACTERS = 200_000
"""Longer texts are not read: they escalate."""
FAILED_REASON = "I could not check this message."
FAILED_REASONS = {
    "de": "Ich konnte diese Nachricht nicht prüfen.",
    "fr": "Je n'ai pas pu vérifier ce message.",
    "es": "No he podido comprobar este mensaje.",
    "ru": "Я не смог проверить это сообщение.",
    "it": "Non ho potuto verificare questo messaggio.",
    "pt": "Não consegui verificar esta mensagem.",
    "ar": "لم أتمكن من التحقق من هذه الرسالة.",
}
LEARNED = "resembles-manipulation"
"""Name of the verdict that no rule gave but what was learned."""
LEARNED_REASON = (
    "I can't change how I work or share my instructions. I am glad to help with a question about your service."
)

OVERRULED = "second-opinion"
"""Name of the verdict that a model gave, where the local check was not sure."""
UNSURE = 0.1
"""Likeness to manipulation from which an allowed message is shown to a model that judges fast: one in fifty everyday
messages, and two of three attacks that the local check lets through (most are in other languages than English)."""
PHRASED = "injection"
"""Name of the rule that knows attempts at manipulation by their phrases."""
DOUBT = 0.2
"""Likeness to manipulation below which such a phrase does not count in other languages than English. The rule knows few
exceptions of theirs, and `ignorar as regras do .htaccess` is an everyday wish."""
DOUBTED_CHARACTERS = 200
"""Of longer messages a phrase always counts: who hides one in much harmless text makes the whole look harmless."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of a message or a document."""

    action: Action
    category: str = ""
    reason: str = ""
    """A sentence that the customer may read; empty when allowed."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """The same in other languages than English."""
    rule: str = ""
    score: float = 0.0
    """0 to 1. Of a rule that fires the sum of the weights found; of an allowed document that of the rule which came
    nearest; of an allowed message the likeness to manipulation, where 0.5 is too much."""
    escalate: bool = False
    """A person must hear of it; a refusal may need that too."""
    severity: Severity | None = None
    """How bad the matter is at least; None leaves it to the words."""

    def told_in(self, language: str) -> "Verdict":
        """The verdict with its reason in this language, where there is one."""
        return replace(self, reason=self.reasons.get(language, self.reason))


ALLOWED = Verdict(action="allow")


def check_message(
    text: str, *, role: str, audience: str | Collection[str] | None, rules: GuardRules, vector: Vector | None = None
) -> Verdict:
    """The verdict on what a person wrote; `audience` is one, several or none, `vector` the message's embedding by the
    local model if there is one. First the rules, then what was learned. Never raises: a check that fails escalates."""
    try:
        audiences = frozenset([audience] if isinstance(audience, str) else audience or ())
        role = role if role in STAFF else "customer"
        applicable = [rule for rule in rules.messages if rule.applies_to(role, audiences)]
        verdict, near = _judge(text, applicable, rules.message_book)
        if verdict.rule == PHRASED and _is_doubtful(text, near):
            verdict = ALLOWED
        return verdict if verdict.action != "allow" else _compare(text, vector, verdict, near, rules)
    except Exception:
        log.exception("guard check of a message failed")
        return _failed("guard-failed")


def is_unsure(verdict: Verdict) -> bool:
    """Whether an allowed message is worth a second opinion."""
    return verdict.action == "allow" and verdict.score >= UNSURE


def overruled(verdict: Verdict, rules: GuardRules) -> Verdict:
    """What becomes of an allowed message that somebody else takes for an attempt at manipulation."""
    return _manipulates(OVERRULED, verdict.score, rules)


def _manipulates(name: str, score: float, rules: GuardRules) -> Verdict:
    """A refusal in the words of the rule that knows such attempts by their phrases."""
    reasons = next((rule.reasons for rule in rules.messages if rule.name == PHRASED), {})
    return Verdict(
        action="refuse", category="injection", reason=LEARNED_REASON, reasons=reasons, rule=name, score=score
    )


def check_document(text: str, *, rules: GuardRules | None = None) -> Verdict:
    """The verdict on text that nobody here wrote to us: a passage, a tool's result, a ticket. `refuse` means that it
    carries instructions for the model and must not reach it. Never raises: a check that fails escalates."""
    try:
        rules = rules or load_rules()
        return _judge(text, rules.documents, rules.document_book)[0]
    except Exception:
        log.exception("guard check of a document failed")
        return _failed("guard-failed")


def _failed(rule: str) -> Verdict:
    return Verdict(
        action="escalate", category="unchecked", reason=FAILED_REASON, reasons=FAILED_REASONS, rule=rule, score=1.0,
        escalate=True,
    )  # fmt: skip


def nearness(text: str, rules: GuardRules, names: Collection[str]) -> dict[str, float]:
    """How near each of the named rules for messages comes to firing for a customer: 1 where it fires."""
    wanted = [rule for rule in rules.messages if rule.name in names and rule.applies_to("customer", frozenset())]
    readings = _read(text, rules.message_book)
    return {rule.name: max(rule.weigh(reading) for reading in readings) / rule.threshold for rule in wanted}


def _compare(
    text: str, vector: Vector | None, verdict: Verdict, near: Mapping[str, float], rules: GuardRules
) -> Verdict:
    """An allowed message, in the light of what was learned."""
    likeness = _likeness(text, vector, near)
    if likeness < 0.5:
        return replace(verdict, score=likeness)
    return _manipulates(LEARNED, likeness, rules)


def _is_doubtful(text: str, near: Mapping[str, float]) -> bool:
    return len(text) <= DOUBTED_CHARACTERS and detect_language(text) != ENGLISH and _likeness(text, None, near) < DOUBT


def _likeness(text: str, vector: Vector | None, near: Mapping[str, float]) -> float:
    return round(load_learned().score(text, vector, near), 4)


def _read(text: str, book: PhraseBook) -> list[Reading]:
    shown = frozenset(features(text))
    return [book.read(tokenize(view), across=True, variants=spellings, features=shown) for view in views(text)]


def _judge(text: str, rules: Sequence[Rule], book: PhraseBook) -> tuple[Verdict, dict[str, float]]:
    """The verdict of the rules, and how near each came: 1 is firing."""
    if len(text) > MAX_CHARACTERS:
        return _failed("too-long"), {}
    readings = _read(text, book)
    nearest = ALLOWED
    near: dict[str, float] = {}
    for rule in rules:
        weight = max(rule.weigh(reading) for reading in readings)
        near[rule.name] = weight / rule.threshold
        score = min(1.0, round(weight, 4))
        if weight >= rule.threshold - 1e-9:
            fired = Verdict(
                action=rule.action, category=rule.category, reason=rule.reason, reasons=rule.reasons, rule=rule.name,
                score=score, escalate=rule.escalate, severity=rule.severity,
            )  # fmt: skip
            return fired, near
        if score > nearest.score:
            nearest = Verdict(action="allow", category=rule.category, rule=rule.name, score=score)
    return nearest, near
