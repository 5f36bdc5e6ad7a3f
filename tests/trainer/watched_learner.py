"""A learner that tells what it was given, waits for what is done meanwhile, and can be cut off."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch

from rostrum.trainer.algorithms import ppo
from rostrum.trainer.learners.clipped_surrogate import Batch
from rostrum.trainer.learners.policy_gradient import PolicyGradient
from rostrum.trainer.store.run_folder import RunFolder, read_lines
from rostrum.trainer.types import Policy, Trajectory

DEBATES = 8
"""Of an iteration."""


class Cut(BaseException):
    """Nothing in the program may catch this."""


class Watched(PolicyGradient):
    """Keeps what every update was given, and can be told to wait for the next batch, or to be cut off."""

    seen: ClassVar[list[tuple[Policy, Sequence[Trajectory], list[tuple[float, ...]]]]] = []
    weighed: ClassVar[list[tuple[torch.Tensor, Batch]]] = []
    """The advantages before tokens are weighed, and the batch that is learned from."""
    awaited: ClassVar[int] = 0
    """How many debates of the next batch must have been judged before an update begins."""
    cut_at: ClassVar[int] = 0
    """The iteration in which the run is cut off."""

    def update(self, rows: Sequence[Trajectory], policy: Policy) -> dict[str, float]:
        tokens = [[*of.row.prompt, *of.row.completion] for of in rows]
        self.seen.append((policy, rows, self.logprobs(tokens)))
        config, iteration = self._setup.config, policy.version + 1
        if iteration < config.iterations:
            self._wait(RunFolder(config.output).judging / "training.jsonl")
        if iteration == self.cut_at:
            raise Cut
        return super().update(rows, policy)

    def _credit(self, batch: Batch, *arguments: Any) -> None:
        super()._credit(batch, *arguments)
        self.weighed.append((batch["advantages"].clone(), batch))

    def _wait(self, verdicts: Path) -> None:
        deadline = time.monotonic() + 120
        while self.awaited and len(read_lines(verdicts)) < DEBATES + self.awaited:
            assert time.monotonic() < deadline, "the next batch is not played"
            time.sleep(0.01)


class WatchedSettings(ppo.Settings):
    """PPO that is learned so."""

    learner = "tests.trainer.watched_learner:Watched"
