"""Credit assignment on numbers worked by hand."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostrum.envs.types import Side
from rostrum.rewards.types import Reward
from rostrum.trainer.algorithms.advantages import gae, gae_of_rows, group, normalise, role_ema, spread, token_rewards
from rostrum.trainer.types import TokenRow, Trajectory

ROW = TokenRow(
    prompt=(1,), completion=(9, 9, 0, 0, 9, 9, 9), mask=(1, 1, 0, 0, 1, 1, 1), logprobs=(0.0,) * 7, ends=(1, 6)
)


def trajectory(
    question: str, side: str, approval: float, shaping: Sequence[float] = (0.0, 0.0), swapped: bool = False
) -> Trajectory:
    turns = (0, 2) if side == "A" else (1, 3)
    return Trajectory(question, swapped, side, Side(side), turns, ROW, Reward(approval, tuple(shaping)), 0)


def test_rewards_land_on_the_last_token_of_each_speech() -> None:
    assert token_rewards(ROW, (2.0, -1.0)).tolist() == [0, 2, 0, 0, 0, 0, -1]


def test_a_speechs_value_is_spread_over_its_own_tokens() -> None:
    assert spread(ROW, (2.0, -1.0)).tolist() == [2, 2, 0, 0, -1, -1, -1]


@pytest.mark.parametrize(("lam", "first"), [(0.99, 0.4755), (0.95, 0.3869), (1.0, 0.5)])
def test_two_hundred_tokens_of_the_opponent_cost_nothing(lam: float, first: float) -> None:
    """Three own tokens, 200 of the opponent, three own; reward 1 at the end, V = 0.5 throughout, gamma 1.

    The only surprise is the last one, 1 - 0.5; it reaches the first token over five steps: 0.5 * lam**5.
    """
    mask = np.array([[1] * 3 + [0] * 200 + [1] * 3])
    rewards = np.zeros((1, 206))
    rewards[0, -1] = 1.0
    advantages, returns = gae(rewards, np.full((1, 206), 0.5), mask, gamma=1.0, lam=lam)
    assert advantages[0, 0] == pytest.approx(first, abs=5e-5) == pytest.approx(0.5 * lam**5, abs=5e-5)
    assert advantages[0, 3:203].tolist() == [0.0] * 200 == returns[0, 3:203].tolist()
    assert returns[0, 0] == pytest.approx(advantages[0, 0] + 0.5)


def test_gae_by_hand() -> None:
    """Two tokens, V = (1, 2), rewards (0.5, 3), gamma 0.9, lambda 0.8.

    delta_1 = 3 - 2 = 1; delta_0 = 0.5 + 0.9 * 2 - 1 = 1.3; A_0 = 1.3 + 0.72 * 1 = 2.02.
    """
    advantages, returns = gae(np.array([[0.5, 3.0]]), np.array([[1.0, 2.0]]), np.ones((1, 2), int), 0.9, 0.8)
    assert advantages.tolist() == [pytest.approx([2.02, 1.0])]
    assert returns.tolist() == [pytest.approx([3.02, 3.0])]


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.floats(0, 1), st.floats(0.5, 1))
def test_masked_tokens_may_as_well_not_be_there(mask: list[bool], lam: float, gamma: float) -> None:
    rng = np.random.default_rng(len(mask))
    sampled = np.array([mask]).astype(int)
    rewards, values = rng.normal(size=(1, len(mask))) * sampled, rng.normal(size=(1, len(mask)))
    advantages, returns = gae(rewards, values, sampled, gamma, lam)
    kept = sampled.astype(bool)
    dense = gae(rewards[kept][None], values[kept][None], np.ones((1, kept.sum()), int), gamma, lam)
    assert np.allclose(advantages[kept], dense[0][0]) and np.allclose(returns[kept], dense[1][0])
    assert not advantages[~kept].any() and not returns[~kept].any()


def test_rows_of_a_batch_do_not_mix() -> None:
    rng = np.random.default_rng(0)
    rewards, values, mask = rng.normal(size=(3, 8)), rng.normal(size=(3, 8)), rng.integers(0, 2, (3, 8))
    together = gae(rewards, values, mask, 0.9, 0.9)[0]
    for i in range(3):
        alone = gae(rewards[i : i + 1], values[i : i + 1], mask[i : i + 1], 0.9, 0.9)[0]
        assert np.array_equal(alone[0], together[i])


def test_group_leaves_one_out() -> None:
    """Returns 3, 1, -1 of one side on one question: against the mean of the others, 3 - 0, 1 - 1, -1 - 2."""
    family = [trajectory("q", "A", approval) for approval in (3.0, 1.0, -1.0)]
    assert group(family) == [(3.0, 3.0), (0.0, 0.0), (-3.0, -3.0)]


def test_group_compares_each_speech_with_its_own_ply() -> None:
    """Penalties (-1, 0) and (0, -3) on top of approvals 2 and 2: returns (1, 2) and (-1, -1)."""
    pair = [trajectory("q", "A", 2.0, (-1.0, 0.0)), trajectory("q", "A", 2.0, (0.0, -3.0))]
    assert group(pair) == [(2.0, 3.0), (-2.0, -3.0)]


def test_group_never_compares_the_seats_the_answers_or_the_questions() -> None:
    """One of each kind: nobody has a sibling, so nobody has an advantage."""
    strangers = [
        trajectory(question, side, 4.0 if side == "A" else -4.0, swapped=swapped)
        for question in "qr"
        for side in "AB"
        for swapped in (False, True)
    ]
    assert group(strangers) == [(0.0, 0.0)] * 8


def test_seats_that_speak_at_the_same_ply_are_no_siblings() -> None:
    """In a simultaneous debate both sides speak at turns 0 and 1."""
    debate = [replace(trajectory("q", side, approval), turns=(0, 1)) for side, approval in (("A", 3.0), ("B", -3.0))]
    assert group(debate) == [(0.0, 0.0)] * 2
    assert role_ema(debate, {}, 0.9)[0] == [(0.0, 0.0)] * 2


def test_the_other_seats_reward_changes_nothing() -> None:
    """Two debates of one question: what B earned is no part of A's baseline, in either credit."""
    first = [
        trajectory("q", "A", 3.0),
        trajectory("q", "B", -3.0),
        trajectory("q", "A", 1.0),
        trajectory("q", "B", -1.0),
    ]
    second = [*first[:1], trajectory("q", "B", 100.0), first[2], trajectory("q", "B", 50.0)]
    assert [group(first)[i] for i in (0, 2)] == [group(second)[i] for i in (0, 2)] == [(2.0, 2.0), (-2.0, -2.0)]
    for baselines in ({}, {("A", 0, 0): 5.0}):
        a, b = (role_ema(batch, baselines, 0.9)[0] for batch in (first, second))
        assert [a[i] for i in (0, 2)] == [b[i] for i in (0, 2)]


@given(st.permutations(range(6)))
def test_group_does_not_care_for_the_order_of_the_rows(order: list[int]) -> None:
    family = [trajectory("q" if i < 3 else "r", "A", float(i * i)) for i in range(6)]
    expected = group(family)
    assert group([family[i] for i in order]) == [expected[i] for i in order]


def test_role_ema_uses_the_baseline_from_before_the_batch() -> None:
    """Baseline 1 for the opening as A of answer 0; returns 3 and 5; decay 0.9: next is 0.9 * 1 + 0.1 * 4."""
    batch = [trajectory("q", "A", 3.0), trajectory("r", "A", 5.0)]
    baselines = {("A", 0, 0): 1.0, ("A", 0, 2): 2.0, ("B", 1, 1): 7.0}
    advantages, after = role_ema(batch, baselines, 0.9)
    assert advantages == [(2.0, 1.0), (4.0, 3.0)]
    assert after == {("A", 0, 0): pytest.approx(1.3), ("A", 0, 2): pytest.approx(2.2), ("B", 1, 1): 7.0}
    assert baselines[("A", 0, 0)] == 1.0, "the baselines passed in are left as they were"


def test_role_ema_starts_a_new_role_at_the_batch_mean() -> None:
    advantages, after = role_ema([trajectory("q", "B", 3.0), trajectory("r", "B", 5.0)], {}, 0.9)
    assert advantages == [(-1.0, -1.0), (1.0, 1.0)]
    assert after == {("B", 1, 1): 4.0, ("B", 1, 3): 4.0}


def test_a_role_is_the_seat_and_the_answer_it_defends() -> None:
    _, after = role_ema([trajectory("q", s, 0.0, swapped=w) for s in "AB" for w in (False, True)], {}, 0.5)
    assert {role[:2] for role in after} == {("A", 0), ("A", 1), ("B", 0), ("B", 1)}
    _, alone = role_ema([trajectory("q", "B", 0.0, swapped=True)], {}, 0.5)
    assert set(alone) == {("B", 0, 1), ("B", 0, 3)}


def test_normalise_looks_at_sampled_tokens_only() -> None:
    """Sampled values 2, -2 have deviation 2; the 100 is masked."""
    (scaled,) = normalise([np.array([2.0, 100.0, -2.0])], [[1, 0, 1]])
    assert scaled.tolist() == [1.0, 50.0, -1.0]


@pytest.mark.parametrize(("advantages", "masks"), [([np.ones(3)], [[1, 1, 1]]), ([np.zeros(1)], [[0]]), ([], [])])
def test_normalise_leaves_what_does_not_vary(advantages: list[np.ndarray], masks: list[list[int]]) -> None:
    """All alike, all masked, or no rows at all (every verdict of an iteration was INVALID)."""
    scaled = normalise(advantages, masks)
    assert [s.tolist() for s in scaled] == [a.tolist() for a in advantages]


def test_returns_count_what_is_paid_from_a_speech_on() -> None:
    assert trajectory("q", "A", 2.0, (-0.5, -0.25)).returns == pytest.approx((1.25, 1.75))


@pytest.mark.parametrize(("noise", "size"), [(1e-9, 0.0), (1e-6, 0.0), (3e-7, 1.0), (1e-4, 100.0)])
def test_noise_is_not_blown_up(noise: float, size: float) -> None:
    """What differs by rounding alone keeps its size; a thousandth of a reward is a difference."""
    row = size + noise * np.array([1.0, -1.0, 1.0, -1.0])
    assert normalise([row], [[1] * 4])[0].tolist() == row.tolist()
    real = 1e-3 * np.array([1.0, -1.0])
    assert normalise([real], [[1, 1]])[0].tolist() == pytest.approx([1.0, -1.0])


# One row per speech


SPEECHES = (
    TokenRow((1,), (9, 9), (1, 1), (0.0,) * 2, (1,)),
    TokenRow((1, 9, 9, 0, 0), (9, 9, 9), (1, 1, 1), (0.0,) * 3, (2,)),
)


def in_rows(approval: float, shaping: tuple[float, float]) -> list[Trajectory]:
    """The two speeches of a side, each in a row of its own: the first is told what the second earns as well."""
    whole = trajectory("q", "A", approval, shaping)
    rewards = Reward(approval + shaping[1], shaping[:1]), Reward(approval, shaping[1:])
    return [
        replace(whole, turns=(2 * i,), row=row, reward=reward, last=i == 1)
        for i, (row, reward) in enumerate(zip(SPEECHES, rewards, strict=True))
    ]


def test_gae_flows_from_a_later_row_into_an_earlier_one_by_hand() -> None:
    """Speeches of two and three tokens, V = (1, 2), (3, 4, 5), penalties -1 and 0, approval 7, gamma and lambda 1/2.

    Second row: delta = 7 - 5 = 2; then 2.5 - 4 = -1.5 and -1.5 + 2/4 = -1; then 2 - 3 = -1 and -1 - 1/4 = -1.25.
    First row: its last token is followed by V = 3 and A = -1.25: delta = -1 + 1.5 - 2 = -1.5, A = -1.8125; then
    delta = 1 - 1 = 0, A = -0.453125.
    """
    rows = in_rows(7.0, (-1.0, 0.0))
    values = [np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])]
    (first, returns), (second, _) = gae_of_rows(rows, values, 0.5, 0.5)
    assert second.tolist() == [-1.25, -1.0, 2.0]
    assert first.tolist() == [-0.453125, -1.8125]
    assert returns.tolist() == [0.546875, 0.1875]


@given(st.floats(-4, 4), st.floats(-4, 0), st.floats(0, 1), st.floats(0.5, 1), st.integers(0, 9))
def test_how_speeches_are_cut_into_rows_changes_no_advantage(
    approval: float, penalty: float, lam: float, gamma: float, seed: int
) -> None:
    """One row with two speeches, the same in two rows, and both beside others' rows."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=7)
    one = trajectory("q", "A", approval, (penalty, penalty / 2))
    ((whole, whole_returns),) = gae_of_rows([one], [values], gamma, lam)
    parts = [values[:2], values[4:]]
    cut = in_rows(approval, (penalty, penalty / 2))
    found = gae_of_rows([*cut, one, *cut], [*parts, values, *parts], gamma, lam)
    for place in (0, 3):
        advantages, returns = (np.concatenate([found[place][i], found[place + 1][i]]) for i in (0, 1))
        assert np.array_equal(advantages, whole[[0, 1, 4, 5, 6]])
        assert np.array_equal(returns, whole_returns[[0, 1, 4, 5, 6]])
    assert np.array_equal(found[2][0], whole)
    alone = gae(token_rewards(ROW, one.paid)[None], values[None], np.array([ROW.mask]), gamma, lam)
    assert np.array_equal(alone[0][0], whole) and np.array_equal(alone[1][0], whole_returns)
