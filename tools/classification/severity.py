"""How bad it is, and who has to deal with it.

Tier, from severity and the kind of intent (0 self-service, 1 front line, 2 technical, 3 specialist, 4 management or
security incident):

    severity   any other   technical   sensitive   sensitive and technical
    LOW            0           0           1                  1
    MEDIUM         1           2           1                  2
    HIGH           2           2           2                  2
    CRITICAL       3           3           4                  4

Severity comes from cues in the words, and from the nearest examples where there is an embedding.
On the finished answer both may rise, never fall: an answer that speaks of an incident makes it HIGH and tier 3 at least,
one that needs staff makes it tier 2 at least, and a question left open goes up to 1, 2, 3 or 4 by severity.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import yaml

from memory.errors import Misconfigured
from memory.yaml_files import read_yaml
from tools.classification.cues import load_cues
from tools.classification.taught import Example, Recognised
from tools.intents import Intent
from tools.phrases import Reading

Severity = Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"]

EXAMPLES_FILE = Path(__file__).with_name("severity.yaml")
RAISES_AT, LOWERS_AT = 0.4, 0.6
"""Confidence of the examples. No message of two public intent sets is raised to CRITICAL at this."""
SEVERITIES: tuple[Severity, ...] = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
TIERS: dict[Severity, tuple[int, int, int, int]] = {
    # any other, technical, sensitive, sensitive and technical
    "LOW": (0, 0, 1, 1),
    "MEDIUM": (1, 2, 1, 2),
    "HIGH": (2, 2, 2, 2),
    "CRITICAL": (3, 3, 4, 4),
}
UNANSWERED_TIERS: dict[Severity, int] = {"LOW": 1, "MEDIUM": 2, "HIGH": 3, "CRITICAL": 4}


def severity_of(reading: Reading) -> Severity:
    """By the worst cue; what is only supposed weighs two levels less. An outage that costs money, or that somebody is
    beside themselves about, is critical."""
    ends = {name: reading.ends(phrases) for name, phrases in load_cues().severity.items()}
    supposed = 0
    for sentence in reading.sentences() if ends["hypothetical"] else ():
        supposed |= sentence if sentence & ends["hypothetical"] else 0
    level = max(_level(ends, ~supposed), _level(ends, supposed) - 2)
    if ends["low"] and level < 3:
        return "MEDIUM" if level == 2 else "LOW"
    if ends["everyone"] & ~supposed and level:
        level += 1
    if level == 2 and ends["outage"] & ~supposed and (ends["loss"] or reading.ends(load_cues().mood["strong"])):
        level = 3
    if ends["urgent"] and level < 2:
        level += 1
    return SEVERITIES[min(level, 3)]


def by_meaning(words: Severity, told: Recognised, reading: Reading, *, most: int = 3) -> Severity:
    """The severity by words in the light of the nearest examples (`severity.yaml`): raised where these are fairly sure,
    by `most` levels and no more, lowered by one where they are very sure. Where `most` is 0 they have no say; and what is
    only supposed, or said to be small, stays as it is."""
    cues = load_cues()
    minor = bool(reading.ends(cues.severity["low"])) and SEVERITIES.index(words) < 2
    if minor or not most or reading.ends(cues.severity["hypothetical"]):
        return words
    level, near = SEVERITIES.index(words), list[str](SEVERITIES).index(told.intent)
    if near > level and told.confidence >= RAISES_AT:
        return SEVERITIES[min(near, level + most)]
    if near < level < len(SEVERITIES) - 1 and told.confidence >= LOWERS_AT:
        return SEVERITIES[level - 1]
    return words


@cache
def severity_examples() -> tuple[Example, ...]:
    """Raises Misconfigured where the file can't be used."""
    try:
        levels = read_yaml(EXAMPLES_FILE)
        return tuple(Example(text=text, intent=level) for level in SEVERITIES for text in levels[level])
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise Misconfigured(f"{EXAMPLES_FILE}: {error!r}") from error


def _level(ends: Mapping[str, int], where: int) -> int:
    return next((level for level, name in ((3, "critical"), (2, "high"), (1, "medium")) if ends[name] & where), 0)


def tier_of(severity: Severity, intent: Intent | None) -> int:
    column = (2 * intent.sensitive + intent.technical) if intent else 0
    return TIERS[severity][column]


def raised(severity: Severity, tier: int, answer_text: str, *, answered: bool) -> tuple[Severity, int]:
    """Severity and tier in the light of the finished answer."""
    cues = load_cues()
    reading = cues.read(answer_text)
    if reading.ends(cues.severity["incident"]):
        severity, tier = max(severity, "HIGH", key=SEVERITIES.index), max(tier, 3)
    if reading.ends(cues.severity["specialist"]):
        tier = max(tier, 2)
    if not answered:
        tier = max(tier, UNANSWERED_TIERS[severity])
    return severity, tier
