"""How right is the judge where it is sure? Accuracy on the most confident debates, against how many they are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rostrum.rewards.audit.table import Table
from rostrum.rewards.statistics import FloatArray, Interval, wilson

CURVE_POINTS = 60
"""Points of the curve that are kept."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Over the debates with a valid verdict and a label that names a side."""

    threshold: float
    above: Interval
    """Accuracy where the favoured answer has at least the threshold's probability."""
    share_above: float
    """How many of the debates these are."""
    aurc: float
    """Area under the risk-coverage curve: the mean, over all coverages, of the error among the most confident."""
    curve: Sequence[tuple[float, float]]
    """(coverage, accuracy of the most confident debates that make it up), coverage growing."""


def coverage(table: Table, threshold: float = 0.75) -> Coverage:
    """Return the curve of accuracy against coverage."""
    table = table.judged().labelled()
    sure = table.confidence >= threshold
    accuracies = selective_accuracy(table.confidence, table.correct)
    n = len(table)
    shown = np.unique(np.linspace(1, n, min(n, CURVE_POINTS)).round().astype(int)).tolist()
    return Coverage(
        threshold,
        wilson(float(table.correct[sure].sum()), int(sure.sum())),
        float(sure.mean()) if n else np.nan,
        float(1 - accuracies.mean()) if n else np.nan,
        [(k / n, float(accuracies[k - 1])) for k in shown],
    )


def selective_accuracy(confidence: FloatArray, correct: FloatArray) -> FloatArray:
    """Return the accuracy of the k most confident, for k = 1 to N, shape (N,).

    Debates of equal confidence come in no order: where k cuts through them, their mean accuracy is taken, which is
    what every order gives on average.
    """
    _, group = np.unique(-confidence, return_inverse=True)
    means = np.bincount(group, correct) / np.maximum(np.bincount(group), 1)
    expected = means[np.sort(group)]
    return np.asarray(np.cumsum(expected) / np.arange(1, len(expected) + 1), dtype=np.float64)
