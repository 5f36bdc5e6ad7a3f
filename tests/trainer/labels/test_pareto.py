"""The Pareto front of cost and accuracy: which points are on it, and whose lead is more than luck."""

import numpy as np
import pytest
from simulated_grids import Spread, grid

from rostrum.rewards.significance import SIGNIFICANCE
from rostrum.trainer.labels.pareto import OnFront, Priced, front
from rostrum.trainer.labels.regimes import Cell, whole_seed_variance


def flat(mean: float, spent: float) -> Priced:
    rng = np.random.default_rng(round(1000 * mean) + round(spent))
    noise = rng.normal(0, 0.01, (2, 20))
    return Priced(spent, spent, Cell((0, 1), mean + noise - noise.mean(), np.ones((2, 20))))


def test_a_point_that_a_cheaper_one_equals_is_not_on_it() -> None:
    points = [flat(0.6, 16), flat(0.7, 64), flat(0.65, 64), flat(0.7, 256), flat(0.8, 1024), flat(0.5, 0)]
    found = front(points)
    assert [point.index for point in found] == [5, 0, 1, 4]
    assert found[0].lead is None and np.isnan(found[0].p_adjusted)
    assert [point.lead.estimate for point in found[1:] if point.lead] == pytest.approx([0.1, 0.1, 0.1])


def test_a_lead_is_over_smaller_budgets_whatever_was_left_of_them() -> None:
    spent_less = flat(0.75, 60)
    found = front([flat(0.6, 16), Priced(64, 60, spent_less.cell), flat(0.8, 64)])
    assert [point.index for point in found] == [0, 1, 2]
    assert [point.lead.estimate for point in found[1:] if point.lead] == pytest.approx([0.15, 0.2])


def test_of_points_that_cost_the_same_the_best_leads_over_what_is_cheaper() -> None:
    found = front([flat(0.6, 16), flat(0.7, 16), flat(0.5, 4)])
    assert [point.index for point in found] == [2, 1]
    assert found[1].lead is not None and found[1].lead.estimate == pytest.approx(0.2)


def shown(point: OnFront) -> bool:
    return point.lead is not None and point.lead.low > 0 and point.p_adjusted < SIGNIFICANCE


def spread_out(rng: np.random.Generator, rise: float) -> list[OnFront]:
    """The front of four budgets, each `rise` better than the one before at all shares."""
    truth = np.repeat(rise * (np.arange(4) - 2)[:, None], 5, axis=1)
    budgets = grid(rng, Spread(seed=0.005, cell=0.01), truth)
    variances = [whole_seed_variance(cells) for cells in budgets]
    return front([Priced(4.0**b, 4.0**b, cell, variances[b]) for b, cells in enumerate(budgets) for cell in cells])


def test_leads_are_shown_where_more_money_helps_and_seldom_where_it_does_not() -> None:
    rng = np.random.default_rng(0)
    luck = sum(any(map(shown, spread_out(rng, 0.0))) for _ in range(40))
    assert luck <= 2
    helps = [sum(map(shown, spread_out(rng, 0.1))) for _ in range(10)]
    assert np.mean(helps) > 2, "of three leads"


def test_a_cell_without_a_verdict_is_no_point() -> None:
    empty = Cell((0,), np.zeros((1, 20)), np.zeros((1, 20)))
    assert [point.index for point in front([Priced(1, 1, empty), flat(0.5, 2)])] == [1]
