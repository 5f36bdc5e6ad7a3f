"""The clustered bootstrap of any statistic: against the library, and what it owes to clusters."""

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap

from rostrum.rewards.statistics import cluster_mean, cluster_statistic, wilson


def _data(stories: int = 80, per_story: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    values = rng.uniform(size=(stories, 1)) * 0.6 + rng.uniform(size=(stories, per_story)) * 0.4
    return values.ravel(), np.repeat(np.arange(stories), per_story)


def _mean(sums: np.ndarray) -> np.ndarray:
    return sums[0] / sums[1]


def test_a_mean_is_about_what_cluster_mean_gives() -> None:
    values, stories = _data()
    one, other = cluster_mean(values, stories), cluster_statistic((values, np.ones(len(values))), stories, _mean)
    assert (one.estimate, one.n) == pytest.approx((other.estimate, other.n))
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=0.004)


def test_the_interval_agrees_with_the_librarys_bootstrap_of_story_means() -> None:
    values, stories = _data()
    found = cluster_statistic((values, np.ones(len(values))), stories, _mean)
    means = values.reshape(80, 3).mean(axis=1)
    theirs = bootstrap((means,), np.mean, method="percentile", rng=np.random.default_rng(0), n_resamples=10_000)
    assert found.low == pytest.approx(theirs.confidence_interval.low, abs=0.004)
    assert found.high == pytest.approx(theirs.confidence_interval.high, abs=0.004)


def test_a_ratio_of_differences_may_be_negative() -> None:
    values, stories = _data()
    found = cluster_statistic((values - 0.9, np.ones(len(values))), stories, _mean)
    assert found.estimate == pytest.approx(values.mean() - 0.9) and found.high < 0


def test_duplicating_debates_does_not_narrow_the_interval_and_order_does_not_matter() -> None:
    values, stories = _data()
    one = cluster_statistic((values, np.ones(240)), stories, _mean)
    twice = cluster_statistic((np.tile(values, 2), np.ones(480)), np.tile(stories, 2), _mean)
    assert (twice.low, twice.high) == pytest.approx((one.low, one.high), abs=1e-12)
    order = np.random.default_rng(1).permutation(240)
    shuffled = cluster_statistic((values[order], np.ones(240)), stories[order], _mean)
    assert (shuffled.estimate, shuffled.low, shuffled.high) == (one.estimate, one.low, one.high)


def test_one_story_has_no_interval_and_missing_values_are_refused() -> None:
    found = cluster_statistic(([1.0, 0.0], [1.0, 1.0]), ["s", "s"], _mean)
    assert found.estimate == 0.5 and np.isnan(found.low)
    with pytest.raises(ValueError, match="finite"):
        cluster_statistic(([np.nan], [1.0]), ["s"], _mean)


@pytest.mark.parametrize(("successes", "n"), [(0, 12), (7, 12), (12, 12)])
def test_wilson_agrees_with_the_library(successes: int, n: int) -> None:
    theirs = binomtest(successes, n).proportion_ci(method="wilson")
    found = wilson(successes, n)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
