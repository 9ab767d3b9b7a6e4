"""Sentences that leave out what their passage makes a condition are withheld, and those that keep it are not."""

from evals.cases import own
from evals.results import Row
from evals.suites.answers import CONDITIONS, SUITE, _of_conditions

CASES = own("conditions", ("passage", "kept", "dropped"), dataset=CONDITIONS)


class TestConditions:
    def test_nothing_true_is_withheld_and_little_else_released(self) -> None:
        rows = [Row(case=case, repeat=0, ms=0, observed=_of_conditions(case)) for case in CASES]
        scores = {score.key: score for score in SUITE.conclude(rows).scores}
        assert scores["answers/own-conditions/supported: released"].value == 1
        assert scores["answers/own/planted condition: caught"].n == len(CASES)
        assert scores["answers/own/planted condition: caught"].value > 0.9
