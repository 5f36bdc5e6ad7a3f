"""The monitor's figures on verdicts small enough to count by hand."""

import math

import numpy as np
import pytest

from rostrum.envs.types import Protocol, Question, Side, Transcript
from rostrum.rewards.labelled import Labelled
from rostrum.rewards.types import Verdict, favours
from rostrum.trainer.evaluation.opinions import Opinions, matthews

QUESTIONS = [Question(f"q{n}", f"s{n}", "?", ("x", "y"), "") for n in range(3)]


def debate(number: int, swapped: bool, correct: Side = Side.A) -> Labelled:
    return Labelled(Transcript(QUESTIONS[number], Protocol("debate"), ("x", "y"), swapped), float(correct is Side.A))


def verdict(p: float | None) -> Verdict:
    return Verdict("j", p, p) if p is not None else Verdict("j", None, None, valid=False, reason="x")


def opinions(*of: tuple[int, bool, Side, float | None]) -> Opinions:
    return Opinions(QUESTIONS, [debate(n, swapped, side) for n, swapped, side, _ in of], [verdict(p) for *_, p in of])


def test_invalid_verdicts_and_lost_debates_count_against_the_judge() -> None:
    """Question 0 right twice; question 1 a tie and an INVALID; question 2 was played once, and judged wrong."""
    found = opinions(
        (0, False, Side.A, 0.9),
        (0, True, Side.B, 0.2),
        (1, False, Side.A, 0.5),
        (1, True, Side.B, None),
        (2, False, Side.B, 0.7),
    )
    assert found.accuracy().tolist() == [1, 0.25, 0]
    figures = found.figures()
    assert figures["accuracy"] == pytest.approx(1.25 / 3) and figures["invalid"] == pytest.approx(2 / 6)
    assert figures["wrong_side"] == pytest.approx((0.1 + 0.2 + 0.5 + 0.7) / 4), "over the valid ones"
    assert figures["mcc"] == pytest.approx(matthews([(Side.A, 0.9), (Side.B, 0.2), (Side.A, 0.5), (Side.B, 0.7)]))


def test_what_counts_as_approval_for_invalid_ones_is_for_the_caller_to_say() -> None:
    found = opinions((0, False, Side.A, 0.9), (1, False, Side.A, None))
    assert found.by_question(lambda debate, p: favours(p), invalid=0.5).tolist() == [0.75, 0.5, 0.5]


def test_no_debates_at_all() -> None:
    figures = opinions().figures()
    assert (figures["accuracy"], figures["invalid"]) == (0, 1)
    assert math.isnan(figures["mcc"]) and math.isnan(figures["wrong_side"])


@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        ([(Side.A, 0.9), (Side.B, 0.1)], 1),
        ([(Side.A, 0.1), (Side.B, 0.9)], -1),
        ([(Side.A, 0.9), (Side.B, 0.9)], 0),
        ([(Side.A, 0.9), (Side.A, 0.8)], 0),
        ([(Side.A, 0.5), (Side.B, 0.5)], 0),
    ],
)
def test_matthews_at_its_ends(cases: list[tuple[Side, float]], expected: float) -> None:
    assert matthews(cases) == expected


def test_matthews_is_the_correlation_of_two_binary_variables() -> None:
    draw = np.random.default_rng(0)
    right, favoured = draw.integers(0, 2, 50), draw.integers(0, 2, 50)
    cases = [(Side.A if r else Side.B, 0.8 if f else 0.2) for r, f in zip(right, favoured, strict=True)]
    assert matthews(cases) == pytest.approx(np.corrcoef(right, favoured)[0, 1])
    mirrored = [(side.other, 1 - p) for side, p in cases]
    assert matthews(mirrored) == pytest.approx(matthews(cases))
