"""Learning on Ray with a group of ranks for each policy, as DeepSpeed needs it: a process holds one of its engines.

One more actor runs the loop: it plays, judges and records, and asks the groups to learn (`learners/remote_learner.py`).
It shares the bundle, and with it the GPU, of the first group's first rank, which waits while it plays. Whoever of them
is lost, all start again, and the loop resumes from the newest whole checkpoint.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.placement_group import PlacementGroup

from rostrum.trainer.cluster import cluster as ray_cluster
from rostrum.trainer.cluster import learners
from rostrum.trainer.config import Config

Loop = Callable[[Config, Mapping[str, "Group"]], None]
"""Runs the loop, given the ranks of each policy."""
Prepare = Callable[[], None]
"""Called in each rank before torch is imported."""


class GroupRank(learners.Learner):
    """One rank of a policy's group. It holds a learner and does with it what it is told."""

    def __init__(self, rank: int, policy: str) -> None:
        super().__init__(rank)
        self._policy = policy
        self._learner: Any = None

    def __repr__(self) -> str:
        return f"learner {self._rank} of {self._policy}"

    def enter(self, ranks: Mapping[str, str], folder: str, prepare: Prepare) -> None:
        """Join its group as this rank. `folder` is where the run was started.

        Raises:
            ClusterError: the folder is not on this node.
        """
        os.environ.update(ranks, RANK=str(self._rank))
        ray_cluster.enter(folder)
        prepare()

    def make(self, maker: Callable[[Any, int, int], Any], setup: Any) -> None:
        """Make the learner, with what makes one from its setup, its rank and the number of ranks."""
        self._learner = maker(setup, self._rank, int(os.environ["WORLD_SIZE"]))

    def call(self, method: str, *arguments: Any) -> Any:
        """Return what a method of the learner returns."""
        return getattr(self._learner, method)(*arguments)


class LoopActor:
    """The process that plays, judges and records."""

    def __repr__(self) -> str:
        return "loop"

    def run(self, settings: Config, groups: Mapping[str, "Group"], folder: str, loop: Loop) -> None:
        """Run the loop from start to end.

        Raises:
            Lost: a rank of a group is gone.
            ClusterError: the folder is not on this node.
        """
        ray_cluster.enter(folder)
        loop(settings, groups)


class Group:
    """The ranks that learn one policy together, asked from another process."""

    def __init__(self, ranks: Sequence[Any]) -> None:
        self._ranks = tuple(ranks)

    def make(self, maker: Callable[[Any, int, int], Any], setup: Any) -> Callable[[], Any]:
        """Begin to make the learner on all ranks; return what waits until it is made."""
        return self._answer([rank.make.remote(maker, setup) for rank in self._ranks])

    def ask(self, method: str, *arguments: Any) -> Callable[[], Any]:
        """Begin a method of the learner on all ranks; return what waits for its end and returns the first one's answer.

        What waits raises what a rank has raised, or `Lost` where a rank is gone.
        """
        sent = [ray.put(argument) for argument in arguments]
        return self._answer([rank.call.remote(method, *sent) for rank in self._ranks])

    @staticmethod
    def _answer(replies: Sequence[Any]) -> Callable[[], Any]:
        def wait() -> Any:
            try:
                learners.watch(replies)
                return ray.get(replies[0])
            except RayTaskError as error:
                if isinstance(error.cause, Exception):
                    raise error.cause from error
                raise
            except RayError as error:
                raise learners.Lost(learners.why(error)) from error

        return wait


def train(settings: Config, loop: Loop, prepare: Prepare) -> None:
    """Train with `cluster.learners` ranks for each policy, and `loop` in a process of its own.

    Raises:
        LearnerError: learners were lost too often.
        ClusterError: the cluster has no room for them.
    """

    def start(group: PlacementGroup, actors: list[Any]) -> list[Any]:
        each, groups, entered = settings.cluster.learners, dict[str, Group](), []
        for number, policy in enumerate(settings.policies):
            ranks: list[Any] = []
            for rank in range(each):
                bundle = number * each + rank
                options = ray_cluster.actor_options(group, bundle, shared=bundle == 0)
                ranks.append(ray.remote(GroupRank).options(**options).remote(rank, policy))
                actors.append(ranks[-1])
            together = learners.ranks_of(ranks)
            entered += [rank.enter.remote(together, os.getcwd(), prepare) for rank in ranks]
            groups[policy] = Group(ranks)
        learners.watch(entered)
        asking = ray.remote(LoopActor).options(**ray_cluster.actor_options(group, 0, shared=True)).remote()
        actors.append(asking)
        return [asking.run.remote(settings, groups, os.getcwd(), loop)]

    learners.with_restarts(settings, start)
