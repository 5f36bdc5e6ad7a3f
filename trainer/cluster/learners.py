"""Learning on Ray: one actor per rank, all of which do the very same work.

A rank that is lost takes its process group with it, so all actors are started again; training then resumes by itself
from the newest whole checkpoint. torch is imported by the actors only once their environment says which rank they are.
"""

import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.util.placement_group import PlacementGroup

from rostrum.trainer.cluster import cluster as ray_cluster
from rostrum.trainer.config import Config
from rostrum.trainer.progress import say

Work = Callable[[Config], None]
"""What one rank does. It imports torch itself: only then does the environment say which rank it is."""
Start = Callable[[PlacementGroup, list[Any]], list[Any]]
"""Starts actors in reserved room; adds each to the list, so that it ends however this goes; returns what they do."""
RESTARTS = 3
"""How often learners may be lost before the run gives up."""
GRACE = 45.0
"""Seconds in which Ray notices that an actor or its node is gone."""


class LearnerError(RuntimeError):
    """Learners kept dying; the message says what to do."""


class Lost(Exception):
    """A learner is gone; the run can go on from its last checkpoint."""


class Learner:
    """One rank."""

    def __init__(self, rank: int) -> None:
        self._rank = rank

    def __repr__(self) -> str:
        return f"learner {self._rank}"

    def address(self) -> tuple[str, int]:
        """Return where the other ranks meet this one: address and a free port."""
        with socket.socket() as free:
            free.bind(("", 0))
            return ray.util.get_node_ip_address(), int(free.getsockname()[1])

    def pid(self) -> int:
        """Return the process id, for logs and for tests that kill it."""
        return os.getpid()

    def train(self, settings: Config, ranks: dict[str, str], folder: str, work: Work) -> None:
        """Train as this rank. `folder` is where the run was started: relative paths mean the same here.

        Raises:
            ClusterError: the folder is not on this node.
        """
        os.environ.update(ranks, RANK=str(self._rank))
        ray_cluster.enter(folder)
        work(settings)


def train(settings: Config, work: Work) -> None:
    """Train on `cluster.learners` actors, with `work` in each of their processes.

    Raises:
        LearnerError: learners were lost more than `RESTARTS` times.
        ClusterError: the cluster has no room for them.
    """

    def start(group: PlacementGroup, actors: list[Any]) -> list[Any]:
        for rank in range(settings.cluster.learners):
            actors.append(ray.remote(Learner).options(**ray_cluster.actor_options(group, rank)).remote(rank))
        ranks = ranks_of(actors)
        return [actor.train.remote(settings, ranks, os.getcwd(), work) for actor in actors]

    with_restarts(settings, start)


def with_restarts(settings: Config, start: Start) -> None:
    """Run to the end what `start` starts, and start all of it again where a learner is lost.

    Raises:
        LearnerError: learners were lost more than `RESTARTS` times.
        ClusterError: the cluster has no room for them.
    """
    ray_cluster.connect(settings, log_to_driver=True)
    for left in reversed(range(RESTARTS + 1)):
        try:
            return _attempt(settings, start)
        except Lost as lost:
            reason = str(lost)
            if left:
                say(f"a learner was lost ({reason}); starting again from the last checkpoint")
    raise LearnerError(
        f"Learners were lost {RESTARTS + 1} times ({reason}): look for memory pressure or failing nodes in Ray's logs, "
        f"then continue with `rostrum train resume={settings.output}`."
    )


def _attempt(settings: Config, start: Start) -> None:
    """Run all ranks from start to end; none of them is left behind, however it ends."""
    cluster = settings.cluster
    learners = [ray_cluster.learner_bundle(cluster)] * (cluster.learners * settings.groups)
    workers = [ray_cluster.rollout_bundle(cluster)] * cluster.rollout_workers
    group = ray_cluster.place([*learners, *workers], cluster)
    actors: list[Any] = []
    running: list[Any] = []
    try:
        running += start(group, actors)
        watch(running)
    except RayTaskError as error:
        if isinstance(error.cause, Lost):
            raise error.cause from error
        raise
    except RayError as error:
        raise Lost(why(error)) from error
    finally:
        for actor in actors:
            ray.kill(actor)
        ray.wait(running, num_returns=len(running), timeout=GRACE) if running else None  # nobody writes any more
        ray_cluster.release(group)


def ranks_of(actors: Sequence[Any]) -> dict[str, str]:
    """Return what torch.distributed reads from the environment; the rank itself is the actor's own to add."""
    host, port = ray.get(actors[0].address.remote())
    return {
        "MASTER_ADDR": host,
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(len(actors)),
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "1",
    }


def watch(running: Sequence[Any]) -> None:
    """Wait until all are finished, or the first fails."""
    left = list(running)
    while left:
        (done,), left = ray.wait(left, num_returns=1)
        try:
            ray.get(done)
        except RayTaskError as error:
            if _names_a_peer(error):
                _raise_a_death(left)
            raise


def _names_a_peer(error: RayTaskError) -> bool:
    """Return whether this may be what gloo or NCCL raise in a rank whose peer is gone."""
    from torch.distributed import DistError

    return type(error.cause) is RuntimeError or isinstance(error.cause, DistError)


def _raise_a_death(left: Sequence[Any]) -> None:
    """Raise the death of an actor, which Ray notices some time after the peers of the dead do."""
    while left:
        done, left = ray.wait(list(left), num_returns=1, timeout=GRACE)
        if not done:
            return
        try:
            ray.get(done)
        except RayTaskError:
            continue


def why(error: RayError) -> str:
    """Return in words how a learner was lost."""
    if isinstance(error, RayActorError):
        return "its process or node is gone"
    return " ".join(str(error).split())[:200]
