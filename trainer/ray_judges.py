"""Judges on Ray: actors that each hold a copy of the judge's model, and share what is asked of it.

A judge must not hold a run up. An actor that dies, or does not answer in time, is replaced and its prompts are asked
once more; prompts that nobody answers then are `Unscored`, so that their verdicts are INVALID and counted.
"""

import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError
from transformers.utils.logging import disable_progress_bar

from rewards.types import Unscored
from trainer import config, ray_cluster
from trainer.engines import EngineSetup, make_engine

START = 3600.0
"""Seconds that loading a judge's model may take."""

Scores = Sequence[tuple[float, ...] | Unscored]


class JudgeWorker:
    """One copy of a judge's model, in a process whose relative paths mean what they mean in `folder`."""

    def __init__(self, folder: str, model: str, setup: EngineSetup) -> None:
        ray_cluster.enter(folder)
        disable_progress_bar()
        self._engine = make_engine(model, setup)

    def choice_logprobs(self, prompts: Sequence[str], choices: Sequence[tuple[str, ...]]) -> list[tuple[float, ...]]:
        """As `rewards.types.Scorer` has it."""
        return self._engine.choice_logprobs(prompts, choices)


@dataclass(frozen=True, slots=True)
class _Batch:
    """What one actor is asked at a time."""

    prompts: Sequence[str]
    choices: Sequence[tuple[str, ...]]

    def part(self, index: int, parts: int) -> "_Batch":
        """The `index`-th of so many parts of nearly equal length."""
        cuts = [len(self.prompts) * i // parts for i in (index, index + 1)]
        return _Batch(self.prompts[slice(*cuts)], self.choices[slice(*cuts)])


class RayScorer:
    """A `Scorer` on `judge_workers` actors, in a placement group of their own for as long as the scorer is in use."""

    def __init__(self, model: str, setup: EngineSetup, cluster: config.Cluster) -> None:
        self._arguments = (os.getcwd(), model, setup)
        self._timeout = cluster.judge_timeout
        group = ray_cluster.place([ray_cluster.judge_bundle(cluster)] * cluster.judge_workers, cluster)
        self._places = [ray_cluster.actor_options(group, index) for index in range(cluster.judge_workers)]
        self.actors = [self._start(index) for index in range(cluster.judge_workers)]
        self._ready = [actor.__ray_ready__.remote() for actor in self.actors]
        weakref.finalize(self, ray_cluster.release, group)  # judges are not closed: they end with whoever uses them

    def choice_logprobs(self, prompts: Sequence[str], choices: Sequence[tuple[str, ...]]) -> Scores:
        """Log-probability (nats, summed over tokens) of each choice after its prompt, or why there is none."""
        whole, parts = _Batch(prompts, choices), min(len(self.actors), len(prompts))
        asked = {i: self._ask(i, whole.part(i, parts)) for i in range(parts)}
        answers = {i: self._answer(i, reply) for i, reply in asked.items()}
        again = {i: self._ask(i, whole.part(i, parts)) for i, answer in answers.items() if isinstance(answer, Unscored)}
        answers |= {i: self._answer(i, reply) for i, reply in again.items()}
        return [score for i in range(parts) for score in self._each(answers[i], whole.part(i, parts))]

    def _start(self, index: int) -> Any:
        return ray.remote(JudgeWorker).options(**self._places[index]).remote(*self._arguments)

    def _ask(self, index: int, batch: _Batch) -> Any:
        return self.actors[index].choice_logprobs.remote(batch.prompts, batch.choices)

    def _answer(self, index: int, reply: Any) -> Scores | Unscored:
        """The actor's answer; if there is none, why, and another actor takes its place."""
        try:
            ray.get(self._ready[index], timeout=START)
            answer: Scores = ray.get(reply, timeout=self._timeout)
            return answer
        except GetTimeoutError:
            why = f"the judge timed out: cluster.judge_timeout={self._timeout}"
        except RayActorError as error:
            why = f"the judge's process died: {str(error).strip().splitlines()[-1]}"
        ray.kill(self.actors[index])
        self.actors[index] = self._start(index)
        self._ready[index] = self.actors[index].__ray_ready__.remote()
        return Unscored(why)

    @staticmethod
    def _each(answer: Scores | Unscored, batch: _Batch) -> Scores:
        return [answer] * len(batch.prompts) if isinstance(answer, Unscored) else answer
