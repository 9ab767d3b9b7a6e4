"""The rules' file: what may stand in it, and how its entries become rules."""

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from memory.errors import Misconfigured
from memory.yaml_files import read_yaml
from tools.guardrails.rules import GuardRules, Rule, Severity, Signal
from tools.phrases import Phrase, PhraseBook, Phrases, parse_phrase

RULES_FILE = Path(__file__).with_name("rules.yaml")


class GuardRulesError(Misconfigured):
    """The rules' file can't be used; the message names the file, the rule and the fault."""


_Reason = Annotated[str, Field(min_length=10)]


class _SignalEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    weight: Annotated[float, Field(gt=0, le=1)]
    any: Annotated[list[str], Field(min_length=1)]
    harmless: list[str] = []
    times: Annotated[int, Field(ge=1)] = 1


class _RuleEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    category: Annotated[str, Field(pattern=r"^[a-z_]+$")]
    action: Literal["refuse", "escalate"]
    reason: _Reason
    reasons: dict[Annotated[str, Field(pattern=r"^[a-z]{2}$")], _Reason] = {}
    escalate: bool = False
    severity: Severity | None = None
    threshold: Annotated[float, Field(gt=0, le=2)] = 1.0
    within: Annotated[int, Field(ge=20)] | None = None
    roles: list[Literal["customer", "agent", "admin"]] = []
    audiences: list[str] = []
    exempt_audiences: list[str] = []
    any: list[str] = []
    signals: list[_SignalEntry] = []
    unless: list[str] = []

    @model_validator(mode="after")
    def _can_fire(self) -> "_RuleEntry":
        if not self.any and sum(signal.weight for signal in self.signals) < self.threshold:
            raise ValueError("its signals can never reach its threshold")
        return self


class _RulesEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    words: dict[str, str]
    messages: Annotated[list[_RuleEntry], Field(min_length=1)]
    documents: Annotated[list[_RuleEntry], Field(min_length=1)]


@cache
def load_rules(path: Path | None = None) -> GuardRules:
    """The rules of a file, by default the product's own. Raises `GuardRulesError`."""
    path = path or RULES_FILE
    try:
        entry = _RulesEntry.model_validate(read_yaml(path))
        messages = tuple(_compile(rule, entry.words) for rule in entry.messages)
        documents = tuple(_compile(rule, entry.words) for rule in entry.documents)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError, GuardRulesError) as error:
        raise GuardRulesError(f"guard rules {path}: {error}") from error
    names = [rule.name for rule in (*messages, *documents)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise GuardRulesError(f"guard rules {path}: used twice: {', '.join(twice)}")
    return GuardRules(
        messages=messages,
        documents=documents,
        message_book=PhraseBook(_phrases(messages)),
        document_book=PhraseBook(_phrases(documents)),
    )


def _compile(entry: _RuleEntry, words: dict[str, str]) -> Rule:
    def parse(sources: Iterable[str]) -> Phrases:
        return Phrases(parse_phrase(source, words) for source in sources)

    try:
        signals = [
            Signal(weight=s.weight, phrases=parse(s.any), harmless=parse(s.harmless), times=s.times)
            for s in entry.signals
        ]
        if entry.any:
            signals.append(Signal(weight=entry.threshold, phrases=parse(entry.any)))
        unless = parse(entry.unless)
    except (ValueError, KeyError, IndexError) as error:
        raise GuardRulesError(f"rule {entry.name}: {error!r}") from error
    return Rule(
        name=entry.name,
        category=entry.category,
        action=entry.action,
        reason=entry.reason,
        reasons=entry.reasons,
        escalate=entry.escalate or entry.action == "escalate",
        severity=entry.severity,
        threshold=entry.threshold,
        within=entry.within,
        roles=frozenset(entry.roles),
        audiences=frozenset(entry.audiences),
        exempt_audiences=frozenset(entry.exempt_audiences),
        signals=tuple(signals),
        unless=unless,
    )


def _phrases(rules: Iterable[Rule]) -> Iterator[Phrase]:
    for rule in rules:
        yield from rule.unless
        for signal in rule.signals:
            yield from signal.phrases
            yield from signal.harmless
