"""A suite: where its cases come from, how one is evaluated, and what its rows amount to."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from evals.cases import Case
from evals.public import Public
from evals.results import Evaluator, Findings, Row
from evals.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """`cases` reads, `prepare` opens what the evaluator needs, `conclude` is pure."""

    name: str
    about: str
    """One sentence for the report."""
    cases: Callable[[Public], Sequence[Case]]
    prepare: Callable[[World, Sequence[Case]], Awaitable[Evaluator]]
    conclude: Callable[[Sequence[Row]], Findings]
