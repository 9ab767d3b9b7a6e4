"""The probability that a draft is approved unchanged: right with enough outcomes, modest with few."""

import math
import random
from collections.abc import Callable

import pytest

from agent.scoring.calibration import FEWEST, Calibration, Outcome, calibrate

Truth = Callable[[float], float]
TENANTS: dict[str, Truth] = {
    "content": lambda score: min(0.97, 0.4 + score / 150),
    "strict": lambda score: score / 400,
    "a step at 60": lambda score: 0.85 if score >= 60 else 0.1,
    "logistic": lambda score: 1 / (1 + math.exp(-(score - 50) / 10)),
    "never": lambda score: 0.0,
}


def outcomes(truth: Truth, count: int, seed: int) -> list[Outcome]:
    chance = random.Random(seed)
    scores = [round(min(100.0, max(0.0, chance.gauss(55, 20)))) for _ in range(count)]
    return [Outcome(score=score, approved=chance.random() < truth(score)) for score in scores]


def error(curve: Calibration, truth: Truth, seed: int = 99) -> float:
    """Mean distance between what is told and the truth, over the scores that come."""
    told = [(curve.at(each.score).probability, truth(each.score)) for each in outcomes(truth, 2000, seed)]
    return sum(abs(said - true) for said, true in told) / len(told)


def overconfidence(curve: Calibration, truth: Truth) -> float:
    told = [(curve.at(each.score).probability, truth(each.score)) for each in outcomes(truth, 2000, 7)]
    return sum(said - true for said, true in told) / len(told)


class TestWithEnoughOutcomes:
    @pytest.mark.parametrize("name", sorted(TENANTS))
    def test_what_is_told_is_what_comes(self, name: str) -> None:
        errors = [error(calibrate(outcomes(TENANTS[name], 1500, seed)), TENANTS[name]) for seed in range(3)]
        assert max(errors) <= 0.05

    @pytest.mark.parametrize("name", sorted(TENANTS))
    def test_a_better_score_is_never_told_to_be_worse(self, name: str) -> None:
        curve = calibrate(outcomes(TENANTS[name], 600, 1))
        told = [curve.at(score).probability for score in range(101)]
        assert told == sorted(told)
        assert curve.basis == "steps"

    def test_nothing_is_certain(self) -> None:
        curve = calibrate([Outcome(score=90, approved=True)] * 500)
        assert curve.at(90).probability <= 0.99
        assert calibrate([Outcome(score=90, approved=False)] * 500).at(90).probability > 0


class TestWithFewOutcomes:
    @pytest.mark.parametrize("count", [0, 1, FEWEST - 1])
    def test_below_the_least_number_only_the_prior_speaks(self, count: int) -> None:
        curve = calibrate([Outcome(score=80, approved=True)] * count)
        assert (curve.basis, curve.outcomes) == ("prior", count)
        assert curve.at(80) == calibrate([]).at(80).__class__(
            probability=calibrate([]).at(80).probability, outcomes=count, basis="prior"
        )

    @pytest.mark.parametrize("name", sorted(TENANTS))
    @pytest.mark.parametrize("count", [25, 60])
    def test_it_is_not_overconfident(self, name: str, count: int) -> None:
        excess = [overconfidence(calibrate(outcomes(TENANTS[name], count, seed)), TENANTS[name]) for seed in range(5)]
        assert sum(excess) / len(excess) <= 0.05

    def test_a_few_lucky_drafts_promise_little(self) -> None:
        assert calibrate([Outcome(score=70, approved=True)] * 25).at(70).probability < 0.97
        assert calibrate([]).at(100).probability < 0.75

    def test_a_strict_desk_lowers_it_at_once(self) -> None:
        assert calibrate([Outcome(score=80, approved=False)] * 25).at(80).probability < 0.15


class TestTheCurve:
    def test_between_and_beyond_its_points(self) -> None:
        curve = Calibration(points=((20.0, 0.2), (60.0, 0.6)), outcomes=200, basis="steps")
        assert [round(curve.at(score).probability, 3) for score in (0, 20, 40, 60, 100)] == [0.2, 0.2, 0.4, 0.6, 0.6]

    def test_the_wire_says_what_it_rests_on(self) -> None:
        assert calibrate([]).at(75).as_dict() == {"probability": 0.5, "outcomes": 0, "basis": "prior"}
