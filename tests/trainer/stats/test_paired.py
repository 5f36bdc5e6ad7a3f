"""Numbers worked by hand, laws, and simulations in which the truth is known."""

import math

import numpy as np
import pytest
from scipy.stats import binom, norm

from rostrum.rewards.statistics import cluster_mean, wilson
from rostrum.trainer.stats.paired import PairedChange, errors_to_detect, headline, paired_change

STORIES, PER_STORY = 60, 5
CLUSTERS = np.repeat(np.arange(STORIES), PER_STORY)


def _simulate(seed: int, shift: float, stories: int = STORIES, per_story: int = PER_STORY):
    """Accuracies (0 or 1) before and after a change of `shift`, on stories that respond differently to training."""
    rng = np.random.default_rng(seed)
    ease = rng.uniform(0.25, 0.75, size=(stories, 1)).repeat(per_story, 1)
    response = shift + rng.choice([-0.15, 0.15], size=(stories, 1))
    luck = rng.uniform(size=(stories, per_story))
    return (luck < ease).astype(float).ravel(), (luck < ease + response).astype(float).ravel()


def _change_of(seed: int, shift: float = 0.0) -> PairedChange:
    base, trained = _simulate(seed, shift)
    return paired_change(base, trained, CLUSTERS, resamples=999)


def test_wilson_by_hand():
    # 8 of 10, z = 1.95996: centre (.8 + z^2/20) / (1 + z^2/10) = .71674,
    # half width z sqrt(.016 + z^2/400) / (1 + z^2/10) = .22658
    interval = wilson(8, 10)
    assert (interval.estimate, interval.n) == (0.8, 10)
    assert interval.low == pytest.approx(0.49016, abs=1e-5)
    assert interval.high == pytest.approx(0.94332, abs=1e-5)


def test_wilson_of_nothing_is_unknown():
    interval = wilson(0, 0)
    assert math.isnan(interval.estimate) and math.isnan(interval.low) and interval.n == 0


def test_change_by_hand():
    base = [0, 0, 0, 0, 0, 0, 1, 1]
    trained = [1, 1, 1, 1, 1, 1, 1, 1]
    change = paired_change(base, trained, list("abcdefgh"))
    assert (change.base, change.trained, change.change) == (0.25, 1.0, 0.75)
    assert change.p == 2 / 2**6  # of the 64 signings of six changed stories, two are as extreme
    # Residuals: six of .25, two of -.75: sum of squares 1.5; error sqrt(8/7 * 1.5)/8
    # With 8 stories a change must measure 3.42 of them (t alone: 2.3646 + .8960 = 3.26); 28/29 is their bias.
    assert change.minimum_detectable_change == pytest.approx(3.42 * math.sqrt(8 / 7 * 1.5) / 8 * 29 / 28, rel=1e-6)
    # All but two are alike: Wilson's interval of 2 of 8 ends at .59072; .34072 more may have gone from right to wrong.
    assert (change.low, change.high) == pytest.approx((0.75 - 2 * 0.340724, 1), abs=1e-5)
    assert headline(change) == "raised"


def test_exact_and_sampled_permutation_agree():
    base, trained = np.zeros(13), np.array([1.0] * 10 + [0.0] * 3)
    base[10:] = 1.0
    exact = paired_change(base, trained, np.arange(13), resamples=10_000).p
    sampled = paired_change(base, trained, np.arange(13), resamples=8_000).p
    assert exact == pytest.approx(2 * binom.cdf(3, 13, 0.5))
    assert sampled == pytest.approx(exact, abs=4 * math.sqrt(exact / 8_000))


def test_swapping_base_and_trained_negates_the_change():
    base, trained = _simulate(1, 0.08)
    one, other = paired_change(base, trained, CLUSTERS), paired_change(trained, base, CLUSTERS)
    assert other.change == pytest.approx(-one.change)
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low))
    assert (other.p, other.minimum_detectable_change) == pytest.approx((one.p, one.minimum_detectable_change))
    assert {headline(one), headline(other)} == {"raised", "lowered"}


def test_the_order_of_questions_changes_nothing_at_all():
    rng = np.random.default_rng(2)
    base, trained = rng.uniform(size=300), rng.uniform(size=300)
    order = rng.permutation(300)
    assert paired_change(base, trained, CLUSTERS) == paired_change(base[order], trained[order], CLUSTERS[order])
    assert cluster_mean(base, CLUSTERS) == cluster_mean(base[order], CLUSTERS[order])


def test_duplicated_questions_are_no_new_evidence():
    base, trained = _simulate(3, 0.05)
    once = paired_change(base, trained, CLUSTERS)
    twice = paired_change(np.tile(base, 2), np.tile(trained, 2), np.tile(CLUSTERS, 2))
    assert (twice.low, twice.high, twice.p) == pytest.approx((once.low, once.high, once.p))
    assert twice.minimum_detectable_change == pytest.approx(once.minimum_detectable_change)
    naive = paired_change(np.tile(base, 2), np.tile(trained, 2), np.arange(2 * len(base)))
    assert naive.high - naive.low < 0.8 * (twice.high - twice.low)


def test_the_interval_covers_the_truth():
    truth, runs = 0.05, 500
    changes = [_change_of(seed, truth) for seed in range(runs)]
    covered = sum(change.low <= truth <= change.high for change in changes)
    assert 0.92 <= covered / runs <= 0.97


def test_the_mean_covers_the_truth():
    runs = 500
    intervals = [cluster_mean(_simulate(seed, 0.0)[0], CLUSTERS) for seed in range(runs)]
    covered = sum(interval.low <= 0.5 <= interval.high for interval in intervals)
    assert 0.92 <= covered / runs <= 0.97


def test_without_a_change_a_direction_is_named_in_at_most_one_run_in_twenty():
    runs = 1_000
    found = [headline(_change_of(seed)) for seed in range(runs)]
    allowed = binom.ppf(0.999, runs, 0.025)
    assert 5 < found.count("raised") <= allowed and 5 < found.count("lowered") <= allowed


def test_a_planted_change_is_found_with_the_power_promised():
    clusters = np.repeat(np.arange(100), 4)
    datasets = [_simulate(seed, 0.08, 100, 4) for seed in range(400)]
    changes = [paired_change(base, trained, clusters, resamples=999) for base, trained in datasets]
    error = np.mean([change.minimum_detectable_change for change in changes]) / errors_to_detect(100)
    promised = norm.sf(norm.ppf(0.975) - 0.08 / error)
    power = np.mean([headline(change) == "raised" for change in changes])
    assert 0.6 < promised < 0.99
    assert power == pytest.approx(promised, abs=0.06)


def test_a_change_of_the_minimum_detectable_size_is_found_four_times_in_five():
    def change(seed: int, shift: float) -> PairedChange:
        rng = np.random.default_rng(seed)
        base = rng.uniform(0.3, 0.5, size=300)
        noise = rng.normal(0, 0.05, size=STORIES)[CLUSTERS] + rng.uniform(-0.1, 0.1, size=300)
        return paired_change(base, base + shift + noise, CLUSTERS, resamples=999)

    planted = np.mean([change(seed, 0.0).minimum_detectable_change for seed in range(200)])
    power = np.mean([headline(change(seed, planted)) == "raised" for seed in range(400)])
    assert 0.01 < planted < 0.04
    assert power == pytest.approx(0.8, abs=0.06)


def test_no_difference_at_all_still_has_a_smallest_detectable_change():
    values = np.tile([0.0, 1.0], 150)
    change = paired_change(values, values, CLUSTERS)
    assert (change.change, change.p) == (0, 1)
    # Of 60 stories none changed: Wilson's interval of 0 of 60 ends at z^2 / (60 + z^2).
    assert (change.low, change.high) == pytest.approx((-0.0601716, 0.0601716), abs=1e-6)
    assert headline(change) == "no change shown"
    smallest = change.minimum_detectable_change
    assert binom.sf(5, STORIES, smallest) == pytest.approx(0.8)


def test_a_change_that_moves_whole_stories_is_found_with_the_power_the_bound_promises():
    unchanged = paired_change(np.zeros(STORIES), np.zeros(STORIES), np.arange(STORIES))
    planted = unchanged.minimum_detectable_change
    moved = [np.random.default_rng(seed).uniform(size=STORIES) < planted for seed in range(400)]
    changes = [paired_change(np.zeros(STORIES), story, np.arange(STORIES), resamples=999) for story in moved]
    assert np.mean([headline(change) == "raised" for change in changes]) == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize("stories", [1, 2, 5])
def test_few_stories_show_nothing_however_large_the_change(stories: int):
    clusters = np.arange(50) % stories
    change = paired_change(np.zeros(50), np.ones(50), clusters)
    assert change.p >= 0.05 and headline(change) == "no change shown"
    assert math.isnan(change.minimum_detectable_change)
    assert math.isnan(change.low) == (stories == 1)


def test_no_questions_is_unknown_and_no_headline():
    change = paired_change([], [], [])
    assert math.isnan(change.change) and math.isnan(change.p) and change.n_questions == 0
    assert headline(change) == "no change shown"
    assert math.isnan(cluster_mean([], []).estimate)


def test_a_direction_needs_both_the_interval_and_the_p_value():
    def change(low: float, high: float, p: float) -> PairedChange:
        return PairedChange(0.5, 0.5 + (low + high) / 2, (low + high) / 2, low, high, p, 0.04, 400, 100)

    assert headline(change(0.01, 0.09, 0.01)) == "raised"
    assert headline(change(-0.09, -0.01, 0.01)) == "lowered"
    assert headline(change(0.01, 0.09, 0.05)) == "no change shown"
    assert headline(change(0.0, 0.09, 0.01)) == "no change shown"


def test_missing_or_misaligned_values_are_refused():
    with pytest.raises(ValueError, match="without a valid verdict"):
        paired_change([0.5, math.nan], [0.5, 0.5], ["a", "b"])
    with pytest.raises(ValueError, match="differ in length"):
        paired_change([0.5], [0.5, 0.5], ["a", "b"])
