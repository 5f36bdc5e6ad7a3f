"""Agreement of several raters against published tables; contributions against worked numbers."""

import numpy as np
import pytest

from rostrum.rewards.audit.raters import cohen_kappa, gini, kappa_by_pair, krippendorff_alpha, share_of_busiest

NAN = float("nan")
FOUR = [  # Krippendorff 2011, section C: four observers, twelve units
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
    [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
]


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_is_the_published_one(level: str, published: float) -> None:
    found = krippendorff_alpha(FOUR, level)
    assert found.estimate == pytest.approx(published, abs=5e-4) and found.n == 40
    assert found.low < found.estimate < found.high <= 1


def test_alpha_of_two_raters_with_two_values() -> None:
    """Krippendorff 2011, section A: ten units, alpha .095."""
    ratings = [[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]]
    assert krippendorff_alpha(ratings, "nominal").estimate == pytest.approx(0.095, abs=5e-4)


def test_alpha_of_two_raters_with_five_values() -> None:
    """Krippendorff 2011, section B: twelve units, alpha .692."""
    ratings = [[ord(c) for c in line] for line in ("aabbdcccedda", "babbbccceddd")]
    assert krippendorff_alpha(ratings, "nominal").estimate == pytest.approx(0.692, abs=5e-4)


def test_alpha_knows_agreement_and_chance() -> None:
    rng = np.random.default_rng(0)
    same = np.tile(rng.integers(0, 5, 60), (3, 1))
    assert krippendorff_alpha(same).estimate == 1
    by_chance = krippendorff_alpha(rng.integers(0, 5, (4, 400)))
    assert abs(by_chance.estimate) < 0.05 and by_chance.low < 0 < by_chance.high
    assert krippendorff_alpha([[0, 1] * 20, [1, 0] * 20]).estimate < -0.9
    assert np.isnan(krippendorff_alpha(np.ones((2, 5))).estimate), "nothing varies, so nothing can agree"
    assert np.isnan(krippendorff_alpha([[1.0, NAN], [NAN, 2.0]]).estimate), "no item was rated twice"


def test_items_of_a_story_are_drawn_together() -> None:
    """Ten stories whose four items are copies say no more than ten items."""
    rng = np.random.default_rng(1)
    items = rng.integers(0, 3, (3, 10)).astype(float)
    copies = krippendorff_alpha(
        np.repeat(items, 4, axis=1), "nominal", [story for story in range(10) for _ in range(4)]
    )
    alone = krippendorff_alpha(np.repeat(items, 4, axis=1), "nominal")
    assert copies.estimate == alone.estimate
    assert copies.high - copies.low > 1.5 * (alone.high - alone.low)


def test_kappa() -> None:
    """Cohen's own table: 20 and 15 of 50 alike, marginals 25/25 and 30/20: kappa .4."""
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohen_kappa(first, second) == pytest.approx(0.4)
    assert np.isnan(cohen_kappa(["yes"] * 3, ["yes"] * 3))
    labels = {"ann": {"1": "A", "2": "B", "3": "A"}, "ben": {"1": "A", "2": "B"}, "cleo": {"3": "A"}}
    assert kappa_by_pair(labels) == {("ann", "ben"): (1.0, 2)}


def test_contributions() -> None:
    assert gini([5, 5, 5, 5]) == 0
    assert gini([0, 0, 0, 12]) == 0.75
    assert gini([1, 2, 3]) == pytest.approx(2 / 9)
    assert np.isnan(gini([0, 0]))
    assert share_of_busiest([1, 1, 1, 1, 96]) == 0.96
    assert share_of_busiest([10] * 10) == 0.2
