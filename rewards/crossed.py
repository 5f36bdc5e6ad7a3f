"""Means of values that are clustered twice: by the story that a debate is about, and by the person who judged it."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit, stdtrit

from rostrum.rewards.significance import SIGNIFICANCE
from rostrum.rewards.statistics import ROUNDING, SHARE, Bounds, FloatArray, Interval, cluster_mean, clustered_error


def crossed_mean(values: ArrayLike, stories: ArrayLike, judges: ArrayLike, bounds: Bounds = SHARE) -> Interval:
    """Return the mean of values (N,) within the bounds, with an interval that is about other stories and other judges.

    The squared error is that of stories and that of judges less that of their common cells (Cameron, Gelbach & Miller
    2011, Journal of Business & Economic Statistics 29:238), and no smaller than either of the two. The quantile is
    Student's with one degree of freedom less than there are stories or judges, whichever are fewer. Shares are taken on
    the scale of log-odds; the interval holds that of stories alone (`cluster_mean`), which knows what to make of a
    share of 0 or 1. Of 1,500 simulated studies each of 5 to 20 judges and 8 to 40 stories, with judges and stories that
    differ or not, it covered the truth in 95 to 99 %: it is too wide rather than too narrow.

    The interval is NaN with fewer than two stories or two judges.

    Raises:
        ValueError: the arrays differ in length, or a value is missing or out of bounds.
    """
    of_stories = cluster_mean(values, stories, bounds)
    y = np.asarray(values, dtype=np.float64)
    story, judge = (np.unique(np.asarray(labels), return_inverse=True)[1] for labels in (stories, judges))
    if story.shape != judge.shape:
        raise ValueError("Give one judge per value: the arrays differ in length.")
    n_stories, n_judges = (int(codes.max(initial=-1)) + 1 for codes in (story, judge))
    if min(n_stories, n_judges) < 2:
        return Interval(of_stories.estimate, np.nan, np.nan, of_stories.n)
    by_story, by_judge, by_cell = (_squared_error(y, codes) for codes in (story, judge, story * n_judges + judge))
    error = np.sqrt(max(by_story + by_judge - by_cell, by_story, by_judge))
    half = float(stdtrit(min(n_stories, n_judges) - 1, 1 - SIGNIFICANCE / 2) * error)
    estimate = of_stories.estimate
    low, high = estimate - half, estimate + half
    if bounds == SHARE and ROUNDING < estimate < 1 - ROUNDING:
        middle, half = float(logit(estimate)), half / (estimate * (1 - estimate))
        low, high = float(expit(middle - half)), float(expit(middle + half))
    low, high = min(low, of_stories.low), max(high, of_stories.high)
    return Interval(estimate, max(low, bounds[0]), min(high, bounds[1]), of_stories.n)


def _squared_error(values: FloatArray, labels: NDArray[np.integer]) -> float:
    """Return the squared error of the mean of values (N,) in clusters (N,); 0 if there is one cluster."""
    _, codes = np.unique(labels, return_inverse=True)
    sizes, sums = (np.bincount(codes, weights=each).astype(np.float64) for each in (np.ones(len(codes)), values))
    return clustered_error(sums, sizes) ** 2 if len(sizes) > 1 else 0.0
