"""The judge with a head: classes and rewards by script, laws under relabelling, INVALID verdicts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostrum.rewards.judges.head import HeadJudge, Settings
from rostrum.rewards.types import Unscored
from tests.rewards.writers import TRANSCRIPT, Given, Head, kitchen_first

SETTINGS = Settings(kind="head", name="scripted", model="m", prompts="prose")
LOGITS = st.floats(-20, 20)


def judge(head: Head, **changes: object) -> HeadJudge:
    return SETTINGS.model_copy(update=changes).make(Given(head))


def logit(p: float | None) -> float:
    assert p is not None
    return math.log(p / (1 - p))


@given(LOGITS, LOGITS)
def test_class_zero_is_the_answer_shown_first(kitchen: float, garden: float) -> None:
    """The head sees through the labels: its opinion is about the kitchen."""
    head = Head(2, lambda prompt: (kitchen, garden) if kitchen_first(prompt) else (garden, kitchen))
    (verdict,), (turned,) = (judge(head).judge([t]) for t in (TRANSCRIPT, TRANSCRIPT.swapped()))
    assert verdict.given == pytest.approx(1 / (1 + math.exp(garden - kitchen)), abs=1e-12)
    assert verdict.given == verdict.swapped and verdict.readings == 2
    assert (turned.given, turned.swapped) == (1 - (verdict.swapped or 0), 1 - (verdict.given or 0))


@given(st.floats(-6, 6), st.floats(-6, 6))
def test_planted_position_bias_is_given_back(taste: float, bias: float) -> None:
    head = Head(2, lambda prompt: ((taste if kitchen_first(prompt) else -taste) + bias, 0.0))
    (verdict,) = judge(head).judge([TRANSCRIPT])
    assert logit(verdict.given) == pytest.approx(taste + bias, abs=1e-6)
    assert logit(verdict.swapped) == pytest.approx(taste - bias, abs=1e-6)


@given(st.floats(-6, 6), st.floats(-6, 6))
def test_a_reward_model_reads_the_debate_with_each_answer(kitchen: float, garden: float) -> None:
    head = Head(1, lambda prompt: (kitchen if prompt.endswith("is: kitchen") else garden,))
    (verdict,) = judge(head).judge([TRANSCRIPT])
    assert logit(verdict.given) == pytest.approx(kitchen - garden, abs=1e-6)
    assert verdict.given == pytest.approx(verdict.swapped) and verdict.readings == 4
    assert [prompt.rsplit(" ", 1)[1] for prompt in head.prompts] == ["kitchen", "garden", "garden", "kitchen"]


def test_a_reward_model_may_be_shown_letters() -> None:
    head = Head(1, lambda prompt: (2.0 if prompt.endswith(" A") else 0.0,))
    (verdict,) = judge(head, choice="letter").judge([TRANSCRIPT])
    assert logit(verdict.given) == pytest.approx(2.0) and logit(verdict.swapped) == pytest.approx(-2.0)


@pytest.mark.parametrize("bad", [(math.nan, 0.0), (0.0, math.inf), Unscored("gone")])
@pytest.mark.parametrize("where", [True, False])
def test_what_is_no_number_makes_the_verdict_invalid(bad: tuple[float, float] | Unscored, where: bool) -> None:
    head = Head(2, lambda prompt: bad if kitchen_first(prompt) == where else (1.0, 0.0))
    (verdict,) = judge(head).judge([TRANSCRIPT])
    assert not verdict.valid and verdict.orders == ()
    assert verdict.reason == (bad.reason if isinstance(bad, Unscored) else verdict.reason)
    assert isinstance(bad, Unscored) or "no number" in verdict.reason


def test_one_reward_that_is_missing_makes_the_verdict_invalid() -> None:
    (verdict,) = judge(Head(1, lambda prompt: (math.nan if prompt.endswith("garden") else 1.0,))).judge([TRANSCRIPT])
    assert not verdict.valid


@pytest.mark.parametrize("order", ["given", "swapped"])
def test_only_the_order_asked_for_is_read(order: str) -> None:
    head = Head(2, lambda prompt: (1.0, 0.0))
    (verdict,) = judge(head, order=order).judge([TRANSCRIPT])
    assert len(head.prompts) == 1 == len(verdict.orders) and kitchen_first(head.prompts[0]) == (order == "given")
