"""Intervals for other stories and other judges: worked numbers, and how often they hold the truth."""

import numpy as np
import pytest
from scipy.special import expit

from rostrum.rewards.crossed import crossed_mean
from rostrum.rewards.statistics import UNBOUNDED, cluster_mean


def test_a_worked_number() -> None:
    """Two judges, three stories, one debate each: the errors of stories and judges are added, that of cells taken
    off."""
    values, stories, judges = [1, 2, 3, 3, 4, 8], [0, 1, 2, 0, 1, 2], [0, 0, 0, 1, 1, 1]
    found = crossed_mean(values, stories, judges, UNBOUNDED)
    residuals = np.array(values) - 3.5
    squares = [
        k / (k - 1) * (np.bincount(codes, residuals) ** 2).sum() / 36
        for k, codes in ((3, stories), (2, judges), (6, range(6)))
    ]
    half = 12.706204736 * np.sqrt(max(squares[0] + squares[1] - squares[2], *squares[:2]))
    assert found.estimate == 3.5 and found.n == 6
    assert (found.low, found.high) == pytest.approx((3.5 - half, 3.5 + half))


def test_it_is_never_narrower_than_for_these_judges_alone() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        stories, judges = rng.integers(0, 9, 60), rng.integers(0, 6, 60)
        values = rng.integers(0, 2, 60)
        one, both = cluster_mean(values, stories), crossed_mean(values, stories, judges)
        assert both.low <= one.low and one.high <= both.high and both.estimate == one.estimate


def test_names_and_order_do_not_count() -> None:
    rng = np.random.default_rng(3)
    stories, judges, values = rng.integers(0, 9, 60), rng.integers(0, 6, 60), rng.random(60)
    order = rng.permutation(60)
    found, again = crossed_mean(values, stories, judges), crossed_mean(values[order], stories[order], 9 - judges[order])
    assert (found.low, found.high) == pytest.approx((again.low, again.high), rel=1e-12)


def test_one_judge_or_one_story_says_nothing_of_others() -> None:
    assert np.isnan(crossed_mean([0, 1, 1], ["a", "b", "c"], ["ann"] * 3).low)
    assert np.isnan(crossed_mean([0, 1, 1], ["a"] * 3, ["ann", "ben", "cleo"]).low)
    assert np.isnan(crossed_mean([], [], []).estimate)
    with pytest.raises(ValueError, match="one judge per value"):
        crossed_mean([0, 1], ["a", "b"], ["ann"])


@pytest.mark.parametrize("everybody", [0, 1])
def test_a_share_of_all_or_none_has_an_interval(everybody: int) -> None:
    found = crossed_mean([everybody] * 40, np.arange(40) % 8, np.arange(40) % 5)
    assert found.estimate == everybody and found.high - found.low > 0.2


@pytest.mark.parametrize("judges_differ", [0.0, 1.0])
def test_it_holds_the_truth_with_five_judges(judges_differ: float) -> None:
    """At least .92 of 400 studies of 5 judges, 20 stories of four debates, and 20 verdicts each."""
    rng, held = np.random.default_rng(5), 0
    truth = float(expit(0.85 + np.hypot(judges_differ, 0.5) * np.random.default_rng(6).normal(size=200_000)).mean())
    judges = np.repeat(np.arange(5), 20)
    for _ in range(400):
        stories = np.concatenate([rng.permutation(80)[:20] // 4 for _ in range(5)])
        lean = rng.normal(0, judges_differ, 5)[judges] + rng.normal(0, 0.5, 20)[stories]
        found = crossed_mean(rng.random(100) < expit(0.85 + lean), stories, judges)
        held += found.low <= truth <= found.high
    assert held >= 0.92 * 400
