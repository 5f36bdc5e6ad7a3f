"""Rollouts on Ray: actors that each play whole debates on a shard.

A shard that is lost with its worker goes back to those that wait, and the run goes on with the workers that are left.
Ray restarts the lost one, on another node if need be; once it answers it plays again. It needs no help to find the
current policy: every shard comes with it.
"""

import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayActorError
from ray.util import get_current_placement_group
from ray.util.placement_group import PlacementGroup
from transformers.utils.logging import disable_progress_bar

from rostrum.trainer.cluster import cluster as ray_cluster
from rostrum.trainer.cluster.cluster import ClusterError
from rostrum.trainer.config import Cluster
from rostrum.trainer.engines import sleeping
from rostrum.trainer.engines.base import Completion, Engine, Sampling
from rostrum.trainer.engines.errors import EngineError, EngineLost, TransferError
from rostrum.trainer.rollouts.local import Outcome, PlaySetup, Shard, Worker
from rostrum.trainer.terminal import visible
from rostrum.trainer.types import Policy

RESTARTS = 3
"""How often Ray starts one worker again."""
PATIENCE = 600.0
"""Seconds to wait, when no worker is left, for one to come back."""


class RolloutError(RuntimeError):
    """No worker is left; the message says what to do."""


class RayWorker(Worker):
    """A `Worker` in a process of its own, whose relative paths mean what they mean in `folder`."""

    def __init__(self, setup: PlaySetup, folder: str) -> None:
        ray_cluster.enter(folder)
        disable_progress_bar()
        super().__init__(setup)

    def pid(self) -> int:
        """Return the process id, for logs and for tests that kill it; an answer shows that the worker is up."""
        return os.getpid()

    def play(self, shard: Shard, policies: Mapping[str, Policy]) -> list[Outcome]:
        """Return the shard's debates."""
        with _gone_with_its_engine():
            return super().play(shard, policies)

    def logprobs(self, rows: Sequence[Sequence[int]], policy: Policy) -> list[tuple[float, ...]]:
        """Return what the engine makes of these rows."""
        with _gone_with_its_engine():
            return super().logprobs(rows, policy)

    def sample(self, prompts: Sequence[Sequence[int]], sampling: Sampling, policy: Policy) -> list[Completion]:
        """Return what the engine samples after these prompts."""
        with _gone_with_its_engine():
            return super().sample(prompts, sampling, policy)

    def transfer(self, policy: Policy, step: str, payload: Any) -> None:
        """Do one step of the transfer of a policy's weights to its engine."""
        with _gone_with_its_engine():
            super().transfer(policy, step, payload)

    def sleep(self) -> None:
        """Give back the memory that this worker has on a GPU."""
        sleeping.all_sleep()

    def _engine(self, policy: Policy) -> Engine:
        if not Path(policy.path).is_dir():
            raise ClusterError(
                f"The node {socket.gethostname()} does not see {policy.path}: choose an output=FOLDER on a file system "
                "that all nodes share."
            )
        return super()._engine(policy)


@contextmanager
def _gone_with_its_engine() -> Iterator[None]:
    """End a worker that has lost its engine, so that Ray starts another and the shard is played again."""
    try:
        yield
    except EngineLost as lost:
        print(visible(str(lost)), file=sys.stderr, flush=True)
        os._exit(1)


class RayRolloutWorkers:
    """`rollout_workers` actors; each takes the next shard as soon as it is free."""

    def __init__(self, setup: PlaySetup, cluster: Cluster) -> None:
        self._own, places = _room(cluster)
        actor = ray.remote(max_restarts=RESTARTS, max_task_retries=0)(RayWorker)
        self.actors = [actor.options(**place).remote(setup, os.getcwd()) for place in places]
        if setup.engine.sleep:
            sleeping.register(self)
        self._up: list[Any] = list(self.actors)
        self._recovering: dict[Any, Any] = {}
        """Workers that failed, by the answer to the question whether they are back."""
        self._trouble = ""
        """What Ray last said about a worker that failed."""

    def play(self, shards: Sequence[Shard], policies: Mapping[str, Policy]) -> Iterator[tuple[Shard, list[Outcome]]]:
        """Yield each shard with its outcomes, exactly once, as workers finish them.

        Raises:
            RolloutError: no worker is left.
        """
        self._welcome(timeout=0)
        waiting, playing, idle = list(reversed(shards)), dict[Any, tuple[Any, Shard]](), list(self._up)
        finished: list[tuple[Shard, list[Outcome]]] = []
        while waiting or playing or finished:
            while waiting and idle:
                worker, shard = idle.pop(), waiting.pop()
                playing[worker.play.remote(shard, policies)] = (worker, shard)
            if finished:  # only now that every worker is busy: who takes the result may take its time over it
                yield finished.pop()
                continue
            idle += self._welcome(None if playing else PATIENCE, list(playing))
            for done in _ready(playing):
                worker, shard = playing.pop(done)
                outcomes = self._answer(worker, done)
                if outcomes is None:
                    waiting.append(shard)
                else:
                    idle.append(worker)
                    finished.append((shard, outcomes))

    def logprobs(self, rows: Sequence[Sequence[int]], policy: Policy) -> list[list[tuple[float, ...]]]:
        """Return the probe's log-probabilities from every worker that is up.

        Raises:
            RolloutError: no worker is left.
        """
        return self._of_all(lambda worker: worker.logprobs.remote(rows, policy))

    def sample(self, prompts: Sequence[Sequence[int]], sampling: Sampling, policy: Policy) -> list[Completion]:
        """Return what one of the workers that are up has sampled, while the others did as well.

        Raises:
            RolloutError: no worker is left.
        """
        sampled: list[list[Completion]] = self._of_all(lambda worker: worker.sample.remote(prompts, sampling, policy))
        return sampled[0]

    def receivers(self, policy: Policy) -> list[str]:
        """Return the engines of the workers that are up, in one order from step to step.

        Raises:
            RolloutError: no worker is left.
        """
        return self._of_all(lambda worker: worker.receiver.remote(policy))

    def transfer(self, policy: Policy, step: str, payload: Callable[[int], Any]) -> None:
        """Do one step in all of these engines at once.

        Raises:
            TransferError: it failed in one of them, or a worker died.
        """
        asked = [(worker, worker.transfer.remote(policy, step, payload(i))) for i, worker in enumerate(self._up)]
        try:
            for worker, reply in asked:
                self._answer(worker, reply)
        except EngineError as error:
            raise TransferError(str(error)) from error
        if len(self._up) < len(asked):
            raise TransferError(self._trouble)

    def let_go(self, policy: Policy) -> None:
        """End these engines. A worker that is gone is missed by whoever asks it next."""
        _wait([worker.let_go.remote(policy) for worker in self._up])

    def sleep(self) -> None:
        """Give back the memory that the workers have on GPUs."""
        _wait([worker.sleep.remote() for worker in self._up])

    def close(self) -> None:
        """Drop the actors; Ray itself stays up for the next run of this process."""
        sleeping.unregister(self)
        for worker in self.actors:
            ray.kill(worker)
        if self._own is not None:
            ray_cluster.release(self._own)

    def _of_all(self, ask: Callable[[Any], Any]) -> list[Any]:
        """Return the answers of the workers that are up; where none is, of the first that come back."""
        self._welcome(timeout=0)
        while True:
            asked = [(worker, ask(worker)) for worker in self._up]
            answers = [answer for worker, reply in asked if (answer := self._answer(worker, reply)) is not None]
            if answers:
                return answers
            self._welcome(PATIENCE)

    def _answer(self, worker: Any, reply: Any) -> Any:
        """Return what the worker answered; None if it is gone, and then ask it to say when it is back."""
        try:
            return ray.get(reply)
        except RayActorError as error:
            self._trouble = str(error).strip().splitlines()[-1]
            self._up.remove(worker)
            self._ask(worker)
            return None

    def _ask(self, worker: Any) -> None:
        self._recovering[worker.pid.options(max_task_retries=-1).remote()] = worker

    def _welcome(self, timeout: float | None, others: Sequence[Any] = ()) -> list[Any]:
        """Wait for one of the recovering workers or of the other replies; return the workers that have come back.

        Raises:
            RolloutError: the time is up, or no worker is left that could come back.
        """
        if not self._up and not self._recovering:
            raise self._nobody_left()
        pending = [*others, *self._recovering]
        ready = ray.wait(pending, num_returns=1, timeout=timeout)[0] if pending else []
        if not ready and timeout:
            raise self._nobody_left()
        back = []
        for answer in _ready(self._recovering):
            worker = self._recovering.pop(answer)
            try:
                ray.get(answer)
            except ActorUnavailableError:
                self._ask(worker)
            except RayActorError:  # dead for good: it is not asked again
                continue
            else:
                back.append(worker)
        self._up += back
        return back

    def _nobody_left(self) -> RolloutError:
        return RolloutError(
            f"No rollout worker is left: each was started {RESTARTS + 1} times, failed to start or found no node. Look "
            "for memory pressure or failing nodes in Ray's logs, then continue with `rostrum train resume=RUN`. "
            f"({self._trouble})"
        )


def _wait(replies: Sequence[Any]) -> None:
    """Wait until all have been answered or cannot be."""
    if replies:
        ray.wait(list(replies), num_returns=len(replies))


def _ready(replies: Mapping[Any, Any]) -> list[Any]:
    return ray.wait(list(replies), num_returns=len(replies), timeout=0)[0] if replies else []


def _room(cluster: Cluster) -> tuple[PlacementGroup | None, list[dict[str, Any]]]:
    """Return where the workers go: beside learners on Ray, else into a placement group of their own, which is returned
    too."""
    around = get_current_placement_group() if cluster.learners else None
    first = around.bundle_count - cluster.rollout_workers if around else 0
    group = around or ray_cluster.place([ray_cluster.rollout_bundle(cluster)] * cluster.rollout_workers, cluster)
    options = [ray_cluster.actor_options(group, first + i) for i in range(cluster.rollout_workers)]
    return None if around else group, options
