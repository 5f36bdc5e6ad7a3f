"""One iteration: questions -> play -> judge -> reward -> trajectories.

This is what every algorithm learns from. `collect` is given the policies as they were published; what comes after, the
update, is the learners'.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from rostrum.envs.types import Failure
from rostrum.rewards.reward import RewardRule, rewards
from rostrum.rewards.types import Judge
from rostrum.trainer.rollouts.arena import Plan, in_order, in_shards, verdicts_on
from rostrum.trainer.rollouts.local import PlayedShard, RolloutWorkers
from rostrum.trainer.types import Batch, Judged, Matchup, Policy, Rollout

T = TypeVar("T")
Progress = Callable[[int, float], None]
"""Called with the number of debates just finished and the mean judge approval of the first side among them."""


def collect(
    iteration: int,
    matchups: Sequence[Matchup],
    policies: Mapping[str, Policy],
    workers: RolloutWorkers,
    judge: Judge,
    rule: RewardRule,
    shard_size: int,
    seed: int,
    progress: Progress = lambda done, approval: None,
    opponents: Sequence[Policy] = (),
) -> Batch:
    """Play the matchups with the published policies, and whom they meet, have them judged, and pay the sides."""
    start = time.monotonic()
    judged: dict[int, list[Judged]] = {}
    failures: dict[int, list[Failure]] = {}
    looked_up = found = 0
    judging = 0.0
    for shard, outcomes in in_shards(workers, Plan(matchups, (*policies.values(), *opponents), shard_size, seed)):
        finished = [outcome for outcome in outcomes if isinstance(outcome, Rollout)]
        asked = time.monotonic()
        judged[shard.index] = judge_rollouts(finished, judge, rule)
        judging += time.monotonic() - asked
        failures[shard.index] = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        if isinstance(outcomes, PlayedShard):
            looked_up, found = looked_up + outcomes.prompt_tokens, found + outcomes.cache_hit_tokens
        progress(len(outcomes), mean_approval(judged[shard.index]))
    seconds = time.monotonic() - start
    return Batch(iteration, policies, _together(judged), _together(failures), seconds, judging, looked_up, found)


def _together(by_shard: Mapping[int, Sequence[T]]) -> tuple[T, ...]:
    return tuple(item for shard in in_order(by_shard) for item in shard)


def judge_rollouts(finished_rollouts: Sequence[Rollout], judge: Judge, rule: RewardRule) -> list[Judged]:
    """Return the verdict on each rollout and what its sides earned."""
    verdicts = verdicts_on(judge, [rollout.transcript for rollout in finished_rollouts])
    return [
        Judged(rollout, verdict, rewards(rollout.transcript, verdict, rule))
        for rollout, verdict in zip(finished_rollouts, verdicts, strict=True)
    ]


def mean_approval(judged: Sequence[Judged]) -> float:
    """Return the mean of P(answer of side A) over valid verdicts; NaN if there are none."""
    valid = [j.verdict.mean for j in judged if j.verdict.valid]
    return sum(valid) / len(valid) if valid else float("nan")
