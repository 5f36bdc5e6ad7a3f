"""How much the learner loses against a bare forward, backward and optimizer step on the very same batches."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import Measurement, clock, rates, ratios, seconds
from rostrum.trainer import setup
from rostrum.trainer.algorithms.settings import PolicyGradientSettings
from rostrum.trainer.config import Config
from rostrum.trainer.learners.clipped_surrogate import Batch, ClippedSurrogate
from rostrum.trainer.learners.learner import LearnerSetup
from rostrum.trainer.learners.policy_gradient import PolicyGradient
from rostrum.trainer.models import loading
from rostrum.trainer.types import Policy, Trajectory
from rostrum.trainer.weights.publish import probe_rows

TARGET = 0.7
"""Least share of the bare speed that the optimizer steps should reach."""
_SECTION = "learner"


class TimedSurrogate(ClippedSurrogate):
    """TRL's loss as it is, noting what passes through the model."""

    def __init__(self, *args: Any) -> None:
        self.forget()
        super().__init__(*args)

    def forget(self) -> None:
        """Begin an iteration anew."""
        self.batches: list[Batch] = []
        self.rows_read_only = 0

    def _get_per_token_logps_and_entropies(self, model: Any, input_ids: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            self.rows_read_only += len(input_ids)
        return super()._get_per_token_logps_and_entropies(model, input_ids, *args, **kwargs)

    def _compute_loss(self, model: torch.nn.Module, inputs: Batch) -> torch.Tensor:
        self.batches.append(inputs)
        return super()._compute_loss(model, inputs)


class TimedLearner(PolicyGradient):
    """The learner as it is, noting how long an iteration's rows take to become a batch, and its steps."""

    surrogate = TimedSurrogate

    def __init__(self, setup: LearnerSetup) -> None:
        super().__init__(setup)
        self.prepare: list[float] = []
        """Seconds until the rows are a batch with old and reference log-probabilities, per iteration; the first one
        warms everything up."""
        self.steps: list[float] = []
        """Seconds of its optimizer steps."""

    @property
    def trainer(self) -> TimedSurrogate:
        """Return what notes the batches of the last iteration."""
        assert isinstance(self._trainer, TimedSurrogate)
        return self._trainer

    def update(self, rows: Sequence[Trajectory], policy: Policy) -> dict[str, float]:
        self.trainer.forget()
        self._start = clock()
        return super().update(rows, policy)

    def _learn(self, batch: Batch) -> dict[str, float]:
        ready = clock()
        learned = super()._learn(batch)
        self.prepare.append(ready - self._start)
        self.steps.append(clock() - ready)
        return learned

    def passes(self) -> float:
        """Return the passes without gradient over the rows, per row that is trained on (each counts once per epoch)."""
        return self.trainer.rows_read_only / sum(len(batch["completion_ids"]) for batch in self.trainer.batches)


@dataclass
class Bare:
    """The same model in plain torch."""

    model: torch.nn.Module
    accumulation: int
    max_grad_norm: float
    optimizer: torch.optim.Optimizer = field(init=False)

    def __post_init__(self) -> None:
        self.model.train()
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=0.0, fused=True)

    def step(self, batches: list[Batch]) -> None:
        """Do forward, backward and optimizer steps, with the mean log-probability of the sampled tokens for a loss."""
        for i, batch in enumerate(batches, start=1):
            mask = batch["completion_mask"] * batch["tool_mask"]
            loss = -(self.logprobs(batch) * mask).sum() / mask.sum().clamp(min=1)
            loss.backward()  # type: ignore[no-untyped-call]
            if i % self.accumulation == 0:
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.max_grad_norm)
                self.optimizer.step()
                self.optimizer.zero_grad()

    @torch.no_grad()
    def read(self, batches: list[Batch]) -> None:
        """Do forward passes alone."""
        for batch in batches:
            self.logprobs(batch)

    def logprobs(self, batch: Batch) -> torch.Tensor:
        """Return the (B, T) log-probability of each completion token."""
        ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
        attention = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
        length = batch["completion_ids"].size(1)
        logits = self.model(input_ids=ids, attention_mask=attention, logits_to_keep=length + 1, use_cache=False).logits
        chosen: torch.Tensor = (
            logits[:, :-1].float().log_softmax(-1).gather(-1, batch["completion_ids"].unsqueeze(-1)).squeeze(-1)
        )
        return chosen


def against_bare_steps(settings: Config, trajectories: list[Trajectory], repeats: int) -> list[Measurement]:
    """Return iterations of a policy gradient against their bare equivalents, in turns, on rows that were played
    before."""
    algorithm = settings.algorithm
    assert isinstance(algorithm, PolicyGradientSettings)
    bare_steps, bare_reading = list[float](), list[float]()
    with tempfile.TemporaryDirectory() as folder:
        learner = timed_learner(settings, repeats + 1, folder)
        accumulation = learner.trainer.args.gradient_accumulation_steps
        bare = Bare(bare_model(settings), accumulation, algorithm.max_grad_norm)

        def measure_bare() -> None:
            batches = learner.trainer.batches
            bare_steps.append(seconds(lambda: bare.step(batches)))
            bare_reading.append(seconds(lambda: bare.read(batches)) * learner.passes())

        learn(learner, trajectories, repeats + 1, measure_bare)
    return _measurements(learner, algorithm.epochs, bare_steps[1:], bare_reading[1:])


def bare_model(settings: Config) -> torch.nn.Module:
    """Return the debater that the learner trains, without the learner."""
    whole: Any = setup.policy_model(settings.debater)
    model: torch.nn.Module = whole.to(loading.default_device())
    if settings.debater.gradient_checkpointing:
        whole.gradient_checkpointing_enable({"use_reentrant": False})
    return model


def timed_learner(settings: Config, iterations: int, folder: str) -> TimedLearner:
    """Return the learner of a policy gradient that is to learn so many times."""
    tokenizer = loading.load_tokenizer(settings.debater.model)
    shortened = settings.model_copy(update={"iterations": iterations, "output": Path(folder)})
    return TimedLearner(LearnerSetup(shortened, tokenizer, probe_rows(tokenizer)))


def learn(
    learner: TimedLearner, rows: list[Trajectory], iterations: int, after: Callable[[], None] = lambda: None
) -> None:
    """Learn from the same rows in every iteration, and call `after` once it is over."""
    for iteration in range(iterations):
        learner.update(rows, Policy("current", iteration, ""))
        after()


def _measurements(
    learner: TimedLearner, epochs: int, bare_steps: list[float], bare_reading: list[float]
) -> list[Measurement]:
    batches, steps = learner.trainer.batches, learner.steps[1:]
    tokens = sum(int(b["prompt_mask"].sum() + b["completion_mask"].sum()) for b in batches)
    places = sum(b["prompt_ids"].numel() + b["completion_ids"].numel() for b in batches)
    whole = [a + b for a, b in zip(learner.prepare[1:], steps, strict=True)]
    bare_whole = [a + b for a, b in zip(bare_steps, bare_reading, strict=True)]
    passes = learner.passes() * epochs
    return [
        rates(_SECTION, "tokens in optimizer steps", "1/s", tokens, steps),
        rates(_SECTION, "tokens in bare steps", "1/s", tokens, bare_steps),
        ratios(_SECTION, "ratio, optimizer steps alone", bare_steps, steps, TARGET),
        ratios(_SECTION, f"ratio, the {passes:g} passes before the steps counted as work", bare_whole, whole),
        ratios(_SECTION, "ratio, those passes counted as loss", bare_steps, whole),
        Measurement(_SECTION, "padding in the batches", "%", (100 * (1 - tokens / places),)),
    ]
