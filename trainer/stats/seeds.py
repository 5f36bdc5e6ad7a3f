"""Several training seeds: whether a change is more than the luck of one training run. Pure functions on arrays.

Every seed is a training run of its own and all of them are tested on the same questions, so seeds and stories are
crossed: two verdicts may be alike because they are about one story, or because they are of one run. Interval and
p-value take both as random (`crossed_error`), as in studies in which readers and cases are crossed: they are about what
other seeds would give on other questions. Resampling seeds and stories (Owen 2007) is no way to an interval here: with
so few seeds it covered what training does on average in 80 % of simulated experiments of three seeds and 88 % of five,
and so named a direction too often.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t

from rostrum.rewards.significance import SIGNIFICANCE
from rostrum.rewards.statistics import (
    CHANGE,
    RESAMPLES,
    ROUNDING,
    FloatArray,
    cluster_sums,
    clustered_error,
    mean_interval,
)
from rostrum.trainer.stats.paired import PairedChange, errors_to_detect, paired_change, sign_flip_p, smallest_detectable

MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True, slots=True)
class PooledChange:
    """What training did over all seeds, and seed by seed."""

    change: PairedChange
    """Over all seeds and questions; `n_questions` is that of the seed with the most."""
    changes: tuple[float, ...]
    """The change of each seed, in the order of their labels."""
    seeds_low: float
    seeds_high: float
    """The 95 % t-interval of the mean over seeds (degrees of freedom: seeds less one): what other seeds would give on
    these very questions. NaN with one seed."""


@dataclass(frozen=True, slots=True)
class Crossed:
    """Sums of differences and numbers of questions by seed and story, each (S, K)."""

    differences: FloatArray
    sizes: FloatArray

    @property
    def mean(self) -> float:
        return float(self.differences.sum() / self.sizes.sum())

    @property
    def by_seed(self) -> FloatArray:
        """The mean of each seed (S,)."""
        means: FloatArray = self.differences.sum(axis=1) / self.sizes.sum(axis=1)
        return means


def pooled_change(
    base: ArrayLike,
    trained: ArrayLike,
    clusters: ArrayLike,
    seeds: ArrayLike,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> PooledChange:
    """Return what training did to per-question values in [0, 1]; entry i of each array (N,) is a question under a seed.

    With one seed it is `paired_change`. With more, interval and p-value are about other seeds and stories too
    (`crossed_error`), and never more certain than these seeds by themselves would have it: the interval holds that of
    their sums by story, and the p-value is no smaller than that of the signs of whole stories, flipped in all seeds at
    once. The minimum detectable change is by the same t-test, and no less than with the seeds as they are.

    Raises:
        ValueError: the arrays differ in length, or a value is missing or outside [0, 1].
    """
    if len(np.unique(np.asarray(seeds))) < 2:
        alone = paired_change(base, trained, clusters, resamples=resamples, seed=seed)
        return PooledChange(alone, (alone.change,), np.nan, np.nan)
    before, after = (_crossed(values, clusters, seeds) for values in (base, trained))
    labelled = Crossed(after.differences - before.differences, after.sizes)
    changes, table = labelled.by_seed, _without_labels(labelled)
    by_story, sizes = table.differences.sum(axis=0), table.sizes.sum(axis=0)
    error, freedom = crossed_error(table)
    change = PairedChange(
        before.mean,
        after.mean,
        table.mean,
        *_interval(table, error, freedom),
        p=max(sign_flip_p(by_story, resamples, seed), _t_test(table.mean, error, freedom)),
        minimum_detectable_change=max(
            smallest_detectable(by_story, sizes), errors_to_detect(len(sizes), freedom) * error
        ),
        n_questions=int(table.sizes.sum(axis=1).max()),
        n_stories=len(sizes),
    )
    return PooledChange(change, tuple(map(float, changes)), *_over_seeds(table.by_seed))


def crossed_error(table: Crossed) -> tuple[float, float]:
    """Return the standard error of the mean with seeds and stories both random, and its degrees of freedom.

    With mean squares MS of the two-way table of S seeds and K stories the squared error is (MS_seed + max(0, MS_story
    - MS_residual)) / SK, and no smaller than with the seeds as they are (Hillis 2007, Statistics in Medicine 26:596).
    The degrees of freedom are Satterthwaite's, of S - 1 for the first part and K - 1 for the second: S - 1 where seeds
    are all that varies, K - 1 where stories are (Hillis's, which take stories to be many, found changes that were not
    there in 7 to 11 % of simulated experiments of 8 stories). Two seeds cannot tell which, and get 1. Without a true
    change the t-test at 5 % finds one in at most 2 % of experiments of two seeds, 3 to 10 % of three, 5 to 7 % of four
    and about 5 % of more, with 8, 60 or 400 stories. Stories of unequal size are brought to one scale as a ratio
    estimator's residuals. NaN with one seed or one story.
    """
    n_seeds, n_stories = table.sizes.shape
    if min(n_seeds, n_stories) < 2:
        return np.nan, np.nan
    residuals = (table.differences - table.sizes * table.mean) * table.sizes.size / table.sizes.sum()
    of_seeds, of_stories = residuals.mean(axis=1), residuals.mean(axis=0)
    rest = residuals - of_seeds[:, None] - of_stories
    seed_square = n_stories * (of_seeds**2).sum() / (n_seeds - 1)
    story_square = n_seeds * (of_stories**2).sum() / (n_stories - 1)
    rest_square = (rest**2).sum() / ((n_seeds - 1) * (n_stories - 1))
    more = max(0.0, story_square - rest_square)
    whole = seed_square + more
    alone = clustered_error(table.differences.sum(axis=0), table.sizes.sum(axis=0))
    error = max(float(np.sqrt(whole / table.sizes.size)), alone)
    if seed_square <= ROUNDING * whole:  # the seeds are copies of one: what is left is for the tests of stories alone
        return error, np.inf
    return error, 1.0 if n_seeds == 2 else float(
        whole**2 / (seed_square**2 / (n_seeds - 1) + more**2 / (n_stories - 1))
    )


def words_on_seeds(pooled: PooledChange) -> str:
    """Return what the interval covers, in a sentence; empty for one seed."""
    n = len(pooled.changes)
    if n < 2:
        return ""
    each = ", ".join(f"{100 * change:+.1f}" for change in sorted(pooled.changes)).replace("-", MINUS)
    low, high = (f"{100 * end:.1f}".replace("-", MINUS) for end in (pooled.seeds_low, pooled.seeds_high))
    return (
        f"Over {n} seeds ({each} points); the interval is for other seeds and stories too. For other seeds on these "
        f"questions it is {low} to {high}."
    )


def _crossed(values: ArrayLike, clusters: ArrayLike, seeds: ArrayLike) -> Crossed:
    """Return the sums of the values by seed and story. Seeds are in the order of their labels."""
    stories, story = np.unique(np.asarray(clusters), return_inverse=True)
    labels, of = np.unique(np.asarray(seeds), return_inverse=True)
    if story.shape != of.shape:
        raise ValueError("Give one seed and one cluster per question: the arrays differ in length.")
    cell = of * len(stories) + story
    sums, sizes = np.zeros(len(labels) * len(stories)), np.zeros(len(labels) * len(stories))
    (sums[np.unique(cell)],), sizes[np.unique(cell)] = cluster_sums((values,), cell)
    shape = (len(labels), len(stories))
    return Crossed(sums.reshape(shape), sizes.reshape(shape))


def _without_labels(table: Crossed) -> Crossed:
    """Return the seeds in the order of their figures, so that naming them otherwise changes not even a rounding
    error."""
    order = np.lexsort((*table.sizes.T, *table.differences.T))
    return Crossed(table.differences[order], table.sizes[order])


def _interval(table: Crossed, error: float, freedom: float) -> tuple[float, float]:
    """Return the interval with seeds and stories both random, and that with the seeds as they are within it; NaN with
    fewer than two stories."""
    low, high = mean_interval(table.differences.sum(axis=0), table.sizes.sum(axis=0), CHANGE)
    if np.isnan(low):
        return low, high
    half = float(t.ppf(1 - SIGNIFICANCE / 2, freedom)) * error
    return max(min(low, table.mean - half), CHANGE[0]), min(max(high, table.mean + half), CHANGE[1])


def _t_test(mean: float, error: float, freedom: float) -> float:
    """Return the two-sided p-value of the mean; 0 where it could not be tested, so that another test decides alone."""
    if np.isnan(error) or error == 0:
        return 0.0
    return float(2 * t.sf(abs(mean) / error, freedom))


def _over_seeds(means: FloatArray) -> tuple[float, float]:
    half = t.ppf(1 - SIGNIFICANCE / 2, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
    return float(means.mean() - half), float(means.mean() + half)
