"""Changes over several training seeds: laws, a table worked by hand, and simulations in which the truth is known."""

import math

import numpy as np
import pytest
from scipy.stats import binom, t

from rostrum.trainer.stats.paired import headline, paired_change
from rostrum.trainer.stats.seeds import Crossed, crossed_error, pooled_change, words_on_seeds

STORIES = 60


def simulated(
    seed: int, shift: float, n_seeds: int, seed_sd: float, stories: int = STORIES
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Base and trained accuracies, story and seed of each question: stories and seeds respond each in their own way."""
    rng = np.random.default_rng(seed)
    response = shift + rng.normal(0, seed_sd, size=(n_seeds, 1)) + rng.normal(0, 0.08, size=(1, stories))
    base = np.full((n_seeds, stories), 0.5)
    trained = np.clip(base + response + rng.normal(0, 0.08, size=base.shape), 0, 1)
    story, of = np.meshgrid(np.arange(stories), np.arange(n_seeds))
    return base.ravel(), trained.ravel(), story.ravel(), of.ravel()


def test_one_seed_is_the_paired_change_to_the_last_bit() -> None:
    base, trained, story, of = simulated(0, 0.03, 1, 0.0)
    pooled = pooled_change(base, trained, story, of)
    assert pooled.change == paired_change(base, trained, story)
    assert pooled.changes == (pooled.change.change,) and math.isnan(pooled.seeds_low)
    assert words_on_seeds(pooled) == ""


@pytest.mark.parametrize("copies", [2, 3, 8])
def test_a_copied_seed_is_no_new_evidence(copies: int) -> None:
    base, trained, story, _ = simulated(1, 0.03, 1, 0.0)
    alone = paired_change(base, trained, story)
    of = np.repeat(np.arange(copies), STORIES)
    pooled = pooled_change(*(np.tile(values, copies) for values in (base, trained, story)), of).change
    assert (pooled.low, pooled.high, pooled.p) == pytest.approx((alone.low, alone.high, alone.p))
    assert pooled.minimum_detectable_change == pytest.approx(alone.minimum_detectable_change, rel=1e-6)
    assert (pooled.n_questions, pooled.n_stories) == (STORIES, STORIES)


def test_names_of_seeds_and_the_order_of_questions_change_nothing() -> None:
    base, trained, story, of = simulated(2, 0.03, 4, 0.05)
    order = np.random.default_rng(0).permutation(len(of))
    names = np.array([7, 3, 11, 5])[of]
    one = pooled_change(base, trained, story, of)
    other = pooled_change(base[order], trained[order], story[order], names[order])
    assert other.change == one.change and sorted(other.changes) == sorted(one.changes)
    assert (other.seeds_low, other.seeds_high) == pytest.approx((one.seeds_low, one.seeds_high))


def test_swapping_base_and_trained_negates_the_change() -> None:
    base, trained, story, of = simulated(3, 0.03, 3, 0.05)
    one, other = pooled_change(base, trained, story, of), pooled_change(trained, base, story, of)
    assert other.change.change == pytest.approx(-one.change.change) and other.change.p == pytest.approx(one.change.p)
    assert (other.seeds_low, other.seeds_high) == pytest.approx((-one.seeds_high, -one.seeds_low))


def test_seeds_that_differ_widen_the_interval() -> None:
    base, trained, story, of = simulated(4, 0.0, 5, 0.2)
    with_seeds = pooled_change(base, trained, story, of).change
    pretended = paired_change(base, trained, story)
    assert with_seeds.high - with_seeds.low > 2 * (pretended.high - pretended.low)
    assert with_seeds.p > pretended.p


def test_the_crossed_error_by_hand() -> None:
    # Three seeds, stories a and b, one question each: differences 1 3 / 2 6 / 3 3. Mean 3; seeds -1, 1, 0; stories
    # -1, 1; rest 0 0 / -1 1 / 1 -1. MS_seed = 2 * 2 / 2 = 2, MS_story = 3 * 2 / 1 = 6, MS_rest = 4 / 2 = 2.
    table = np.array([[1.0, 3.0], [2.0, 6.0], [3.0, 3.0]])
    error, freedom = crossed_error(Crossed(table, np.ones((3, 2))))
    # With the seeds as they are: stories' sums less their mean -3 and 3, error sqrt(2 / 1 * 18) / 6 = 1.
    assert error == pytest.approx(math.sqrt((2 + 6 - 2) / 6)) == 1
    assert freedom == pytest.approx(6**2 / (2**2 / 2 + 4**2 / 1)), "Satterthwaite: 2 of two degrees, 4 of one"
    assert crossed_error(Crossed(table[:2], np.ones((2, 2))))[1] == 1


def test_the_t_interval_over_seeds_by_hand() -> None:
    base, trained = np.zeros(12), np.repeat([0.1, 0.2, 0.6], 4)
    pooled = pooled_change(base, trained, np.tile(np.arange(4), 3), np.repeat([1, 2, 3], 4))
    # Mean .3, standard deviation sqrt(.14 / 2), t with 2 degrees of freedom 4.30265
    assert (pooled.seeds_low, pooled.seeds_high) == pytest.approx(
        (0.3 - 4.30265 * math.sqrt(0.07 / 3), 0.3 + 4.30265 * math.sqrt(0.07 / 3)), rel=1e-5
    )
    assert pooled.changes == pytest.approx((0.1, 0.2, 0.6))


def test_a_question_that_a_seed_lacks_is_left_out_of_that_seed_alone() -> None:
    base, trained, story, of = simulated(5, 0.03, 3, 0.05)
    kept = np.ones(len(of), dtype=bool)
    kept[:7] = False
    pooled = pooled_change(base[kept], trained[kept], story[kept], of[kept])
    assert pooled.change.change == pytest.approx((trained - base)[kept].mean())
    assert pooled.change.n_questions == STORIES
    assert pooled.changes[0] == pytest.approx((trained - base)[7:STORIES].mean())


@pytest.mark.broad
def test_the_interval_covers_the_truth_over_seeds_and_stories() -> None:
    """With 3 seeds the bootstrap over both covered it in 80 % and with 5 in 88 %."""
    runs, truth = 300, 0.04
    for n_seeds, seed_sd in ((3, 0.05), (3, 0.02), (5, 0.05), (12, 0.05)):
        found = [pooled_change(*simulated(seed, truth, n_seeds, seed_sd), resamples=99).change for seed in range(runs)]
        covered = np.mean([change.low <= truth <= change.high for change in found])
        assert 0.88 <= covered <= 0.99, (n_seeds, seed_sd)


def test_few_stories_make_no_directions_out_of_many_seeds() -> None:
    """Eight stories that respond each in their own way, twelve seeds alike: with Hillis's degrees of freedom 10 %."""
    rng, runs, named = np.random.default_rng(0), 1500, 0
    for _ in range(runs):
        table = rng.normal(0, 0.3, size=(1, 8)) + rng.normal(0, 0.1, size=(12, 8))
        error, freedom = crossed_error(Crossed(table, np.ones_like(table)))
        named += abs(table.mean()) > t.ppf(0.975, freedom) * error
    assert 0.03 <= named / runs <= 0.07


def test_the_t_interval_covers_what_seeds_do_on_these_questions() -> None:
    """The stories' own responses are part of the truth here: they are the same for every seed."""
    runs, covered = 300, 0
    for seed in range(runs):
        pooled = pooled_change(*simulated(seed, 0.04, 4, 0.05), resamples=99)
        rng = np.random.default_rng(seed)
        rng.normal(size=4)
        truth = 0.04 + rng.normal(0, 0.08, size=STORIES).mean()
        covered += pooled.seeds_low <= truth <= pooled.seeds_high
    assert 0.92 <= covered / runs <= 0.98


@pytest.mark.parametrize("n_seeds", [2, 3, 5])
def test_seeds_that_differ_by_chance_show_no_change(n_seeds: int) -> None:
    """Each seed moves accuracy for good or ill, on average not at all: what these few did is not what training does."""
    runs = 300
    found = [pooled_change(*simulated(seed, 0.0, n_seeds, 0.1), resamples=499) for seed in range(runs)]
    named = sum(headline(pooled.change) != "no change shown" for pooled in found)
    assert named <= binom.ppf(0.999, runs, 0.08 if n_seeds == 3 else 0.05)


def test_what_the_interval_covers_is_said() -> None:
    base, trained = np.zeros(12), np.repeat([0.1, 0.2, 0.6], 4)
    pooled = pooled_change(base, trained, np.tile(np.arange(4), 3), np.repeat([1, 2, 3], 4))
    assert words_on_seeds(pooled) == (
        "Over 3 seeds (+10.0, +20.0, +60.0 points); the interval is for other seeds and stories too. For other "
        "seeds on these questions it is −35.7 to 95.7."
    )
    with pytest.raises(ValueError, match="differ in length"):
        pooled_change(base, trained, np.arange(12), [1, 2])
