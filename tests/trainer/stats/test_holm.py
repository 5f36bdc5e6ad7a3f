"""Holm's adjustment: worked by hand, as statsmodels does it, and its laws."""

import math

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from rostrum.trainer.stats.paired import holm


def test_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert list(holm([])) == []


@pytest.mark.parametrize("seed", range(20))
def test_as_statsmodels_does_it(seed: int) -> None:
    p = np.random.default_rng(seed).uniform(size=1 + seed) ** 3
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], abs=1e-12)


def test_the_order_of_comparisons_changes_nothing_and_no_value_gets_smaller() -> None:
    rng = np.random.default_rng(0)
    p, order = rng.uniform(size=9), rng.permutation(9)
    assert list(holm(p)[order]) == list(holm(p[order]))
    assert (holm(p) >= p).all()


def test_a_comparison_that_could_not_be_made_is_none_of_the_family() -> None:
    adjusted = holm([0.02, math.nan, 0.03])
    assert math.isnan(adjusted[1]) and adjusted[[0, 2]] == pytest.approx([0.04, 0.04])


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.5, 1.2])
