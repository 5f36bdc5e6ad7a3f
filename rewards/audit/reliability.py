"""Does a judge that says 80 % turn out right 80 % of the time?

References: Brier 1950 and Murphy 1973 for the score and its decomposition, Stephenson et al. 2008 for the part of it
that is lost by binning, Naeini et al. 2015 for the expected calibration error (ECE).

Chance alone moves every bin away from its confidence, so ECE and reliability are too large: a calibrated judge measures
.05 on 400 debates. Reliability less what a calibrated judge would have is right on average (Ferro & Fricker 2012). ECE
is not: the further a bin really is away, the less chance adds to it, and a judge off by .12 would be let off with .07.
So all of it is taken off only where the bins do not show that the judge is off at all (`_debiased`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, ndtr

from rostrum.rewards.audit.table import Table
from rostrum.rewards.significance import SIGNIFICANCE
from rostrum.rewards.statistics import UNBOUNDED, FloatArray, Interval, cluster_mean, cluster_statistic, wilson

BINS = 10
TINY = 1e-12
"""Probabilities are kept this far from 0 and 1 in the log loss."""


@dataclass(frozen=True, slots=True)
class Brier:
    """score = reliability - resolution + uncertainty + within_bins."""

    score: Interval
    """Mean of (1 - P(right answer))^2; 0.25 for a judge that always says 50 %. Clustered by story."""
    reliability: float
    """How far the share of right answers is from the probability, bin by bin; 0 is best, chance alone gives more."""
    reliability_debiased: float
    """The same less what it would be on average if the judge were calibrated; below 0 as often as above if it is."""
    resolution: float
    """How far the bins' shares are apart from each other; the more the better."""
    uncertainty: float
    """0.25: every debate is counted from both sides, so that relabelling them changes nothing."""
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
    """Mean distance of accuracy from confidence over the bins, as it is usually given. It is too high in small samples,
    and so is its interval (stories, bins held fixed)."""
    ece_chance: float
    """What it would be on average if the judge were calibrated."""
    ece_debiased: Interval
    """Without what chance adds; about 0 on average for a calibrated judge, below 0 as often as above."""
    overconfidence: Interval
    """Mean confidence less accuracy (signed ECE): positive is over-confident. Clustered by story."""
    bins: Sequence[Bin]
    """At most ten, of equal numbers of debates as far as equal confidences allow."""


def calibration(table: Table) -> Calibration:
    """Return the calibration of the judge's probabilities."""
    table = table.judged().labelled()
    confidence, correct, ones = table.confidence, table.correct, np.ones(len(table))
    which = equal_mass(confidence)
    bins = [which == index for index in range(which.max(initial=-1) + 1)]
    gaps = [np.where(rows, confidence - correct, 0.0) for rows in bins]
    columns, nothing = _columns(confidence, correct, table.story), Interval(np.nan, np.nan, np.nan, 0)
    drawn = cluster_statistic(columns, table.story, lambda s: _debiased(s, noise=2)) if bins else nothing
    chance, debiased = ece_without_chance(table)
    return Calibration(
        len(table),
        brier(table),
        cluster_mean(-np.log(np.maximum(table.p_right, TINY)), table.story, UNBOUNDED),
        cluster_statistic((*gaps, ones), table.story, lambda s: np.abs(s[:-1]).sum(axis=0) / s[-1]),
        chance,
        replace(drawn, estimate=debiased),
        cluster_mean(confidence - correct, table.story, (-1, 1)),
        [_bin(confidence[rows], correct[rows]) for rows in bins],
    )


def ece_without_chance(table: Table) -> tuple[float, float]:
    """Return what the ECE of a calibrated judge would be on these debates, and the judge's without what chance adds."""
    table = table.judged().labelled()
    if not len(table):
        return np.nan, np.nan
    sums = np.array([column.sum() for column in _columns(table.confidence, table.correct, table.story)])[:, None]
    return float(_by_chance(sums)[0]), float(_debiased(sums)[0])


def _columns(confidence: FloatArray, correct: FloatArray, story: NDArray[np.str_]) -> list[FloatArray]:
    """Return for each bin the gaps of its debates, the variances of these, and which they are: 3 B columns (N,)."""
    which, gap = equal_mass(confidence), confidence - correct
    spread = _crowding(gap, which, story) * _spread(confidence, correct)
    bins = [which == index for index in range(which.max(initial=-1) + 1)]
    return [np.where(rows, values, 0.0) for values in (gap, spread, np.ones(len(gap))) for rows in bins]


def _spread(confidence: FloatArray, correct: FloatArray) -> FloatArray:
    """Return the variance (N,) of whether each debate is judged rightly, were the judge calibrated; none where it
    favours neither side."""
    return np.where(correct == 0.5, 0.0, confidence * (1 - confidence))


def _crowding(gap: FloatArray, which: NDArray[np.intp], story: NDArray[np.str_]) -> float:
    """Return how much more the bins' means vary than debates that are independent would have it, for debates about one
    story are judged alike; no less than 1."""
    if not len(gap):
        return 1.0
    around = gap - _bin_means(gap, which)
    _, cell = np.unique(np.unique(story, return_inverse=True)[1] * (which.max() + 1) + which, return_inverse=True)
    alone = float((around**2).sum())
    return max(1.0, float((np.bincount(cell, around) ** 2).sum()) / alone) if alone else 1.0


def _by_chance(sums: FloatArray, noise: float = 1) -> FloatArray:
    """Return the mean ECE (R,) of a calibrated judge; see `_debiased`."""
    _, spread, numbers = np.split(sums, 3)
    return np.asarray(np.sqrt(2 / np.pi * noise * spread).sum(axis=0) / numbers.sum(axis=0), dtype=np.float64)


def _debiased(sums: FloatArray, noise: float = 1) -> FloatArray:
    """Return the ECE (R,) without what chance adds, from sums (3 B, R) of `_columns`.

    A bin's gap is normal about the true one. If the judge is calibrated the mean of its size is sqrt(2/pi) standard
    errors, and that is taken off. If a chi-square test over the bins says that it is not, what is taken off is what
    chance adds to gaps of their true size, whose mean square is that of the measured ones less their variances (Kumar
    et al. 2019). `noise` is how many times the variance of one sample stands between these gaps and the true ones: 2
    for those of resamples.
    """
    gaps, spread, numbers = np.split(sums, 3)
    whole, variance = numbers.sum(axis=0), noise * spread
    size = np.abs(gaps).sum(axis=0) / whole
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = np.where(gaps == 0, 0.0, gaps**2 / variance)
        mean_square = (np.where(numbers > 0, (gaps**2 - variance) / numbers, 0.0)).sum(axis=0) / whole
        true = np.sqrt(np.maximum(mean_square, 0)) * numbers
        error = np.sqrt(variance)
        far = np.where(error > 0, true / error, np.inf)
        added = 2 * error * np.exp(-(far**2) / 2) / np.sqrt(2 * np.pi) - 2 * true * ndtr(-far)
    off = squares.sum(axis=0) > float(chdtri(len(gaps), SIGNIFICANCE))
    found: FloatArray = np.where(off, size - np.maximum(added, 0).sum(axis=0) / whole, size - _by_chance(sums, noise))
    return found


def brier(table: Table) -> Brier:
    """Return the Brier score and its decomposition over equal-mass bins of P(answer), each debate counted from both
    sides."""
    p, y, which = _both_seats(table)
    mean_p, mean_y = (_bin_means(column, which) for column in (p, y))
    inside = float(((p - mean_p) ** 2 - 2 * (p - mean_p) * (y - mean_y)).mean()) if len(p) else np.nan
    base = float(y.mean()) if len(y) else np.nan
    chance, debiased = reliability_by_chance(table)
    return Brier(
        cluster_mean((1 - table.p_right) ** 2, table.story),
        debiased + chance,
        debiased,
        float(((mean_y - base) ** 2).mean()) if len(p) else np.nan,
        base * (1 - base),
        inside,
    )


def reliability_by_chance(table: Table) -> tuple[float, float]:
    """Return the mean reliability of a calibrated judge on these debates, and by how much this judge's is more.

    A debate with both sides in one bin adds nothing: what is too much on one side is too little on the other.
    """
    if not len(table):
        return np.nan, np.nan
    p, y, which = _both_seats(table)
    measured = float(((_bin_means(p, which) - _bin_means(y, which)) ** 2).mean())
    first, second = np.split(which, 2)
    spread = np.tile(np.where(first == second, 0.0, table.p * (1 - table.p)), 2)
    crowding = _crowding(p - y, which, np.tile(table.story, 2))
    chance = float(crowding * (spread / np.bincount(which)[which]).mean())
    return chance, measured - chance


def _both_seats(table: Table) -> tuple[FloatArray, FloatArray, NDArray[np.intp]]:
    """Return P(answer), whether it is right, and its bin, (2 N,): every debate from both sides."""
    p = np.concatenate([np.round(table.p, 12), np.round(1 - table.p, 12)])
    y = np.concatenate([table.a_is_right, ~table.a_is_right]).astype(np.float64)
    return p, y, equal_mass(p)


def equal_mass(values: FloatArray, bins: int = BINS) -> NDArray[np.intp]:
    """Return the bin, from 0 up, of each value (N,). Equal values share a bin, so there may be fewer bins than asked
    for."""
    if not len(values):
        return np.zeros(0, dtype=np.intp)
    edges = np.quantile(values, np.arange(1, bins) / bins, method="inverted_cdf")
    return np.unique(np.searchsorted(np.unique(edges), values, side="left"), return_inverse=True)[1]


def _bin_means(values: FloatArray, which: NDArray[np.intp]) -> FloatArray:
    """Return for each value (N,) the mean of its bin."""
    return np.asarray((np.bincount(which, values) / np.maximum(np.bincount(which), 1))[which], dtype=np.float64)


def _bin(confidence: FloatArray, correct: FloatArray) -> Bin:
    return Bin(len(correct), float(confidence.mean()), wilson(float(correct.sum()), len(correct)))
