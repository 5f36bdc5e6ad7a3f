"""One iteration: questions -> play -> judge -> reward -> trajectories.

This is what every algorithm runs on. PPO pulls it (TRL's trainer asks for rows when it needs them), DPO is pushed by
it; what comes after, the update, is theirs. So is publishing the weights that play: `collect` is given the policy.
"""

import time
from collections.abc import Callable, Mapping, Sequence

from rostrum.envs.types import Failure
from rostrum.rewards.reward import RewardRule, rewards
from rostrum.rewards.types import Judge
from rostrum.trainer.rollouts.arena import Plan, in_shards, verdicts_on
from rostrum.trainer.rollouts.local import Outcome, RolloutWorkers
from rostrum.trainer.types import Batch, Judged, Matchup, Policy, Rollout

Progress = Callable[[int, float], None]
"""Called with the number of debates just finished and the mean judge approval of the first side among them."""


def collect(
    iteration: int,
    matchups: Sequence[Matchup],
    policies: Mapping[str, Policy],
    rollouts: RolloutWorkers,
    judge: Judge,
    rule: RewardRule,
    shard_size: int,
    seed: int,
    progress: Progress = lambda done, approval: None,
    opponents: Sequence[Policy] = (),
) -> Batch:
    """Play the matchups with the published policies, and whom they meet, have them judged, and pay the sides."""
    start = time.monotonic()

    def judged(outcomes: Sequence[Outcome]) -> tuple[list[Judged], list[Failure]]:
        found = judge_rollouts([outcome for outcome in outcomes if isinstance(outcome, Rollout)], judge, rule)
        progress(len(outcomes), mean_approval(found))
        return found, [outcome for outcome in outcomes if isinstance(outcome, Failure)]

    shards = in_shards(rollouts, Plan(matchups, (*policies.values(), *opponents), shard_size, seed), judged)
    finished = tuple(one for found, _ in shards for one in found)
    failures = tuple(failure for _, failed in shards for failure in failed)
    return Batch(iteration, policies, finished, failures, seconds=time.monotonic() - start)


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
