"""What verdicts of people come to: worked numbers."""

import numpy as np
import pytest

from rostrum.trainer.evaluation.people.results import Judged, results, sentences


def verdict(judge: str, debate: int, first_is_right: bool, p_first: float, condition: str = "base") -> Judged:
    return Judged(condition, judge, f"q{debate}", f"story{debate // 2}", debate, first_is_right, p_first, 60.0 + debate)


def test_worked_numbers() -> None:
    judged = [
        verdict("ann", 0, True, 0.9),
        verdict("ben", 0, False, 0.2),
        verdict("ann", 2, False, 0.8),
        verdict("ben", 2, False, 0.7, "trained"),
        verdict("cleo", 4, True, 0.6, "trained"),
    ]
    found = results(judged)
    base, trained = found.by_condition["base"], found.by_condition["trained"]
    assert base.n == 3 and base.accuracy.estimate == pytest.approx(2 / 3)
    assert base.brier.estimate == pytest.approx((0.01 + 0.04 + 0.64) / 3)
    assert base.sure_and_wrong.estimate == pytest.approx(1 / 3)
    assert trained.accuracy.estimate == 0.5 and trained.sure_and_wrong.estimate == 0
    assert found.by_judge["ann"].accuracy == 0.5 and found.by_judge["ann"].seconds == 61
    assert found.first.estimate == pytest.approx(4 / 5)
    assert found.of_busiest_fifth == pytest.approx(2 / 5)
    assert "base: right in 66.7 %" in sentences(found)[0]


def test_who_agrees() -> None:
    rng = np.random.default_rng(0)
    alike = [verdict(judge, debate, True, 0.9 if debate % 3 else 0.2) for judge in "abc" for debate in range(12)]
    apart = [verdict(judge, debate, True, rng.choice((0.2, 0.9))) for judge in "abc" for debate in range(60)]
    assert results(alike).alpha.estimate == 1
    assert abs(results(apart).alpha.estimate) < 0.2


def test_nothing_yet() -> None:
    assert sentences(results([])) == []
