"""Rollouts on Ray: actors that each play whole debates on a shard.

A worker that dies is restarted by Ray and the shard that it held is sent again. The restarted worker needs no help to
find the current policy: every shard comes with it.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ray

from trainer.rollouts import Outcome, PlaySetup, Shard, Worker
from trainer.types import Policy

RESTARTS = 3
"""How often one worker may die before the run gives up."""


class RolloutError(RuntimeError):
    """Workers kept dying; the message says what to do."""


class RayWorker(Worker):
    """A `Worker` that can say which process it is."""

    def pid(self) -> int:
        """The process id, for logs and for tests that kill it."""
        return os.getpid()


class RayRollouts:
    """`workers` actors; each takes the next shard as soon as it is free."""

    def __init__(self, setup: PlaySetup, workers: int, address: str | None = None, gpus_per_worker: float = 0) -> None:
        if not ray.is_initialized():
            ray.init(
                address=address or "local",  # without it Ray would join whatever cluster runs on this machine
                include_dashboard=False,
                log_to_driver=False,
                num_cpus=None if address else max(workers, os.cpu_count() or 1),
            )
        actor = ray.remote(num_cpus=1, num_gpus=gpus_per_worker, max_restarts=RESTARTS, max_task_retries=RESTARTS)
        self.actors = [actor(RayWorker).remote(setup) for _ in range(workers)]

    def play(self, shards: Sequence[Shard], policies: Mapping[str, Policy]) -> Iterator[tuple[Shard, list[Outcome]]]:
        """Each shard with its outcomes, as workers finish them.

        Raises:
            RolloutError: a worker died more often than `RESTARTS`.
        """
        waiting, playing = list(reversed(shards)), {}
        idle = list(self.actors)
        finished: list[tuple[Shard, Any]] = []
        while waiting or playing or finished:
            while waiting and idle:
                worker, shard = idle.pop(), waiting.pop()
                playing[worker.play.remote(shard, policies)] = (worker, shard)
            if finished:  # only now that every worker is busy: who takes the result may take its time over it
                shard, done = finished.pop()
                yield shard, _get(done)
                continue
            (done,), _ = ray.wait(list(playing), num_returns=1)
            worker, shard = playing.pop(done)
            idle.append(worker)
            finished.append((shard, done))

    def logprobs(self, rows: Sequence[Sequence[int]], policy: Policy) -> list[list[tuple[float, ...]]]:
        """The probe's log-probabilities from every worker."""
        return [_get(reply) for reply in [worker.logprobs.remote(rows, policy) for worker in self.actors]]

    def close(self) -> None:
        """Lets the actors go; Ray itself stays up for the next run of this process."""
        for worker in self.actors:
            ray.kill(worker)


def _get(reply):  # noqa: ANN001, ANN202
    try:
        return ray.get(reply)
    except ray.exceptions.RayActorError as error:
        raise RolloutError(
            f"A rollout worker died {RESTARTS + 1} times; look for memory pressure in Ray's logs, then "
            f"continue with `rostrum train resume=RUN`. ({type(error).__name__})"
        ) from error
