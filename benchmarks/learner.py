"""How much the learner loses against a bare forward, backward and optimizer step on the very same batches."""

import tempfile
from dataclasses import dataclass, field
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback
from trl import GRPOConfig

from benchmarks.measure import Measurement, clock, rates, ratios, seconds
from trainer import models, setup
from trainer.config import Config, PolicyGradient
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


class Laps:
    """Stands in for the rollouts: hands over the same rows in every iteration and notes how long the learner takes."""

    def __init__(self, rows: list[Trajectory | None]) -> None:
        self.rows = rows
        self.trainer: TimedPpo | None = None
        self.prepare: list[float] = []
        """Seconds until the rows are a batch, per iteration; the first one warms everything up."""
        self.steps: list[float] = []
        """Seconds of its optimizer steps."""
        self._start: float | None = None

    def collect(self, iteration: int) -> list[Trajectory | None]:
        """Ends the iteration before this one."""
        assert self.trainer is not None
        if self._start is not None:
            self.end()
        self.trainer.forget()
        self._start = clock()
        return self.rows

    def end(self) -> None:
        """Notes how long the iteration took that has just ended."""
        assert self.trainer is not None and self._start is not None
        self.prepare.append(self.trainer.ready - self._start)
        self.steps.append(clock() - self.trainer.ready)


class _LapsAndBare(Laps):
    """Does each iteration's work bare after it."""

    def __init__(self, rows: list[Trajectory | None], bare: Bare) -> None:
        super().__init__(rows)
        self._bare = bare
        self.bare_steps: list[float] = []
        self.bare_reading: list[float] = []

    def end(self) -> None:
        """Notes how long the iteration took that has just ended, and how long its work takes bare."""
        super().end()
        assert self.trainer is not None
        batches = self.trainer.batches
        self.bare_steps.append(seconds(lambda: self._bare.step(batches)))
        self.bare_reading.append(seconds(lambda: self._bare.read(batches)) * self.passes())

    def passes(self) -> float:
        """Passes without gradient over the rows, per row that is trained on (each counts once per epoch)."""
        assert self.trainer is not None
        return self.trainer.rows_read_only / sum(len(batch["completion_ids"]) for batch in self.trainer.batches)


def against_bare_steps(
    settings: Config, algorithm: PolicyGradient, trajectories: list[Trajectory], repeats: int
) -> list[Measurement]:
    """Iterations of a policy gradient and their bare equivalents, in turns, on rows that were played before."""
    rows = [*trajectories, *[None] * (setup.rows_per_iteration(settings) - len(trajectories))]
    model = bare_model(settings)
    with tempfile.TemporaryDirectory() as folder:
        accumulation = learner_arguments(settings, len(rows), repeats + 1, folder).gradient_accumulation_steps
        laps = _LapsAndBare(rows, Bare(model, accumulation, algorithm.max_grad_norm))
        trainer = run_learner(settings, laps, repeats + 1, folder)
    return _measurements(laps, trainer, algorithm)


def bare_model(settings: Config) -> torch.nn.Module:
    """The debater that the learner trains, without the learner."""
    model = setup.policy_model(settings.debater).to(models.default_device())
    if settings.debater.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model


def learner_arguments(settings: Config, rows: int, iterations: int, folder: str) -> GRPOConfig:
    """TRL's arguments for learning from that many rows, `iterations` times."""
    assert isinstance(settings.algorithm, PolicyGradient)
    return trl_config(
        settings.algorithm, rows, iterations, settings.debater.temperature, world_size=1, output_dir=folder,
        save_strategy="no", seed=settings.seed, bf16=settings.debater.dtype == "bfloat16", report_to="none",
        disable_tqdm=True, use_cpu=models.default_device() == "cpu",
        gradient_checkpointing=settings.debater.gradient_checkpointing,
    )  # fmt: skip


def run_learner(settings: Config, laps: Laps, iterations: int, folder: str) -> TimedPpo:
    """Learns from the rows of `laps`, `iterations` times."""
    debater, algorithm, lora = settings.debater, settings.algorithm, settings.debater.lora
    assert isinstance(algorithm, PolicyGradient)
    laps.trainer = trainer = TimedPpo(
        algorithm, laps.collect, model=models.load_model(debater.model, getattr(torch, debater.dtype)),
        args=learner_arguments(settings, len(laps.rows), iterations, folder),
        processing_class=models.load_tokenizer(debater.model),
        train_dataset=Dataset.from_dict({"prompt": [""] * (len(laps.rows) // GROUP * iterations)}),
        peft_config=setup.lora_config(lora) if lora else None,
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    laps.end()
    return trainer


def _measurements(laps: _LapsAndBare, trainer: TimedPpo, algorithm: PolicyGradient) -> list[Measurement]:
    batches, steps, bare_steps = trainer.batches, laps.steps[1:], laps.bare_steps[1:]
    tokens = sum(int(b["prompt_mask"].sum() + b["completion_mask"].sum()) for b in batches)
    places = sum(b["prompt_ids"].numel() + b["completion_ids"].numel() for b in batches)
    whole = [a + b for a, b in zip(laps.prepare[1:], steps, strict=True)]
    bare_whole = [a + b for a, b in zip(bare_steps, laps.bare_reading[1:], strict=True)]
    passes = laps.passes() * algorithm.epochs
    return [
        rates(_SECTION, "tokens in optimizer steps", "1/s", tokens, steps),
        rates(_SECTION, "tokens in bare steps", "1/s", tokens, bare_steps),
        ratios(_SECTION, "ratio, optimizer steps alone", bare_steps, steps, TARGET),
        ratios(_SECTION, f"ratio, the {passes:g} passes before the steps counted as work", bare_whole, whole),
        ratios(_SECTION, "ratio, those passes counted as loss", bare_steps, whole),
        Measurement(_SECTION, "padding in the batches", "%", (100 * (1 - tokens / places),)),
    ]
