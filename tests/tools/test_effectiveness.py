"""What outcomes say about the sources, on planted truths."""

from collections.abc import Mapping

import numpy as np
import pytest

from kbs.passages import Source
from kbs.search.weights import Weights
from tools.ranking.effectiveness import ENOUGH, LIMIT, Outcome, recommend

ALIKE = dict.fromkeys(Source, 0.8)


def drawn(rates: Mapping[Source, float], count: int, *, mixed: bool = False, seed: int = 1) -> list[Outcome]:
    """Outcomes of answers that relied on one source each, or on two, which went well as often as `rates` says."""
    rng = np.random.default_rng(seed)
    found = []
    for n in range(count):
        sources = [list(Source)[n % 4], list(Source)[(n // 4) % 4]] if mixed else [list(Source)[n % 4]]
        rate = sum(rates[source] for source in sources) / len(sources)
        shares = {source: sources.count(source) / len(sources) for source in sources}
        found.append(Outcome(value=float(rng.random() < rate), shares=shares))
    return found


class TestFewOutcomes:
    @pytest.mark.parametrize("count", [0, 1, 10, ENOUGH - 1])
    def test_are_no_reason_to_change_anything(self, count: int) -> None:
        current = Weights(global_kb=1, tenant_kb=1, example=1, correction=1)
        found = recommend(drawn({**ALIKE, Source.EXAMPLE: 0.0}, count), current)
        assert (found.change, found.weights, found.outcomes) == (False, current, count)
        assert "too few" in found.reason

    def test_move_the_estimate_little_and_leave_it_uncertain(self) -> None:
        none, few = recommend([], Weights()), recommend(drawn(ALIKE, 8), Weights())
        for each in none.sources:
            assert (each.outcomes, round(each.mean, 6)) == (0, 0.5)
            assert each.high - each.low > 0.3
        assert all(abs(each.mean - few.mean) < 0.05 for each in few.sources)


class TestManyOutcomes:
    def test_sources_that_serve_alike_keep_their_weights(self) -> None:
        changed = [recommend(drawn(ALIKE, 400, seed=seed), Weights()).change for seed in range(40)]
        assert sum(changed) <= 2

    @pytest.mark.parametrize("mixed", [False, True])
    @pytest.mark.parametrize("source", Source)
    def test_the_one_that_serves_badly_loses_weight(self, source: Source, mixed: bool) -> None:
        found = recommend(drawn({**ALIKE, source: 0.2}, 800, mixed=mixed), Weights())
        assert found.change
        assert found.weights.of(source) < Weights().of(source)
        others = [each for each in Source if each is not source]
        assert all(found.weights.of(each) > Weights().of(each) for each in others)
        assert source.value in found.reason

    def test_the_truth_lies_in_the_interval_about_as_often_as_it_says(self) -> None:
        rates = {Source.GLOBAL_KB: 0.6, Source.TENANT_KB: 0.9, Source.EXAMPLE: 0.75, Source.CORRECTION: 0.8}
        hits = 0
        for seed in range(50):
            found = recommend(drawn(rates, 1200, seed=seed), Weights())
            hits += sum(each.low <= rates[each.source] <= each.high for each in found.sources)
        assert 0.82 <= hits / 200 <= 0.97

    def test_no_source_is_ruled_out_or_takes_all(self) -> None:
        found = recommend(drawn({**dict.fromkeys(Source, 0.0), Source.EXAMPLE: 1.0}, 4000), Weights())
        weights = found.weights
        assert sum(weights.of(source) for source in Source) == pytest.approx(1.0)
        for source in Source:
            assert weights.of(source) / weights.example >= Weights().of(source) / Weights().example / LIMIT**2 - 1e-9

    def test_what_holds_already_is_not_recommended_again(self) -> None:
        outcomes = drawn({**ALIKE, Source.GLOBAL_KB: 0.2}, 800)
        first = recommend(outcomes, Weights())
        again = recommend(outcomes, first.weights)
        assert (first.change, again.change) == (True, False)
        assert "they are what" in again.reason


class TestShares:
    def test_an_outcome_is_credited_once_however_many_sources_it_had(self) -> None:
        outcomes = [Outcome(value=0.7, shares={Source.TENANT_KB: 0.75, Source.EXAMPLE: 0.25})] * 40
        credited = {each.source: each.outcomes for each in recommend(outcomes, Weights()).sources}
        assert credited == pytest.approx({**dict.fromkeys(Source, 0.0), Source.TENANT_KB: 30, Source.EXAMPLE: 10})

    def test_the_same_outcomes_give_the_same_answer(self) -> None:
        outcomes = drawn({**ALIKE, Source.GLOBAL_KB: 0.3}, 200)
        assert recommend(outcomes, Weights()) == recommend(outcomes, Weights())
