"""Credit assignment: from what was paid to an advantage for every sampled token. Pure functions on numpy arrays.

None of them sees a gold label, and none centres the two sides of one debate against each other: in a zero-sum game that
would make the advantage of each side a function of the other's luck.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rostrum.envs.types import Side
from rostrum.trainer.types import TokenRow, Trajectory

Floats = NDArray[np.float64]
NOISE = 1e-5
"""Advantages that differ by no more (in rewards, which are of the order of 1, or relative to their own size) differ by
what float32 makes of a judge's and a critic's numbers from one batch to the next."""
Role = tuple[str, int, int]
"""Speaker, answer defended (index in the question, not whether it is right), turn."""


def token_rewards(row: TokenRow, per_speech: Sequence[float]) -> Floats:
    """Return (T,) zeros with each speech's reward at its last token."""
    rewards = np.zeros(len(row.completion))
    rewards[list(row.ends)] = per_speech
    return rewards


def spread(row: TokenRow, per_speech: Sequence[float]) -> Floats:
    """Return (T,) the value of each speech on every token sampled for it, and 0 on what the speaker was told."""
    values, start = np.zeros(len(row.completion)), 0
    for end, value in zip(row.ends, per_speech, strict=True):
        values[start : end + 1] = value
        start = end + 1
    return values * np.asarray(row.mask, np.float64)


def on_tokens(rows: Sequence[Trajectory], per_speech: Sequence[Sequence[float]]) -> list[Floats]:
    """Return (T,) for each row: the value of each of its speeches on every token sampled for it."""
    return [spread(of.row, values) for of, values in zip(rows, per_speech, strict=True)]


def gae(rewards: Floats, values: Floats, mask: NDArray[np.int_], gamma: float, lam: float) -> tuple[Floats, Floats]:
    """Return the generalised advantage estimate (Schulman et al. 2016, eq. 16) over the sampled tokens alone.

    All arrays are (B, T). Tokens with mask 0 (the opponent's, padding) are skipped: value and advantage are carried
    across them. Letting the recursion decay over them instead turns the advantage of a winning opening negative.

    Returns:
        advantages and returns (advantage + value), both (B, T), 0 where the mask is 0.
    """
    advantages = np.zeros_like(values)
    next_value, next_advantage = np.zeros(len(values)), np.zeros(len(values))
    for t in reversed(range(values.shape[1])):
        sampled = mask[:, t].astype(bool)
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        advantage = delta + gamma * lam * next_advantage
        advantages[sampled, t] = advantage[sampled]
        next_value = np.where(sampled, values[:, t], next_value)
        next_advantage = np.where(sampled, advantage, next_advantage)
    return advantages, (advantages + values) * mask


def gae_of_rows(
    trajectories: Sequence[Trajectory], values: Sequence[Floats], gamma: float, lam: float
) -> list[tuple[Floats, Floats]]:
    """Return the advantages and returns, (T,) each, of every row, given the critic's values (T,) on its completion.

    Where a speaker's speeches are in several rows, one after the other, rewards and values of later rows flow into
    earlier ones as they would within one row.
    """
    chains: list[list[int]] = []
    for index in range(len(trajectories)):
        if index > 0 and not trajectories[index - 1].last:
            chains[-1].append(index)
        else:
            chains.append([index])
    rows = [[_columns(trajectories[index], values[index]) for index in chain] for chain in chains]
    widths = [sum(len(row) for row in chain) for chain in rows]
    columns = np.zeros((3, len(rows), max(widths, default=0)))
    for place, parts in enumerate(rows):
        columns[:, place, : widths[place]] = np.concatenate(parts).T
    rewards, known, mask = columns
    advantages, returns = gae(rewards, known, mask.astype(int), gamma, lam)
    found = [(np.zeros(len(of)), np.zeros(len(of))) for of in values]
    for place, chain in enumerate(chains):
        ends = np.cumsum([len(values[index]) for index in chain])
        for index, end in zip(chain, ends, strict=True):
            own = slice(end - len(values[index]), end)
            found[index] = advantages[place, own], returns[place, own]
    return found


def _columns(trajectory: Trajectory, values: Floats) -> Floats:
    """Return reward, value and mask of each token of a row, (T, 3)."""
    return np.stack([token_rewards(trajectory.row, trajectory.paid), values, trajectory.row.mask], axis=1)


def group(trajectories: Sequence[Trajectory]) -> list[tuple[float, ...]]:
    """Return per speech its return minus the mean return of its siblings, leave-one-out (RLOO, Ahmadian et al. 2024).

    Siblings are the speeches made at the same turn by the same speaker, defending the same answer to the same
    question, in other debates. A speech without siblings gets 0: there is nothing to compare it with.
    """
    totals: dict[tuple[object, ...], list[float]] = defaultdict(list)
    for trajectory, turn, value in _speeches(trajectories):
        totals[_siblings(trajectory, turn)].append(value)

    def advantage(trajectory: Trajectory, turn: int, value: float) -> float:
        values = totals[_siblings(trajectory, turn)]
        return value - (sum(values) - value) / (len(values) - 1) if len(values) > 1 else 0.0

    return [
        tuple(advantage(t, turn, value) for turn, value in zip(t.turns, t.returns, strict=True)) for t in trajectories
    ]


def role_ema(
    trajectories: Sequence[Trajectory], baselines: Mapping[Role, float], decay: float
) -> tuple[list[tuple[float, ...]], dict[Role, float]]:
    """Return per speech its return minus a running mean of the returns in its role (as SPIRAL, Liu et al. 2025).

    A speech is compared with the baseline as it was before this batch; a role seen for the first time starts at the
    batch's mean.

    Returns:
        the advantages, and the baselines to use next.
    """
    returns: dict[Role, list[float]] = defaultdict(list)
    for trajectory, turn, value in _speeches(trajectories):
        returns[_role(trajectory, turn)].append(value)
    means = {role: sum(values) / len(values) for role, values in returns.items()}
    before = {role: baselines.get(role, mean) for role, mean in means.items()}
    after = {**baselines, **{role: decay * before[role] + (1 - decay) * mean for role, mean in means.items()}}
    advantages = [
        tuple(value - before[_role(t, turn)] for turn, value in zip(t.turns, t.returns, strict=True))
        for t in trajectories
    ]
    return advantages, after


def normalise(advantages: Sequence[Floats], masks: Sequence[Sequence[int]]) -> list[Floats]:
    """Divide by the standard deviation over all sampled tokens, if it is more than noise; signs stay, and so does the
    mean's."""
    sampled = np.concatenate([np.zeros(0), *(a[np.asarray(m, bool)] for a, m in zip(advantages, masks, strict=True))])
    scale = float(sampled.std()) if sampled.size else 0.0
    return [a / scale if exceeds_noise(scale, float(np.abs(sampled).max(initial=0.0))) else a for a in advantages]


def exceeds_noise(deviation: float, size: float) -> bool:
    """Return whether advantages of about this size with this deviation really differ."""
    return deviation > NOISE * max(1.0, size)


def _speeches(trajectories: Sequence[Trajectory]) -> list[tuple[Trajectory, int, float]]:
    return [(t, turn, value) for t in trajectories for turn, value in zip(t.turns, t.returns, strict=True)]


def _siblings(trajectory: Trajectory, turn: int) -> tuple[object, ...]:
    return trajectory.question_id, trajectory.speaker, trajectory.side, trajectory.swapped_seats, turn


def _role(trajectory: Trajectory, turn: int) -> Role:
    defended = int((trajectory.side is Side.B) != trajectory.swapped_seats)
    return trajectory.speaker, defended, turn
