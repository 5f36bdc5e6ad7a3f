"""Did a number change, and could we have seen it if it had? Pure functions on arrays of per-question values.

Questions about one story stand or fall together, so the story (the cluster) is the unit that intervals rest on
(`rewards.statistics`) and that is permuted.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import beta, t

from rostrum.rewards.significance import FEWEST_STORIES, SIGNIFICANCE
from rostrum.rewards.statistics import (
    CHANGE,
    RESAMPLES,
    ROUNDING,
    FloatArray,
    cluster_sums,
    clustered_error,
    mean_interval,
)

Headline = Literal["raised", "lowered", "no change shown"]

POWER = 0.8
ERRORS_WITH_FEW_STORIES = {6: 4.39, 7: 3.60, 8: 3.42, 9: 3.32, 10: 3.22}
"""By number of stories: how many standard errors a change must measure to be found with 80 % power where that is more
than t asks for, because few stories have few flips of signs: with six all must go one way. By simulation, for normal
changes."""


@dataclass(frozen=True, slots=True)
class PairedChange:
    """The mean over the same questions before (`base`) and after training (`trained`), and what became of it."""

    base: float
    trained: float
    change: float
    low: float
    high: float
    """The 95 % interval of the change; NaN with fewer than two stories."""
    p: float
    """Two-sided, of the hypothesis that training made no difference."""
    minimum_detectable_change: float
    """The smallest change found with 80 % power; NaN where no change at all could be found (see `paired_change`)."""
    n_questions: int
    n_stories: int


def paired_change(
    base: ArrayLike, trained: ArrayLike, clusters: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0
) -> PairedChange:
    """Return what training did to per-question values in [0, 1]; entry i of each array (N,) is the same question.

    The interval is Student's with one degree of freedom less than there are clusters. The p-value flips the sign of
    whole clusters' differences: exact if all flips number at most `resamples`, otherwise (1 + as extreme) / (1 +
    resamples) (Phipson & Smyth 2010).

    The minimum detectable change is `errors_to_detect` clustered standard errors of the mean difference (taken without
    the bias that a standard deviation of so few has, about 1 - 1/4(K - 1)). That error is no guide when fewer than
    `FEWEST_STORIES` stories changed and most did not, least of all when none did and it is 0. The minimum is then at
    least the share d of K stories, wholly changed one way, of which `FEWEST_STORIES` or more are drawn with
    probability .8: the .8 quantile of Beta(6, K - 5), 7.8 points for K = 100. With K < `FEWEST_STORIES` it is NaN, for
    then no change, however large, reaches p < .05.

    Raises:
        ValueError: the arrays differ in length, or a value is missing or outside [0, 1].
    """
    (base_sums, trained_sums), sizes = cluster_sums((base, trained), clusters)
    n = int(sizes.sum())
    if not n:
        return PairedChange(np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, n_questions=0, n_stories=0)
    differences = trained_sums - base_sums
    low, high = mean_interval(differences, sizes, CHANGE)
    return PairedChange(
        base=float(base_sums.sum() / n),
        trained=float(trained_sums.sum() / n),
        change=float(differences.sum() / n),
        low=low,
        high=high,
        p=sign_flip_p(differences, resamples, seed),
        minimum_detectable_change=smallest_detectable(differences, sizes),
        n_questions=n,
        n_stories=len(sizes),
    )


def headline(change: PairedChange) -> Headline:
    """Return the answer in words for a comparison that is the only one."""
    return direction(change.low, change.high, change.p)


def direction(low: float, high: float, p: float) -> Headline:
    """Return the direction of a change by its interval and its p-value, which is corrected if it is one of several.

    One is named only if the interval excludes 0 and p < .05, so that with no true change one is named in at most 5 % of
    runs even where few stories make the interval too narrow.
    """
    if p < SIGNIFICANCE and low > 0:
        return "raised"
    if p < SIGNIFICANCE and high < 0:
        return "lowered"
    return "no change shown"


def holm(p_values: ArrayLike) -> FloatArray:
    """Return the p-values (N,) of a family of comparisons, adjusted by Holm's step-down procedure (Holm 1979), in their
    order.

    The k-th smallest of m (k from 1) is multiplied by m - k + 1, made no smaller than the one before it and at most 1.
    NaN, a comparison that could not be made, stays NaN and is none of the m.

    Raises:
        ValueError: one is outside [0, 1].
    """
    p = np.asarray(p_values, dtype=np.float64)
    made = np.flatnonzero(~np.isnan(p))
    if not ((p[made] >= 0) & (p[made] <= 1)).all():
        raise ValueError("Give p-values between 0 and 1.")
    order = made[np.argsort(p[made], kind="stable")]
    adjusted = np.full_like(p, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)), 1)
    return adjusted


def sign_flip_p(differences: FloatArray, resamples: int, seed: int) -> float:
    """Return the two-sided p-value of the sum of the clusters' differences (K,) if each sign had been a coin toss."""
    changed = differences[np.abs(differences) > ROUNDING]
    exact = 2 ** len(changed) <= resamples
    if exact:
        bits = np.arange(2 ** len(changed))[:, None] >> np.arange(len(changed)) & 1
    else:
        bits = np.random.default_rng(seed).integers(0, 2, size=(resamples, len(changed)), dtype=np.int8)
    flipped = changed.sum() - 2 * (bits @ changed)
    as_extreme = int((np.abs(flipped) >= abs(changed.sum()) - ROUNDING).sum())
    return as_extreme / len(bits) if exact else (1 + as_extreme) / (1 + resamples)


def smallest_detectable(differences: FloatArray, sizes: FloatArray) -> float:
    """Return the minimum detectable change (`paired_change`) from the differences (K,) and sizes (K,) of the
    clusters."""
    n_clusters = len(sizes)
    if n_clusters < FEWEST_STORIES:
        return np.nan
    too_small = 4 * (n_clusters - 1) / (4 * n_clusters - 3)
    detectable = errors_to_detect(n_clusters) * clustered_error(differences, sizes) / too_small
    changed = int((np.abs(differences) > ROUNDING).sum())
    if changed < min(FEWEST_STORIES, n_clusters - changed):
        return max(detectable, float(beta.ppf(POWER, FEWEST_STORIES, n_clusters - FEWEST_STORIES + 1)))
    return detectable


@lru_cache(maxsize=256)
def errors_to_detect(n_clusters: int, freedom: float | None = None) -> float:
    """Return how many standard errors a change must measure to be found with 80 % power, two-sided at 5 %, by a t-test
    with these degrees of freedom (K - 1 if not given) and the flips of the signs of K clusters; 2.80 for many."""
    by_t = t.ppf([1 - SIGNIFICANCE / 2, POWER], n_clusters - 1 if freedom is None else freedom).sum()
    return max(float(by_t), ERRORS_WITH_FEW_STORIES.get(n_clusters, 0.0))
