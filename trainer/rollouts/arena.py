"""Where policies meet: whoever lets debates be played, for training or for measuring, does it here.

A plan says which matchups are played, by whom and under which seed; its shards are played wherever the workers are
and come back in the order of the plan, whichever was finished first.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rostrum.envs.types import Failure, Transcript
from rostrum.rewards.types import Judge, Verdict
from rostrum.trainer.progress import activity
from rostrum.trainer.rollouts.local import Outcome, RolloutWorkers, Shard
from rostrum.trainer.rollouts.schedule import shards_of
from rostrum.trainer.types import Matchup, Policy

T = TypeVar("T")
NOT_PLAYED = "the debate failed: "
"""How the reason begins for an INVALID verdict on a debate that could not be played."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Debates to be played: the matchups, the policies that they name, and what the seeds of their shards derive from.

    The shard's size is a part of it: debates of one shard are sampled together.
    """

    matchups: Sequence[Matchup]
    policies: Sequence[Policy]
    shard_size: int
    seed: int


@dataclass(frozen=True, slots=True)
class Played:
    """What became of a plan's matchups, in their order: a finished debate, or why it could not be finished."""

    outcomes: Sequence[Transcript | Failure]

    @property
    def finished(self) -> list[Transcript]:
        """Return the debates."""
        return [outcome for outcome in self.outcomes if isinstance(outcome, Transcript)]

    @property
    def failures(self) -> list[Failure]:
        """Return what could not be finished."""
        return [outcome for outcome in self.outcomes if isinstance(outcome, Failure)]


def in_shards(workers: RolloutWorkers, plan: Plan) -> Iterator[tuple[Shard, list[Outcome]]]:
    """Return the plan's shards as they come back from being played; `in_order` puts what was made of them in order."""
    shards = shards_of(plan.matchups, plan.shard_size, plan.seed)
    return workers.play(shards, {policy.name: policy for policy in plan.policies})


def in_order(found: Mapping[int, T]) -> list[T]:
    """Return what was made of shards, by their index, in the order of the plan: which came first must not count."""
    return [found[index] for index in sorted(found)]


def play(workers: RolloutWorkers, plan: Plan, title: str) -> Played:
    """Play debates for measuring, with a bar of this title."""
    found: dict[int, list[Transcript | Failure]] = {}
    with activity(title, len(plan.matchups), "debates", after=0) as bar:
        for shard, outcomes in in_shards(workers, plan):
            found[shard.index] = [each if isinstance(each, Failure) else each.transcript for each in outcomes]
            bar.advance(len(outcomes))
    return Played([outcome for shard in in_order(found) for outcome in shard])


def verdicts_on(judge: Judge, outcomes: Sequence[Transcript | Failure]) -> list[Verdict]:
    """Return a judge's verdict on each outcome, in their order; one that could not be played is INVALID."""
    debates = [outcome for outcome in outcomes if isinstance(outcome, Transcript)]
    given = iter(judge.judge(debates) if debates else [])
    return [not_played(judge, one) if isinstance(one, Failure) else next(given) for one in outcomes]


def not_played(judge: Judge, failure: Failure) -> Verdict:
    """Return what a judge makes of a debate that could not be played."""
    return Verdict(judge.name, None, None, valid=False, reason=f"{NOT_PLAYED}{failure.reason}")
