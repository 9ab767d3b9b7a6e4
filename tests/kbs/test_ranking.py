"""The order of what was found, from scores made by hand."""

from uuid import uuid4

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbs.passages import Passage, Source
from kbs.search.ranking import fuse, merge, mmr, rerank, spread
from kbs.search.weights import DEFAULT_WEIGHTS, Weights

SCORES = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 1), max_size=8)


def order(scores: dict[str, float]) -> str:
    return "".join(sorted(scores, key=lambda each: -scores[each]))


def passage(source: Source, ref: str) -> Passage:
    return Passage(id=uuid4(), source=source, ref=ref, title="", heading="", text="", digest="")


class TestWeights:
    def test_are_those_of_the_specification(self) -> None:
        weights = Weights()
        assert {source: pytest.approx(weights.of(source)) for source in Source} == DEFAULT_WEIGHTS

    def test_sum_to_one_whatever_is_given(self) -> None:
        weights = Weights(global_kb=1, tenant_kb=1, example=2, correction=0)
        assert [weights.of(source) for source in Source] == [0.25, 0.25, 0.5, 0.0]

    @pytest.mark.parametrize("amounts", [{"example": -1}, {"example": float("nan")}, {"example": float("inf")}])
    def test_must_be_amounts(self, amounts: dict[str, float]) -> None:
        with pytest.raises(ValueError):
            Weights(**amounts)

    def test_may_not_all_be_nothing(self) -> None:
        with pytest.raises(ValueError):
            Weights(global_kb=0, tenant_kb=0, example=0, correction=0)


class TestFuse:
    def test_both_halves_together_beat_either_alone(self) -> None:
        fused = fuse({"a": 0.8, "b": 0.75, "c": 0.2}, {"b": 0.9, "c": 0.9})
        assert order(fused) == "bac"

    def test_a_half_that_found_nothing_has_no_say(self) -> None:
        dense = {"a": 0.6, "b": 0.4, "c": 0.2}
        assert order(fuse(dense, {})) == "abc"
        assert order(fuse({}, {"a": 0.1, "b": 0.5})) == "ba"

    def test_the_best_keeps_its_own_strength(self) -> None:
        strong = fuse({"a": 0.9, "b": 0.3}, {"a": 0.9})
        weak = fuse({"a": 0.25, "b": 0.1}, {"a": 0.1})
        assert strong["a"] == pytest.approx(0.9)
        assert weak["a"] < 0.3

    def test_a_small_difference_is_not_blown_up(self) -> None:
        assert order(fuse({"a": 0.61, "b": 0.60}, {"b": 0.8, "a": 0.2})) == "ba"

    def test_nothing_gives_nothing(self) -> None:
        assert fuse({}, {}) == {}

    @given(SCORES, SCORES, st.floats(0, 1))
    def test_is_a_score_for_every_passage(
        self, dense: dict[str, float], lexical: dict[str, float], weight: float
    ) -> None:
        fused = fuse(dense, lexical, weight)
        assert set(fused) == {*dense, *lexical}
        assert all(0 <= score <= 1 + 1e-9 for score in fused.values())

    @given(SCORES, SCORES)
    def test_what_is_better_in_both_halves_is_not_behind(
        self, dense: dict[str, float], lexical: dict[str, float]
    ) -> None:
        fused = fuse(dense, lexical)
        for one in dense:
            for other in dense:
                if dense[one] >= dense[other] and lexical.get(one, 0) >= lexical.get(other, 0):
                    assert fused[one] >= fused[other] - 1e-9


class TestMerge:
    def test_weights_decide_between_equals(self) -> None:
        merged = merge({source: {source.value: 0.6} for source in Source}, Weights())
        assert [each for each, _ in merged] == ["example", "tenant_kb", "global_kb", "correction"]

    def test_a_perfect_global_article_is_not_buried_below_a_mediocre_one_of_the_tenant(self) -> None:
        merged = merge({Source.GLOBAL_KB: {"perfect": 0.8}, Source.TENANT_KB: {"mediocre": 0.6}}, Weights())
        assert [each for each, _ in merged] == ["perfect", "mediocre"]

    def test_an_admins_strong_preference_is_felt(self) -> None:
        weights = Weights(global_kb=0.02, tenant_kb=0.94, example=0.02, correction=0.02)
        merged = merge({Source.GLOBAL_KB: {"perfect": 0.8}, Source.TENANT_KB: {"mediocre": 0.6}}, weights)
        assert [each for each, _ in merged] == ["mediocre", "perfect"]

    def test_a_source_without_weight_is_left_out(self) -> None:
        weights = Weights(global_kb=1, tenant_kb=1, example=0, correction=1)
        assert merge({Source.EXAMPLE: {"a": 1.0}, Source.TENANT_KB: {"b": 0.1}}, weights) == [("b", 0.1)]


class TestSpread:
    def test_an_article_takes_two_places(self) -> None:
        ranked = [passage(Source.TENANT_KB, ref) for ref in "aaabab"]
        assert "".join(each.ref for each in spread(ranked, 6)) == "aabb"

    def test_an_article_of_the_same_name_elsewhere_is_another(self) -> None:
        ranked = [passage(source, "a") for source in (Source.TENANT_KB, Source.GLOBAL_KB) * 2]
        assert len(spread(ranked, 6)) == 4

    def test_a_long_ranking_is_complete(self) -> None:
        assert len(spread([passage(Source.TENANT_KB, "a")] * 30, 50)) == 30

    def test_examples_leave_half_the_places_to_articles(self) -> None:
        ranked = [passage(Source.EXAMPLE, str(n)) for n in range(6)] + [
            passage(Source.TENANT_KB, str(n)) for n in range(6)
        ]
        sources = [each.source for each in spread(ranked, 6)[:6]]
        assert sources.count(Source.EXAMPLE) == 3

    def test_examples_fill_what_articles_leave(self) -> None:
        ranked = [passage(Source.EXAMPLE, str(n)) for n in range(6)] + [passage(Source.TENANT_KB, "a")]
        assert len(spread(ranked, 6)) == 6


class TestMmr:
    def test_a_repetition_moves_down(self) -> None:
        vectors = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
        assert mmr([0.8, 0.79, 0.75], vectors, 3, diversity=0.3) == [0, 2, 1]

    def test_without_diversity_the_order_stays(self) -> None:
        vectors = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
        assert mmr([0.8, 0.79, 0.75], vectors, 2, diversity=0.0) == [0, 1]

    def test_a_far_better_repetition_stays(self) -> None:
        vectors = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
        assert mmr([0.8, 0.79, 0.1], vectors, 3) == [0, 1, 2]

    def test_nothing_gives_nothing(self) -> None:
        assert mmr([], np.empty((0, 2), np.float32), 5) == []


def test_rerank_orders_by_similarity_and_drops_what_is_below_the_threshold() -> None:
    similarity = {"a": 0.3, "b": 0.7, "c": 0.5}
    assert rerank("abc", similarity.__getitem__, threshold=0.5) == ["b", "c"]
