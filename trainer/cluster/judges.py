"""Judges on Ray: actors that each hold a copy of the judge's model, and share what is asked of it.

A judge must not hold a run up. An actor that dies, or does not answer in time, is replaced and its prompts are asked
once more; prompts that nobody answers then are `Unscored`, so that their verdicts are INVALID and counted.
"""

import os
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError

from rostrum.rewards.types import Unscored, Usage, Writing
from rostrum.trainer import config
from rostrum.trainer.cluster import cluster as ray_cluster
from rostrum.trainer.engines import EngineSettings, make_classifier, make_engine, sleeping

START = 3600.0
"""Seconds that loading a judge's model may take."""


class JudgeWorker:
    """One copy of a judge's model, in a process whose relative paths mean what they mean in `folder`."""

    def __init__(
        self, folder: str, make: Callable[[str, EngineSettings], Any], model: str, setup: EngineSettings
    ) -> None:
        from transformers.utils.logging import disable_progress_bar

        ray_cluster.enter(folder)
        disable_progress_bar()
        self._model = make(model, setup)

    def answer(self, batch: "_Batch") -> tuple[Sequence[Any], Usage]:
        """Return what the model answers to each prompt of the batch, and what that has cost."""
        before = self._model.usage
        answers = getattr(self._model, batch.method)(*batch.columns, *batch.rest)
        return answers, self._model.usage - before

    def sleep(self) -> None:
        """Give back the memory that this copy has on a GPU."""
        sleeping.all_sleep()


@dataclass(frozen=True, slots=True)
class _Batch:
    """What one actor is asked at a time: a method of the model, what it takes for each prompt, and what for all."""

    method: str
    columns: tuple[Sequence[Any], ...]
    rest: tuple[Any, ...] = ()

    def __len__(self) -> int:
        return len(self.columns[0])

    def part(self, index: int, parts: int) -> "_Batch":
        """Return the `index`-th of so many parts of nearly equal length."""
        start, end = (len(self) * i // parts for i in (index, index + 1))
        return _Batch(self.method, tuple(column[start:end] for column in self.columns), self.rest)


class RayModel:
    """A judge's model on `judge_workers` actors, in a placement group of their own for as long as it is in use.

    `make` loads a copy of the model in each of them.
    """

    def __init__(
        self, make: Callable[[str, EngineSettings], Any], model: str, setup: EngineSettings, cluster: config.Cluster
    ) -> None:
        self._arguments = (os.getcwd(), make, model, setup)
        self._timeout = cluster.judge_timeout
        self.usage = Usage()
        group = ray_cluster.place([ray_cluster.judge_bundle(cluster)] * cluster.judge_workers, cluster)
        self._places = [ray_cluster.actor_options(group, index) for index in range(cluster.judge_workers)]
        self.actors = [self._start(index) for index in range(cluster.judge_workers)]
        self._ready = [actor.__ray_ready__.remote() for actor in self.actors]
        if setup.sleep:
            sleeping.register(self)
        weakref.finalize(self, ray_cluster.release, group)  # judges are not closed: they end with whoever uses them

    def sleep(self) -> None:
        """Give back the memory that the copies have on GPUs. One that is gone is missed when it is next asked."""
        ray.wait([actor.sleep.remote() for actor in self.actors], num_returns=len(self.actors), timeout=self._timeout)

    def _answers(self, whole: _Batch) -> list[Any]:
        parts = min(len(self.actors), len(whole))
        asked = {i: self._ask(i, whole.part(i, parts)) for i in range(parts)}
        answers = {i: self._answer(i, reply) for i, reply in asked.items()}
        again = {i: self._ask(i, whole.part(i, parts)) for i, answer in answers.items() if isinstance(answer, Unscored)}
        answers |= {i: self._answer(i, reply) for i, reply in again.items()}
        return [score for i in range(parts) for score in self._each(answers[i], whole.part(i, parts))]

    def _start(self, index: int) -> Any:
        return ray.remote(JudgeWorker).options(**self._places[index]).remote(*self._arguments)

    def _ask(self, index: int, batch: _Batch) -> Any:
        return self.actors[index].answer.remote(batch)

    def _answer(self, index: int, reply: Any) -> Sequence[Any] | Unscored:
        """Return the actor's answer; if there is none, return why, and put another actor in its place."""
        try:
            ray.get(self._ready[index], timeout=START)
            answers: Sequence[Any]
            answers, usage = ray.get(reply, timeout=self._timeout)
            self.usage += usage
            return answers
        except GetTimeoutError:
            why = f"the judge timed out: cluster.judge_timeout={self._timeout}"
        except RayActorError as error:
            why = f"the judge's process died: {str(error).strip().splitlines()[-1]}"
        ray.kill(self.actors[index])
        self.actors[index] = self._start(index)
        self._ready[index] = self.actors[index].__ray_ready__.remote()
        return Unscored(why)

    @staticmethod
    def _each(answer: Sequence[Any] | Unscored, batch: _Batch) -> Sequence[Any]:
        return [answer] * len(batch) if isinstance(answer, Unscored) else answer


class RayScorer(RayModel):
    """A `Scorer` on Ray."""

    def __init__(self, model: str, setup: EngineSettings, cluster: config.Cluster) -> None:
        super().__init__(make_engine, model, setup, cluster)

    def choice_logprobs(
        self, prompts: Sequence[str], choices: Sequence[tuple[str, ...]]
    ) -> list[tuple[float, ...] | Unscored]:
        """Return the log-probability (nats, summed over tokens) of each choice after its prompt, or why there is
        none."""
        return self._answers(_Batch("choice_logprobs", (prompts, choices)))

    def write(self, prompts: Sequence[str], writing: Writing) -> list[str | Unscored]:
        """Return a text for each prompt, or why there is none."""
        return self._answers(_Batch("write", (prompts,), (writing,)))


class RayClassifier(RayModel):
    """A `Classifier` on Ray."""

    def __init__(self, model: str, setup: EngineSettings, cluster: config.Cluster) -> None:
        from rostrum.trainer.models import loading

        super().__init__(make_classifier, model, setup, cluster)
        self.outputs = loading.head_outputs(model)

    def logits(self, prompts: Sequence[str]) -> list[tuple[float, ...] | Unscored]:
        """Return the head's outputs for each prompt, or why there are none."""
        return self._answers(_Batch("logits", (prompts,)))
