"""Intervals for other stories and other judges: worked numbers, and how often they hold the truth."""

import numpy as np
import pytest
from scipy.special import expit

from rostrum.rewards.crossed import crossed_change, crossed_mean
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


def test_a_change_by_hand() -> None:
    """Two stories and two judges, each under both: errors of stories and judges added, that of cells taken off."""
    values, late = [1, 0, 1, 1, 0, 0, 1, 0], [0, 0, 0, 0, 1, 1, 1, 1]
    stories, judges = [0, 0, 1, 1, 0, 0, 1, 1], [0, 1, 0, 1, 0, 1, 0, 1]
    found = crossed_change(values, late, stories, judges)
    shares = np.where(late, np.array(values) - 0.25, 0.75 - np.array(values)) / 4
    squares = [
        k / (k - 1) * (np.bincount(codes, shares) ** 2).sum()
        for k, codes in ((2, np.array(stories)), (2, np.array(judges)), (4, 2 * np.array(stories) + judges))
    ]
    error = np.sqrt(max(squares[0] + squares[1] - squares[2], *squares[:2]))
    assert found.estimate == -0.5 and found.n == 8
    assert (found.low, found.high) == pytest.approx(
        (max(-0.5 - 12.706204736 * error, -1), min(-0.5 + 12.7062 * error, 1))
    )


def test_a_change_needs_two_times() -> None:
    assert np.isnan(crossed_change([0, 1], [True, True], ["a", "b"], ["ann", "ben"]).estimate)
    assert np.isnan(crossed_change([0, 1], [False, True], ["a", "b"], ["ann", "ann"]).low)
    with pytest.raises(ValueError, match="differ in length"):
        crossed_change([0, 1], [True], ["a", "b"], ["ann", "ben"])


@pytest.mark.parametrize("judges", [5, 12])
def test_the_interval_of_a_change_holds_the_truth(judges: int) -> None:
    """At least .92 of 400 studies in which people, stories and what training did to a story differ."""
    rng, held = np.random.default_rng(7), 0
    draws = np.random.default_rng(8).normal(size=(2, 200_000))
    truth = float((expit(0.5 + 0.7 * draws[0] + 0.4 * draws[1]) - expit(1.0 + 0.7 * draws[0])).mean())
    judge = np.repeat(np.arange(judges), 24)
    story = np.tile(np.arange(24) // 2, judges)
    late = (np.tile(np.arange(24), judges) + judge) % 2 == 1
    for _ in range(400):
        lean = rng.normal(0, 0.5, judges)[judge] + rng.normal(0, 0.49, 12)[story]
        lean = np.where(late, 0.5 + lean + rng.normal(0, 0.4, 12)[story], 1.0 + lean)
        found = crossed_change(rng.random(len(judge)) < expit(lean), late, story, judge)
        held += found.low <= truth <= found.high
    assert held >= 0.92 * 400
