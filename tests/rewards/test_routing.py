"""The curve of a cascade, by hand."""

import pytest

from rostrum.envs.types import Protocol, Question, Transcript
from rostrum.rewards.audit.routing import curve
from rostrum.rewards.labelled import Labelled
from rostrum.rewards.types import Verdict

QUESTION = Question("q", "s", "where ?", ("kitchen", "garden"), "")
RIGHT = Labelled(Transcript(QUESTION, Protocol("debate"), QUESTION.answers, False), 1.0)


def verdicts(*opinions: float | None) -> list[Verdict]:
    return [Verdict("j", p, p, valid=p is not None, reason="" if p is not None else "planted") for p in opinions]


def test_four_debates_by_hand() -> None:
    """Side A is right in all. The first judge is wrong where it is least sure, and has no opinion of the last."""
    first, second = verdicts(0.9, 0.6, 0.45, None), verdicts(0.2, 0.8, 0.9, 0.7)
    found = curve(first, second, [RIGHT] * 4, costs=(1.0, 10.0))
    assert [(round(r.routed, 2), r.accuracy, r.cost) for r in found] == [
        (0.25, 0.75, 3.5),  # the INVALID one alone
        (0.5, 1.0, 6.0),  # and the one it has wrong
        (0.75, 1.0, 8.5),
        (1.0, 0.75, 11.0),  # everything: the second judge is wrong about the first debate
    ]
    assert [r.margin for r in found] == pytest.approx([0.0, 0.051, 0.101, 0.401], abs=2e-3)


def test_the_ends_are_the_two_judges_alone() -> None:
    first, second = verdicts(0.9, 0.2, 0.5), verdicts(0.1, 0.8, None)
    found = curve(first, second, [RIGHT] * 3, costs=(0.0, 1.0))
    assert (found[0].routed, found[0].accuracy) == (0.0, pytest.approx(1.5 / 3))
    assert (found[-1].routed, found[-1].accuracy) == (1.0, pytest.approx(1 / 3))
