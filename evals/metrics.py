"""Figures from observations. Pure; scores are shares between 0 and 1 where nothing else is said."""

from collections.abc import Mapping, Sequence

import numpy as np


def ndcg(ranks: Mapping[int, int], grades: Sequence[int], k: int = 10) -> float:
    """Of one query: `ranks` are places (from 1) of relevant documents with their grades, `grades` those of all."""
    gain = sum((2**grade - 1) / np.log2(place + 1) for place, grade in ranks.items() if place <= k)
    best = sum((2**grade - 1) / np.log2(n + 2) for n, grade in enumerate(sorted(grades, reverse=True)[:k]))
    return float(gain / best) if best else 0.0


def recall(places: Sequence[int], relevant: int, k: int) -> float:
    """Share of the relevant documents that stand on the first k places."""
    return sum(place <= k for place in places) / relevant if relevant else 0.0


def mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else 0.0


def percentile(values: Sequence[float], q: float) -> float:
    return float(np.percentile(values, q)) if len(values) else 0.0


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """The chance that a positive scores above a negative, ties half."""
    if not len(positive) or not len(negative):
        return 0.0
    values = np.concatenate([positive, negative])
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[inverse]
    n = len(positive)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * len(negative)))


def threshold_at(negative: Sequence[float], rate: float) -> float:
    """The least threshold that at most this share of the negatives reaches."""
    ordered = np.sort(np.asarray(negative, dtype=float))[::-1]
    allowed = int(rate * len(ordered))
    return float(np.nextafter(ordered[allowed], np.inf)) if len(ordered) > allowed else -np.inf


def share_at(values: Sequence[float], threshold: float) -> float:
    return float(np.mean(np.asarray(values) >= threshold)) if len(values) else 0.0


def accuracy(truth: Sequence[object], told: Sequence[object]) -> float:
    return mean([float(a == b) for a, b in zip(truth, told, strict=True)])


def f1_by_label(truth: Sequence[str], told: Sequence[str]) -> dict[str, float]:
    """F1 of every label that occurs in the truth."""
    scores = {}
    for label in dict.fromkeys(truth):
        hits = sum(a == b == label for a, b in zip(truth, told, strict=True))
        scores[label] = 2 * hits / (sum(a == label for a in truth) + sum(b == label for b in told))
    return scores


def macro_f1(truth: Sequence[str], told: Sequence[str]) -> float:
    return mean(list(f1_by_label(truth, told).values()))


def precision_recall(truth: Sequence[bool], told: Sequence[bool]) -> tuple[float, float]:
    hits = sum(a and b for a, b in zip(truth, told, strict=True))
    return hits / max(sum(told), 1), hits / max(sum(truth), 1)


def confusion(truth: Sequence[str], told: Sequence[str], labels: Sequence[str]) -> list[list[int]]:
    """Rows: what it is; columns: what was told."""
    cells = [[0] * len(labels) for _ in labels]
    for a, b in zip(truth, told, strict=True):
        if a in labels and b in labels:
            cells[labels.index(a)][labels.index(b)] += 1
    return cells


def calibration_bins(
    probabilities: Sequence[float], right: Sequence[bool], bins: int = 10
) -> list[tuple[float, float, int]]:
    """Mean probability, share right and count of each bin of equal width that is not empty."""
    p, r = np.asarray(probabilities, dtype=float), np.asarray(right, dtype=float)
    place = np.minimum((p * bins).astype(int), bins - 1)
    return [
        (float(p[place == n].mean()), float(r[place == n].mean()), int((place == n).sum()))
        for n in range(bins)
        if (place == n).any()
    ]


def calibration_error(probabilities: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """Expected calibration error: the bins' mean distance between what was said and what came, by their size."""
    found = calibration_bins(probabilities, right, bins)
    total = sum(count for *_, count in found)
    return sum(abs(said - came) * count for said, came, count in found) / total if total else 0.0


def risk_coverage(confidence: Sequence[float], right: Sequence[bool]) -> list[tuple[float, float]]:
    """(coverage, share wrong among those) for every number of the surest cases."""
    order = np.argsort(-np.asarray(confidence, dtype=float), kind="stable")
    wrong = 1 - np.asarray(right, dtype=float)[order]
    counts = np.arange(1, len(wrong) + 1)
    return [(float(n / len(wrong)), float(risk)) for n, risk in zip(counts, np.cumsum(wrong) / counts, strict=True)]
