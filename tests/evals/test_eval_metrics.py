"""The figures, against values worked out by hand."""

import pytest

from evals import metrics


class TestRanking:
    def test_ndcg(self) -> None:
        assert metrics.ndcg({1: 1}, [1]) == 1.0
        assert metrics.ndcg({2: 1}, [1]) == pytest.approx(0.6309, abs=1e-4)
        assert metrics.ndcg({1: 1, 3: 1}, [1, 1]) == pytest.approx((1 + 0.5) / (1 + 0.6309), abs=1e-4)
        assert metrics.ndcg({11: 1}, [1]) == 0.0

    def test_recall(self) -> None:
        assert metrics.recall([1, 4, 9], 4, 5) == 0.5
        assert metrics.recall([], 0, 5) == 0.0


class TestTellingApart:
    def test_auroc(self) -> None:
        assert metrics.auroc([3, 4], [1, 2]) == 1.0
        assert metrics.auroc([1, 2], [3, 4]) == 0.0
        assert metrics.auroc([1, 1], [1, 1]) == 0.5
        assert metrics.auroc([1, 3], [2]) == 0.5

    def test_the_threshold_lets_no_more_through_than_allowed(self) -> None:
        harmless = [n / 100 for n in range(100)]
        assert metrics.share_at(harmless, metrics.threshold_at(harmless, 0.05)) <= 0.05
        assert metrics.share_at(harmless, metrics.threshold_at(harmless, 0.0)) == 0.0

    def test_f1(self) -> None:
        assert metrics.f1_by_label(["a", "a", "b"], ["a", "b", "b"]) == pytest.approx({"a": 2 / 3, "b": 2 / 3})
        assert metrics.precision_recall([True, True, False], [True, False, True]) == (0.5, 0.5)

    def test_confusion(self) -> None:
        assert metrics.confusion(["a", "a", "b"], ["a", "b", "b"], ["a", "b"]) == [[1, 1], [0, 1]]


class TestConfidence:
    def test_calibration_error(self) -> None:
        assert metrics.calibration_error([0.95] * 4, [True, True, True, False]) == pytest.approx(0.2)
        assert metrics.calibration_error([1.0, 0.0], [True, False]) == 0.0

    def test_risk_and_coverage(self) -> None:
        assert metrics.risk_coverage([0.9, 0.1, 0.5], [True, False, True]) == [
            (pytest.approx(1 / 3), 0.0), (pytest.approx(2 / 3), 0.0), (1.0, pytest.approx(1 / 3))
        ]  # fmt: skip
