"""A panel's opinion from planted ones: each rule by hand, laws under relabelling, INVALID members."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostrum.envs.types import Protocol, Question, Transcript
from rostrum.rewards.judges.panel import RULES, Panel
from rostrum.rewards.types import Usage, Verdict

QUESTION = Question("q", "s", "where ?", ("kitchen", "garden"), "")
DEBATE = Transcript(QUESTION, Protocol("debate"), QUESTION.answers, False)


class Member:
    """Has always the same opinion of the kitchen, None for an INVALID one."""

    def __init__(self, name: str, p: float | None, swapped: float | None = None) -> None:
        self.name, self.p, self.p_swapped = name, p, p if swapped is None else swapped
        self.usage = Usage(requests=2, dollars=0.5)

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        return [self._verdict(transcript) for transcript in transcripts]

    def _verdict(self, transcript: Transcript) -> Verdict:
        if self.p is None or self.p_swapped is None:
            return Verdict(self.name, None, None, valid=False, reason="planted", readings=2)
        if transcript.answers[0] == "kitchen":
            return Verdict(self.name, self.p, self.p_swapped, readings=2)
        return Verdict(self.name, 1 - self.p_swapped, 1 - self.p, readings=2)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("mean", (0.9 + 0.4 + 0.45) / 3), ("majority", 1 / 3), ("confidence", 0.8 / (0.8 + 0.2 + 0.1))],
)
def test_each_rule_by_hand(rule: str, expected: float) -> None:
    """One member is sure of the kitchen, two lean a little towards the garden."""
    panel = Panel("panel", [Member("a", 0.9), Member("b", 0.4), Member("c", 0.45)], rule)
    (verdict,) = panel.judge([DEBATE])
    assert (verdict.given, verdict.swapped) == pytest.approx((expected, expected))
    assert (verdict.judge, verdict.readings) == ("panel", 6)
    assert panel.usage == Usage(requests=6, dollars=1.5)


@given(st.sampled_from(sorted(RULES)), st.lists(st.floats(0, 1), min_size=2, max_size=5))
def test_relabelling_turns_the_opinion_round(rule: str, opinions: list[float]) -> None:
    panel = Panel("panel", [Member(str(i), p) for i, p in enumerate(opinions)], rule)
    (verdict,), (turned,) = panel.judge([DEBATE]), panel.judge([DEBATE.swapped()])
    assert turned.mean == pytest.approx(1 - verdict.mean, abs=1e-12)
    assert 0 <= verdict.mean <= 1


@given(st.sampled_from(sorted(RULES)), st.floats(0, 1))
def test_undecided_members_give_one_half(rule: str, other: float) -> None:
    assert RULES[rule]([0.5, 0.5]) == 0.5
    assert RULES[rule]([other, 1 - other]) == pytest.approx(0.5)


def test_orders_are_combined_each_by_itself() -> None:
    (verdict,) = Panel("panel", [Member("a", 0.8, 0.6), Member("b", 0.6, 0.2)]).judge([DEBATE])
    assert (verdict.given, verdict.swapped) == pytest.approx((0.7, 0.4))


@pytest.mark.parametrize(("opinions", "expected"), [((0.9, None, 0.7), 0.8), ((0.9, None), None), ((None, None), None)])
def test_invalid_members_are_left_out_while_most_are_valid(
    opinions: Sequence[float | None], expected: float | None
) -> None:
    members = [Member(f"member-{i}", p) for i, p in enumerate(opinions)]
    (verdict,) = Panel("panel", members).judge([DEBATE])
    assert verdict.valid == (expected is not None)
    if expected is None:
        assert "member-1: planted" in verdict.reason
    else:
        assert verdict.mean == pytest.approx(expected)
