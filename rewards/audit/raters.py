"""Do several raters of the same debates agree, and did a few of them do most of the work?

Krippendorff's alpha (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability") takes any number of raters, each
of whom may have left debates out: 1 is full agreement, 0 what ratings dealt at random would give, less is below that.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from rostrum.rewards.statistics import RESAMPLES, FloatArray, Interval, resample_weights, t_percentiles

Level = Literal["nominal", "ordinal", "interval"]
"""How far two values are apart: not at all or fully; by how many ratings lie between them; or by their difference."""


def krippendorff_alpha(
    ratings: ArrayLike, level: Level = "interval", clusters: Sequence[object] | None = None, resamples: int = RESAMPLES
) -> Interval:
    """Return alpha of ratings (raters, items), NaN where a rater left an item out, with a bootstrap interval.

    Items with fewer than two ratings say nothing and are left out. `n` counts the ratings of the others. Whole clusters
    of items (stories; each item by itself if none are named) are drawn anew for the interval, whose percentiles are
    those of `t_percentiles`. Alpha is NaN where all values are alike, and the interval with fewer than two clusters.
    """
    table = np.asarray(ratings, dtype=np.float64)
    used = (~np.isnan(table)).sum(axis=0) > 1
    labels = np.arange(table.shape[1]) if clusters is None else np.asarray(clusters, dtype=object)
    table, labels = table[:, used], labels[used]
    values = np.unique(table[~np.isnan(table)])
    pairs = _coincidences(table, values)
    _, codes = np.unique(labels.astype(str), return_inverse=True)
    whole = np.zeros((int(codes.max(initial=-1)) + 1, *pairs.shape[1:]))
    np.add.at(whole, codes, pairs)
    n = int((~np.isnan(table)).sum())
    (estimate,) = _alphas(pairs.sum(axis=0)[None], values, level)
    if len(whole) < 2:
        return Interval(float(estimate), np.nan, np.nan, n)
    weights = resample_weights(len(whole), resamples, 0)
    drawn = (weights @ whole.reshape(len(whole), -1)).reshape(-1, *pairs.shape[1:])
    found = _alphas(drawn, values, level)
    found = found[~np.isnan(found)]
    if not len(found):
        return Interval(float(estimate), np.nan, np.nan, n)
    low, high = map(float, np.quantile(found, t_percentiles(len(whole))))
    return Interval(float(estimate), low, high, n)


def answers_alpha(of_one: ArrayLike, of_other: ArrayLike, level: Level, clusters: Sequence[object]) -> Interval:
    """Return alpha of what raters said about the two answers of each item, (raters, items) each.

    Every item counts once for either answer, so alpha does not depend on which of the two was asked about. Of the right
    answers alone, people who are nearly always right would vary so little that they seem to agree on nothing. `n`
    counts ratings of items, not of answers.
    """
    one, other = (np.asarray(table, dtype=np.float64) for table in (of_one, of_other))
    found = krippendorff_alpha(np.hstack([one, other]), level, [*clusters, *clusters])
    return Interval(found.estimate, found.low, found.high, found.n // 2)


def _coincidences(table: FloatArray, values: FloatArray) -> FloatArray:
    """Return how often each pair of values met in each item, (items, V, V); each rating counts once in all."""
    counts = (table[None] == values[:, None, None]).sum(axis=1).T.astype(np.float64)  # (items, V)
    raters = counts.sum(axis=1)
    met = counts[:, :, None] * counts[:, None, :]
    index = np.arange(len(values))
    met[:, index, index] -= counts
    result: FloatArray = met / (raters - 1)[:, None, None]
    return result


def _alphas(pairs: FloatArray, values: FloatArray, level: Level) -> FloatArray:
    """Return alpha of each matrix of coincidences (R, V, V)."""
    totals = pairs.sum(axis=2)  # (R, V)
    n = totals.sum(axis=1)
    apart = _squared_distances(totals, values, level)
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = (pairs * apart).sum(axis=(1, 2)) / n
        expected = (totals[:, :, None] * totals[:, None, :] * apart).sum(axis=(1, 2)) / (n * (n - 1))
        result: FloatArray = np.where(expected > 0, 1 - observed / expected, np.nan)
    return result


def _squared_distances(totals: FloatArray, values: FloatArray, level: Level) -> FloatArray:
    """Return how far each pair of values is apart, squared: (R, V, V), or (1, V, V) where no counts are needed."""
    result: FloatArray
    if level == "nominal":
        result = (values[:, None] != values[None, :]).astype(np.float64)[None]
        return result
    if level == "interval":
        result = ((values[:, None] - values[None, :]) ** 2)[None]
        return result
    below = np.cumsum(totals, axis=1) - totals / 2  # the ratings up to the middle of each value's own
    result = (below[:, :, None] - below[:, None, :]) ** 2
    return result


def cohen_kappa(first: ArrayLike, second: ArrayLike) -> float:
    """Return Cohen's kappa of two raters' labels (N,) of the same items: 1 is full agreement, 0 chance; NaN if both
    gave one and the same label throughout."""
    values, codes = np.unique(np.concatenate([np.asarray(first), np.asarray(second)]), return_inverse=True)
    one, other = np.split(codes, 2)
    counts = np.zeros((len(values), len(values)))
    np.add.at(counts, (one, other), 1)
    n = counts.sum()
    chance = float(counts.sum(axis=0) @ counts.sum(axis=1)) / n**2 if n else 1.0
    return float((np.trace(counts) / n - chance) / (1 - chance)) if chance < 1 else np.nan


def kappa_by_pair(labels: Mapping[str, Mapping[str, str]], fewest: int = 2) -> dict[tuple[str, str], tuple[float, int]]:
    """Return Cohen's kappa of each two raters who have at least so many items in common, and how many; `labels` are by
    rater and item."""
    found = {}
    for one, other in combinations(sorted(labels), 2):
        common = sorted(labels[one].keys() & labels[other].keys())
        if len(common) >= fewest:
            kappa = cohen_kappa([labels[one][item] for item in common], [labels[other][item] for item in common])
            found[one, other] = kappa, len(common)
    return found


def gini(counts: ArrayLike) -> float:
    """Return how unequally so many raters contributed (their counts (N,)): 0 if all did alike, near 1 if one did all;
    NaN without contributions."""
    sizes = np.sort(np.asarray(counts, dtype=np.float64))
    n, whole = len(sizes), sizes.sum()
    return float(((2 * np.arange(1, n + 1) - n - 1) * sizes).sum() / (n * whole)) if whole else np.nan


def share_of_busiest(counts: ArrayLike, share: float = 0.2) -> float:
    """Return the share of all contributions that came from the busiest `share` of raters (at least one of them)."""
    sizes = np.sort(np.asarray(counts, dtype=np.float64))[::-1]
    return float(sizes[: max(1, round(share * len(sizes)))].sum() / sizes.sum()) if sizes.sum() else np.nan
