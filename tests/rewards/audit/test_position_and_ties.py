"""Position and ties: a planted bias is measured as large as it was planted, and laws under relabelling."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.descriptivestats import sign_test as library_sign_test

from rostrum.envs.types import Transcript
from rostrum.rewards.audit.position import position
from rostrum.rewards.audit.signs import sign_test
from rostrum.rewards.audit.table import Table, read
from rostrum.rewards.audit.ties import Split, ties
from rostrum.rewards.labelled import Labelled
from rostrum.rewards.scripted import ScriptedJudge
from rostrum.rewards.types import Verdict

Make = Callable[..., Table]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def delta_of(margin: float, bias: float) -> float:
    """The mean of p and p' less one half, by hand; it is the same for either believed side."""
    return (sigmoid(margin + bias) + sigmoid(-margin + bias)) / 2 - 0.5


@pytest.mark.parametrize("bias", [0.0, 0.4, -0.4, 3.0])
def test_delta_is_the_planted_bias(table: Make, bias: float) -> None:
    found = position(table(position_bias=bias, margin=1.2)).delta
    assert found.estimate == pytest.approx(delta_of(1.2, bias), abs=1e-12)
    assert found.low - 1e-12 <= found.estimate <= found.high + 1e-12


def test_delta_is_positive_for_a_judge_that_favours_what_is_shown_first() -> None:
    """One debate by hand: side A's answer is shown first and gets .9; shown second it still gets .7."""
    table = Table(
        *(np.array([value]) for value in ("s", 1.0, 0.8, 0.9, 0.7, 5.0, 5.0, ""))
    )  # story, target, p, given, swapped, words of A and B, reason
    assert position(table).delta.estimate == pytest.approx((0.9 + (1 - 0.7)) / 2 - 0.5)
    assert position(table).delta.estimate > 0


@pytest.mark.parametrize(("bias", "first", "second"), [(2.0, 400, 0), (-2.0, 0, 400)])
def test_a_bias_stronger_than_every_opinion_decides_all(table: Make, bias: float, first: int, second: int) -> None:
    found = position(table(position_bias=bias, margin=1.0))
    assert found.swap_consistency.estimate == 0
    assert (found.chose_first, found.chose_second) == (first, second)
    right, wrong = (found.right_shown_first, found.right_shown_second)[:: 1 if bias > 0 else -1]
    assert (right.estimate, wrong.estimate) == (1, 0)
    assert found.gap.estimate == pytest.approx(1 if bias > 0 else -1)
    assert found.mcnemar_p == pytest.approx(2 * 0.5**400)


def test_a_judge_without_bias_is_consistent(table: Make) -> None:
    found = position(table(margin=1.0))
    assert (found.swap_consistency.estimate, found.chose_first, found.chose_second, found.even) == (1, 0, 0, 0)
    assert (found.gap.estimate, found.mcnemar_p) == (0, 1)


@pytest.mark.parametrize(("above", "below"), [(0, 0), (1, 0), (7, 2), (30, 30), (3, 19)])
def test_the_sign_test_and_mcnemar_agree_with_the_library(above: int, below: int) -> None:
    counts = np.array([[5, above], [below, 9]])
    assert sign_test(above, below) == pytest.approx(mcnemar(counts, exact=True).pvalue)
    if above + below:
        signs = np.repeat([1.0, -1.0], [above, below])
        assert sign_test(above, below) == pytest.approx(library_sign_test(signs)[1])


def test_relabelling_the_seats_changes_neither_verdict_nor_bias(
    debates: Sequence[Labelled], planted: Callable[..., ScriptedJudge]
) -> None:
    judge = planted(position_bias=0.7, margin=0.9)
    one, other = read(judge, debates), read(judge, [debate.swapped() for debate in debates])
    assert other.p == pytest.approx(1 - one.p)
    assert other.p_right == pytest.approx(one.p_right)
    a, b = position(one), position(other)
    assert b.delta.estimate == pytest.approx(a.delta.estimate)
    assert (b.delta.low, b.delta.high) == pytest.approx((a.delta.low, a.delta.high))
    assert (b.swap_consistency, b.chose_first, b.gap) == (a.swap_consistency, a.chose_first, a.gap)
    assert ties(other, 0.01) == ties(one, 0.01)


class OneOrder:
    """Reads in one order only: P(answer of side A) with it shown first, or second."""

    name = "one order"

    def __init__(self, judge: ScriptedJudge, order: str) -> None:
        self.judge_of_both, self.order = judge, order

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        return [replace(v, **{self.order: None}) for v in self.judge_of_both.judge(transcripts)]


@pytest.mark.parametrize("left_out", ["given", "swapped"])
def test_a_judge_of_one_order_is_asked_in_both_and_keeps_its_verdict(
    debates: Sequence[Labelled], planted: Callable[..., ScriptedJudge], left_out: str
) -> None:
    both = planted(position_bias=0.7)
    table, expected = read(OneOrder(both, left_out), debates), read(both, debates)
    assert table.given == pytest.approx(expected.given)
    assert table.swapped == pytest.approx(expected.swapped)
    assert table.p == pytest.approx(expected.swapped if left_out == "given" else expected.given)


def test_ties_are_counted_about_the_middle(table: Make) -> None:
    found = ties(table(ties=0.3, margin=1.0), 0.01)
    middle = found.halves.middle
    assert 0.2 < middle / 800 < 0.4
    assert found.halves.first == found.halves.second == (800 - middle) / 2
    assert found.buckets == found.halves  # sigmoid(1) = .73 lies in the outer third
    assert (found.bucket_bias, found.sign_test_p) == (0, 1)
    assert found.stories == Split(0, 100, 0)


def test_a_judge_that_picks_the_first_when_it_cannot_tell_is_seen(table: Make) -> None:
    found = ties(table(margin=0.0, position_bias=1.5), 0.01)
    assert (found.buckets, found.bucket_bias) == (Split(800, 0, 0), 1)
    assert found.stories == Split(100, 0, 0)
    assert found.sign_test_p == pytest.approx(2 * 0.5**100)


@pytest.mark.parametrize(("score", "bucket"), [(1, "first"), (3, "first"), (4, "middle"), (6, "middle"), (7, "second")])
def test_buckets_are_those_of_the_scale_of_nine(score: int, bucket: str) -> None:
    p = (9.5 - score) / 9
    row = ("s", 1.0, p, p, 1 - p, 1.0, 1.0, "")  # the first-shown answer gets p in either order
    found = ties(Table(*(np.array([value]) for value in row)), 0.01)
    assert getattr(found.buckets, bucket) == 2
