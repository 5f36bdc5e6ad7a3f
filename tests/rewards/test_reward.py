"""What each side earns: worked numbers, zero sums, penalties."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostrum.envs.types import Protocol, Question, Quote, QuoteStatus, Side, Speaker, Speech, Transcript
from rostrum.rewards.reward import APPROVALS, RewardRule, rewards
from rostrum.rewards.types import Reward, Verdict

QUESTION = Question("q", "s", "where ?", ("kitchen", "garden"), "")
FOUND, LIED = (Quote("x", 0, 1, status) for status in (QuoteStatus.NORMALISED, QuoteStatus.UNVERIFIED))
DEBATE = Transcript(
    QUESTION,
    Protocol("debate", max_words=12),
    QUESTION.answers,
    False,
    (
        Speech("A", Side.A, 0, "", "", words=15, quotes=(FOUND, LIED)),
        Speech("B", Side.B, 1, "", "", words=12, quotes=(FOUND,)),
        Speech("A", Side.A, 2, "", "", words=2),
        Speech("B", Side.B, 3, "", "", words=13, quotes=(LIED, LIED)),
    ),
)
PROBABILITIES = st.floats(1e-6, 1 - 1e-6)


def verdict(given: float | None, swapped: float | None) -> Verdict:
    return Verdict("j", given, swapped)


def approvals(rule: RewardRule, given: float | None, swapped: float | None) -> tuple[float, float]:
    paid = rewards(DEBATE, verdict(given, swapped), rule)
    assert paid is not None
    return paid[Side.A].approval, paid[Side.B].approval


@pytest.mark.parametrize(
    ("approval", "of_a", "of_b"),
    [
        # P(A) = 0.8 as given and 0.5 swapped: log-odds ln 4 and 0, mean P 0.65
        ("log_odds", math.log(4) / 2, -math.log(4) / 2),
        ("probability", 0.65, 0.35),
        ("log_probability", (math.log(0.8) + math.log(0.5)) / 2, (math.log(0.2) + math.log(0.5)) / 2),
        ("win", 1.0, -1.0),
    ],
)
def test_worked_numbers(approval: str, of_a: float, of_b: float) -> None:
    assert approvals(RewardRule(approval), 0.8, 0.5) == pytest.approx((of_a, of_b))


def test_every_approval_has_a_worked_number() -> None:
    assert set(APPROVALS) == {"log_odds", "probability", "log_probability", "win"}


@pytest.mark.parametrize(("given", "swapped", "of_a"), [(0.8, None, math.log(4)), (None, 0.2, -math.log(4))])
def test_one_order_alone_is_its_own_mean(given: float | None, swapped: float | None, of_a: float) -> None:
    assert approvals(RewardRule(), given, swapped) == pytest.approx((of_a, -of_a))


def test_the_mean_is_of_log_odds_and_not_of_probabilities() -> None:
    """Otherwise a position bias would not cancel: logits 3 and -1 average to 1, probabilities to 0.61."""
    p = [1 / (1 + math.exp(-x)) for x in (3.0, -1.0)]
    assert approvals(RewardRule(), *p)[0] == pytest.approx(1.0)


@pytest.mark.parametrize("p", [0.0, 1.0, 1e-9, 1 - 1e-9])
def test_certainty_is_clipped(p: float) -> None:
    sign = 1 if p > 0.5 else -1
    assert approvals(RewardRule(), p, p) == (4 * sign, -4 * sign)
    assert approvals(RewardRule(clip=2.5), p, p) == (2.5 * sign, -2.5 * sign)
    assert min(approvals(RewardRule("log_probability", clip=3), p, p)) == -3


def test_the_clip_is_on_the_mean_and_not_on_each_order() -> None:
    p = [1 / (1 + math.exp(-x)) for x in (10.0, -4.0)]
    assert approvals(RewardRule(), *p)[0] == pytest.approx(3.0)


def test_a_draw_is_nobodys_win() -> None:
    assert approvals(RewardRule("win"), 0.75, 0.25) == (0.0, 0.0)
    assert approvals(RewardRule("win"), 0.4, 0.5) == (-1.0, 1.0)


@given(PROBABILITIES, PROBABILITIES)
def test_log_odds_and_win_are_zero_sum(given: float, swapped: float) -> None:
    for approval in ("log_odds", "win"):
        of_a, of_b = approvals(RewardRule(approval), given, swapped)
        assert of_a + of_b == pytest.approx(0, abs=1e-9)
    assert sum(approvals(RewardRule("probability"), given, swapped)) == pytest.approx(1)


@given(PROBABILITIES, PROBABILITIES, st.sampled_from(sorted(APPROVALS)))
def test_exchanging_the_seats_exchanges_the_rewards(given: float, swapped: float, approval: str) -> None:
    turned = approvals(RewardRule(approval), 1 - given, 1 - swapped)
    assert turned == pytest.approx(approvals(RewardRule(approval), given, swapped)[::-1], abs=1e-9)


def test_penalties_are_paid_speech_by_speech() -> None:
    rule = RewardRule(unverified_quote_penalty=0.5, over_limit_penalty=0.1)
    paid = rewards(DEBATE, verdict(0.8, 0.5), rule)
    assert paid is not None
    assert paid[Side.A].shaping == pytest.approx((-0.5 - 3 * 0.1, 0.0))
    assert paid[Side.B].shaping == pytest.approx((0.0, -2 * 0.5 - 0.1))
    assert paid[Side.B].per_speech == pytest.approx((0.0, -1.1 - math.log(4) / 2))
    assert paid[Side.A].per_speech == pytest.approx((-0.8, math.log(4) / 2))
    assert paid[Side.A].total == pytest.approx(math.log(4) / 2 - 0.8)


def test_shaping_is_off_unless_asked_for() -> None:
    paid = rewards(DEBATE, verdict(0.8, 0.5), RewardRule())
    assert paid is not None and all(reward.shaping == (0, 0) for reward in paid.values())


def test_a_verdict_that_failed_costs_and_earns_nothing_at_all() -> None:
    invalid = Verdict("j", None, None, valid=False, reason="planted")
    assert rewards(DEBATE, invalid, RewardRule(unverified_quote_penalty=1.0)) is None


def test_a_lone_consultant_is_the_only_one_paid() -> None:
    alone = replace(
        DEBATE, protocol=Protocol("consultancy", speakers={"A": Speaker(Side.A)}), speeches=DEBATE.speeches[::2]
    )
    paid = rewards(alone, verdict(0.8, 0.5), RewardRule())
    assert paid is not None and list(paid) == [Side.A]
    assert paid[Side.A].approval == pytest.approx(math.log(4) / 2)


def test_the_answer_defended_makes_no_difference_to_what_a_probability_is_worth() -> None:
    """Verdicts are about sides; the seating changes nothing in the arithmetic."""
    moved = replace(DEBATE, swapped_seats=True, answers=DEBATE.answers[::-1])
    assert rewards(moved, verdict(0.8, 0.5), RewardRule()) == rewards(DEBATE, verdict(0.8, 0.5), RewardRule())


def test_the_judges_pay_comes_last() -> None:
    assert Reward(2.0, (-0.5, -0.25, 0.0)).per_speech == (-0.5, -0.25, 2.0)
    assert Reward(2.0, (-0.5, -0.25, 0.0)).total == 1.25


# Verdicts that a speech spoils


SPOILED = Verdict("j", None, None, valid=False, reason="unreadable", cause="speech")


@pytest.mark.parametrize(
    ("approval", "paid"), [("log_odds", -4.0), ("probability", 0.0), ("log_probability", -4.0), ("win", -1.0)]
)
def test_a_verdict_that_speeches_made_unreadable_costs_each_speaker_a_sure_defeat(approval: str, paid: float) -> None:
    """It is not known whose speech it was, so both pay and the debate is not zero-sum; penalties stay."""
    found = rewards(DEBATE, SPOILED, RewardRule(approval, unverified_quote_penalty=0.5))
    assert found is not None and list(found) == [Side.A, Side.B]
    assert [reward.approval for reward in found.values()] == [paid, paid]
    assert found[Side.A].shaping == (-0.5, 0.0) and found[Side.B].per_speech == pytest.approx((0.0, -1.0 + paid))


def test_where_it_is_known_whose_speech_it_was_the_other_pays_nothing() -> None:
    found = rewards(DEBATE, replace(SPOILED, spoiled_by=(Side.B,)), RewardRule(clip=2.5))
    assert found is not None and {side: reward.approval for side, reward in found.items()} == {Side.B: -2.5}


@given(PROBABILITIES, PROBABILITIES, st.sampled_from(sorted(APPROVALS)), st.sampled_from(Side))
def test_nobody_gains_by_making_the_judge_unreadable(given: float, swapped: float, approval: str, side: Side) -> None:
    judged, spoiled = (rewards(DEBATE, v, RewardRule(approval)) for v in (verdict(given, swapped), SPOILED))
    assert judged is not None and spoiled is not None
    assert spoiled[side].total <= judged[side].total


def test_without_approval_there_is_nothing_to_lose() -> None:
    found = rewards(DEBATE, SPOILED, RewardRule(clip=0.0))
    assert found is not None and [reward.approval for reward in found.values()] == [0.0, 0.0]
