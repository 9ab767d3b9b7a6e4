"""The confidence formula, at and around every boundary that the specification names."""

import math

import pytest

from agent.scoring.confidence import Evidence, Parts, half_up, level_of, score

NOTHING = Evidence(intent_certainty=0.0)


def parts_of(**evidence: object) -> Parts:
    return score(Evidence(**evidence)).parts  # type: ignore[arg-type]


class TestScore:
    @pytest.mark.parametrize(
        ("evidence", "points", "level"),
        [
            # example 1, kb 1, intent 1, safety 1
            (
                Evidence(
                    example_similarities=(1.0,), tenant_similarity=1.0, global_similarity=1.0, intent_certainty=1.0
                ),
                100,
                "high",
            ),
            # only the missing corrections speak for it
            (NOTHING, 10, "very_low"),
            # the defaults: no match anywhere, no keyword, no correction: 6 + 10
            (Evidence(), 16, "very_low"),
            # 40 x 0.8 + 30 x (0.6 x 0.7 + 0.4 x 0.5) + 20 x 0.75 + 10 = 75.6
            (
                Evidence(
                    example_similarities=(0.8,), tenant_similarity=0.7, global_similarity=0.5, intent_certainty=0.75
                ),
                76,
                "high",
            ),
            # the same with a correction at 0.65: 10 x 0.7 instead of 10 = 72.6
            (
                Evidence(
                    example_similarities=(0.8,),
                    tenant_similarity=0.7,
                    global_similarity=0.5,
                    intent_certainty=0.75,
                    correction_similarity=0.65,
                ),
                73,
                "medium",
            ),
            # 30 x 0.4 x 0.5 x 0.7 + 20 x 0.75 + 10 = 29.2
            (Evidence(global_similarity=0.5, intent_certainty=0.75, needs_tenant_knowledge=True), 29, "low"),
        ],
    )
    def test_the_parts_add_up(self, evidence: Evidence, points: int, level: str) -> None:
        confidence = score(evidence)
        assert (confidence.score, confidence.level) == (points, level)

    @pytest.mark.parametrize(
        ("example", "points", "level"),
        [
            # 40 x example + 30 + 20 + 10
            (0.3625, 75, "high"),  # 74.5 exactly
            (0.3624, 74, "medium"),  # 74.496
        ],
    )
    def test_74_and_a_half_is_high_and_a_hair_less_is_not(self, example: float, points: int, level: str) -> None:
        confidence = score(
            Evidence(
                example_similarities=(example,), tenant_similarity=1.0, global_similarity=1.0, intent_certainty=1.0
            )
        )
        assert (confidence.score, confidence.level) == (points, level)

    @pytest.mark.parametrize(
        ("intent", "example", "points", "level"),
        [
            # 40 x example + 20 x intent + 10
            (1.0, 0.4875, 50, "medium"),  # 49.5
            (1.0, 0.4874, 49, "low"),  # 49.496
            (0.725, 0.0, 25, "low"),  # 24.5
            (0.7249, 0.0, 24, "very_low"),  # 24.498
        ],
    )
    def test_the_lower_levels_have_the_same_edges(self, intent: float, example: float, points: int, level: str) -> None:
        confidence = score(Evidence(example_similarities=(example,), intent_certainty=intent))
        assert (confidence.score, confidence.level) == (points, level)

    def test_the_wire_form_names_score_level_and_parts(self) -> None:
        confidence = score(Evidence(example_similarities=(0.6, 0.51), intent_certainty=0.8))
        assert confidence.as_dict() == {
            "score": 54,
            "level": "medium",
            "parts": {"example": 0.69, "kb": 0.0, "intent": 0.8, "safety": 1.0},
        }


class TestExamples:
    @pytest.mark.parametrize(
        ("similarities", "part"),
        [
            ((), 0.0),
            ((0.6,), 0.6),
            ((0.6, 0.5), 0.6),  # 0.5 does not exceed 0.5
            ((0.6, 0.501), 0.69),
            ((0.501, 0.6, 0.2), 0.69),
            ((0.4, 0.45), 0.45),
            ((0.95, 0.9), 1.0),  # never above 1
            ((1.7,), 1.0),
            ((-0.2,), 0.0),
        ],
    )
    def test_the_best_match_counts_and_two_good_ones_lift_it(
        self, similarities: tuple[float, ...], part: float
    ) -> None:
        assert parts_of(example_similarities=similarities).example == pytest.approx(part)


class TestKnowledge:
    @pytest.mark.parametrize(
        ("tenant", "common", "needed", "part"),
        [
            (0.5, 0.5, False, 0.5),
            (1.0, 0.0, False, 0.6),
            (0.0, 1.0, False, 0.4),
            (0.0, 1.0, True, 0.28),  # the answer should have been the tenant's own
            (0.01, 1.0, True, 0.406),  # something was found
        ],
    )
    def test_the_tenants_articles_weigh_more_and_their_absence_may_cost(
        self, tenant: float, common: float, needed: bool, part: float
    ) -> None:
        parts = parts_of(tenant_similarity=tenant, global_similarity=common, needs_tenant_knowledge=needed)
        assert parts.kb == pytest.approx(part)


class TestCorrections:
    @pytest.mark.parametrize(
        ("similarity", "part"),
        [(0.0, 1.0), (0.5, 1.0), (0.501, 0.998), (0.65, 0.7), (0.8, 0.4), (0.81, 0.4), (1.0, 0.4)],
    )
    def test_safety_falls_from_a_half_to_four_fifths_and_stays(self, similarity: float, part: float) -> None:
        assert parts_of(correction_similarity=similarity).safety == pytest.approx(part)


class TestRounding:
    @pytest.mark.parametrize(
        ("value", "rounded"), [(0.5, 1), (1.5, 2), (2.5, 3), (2.4999, 2), (100 * (0.1 + 0.145), 25), (24.499999, 24)]
    )
    def test_halves_go_up_whatever_binary_fractions_do(self, value: float, rounded: int) -> None:
        assert half_up(value) == rounded

    @pytest.mark.parametrize(
        ("points", "level"),
        [(100, "high"), (75, "high"), (74, "medium"), (50, "medium"), (49, "low"), (25, "low"), (24, "very_low")],
    )
    def test_levels_begin_where_the_specification_says(self, points: int, level: str) -> None:
        assert level_of(points) == level

    def test_what_is_no_number_counts_as_nothing(self) -> None:
        assert score(Evidence(example_similarities=(math.nan,), intent_certainty=math.nan)).score == 10
