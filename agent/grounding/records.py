"""Lines that another system tells of one customer, such as their invoices: what stands in one is not true of another.

A claim that names a line by its first number or identifier draws on the lines that it names, and what it says in one
breath stands in one line.
"""

from agent.grounding.reading import Clause, PassageReading, Reading


def mixes(claim: Reading, passage: PassageReading) -> bool:
    """Whether the claim says of one line what stands in another."""
    lines = [(_key(unit), _facts(unit)) for unit in passage.units]
    known = frozenset[str]().union(*(facts for _, facts in lines))
    told = _facts(claim) & known
    named = [facts for key, facts in lines if key in told]
    if named and told - frozenset[str]().union(*named):
        return True
    return any(_drawn_together(clause, known, lines) for clause in claim.clauses)


def _drawn_together(clause: Clause, known: frozenset[str], lines: list[tuple[str, frozenset[str]]]) -> bool:
    values = {number.value for number in clause.numbers} & known
    return len(values) > 1 and not any(values <= facts for _, facts in lines)


def _facts(reading: Reading) -> frozenset[str]:
    return frozenset([*(number.value for number in reading.numbers), *reading.identifiers, *reading.stems])


def _key(line: Reading) -> str:
    """Its first identifier, else its first number; empty for a line that has neither."""
    return next(iter([*line.identifiers, *(number.value for number in line.numbers)]), "")
