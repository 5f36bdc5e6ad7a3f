"""Does a judge that says 80 % turn out right 80 % of the time?

References: Brier 1950 and Murphy 1973 for the score and its decomposition, Stephenson et al. 2008 for the part of it
that is lost by binning, Naeini et al. 2015 for the expected calibration error (ECE).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rewards.audit.table import Table
from rewards.statistics import FloatArray, Interval, cluster_mean, cluster_statistic, wilson

BINS = 10
TINY = 1e-12
"""Probabilities are kept this far from 0 and 1 in the log loss."""


@dataclass(frozen=True, slots=True)
class Brier:
    """score = reliability - resolution + uncertainty + within_bins."""

    score: Interval
    """Mean of (1 - P(right answer))^2; 0.25 for a judge that always says 50 %. Clustered by story."""
    reliability: float
    """How far the share of right answers is from the probability, bin by bin; 0 is best."""
    resolution: float
    """How far the bins' shares are apart from each other; the more the better."""
    uncertainty: float
    """0.25: every debate is counted from both seats, so that relabelling them changes nothing."""
    within_bins: float
    """What the bins hide: variance less twice the covariance with the outcome inside them."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Debates of about the same confidence."""

    n: int
    confidence: float
    """Mean probability of the favoured answer."""
    accuracy: Interval


@dataclass(frozen=True, slots=True)
class Calibration:
    """Over the debates with a valid verdict and a label that names a side."""

    n: int
    brier: Brier
    log_loss: Interval
    """Mean of -log P(right answer), in nats; 0.693 for a judge that always says 50 %. Clustered by story."""
    ece: Interval
    """Mean distance of accuracy from confidence over the bins. The interval (stories, bins held fixed) lies high in
    small samples, as the estimate does: chance alone moves every bin away from its confidence."""
    overconfidence: Interval
    """Mean confidence less accuracy (signed ECE): positive is over-confident. Clustered by story."""
    bins: Sequence[Bin]
    """At most ten, of equal numbers of debates as far as equal confidences allow."""


def calibration(table: Table) -> Calibration:
    """The calibration of the judge's probabilities."""
    table = table.judged().labelled()
    confidence, correct, ones = table.confidence, table.correct, np.ones(len(table))
    which = equal_mass(confidence)
    gaps = [np.where(which == index, confidence - correct, 0.0) for index in range(which.max(initial=-1) + 1)]
    return Calibration(
        len(table),
        brier(table),
        cluster_statistic((-np.log(np.maximum(table.p_right, TINY)), ones), table.story, lambda s: s[0] / s[1]),
        cluster_statistic((*gaps, ones), table.story, lambda s: np.abs(s[:-1]).sum(axis=0) / s[-1]),
        cluster_statistic((confidence - correct, ones), table.story, lambda s: s[0] / s[1]),
        [_bin(confidence[which == index], correct[which == index]) for index in range(len(gaps))],
    )


def brier(table: Table) -> Brier:
    """The Brier score and its decomposition over equal-mass bins of P(answer), each debate counted from both seats."""
    p = np.concatenate([np.round(table.p, 12), np.round(1 - table.p, 12)])
    y = np.concatenate([table.a_is_right, ~table.a_is_right]).astype(np.float64)
    which = equal_mass(p)
    mean_p, mean_y = (_bin_means(column, which) for column in (p, y))
    inside = float(((p - mean_p) ** 2 - 2 * (p - mean_p) * (y - mean_y)).mean()) if len(p) else np.nan
    base = float(y.mean()) if len(y) else np.nan
    return Brier(
        cluster_mean((1 - table.p_right) ** 2, table.story),
        float(((mean_p - mean_y) ** 2).mean()) if len(p) else np.nan,
        float(((mean_y - base) ** 2).mean()) if len(p) else np.nan,
        base * (1 - base),
        inside,
    )


def equal_mass(values: FloatArray, bins: int = BINS) -> NDArray[np.intp]:
    """The bin, from 0 up, of each value (N,). Equal values share a bin, so there may be fewer bins than asked for."""
    if not len(values):
        return np.zeros(0, dtype=np.intp)
    edges = np.quantile(values, np.arange(1, bins) / bins, method="inverted_cdf")
    return np.unique(np.searchsorted(np.unique(edges), values, side="left"), return_inverse=True)[1]


def _bin_means(values: FloatArray, which: NDArray[np.intp]) -> FloatArray:
    """For each value (N,) the mean of its bin."""
    return np.asarray((np.bincount(which, values) / np.maximum(np.bincount(which), 1))[which], dtype=np.float64)


def _bin(confidence: FloatArray, correct: FloatArray) -> Bin:
    return Bin(len(correct), float(confidence.mean()), wilson(float(correct.sum()), len(correct)))
