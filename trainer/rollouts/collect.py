"""One iteration: questions -> play -> judge -> reward -> trajectories.

This is what every algorithm runs on. PPO pulls it (TRL's trainer asks for rows when it needs them), DPO is pushed by
it; what comes after, the update, is theirs. So is publishing the weights that play: `collect` is given the policy.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from rostrum.envs.types import Failure
from rostrum.rewards.reward import RewardRule, rewards
from rostrum.rewards.types import Judge
from rostrum.trainer.rollouts.local import RolloutWorkers
from rostrum.trainer.rollouts.schedule import shards_of
from rostrum.trainer.types import Batch, Judged, Matchup, Policy, Rollout

T = TypeVar("T")

Progress = Callable[[int, float], None]
"""Called with the number of debates just finished and the mean judge approval of the first side among them."""


def collect(
    iteration: int,
    matches: Sequence[Matchup],
    policy: Policy,
    rollouts: RolloutWorkers,
    judge: Judge,
    rule: RewardRule,
    shard_size: int,
    seed: int,
    progress: Progress = lambda done, approval: None,
    opponents: Sequence[Policy] = (),
) -> Batch:
    """Plays the matches with the published policy, and whom it meets in them, has them judged, and pays the sides."""
    start = time.monotonic()
    policies = {playing.name: playing for playing in (policy, *opponents)}
    judged: dict[int, list[Judged]] = {}
    failures: dict[int, list[Failure]] = {}
    for shard, outcomes in rollouts.play(shards_of(matches, shard_size, seed), policies):
        episodes = [outcome for outcome in outcomes if isinstance(outcome, Rollout)]
        failures[shard.index] = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        judged[shard.index] = judge_episodes(episodes, judge, rule)
        progress(len(outcomes), mean_approval(judged[shard.index]))
    return Batch(iteration, policy, _in_order(judged), _in_order(failures), seconds=time.monotonic() - start)


def judge_episodes(episodes: Sequence[Rollout], judge: Judge, rule: RewardRule) -> list[Judged]:
    """The verdict on each episode and what its sides earned."""
    verdicts = judge.judge([episode.transcript for episode in episodes]) if episodes else []
    return [
        Judged(episode, verdict, rewards(episode.transcript, verdict, rule))
        for episode, verdict in zip(episodes, verdicts, strict=True)
    ]


def mean_approval(judged: Sequence[Judged]) -> float:
    """Mean of P(answer of side A) over valid verdicts; NaN if there are none."""
    valid = [j.verdict.mean for j in judged if j.verdict.valid]
    return sum(valid) / len(valid) if valid else float("nan")


def _in_order(by_shard: Mapping[int, Sequence[T]]) -> tuple[T, ...]:
    """Shards arrive as workers finish them; what is learned must not depend on that."""
    return tuple(item for index in sorted(by_shard) for item in by_shard[index])
