"""One iteration: questions -> play -> judge -> reward -> trajectories.

This is what every algorithm learns from. `collect` is given the policies as they were published; what comes after, the
update, is the learners'.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TypeVar

from rostrum.envs.types import Failure
from rostrum.rewards.reward import RewardRule, rewards
from rostrum.rewards.types import Judge
from rostrum.trainer.rollouts.arena import Plan, in_order, in_shards, verdicts_on
from rostrum.trainer.rollouts.beside import JudgedInThread, PlayedInThread, Waiting
from rostrum.trainer.rollouts.local import Outcome, PlayedShard, RolloutWorkers, Shard
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
    waiting: Waiting = None,
) -> Batch:
    """Play the matchups with the published policies, and whom they meet, have them judged, and pay the sides.

    Shards are judged while others are played where players or judge are in `waiting` for other processes. What comes
    of it is the same.
    """
    start = time.monotonic()
    made = _Made(judge, rule, progress)
    shards = in_shards(workers, Plan(matchups, (*policies.values(), *opponents), shard_size, seed))
    with ExitStack() as stack:
        asked = stack.enter_context(PlayedInThread(shards)) if waiting == "players" else None
        take = stack.enter_context(JudgedInThread(made.take)) if waiting == "judge" else made.take
        for played in asked or shards:
            take(played)
        playing = time.monotonic() - start
    if asked is not None:
        playing = asked.seconds
    elif waiting is None:
        playing -= made.judging
    seconds = time.monotonic() - start
    judged, failures = _together(made.judged), _together(made.failures)
    return Batch(
        iteration, policies, judged, failures, seconds, playing, made.judging, made.prompt_tokens, made.cache_hits
    )


class _Made:
    """What was made of shards so far, in whichever order they came."""

    def __init__(self, judge: Judge, rule: RewardRule, progress: Progress) -> None:
        self._judge, self._rule, self._progress = judge, rule, progress
        self.judged: dict[int, list[Judged]] = {}
        self.failures: dict[int, list[Failure]] = {}
        self.judging = 0.0
        self.prompt_tokens = self.cache_hits = 0

    def take(self, played: tuple[Shard, list[Outcome]]) -> None:
        """Have a shard's debates judged, and pay the sides."""
        (shard, outcomes), asked = played, time.monotonic()
        finished = [outcome for outcome in outcomes if isinstance(outcome, Rollout)]
        judged = self.judged[shard.index] = judge_rollouts(finished, self._judge, self._rule)
        self.judging += time.monotonic() - asked
        self.failures[shard.index] = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        if isinstance(outcomes, PlayedShard):
            self.prompt_tokens += outcomes.prompt_tokens
            self.cache_hits += outcomes.cache_hit_tokens
        self._progress(len(outcomes), mean_approval(judged))


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
