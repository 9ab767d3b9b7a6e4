"""What a tenant decides about its tickets: targets of the clocks, and who gets which ticket.

    sla      {"urgent": {"first_response": 30, "resolution": 480, "count": "always"}, "normal": {"first_response": 240}}
    routing  [{"when": {"intent": "billing"}, "to": "accounts", "round_robin": true},
              {"when": {"severity": ["HIGH", "CRITICAL"]}, "to": "ada@example.com"}]

Without targets no clock runs; without rules nobody is assigned. Of the rules the first that fits wins, and one without
conditions fits everything.
"""

from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, StringConstraints

from tools.business_hours import Choice
from tools.numbers import whole

Priority = Literal["low", "normal", "high", "urgent"]
PRIORITIES: tuple[Priority, ...] = get_args(Priority)
SeverityName = Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"]
Clock = Literal["first_response", "resolution"]
CLOCKS: tuple[Clock, ...] = get_args(Clock)
HIGHEST_TIER = 4

Minutes = Annotated[int, BeforeValidator(whole), Field(strict=True, ge=1, le=525_600)]
Tier = Annotated[int, BeforeValidator(whole), Field(strict=True, ge=0, le=HIGHEST_TIER)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$", max_length=60)]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$", max_length=3)]
Team = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$", max_length=60)]
Target = Annotated[
    str, StringConstraints(pattern=r"^[^\s\x00-\x1f\x7f]+$", min_length=1, max_length=200),
    Field(description="a team, or a colleague by address or id"),
]  # fmt: skip
Department = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f-\x9f]*$", max_length=60)]


class SlaTarget(Choice):
    """Minutes that a ticket of some priority may take; None stands for no clock."""

    first_response: Minutes | None = None
    resolution: Minutes | None = None
    count: Literal["business", "always"] = Field(
        default="business", description="count minutes in business hours only, or round the clock"
    )


class Sla(Choice):
    """Targets by priority; a priority without any has no clocks."""

    low: SlaTarget = SlaTarget()
    normal: SlaTarget = SlaTarget()
    high: SlaTarget = SlaTarget()
    urgent: SlaTarget = SlaTarget()

    def of(self, priority: str) -> SlaTarget:
        found: SlaTarget = getattr(self, priority)
        return found


class When(Choice):
    """Conditions that must all hold; each names one value or several. None leaves open."""

    intent: list[Name] | Name | None = None
    tier: list[Tier] | Tier | None = None
    severity: list[SeverityName] | SeverityName | None = None
    language: list[Language] | Language | None = None
    department: list[Department] | Department | None = Field(default=None, description="compared without case")
    priority: list[Priority] | Priority | None = None


class RoutingRule(Choice):
    when: When = When()
    to: Target
    round_robin: bool = Field(default=False, description="give it to the team's available members in turn")
