"""Proportions and means with intervals, clustered by story. Pure functions on arrays of per-debate values.

Debates about one story stand or fall together, so the story (the cluster) is the unit that is resampled. Clusters are
taken in the order of their labels and resampled with a fixed seed: the order in which the debates come changes
nothing, and the same data always give the same interval.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from statsmodels.stats.proportion import proportion_confint

FloatArray = NDArray[np.float64]

RESAMPLES = 10_000
SIGNIFICANCE = 0.05


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % interval, from `n` values. NaN where the data cannot say."""

    estimate: float
    low: float
    high: float
    n: int


def wilson(successes: float, n: int) -> Interval:
    """The Wilson score interval of a proportion (Wilson 1927). Ties may count as half successes; NaN if n is 0."""
    if n == 0:
        return Interval(np.nan, np.nan, np.nan, 0)
    low, high = proportion_confint(successes, n, alpha=SIGNIFICANCE, method="wilson")
    return Interval(float(successes / n), float(low), float(high), n)


def cluster_mean(values: ArrayLike, clusters: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """The mean of values (N,) with a percentile bootstrap interval that resamples whole clusters (N,).

    The interval is NaN with fewer than two clusters: one cluster says nothing about how clusters vary.

    Raises:
        ValueError: the arrays differ in length or a value is missing.
    """
    (sums,), sizes = cluster_sums((values,), clusters)
    n = int(sizes.sum())
    estimate = float(sums.sum() / n) if n else np.nan
    return Interval(estimate, *percentile_interval(sums, sizes, resamples, seed), n)


def cluster_statistic(
    columns: Sequence[ArrayLike], clusters: ArrayLike, statistic: Callable[[FloatArray], FloatArray], *,
    resamples: int = RESAMPLES, seed: int = 0,
) -> Interval:  # fmt: skip
    """A function of column sums with a percentile bootstrap interval that resamples whole clusters (N,).

    `statistic` is given the sums of the columns (each (N,), of any finite values) as an array (columns, R) and returns
    one value for each of the R resamples; resamples in which it is NaN (a ratio over nothing) are left out.

    Raises:
        ValueError: the arrays differ in length or a value is not finite.
    """
    values = [np.asarray(column, dtype=np.float64) for column in columns]
    if any(not np.isfinite(column).all() for column in values):
        raise ValueError("Give finite values: leave out debates without a valid verdict before this.")
    sums, sizes = _sums(values, clusters)
    n = int(sizes.sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = float(statistic(sums.sum(axis=1, keepdims=True))[0]) if n else np.nan
        if len(sizes) < 2:
            return Interval(estimate, np.nan, np.nan, n)
        found = statistic((resample_weights(len(sizes), resamples, seed) @ sums.T).T)
    found = found[np.isfinite(found)]
    low, high = np.quantile(found, [SIGNIFICANCE / 2, 1 - SIGNIFICANCE / 2]) if len(found) else (np.nan, np.nan)
    return Interval(estimate, float(low), float(high), n)


def cluster_sums(columns: Sequence[ArrayLike], clusters: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Sums of each column of shares per cluster (columns, K) and cluster sizes (K,), clusters sorted by label.

    Raises:
        ValueError: the arrays differ in length, or a value is missing or outside [0, 1].
    """
    values = [np.asarray(column, dtype=np.float64) for column in columns]
    if any(not ((column >= 0) & (column <= 1)).all() for column in values):
        raise ValueError("Give values between 0 and 1: leave out questions without a valid verdict before this.")
    return _sums(values, clusters)


def _sums(values: Sequence[FloatArray], clusters: ArrayLike) -> tuple[FloatArray, FloatArray]:
    labels, codes = np.unique(np.asarray(clusters), return_inverse=True)
    if any(column.shape != codes.shape for column in values):
        raise ValueError("Give one value and one cluster per question: the arrays differ in length.")
    # Floating-point sums depend on the order of their terms; sorting makes them independent of the caller's.
    order = np.lexsort((*values, codes))
    sums = [np.bincount(codes[order], weights=column[order], minlength=len(labels)) for column in values]
    return np.array(sums), np.bincount(codes, minlength=len(labels)).astype(np.float64)


@lru_cache(maxsize=2)
def resample_weights(n_clusters: int, resamples: int, seed: int) -> FloatArray:
    """How often each cluster is drawn in each resample, (resamples, K). Kept, for a summary asks again and again."""
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(n_clusters, np.full(n_clusters, 1 / n_clusters), size=resamples).astype(np.float64)
    weights.flags.writeable = False
    return weights


def percentile_interval(sums: FloatArray, sizes: FloatArray, resamples: int, seed: int) -> tuple[float, float]:
    """The 95 % interval of a mean from the sums (K,) and sizes (K,) of its clusters; NaN with fewer than two."""
    if len(sizes) < 2:
        return np.nan, np.nan
    weights = resample_weights(len(sizes), resamples, seed)
    low, high = np.quantile((weights @ sums) / (weights @ sizes), [SIGNIFICANCE / 2, 1 - SIGNIFICANCE / 2])
    return float(low), float(high)
