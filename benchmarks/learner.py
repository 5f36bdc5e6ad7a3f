"""How much the learner loses against a bare forward, backward and optimizer step on the very same batches."""

import tempfile
from dataclasses import dataclass, field
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback

from benchmarks.measure import Measurement, clock, rates, ratios, seconds
from trainer import models, setup
from trainer.config import Config, Ppo
from trainer.ppo import GROUP, DebatePpo, trl_config
from trainer.types import Trajectory

TARGET = 0.7
"""Least share of the bare speed that the optimizer steps should reach."""
_SECTION = "learner"

Batch = dict[str, Any]


class TimedPpo(DebatePpo):
    """The learner as it is, noting when a batch is ready and what passes through the model."""

    ready: float
    """When the rows were turned into a batch: old and reference log-probabilities are in it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.forget()
        super().__init__(*args, **kwargs)

    def forget(self) -> None:
        """Begins an iteration anew."""
        self.batches: list[Batch] = []
        self.rows_read_only = 0

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        batch = super()._generate_and_score_completions(inputs)
        self.ready = clock()
        return batch

    def _get_per_token_logps_and_entropies(self, model: Any, input_ids: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            self.rows_read_only += len(input_ids)
        return super()._get_per_token_logps_and_entropies(model, input_ids, *args, **kwargs)

    def _compute_loss(self, model: torch.nn.Module, inputs: Batch) -> torch.Tensor:
        self.batches.append(inputs)
        return super()._compute_loss(model, inputs)


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
        """Forward, backward and optimizer steps, with the mean log-probability of the sampled tokens for a loss."""
        for i, batch in enumerate(batches, start=1):
            mask = batch["completion_mask"] * batch["tool_mask"]
            (-(self.logprobs(batch) * mask).sum() / mask.sum().clamp(min=1)).backward()
            if i % self.accumulation == 0:
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.max_grad_norm)
                self.optimizer.step()
                self.optimizer.zero_grad()

    @torch.no_grad()
    def read(self, batches: list[Batch]) -> None:
        """Forward passes alone."""
        for batch in batches:
            self.logprobs(batch)

    def logprobs(self, batch: Batch) -> torch.Tensor:
        """(B, T) log-probability of each completion token."""
        ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
        attention = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
        length = batch["completion_ids"].size(1)
        logits = self.model(input_ids=ids, attention_mask=attention, logits_to_keep=length + 1, use_cache=False).logits
        return logits[:, :-1].float().log_softmax(-1).gather(-1, batch["completion_ids"].unsqueeze(-1)).squeeze(-1)


@dataclass
class Durations:
    """Seconds per iteration: of the learner's two parts, and of the same work done bare."""

    prepare: list[float] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)
    bare_steps: list[float] = field(default_factory=list)
    bare_reading: list[float] = field(default_factory=list)


class _Iterations:
    """Stands in for the rollouts: hands over the same rows, and does each iteration's work bare after it."""

    def __init__(self, rows: list[Trajectory | None], bare: Bare) -> None:
        self._rows, self._bare = rows, bare
        self.trainer: TimedPpo | None = None
        self.durations, self._start = Durations(), 0.0

    def collect(self, iteration: int) -> list[Trajectory | None]:
        """Closes the previous iteration; the first one warms everything up and is not counted."""
        if iteration > 1:
            self.close(counted=iteration > 2)
        assert self.trainer is not None
        self.trainer.forget()
        self._start = clock()
        return self._rows

    def close(self, counted: bool = True) -> None:
        """Notes how long the iteration took that has just ended, and how long its work takes bare."""
        end, trainer = clock(), self.trainer
        assert trainer is not None
        steps = seconds(lambda: self._bare.step(trainer.batches))
        reading = seconds(lambda: self._bare.read(trainer.batches)) * self.passes(trainer)
        if counted:
            self.durations.prepare.append(trainer.ready - self._start)
            self.durations.steps.append(end - trainer.ready)
            self.durations.bare_steps.append(steps)
            self.durations.bare_reading.append(reading)

    def passes(self, trainer: TimedPpo) -> float:
        """Passes without gradient over the rows, per row that is trained on (each counts once per epoch)."""
        return trainer.rows_read_only / sum(len(batch["completion_ids"]) for batch in trainer.batches)


def against_bare_steps(
    settings: Config, algorithm: Ppo, trajectories: list[Trajectory], repeats: int
) -> list[Measurement]:
    """PPO iterations and their bare equivalents, in turns, on rows that were played before."""
    count = algorithm.questions_per_iteration * 2 * algorithm.debates_per_seating * len(settings.protocol.seats)
    rows: list[Trajectory | None] = [*trajectories, *[None] * (count - len(trajectories))]
    with tempfile.TemporaryDirectory() as folder:
        iterations, trainer = _wire(settings, algorithm, rows, repeats + 1, folder)
        trainer.train()
        iterations.close()
    return _measurements(iterations, trainer, algorithm)


def _wire(
    settings: Config, algorithm: Ppo, rows: list[Trajectory | None], count: int, folder: str
) -> tuple[_Iterations, TimedPpo]:
    dtype, device, lora = getattr(torch, settings.debater.dtype), models.default_device(), settings.debater.lora
    arguments = trl_config(
        algorithm, len(rows), count, settings.debater.temperature, world_size=1, output_dir=folder, save_strategy="no",
        seed=settings.seed, bf16=settings.debater.dtype == "bfloat16", report_to="none", disable_tqdm=True,
        use_cpu=device == "cpu", gradient_checkpointing=False,
    )  # fmt: skip
    bare = Bare(
        setup.policy_model(settings.debater).to(device), arguments.gradient_accumulation_steps, algorithm.max_grad_norm
    )  # fmt: skip
    iterations = _Iterations(rows, bare)
    iterations.trainer = trainer = TimedPpo(
        algorithm, iterations.collect, model=models.load_model(settings.debater.model, dtype), args=arguments,
        processing_class=models.load_tokenizer(settings.debater.model),
        train_dataset=Dataset.from_dict({"prompt": [""] * (len(rows) // GROUP * count)}),
        peft_config=setup.lora_config(lora) if lora else None,
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    return iterations, trainer


def _measurements(iterations: _Iterations, trainer: TimedPpo, algorithm: Ppo) -> list[Measurement]:
    took, batches = iterations.durations, trainer.batches
    tokens = sum(int(b["prompt_mask"].sum() + b["completion_mask"].sum()) for b in batches)
    places = sum(b["prompt_ids"].numel() + b["completion_ids"].numel() for b in batches)
    whole = [a + b for a, b in zip(took.prepare, took.steps, strict=True)]
    bare_whole = [a + b for a, b in zip(took.bare_steps, took.bare_reading, strict=True)]
    passes = iterations.passes(trainer) * algorithm.epochs
    return [
        rates(_SECTION, "tokens in optimizer steps", "1/s", tokens, took.steps),
        rates(_SECTION, "tokens in bare steps", "1/s", tokens, took.bare_steps),
        ratios(_SECTION, "ratio, optimizer steps alone", took.bare_steps, took.steps, TARGET),
        ratios(_SECTION, f"ratio, the {passes:g} passes before the steps counted as work", bare_whole, whole),
        ratios(_SECTION, "ratio, those passes counted as loss", took.bare_steps, whole),
        Measurement(_SECTION, "padding in the batches", "%", (100 * (1 - tokens / places),)),
    ]
