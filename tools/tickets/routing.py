"""Who gets a ticket: the tenant's rules in order, the first that fits wins, and the reason is kept.

Within a team the turn goes to the available member who has waited longest for one. Turns of a team are taken one after
the other, under a lock of the transaction, so that two tickets at once never find the same member.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from memory.database import Connection
from tools.ticket_rules import RoutingRule, When


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the rules look at."""

    intent: str | None
    tier: int
    severity: str
    language: str | None
    department: str
    priority: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where a ticket goes and why; `rule` is its place among the rules, from 1."""

    rule: int
    because: str
    team: str = ""
    assignee_id: UUID | None = None

    def data(self) -> dict[str, Any]:
        """As the event tells it."""
        assignee = str(self.assignee_id) if self.assignee_id else None
        return {"rule": self.rule, "because": self.because, "team": self.team, "assignee_id": assignee}


def first_match(rules: Sequence[RoutingRule], facts: Facts) -> tuple[int, RoutingRule] | None:
    """The rule that holds, with its place from 1."""
    return next(((place, rule) for place, rule in enumerate(rules, 1) if _fits(rule.when, facts)), None)


async def route(connection: Connection, tenant_id: UUID, rules: Sequence[RoutingRule], facts: Facts) -> Route | None:
    """Where the rules send a ticket; None where none of them fits."""
    found = first_match(rules, facts)
    if found is None:
        return None
    place, rule = found
    because = f"rule {place}: {_words(rule.when)}"
    if "@" in rule.to or _uuid(rule.to):
        return await _to_colleague(connection, place, because, rule.to)
    if not rule.round_robin:
        return Route(rule=place, because=f"{because}, to team {rule.to}", team=rule.to)
    return await _to_next(connection, tenant_id, place, because, rule.to)


async def _to_colleague(connection: Connection, place: int, because: str, to: str) -> Route:
    row = await (await connection.execute(COLLEAGUE, {"email": to.lower(), "id": _uuid(to)})).fetchone()
    if row is None:
        return Route(rule=place, because=f"{because}, but its colleague is not there any more")
    return Route(rule=place, because=f"{because}, to {row['known_as']}", assignee_id=row["id"])


async def _to_next(connection: Connection, tenant_id: UUID, place: int, because: str, team: str) -> Route:
    await connection.execute(TURNS, (f"{tenant_id} {team}",))
    row = await (await connection.execute(NEXT, (team,))).fetchone()
    if row is None:
        return Route(rule=place, because=f"{because}, to team {team}, where nobody is available", team=team)
    because = f"{because}, to team {team}, where it is {row['known_as']}'s turn"
    return Route(rule=place, because=because, team=team, assignee_id=row["id"])


def _fits(when: When, facts: Facts) -> bool:
    for name in When.model_fields:
        wanted, value = getattr(when, name), getattr(facts, name)
        if wanted is not None and _folded(value) not in [_folded(one) for one in _several(wanted)]:
            return False
    return True


def _words(when: When) -> str:
    given = {name: getattr(when, name) for name in When.model_fields if getattr(when, name) is not None}
    return (
        ", ".join(f"{name} {' or '.join(map(str, _several(value)))}" for name, value in given.items()) or "everything"
    )


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _folded(value: Any) -> Any:
    return value.strip().casefold() if isinstance(value, str) else value


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


COLLEAGUE = """
select id, coalesce(nullif(name, ''), email) as known_as from users
where tenant_id = current_tenant() and is_active and role <> 'customer' and (email = %(email)s or id = %(id)s::uuid)
"""
TURNS = "select pg_advisory_xact_lock(hashtextextended(%s, 0))"
NEXT = """
update users set last_assigned_at = clock_timestamp()
where tenant_id = current_tenant() and id = (
    select id from users
    where tenant_id = current_tenant() and %s = any(teams) and is_active and is_available and role <> 'customer'
    order by last_assigned_at nulls first, id limit 1)
returning id, coalesce(nullif(name, ''), email) as known_as
"""
