"""What both ways of teaching a judge share: the held-out readings decide when to stop and which weights are kept."""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from transformers import Trainer, TrainerCallback, TrainerControl

from rostrum.rewards.calibration import log_loss
from rostrum.trainer.config import JudgeTraining
from rostrum.trainer.judge_training.data import Reading, columns_of
from rostrum.trainer.judge_training.figures import mean_probability
from rostrum.trainer.progress import Activity, say


class JudgeTrainer(Trainer):
    """A trainer whose evaluation is the judge at work: log-odds on the held-out readings, and their loss."""

    heldout: Sequence[Reading]
    control: TrainerControl
    loss_is_scaled_for_ga = False
    """Losses here are means over the readings of a micro-batch."""

    @abstractmethod
    def batch_log_odds(self, rows: Sequence[dict[str, Any]]) -> torch.Tensor:
        """Return the log-odds (rows,) of the answer shown as A in each row of `columns_of`."""

    @torch.no_grad()
    def log_odds(self) -> NDArray[np.float64]:
        """Return the log-odds by slot (readings,) on the held-out readings, in their order."""
        self.model.eval()
        rows, size = list(columns_of(self.heldout)), self.args.per_device_eval_batch_size
        batches = [self.batch_log_odds(rows[start : start + size]) for start in range(0, len(rows), size)]
        return torch.cat(batches).double().cpu().numpy()

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Return the held-out loss (nats per reading) and the share of debates that are read right."""
        found, targets = self.log_odds(), np.array([reading.target for reading in self.heldout])
        right = _right(mean_probability(found), targets[::2])
        metrics = {"eval_loss": log_loss(found, targets), "eval_accuracy": right}
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


def _right(of_a: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    """Return the share of debates in which judge and label lean to the same side; those that lean to none are left
    out."""
    leaning = targets != 0.5
    return float(((of_a > 0.5) == (targets > 0.5))[leaning].mean()) if leaning.any() else float("nan")


class KeepBest(TrainerCallback):
    """Keeps the weights of the lowest held-out loss on disk, those before the first step included, and stops when
    `patience` evaluations in a row found no lower one."""

    def __init__(self, model: torch.nn.Module, path: Path, patience: int) -> None:
        self._model, self._path, self._patience = model, path, patience
        self.history: list[dict[str, float]] = []
        self.best: dict[str, float] | None = None

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any) -> None:
        found = {
            "step": state.global_step,
            "epoch": round(state.epoch or 0, 3),
            "loss": metrics["eval_loss"],
            "accuracy": metrics["eval_accuracy"],
        }
        self.history.append(found)
        if self.best is None or found["loss"] < self.best["loss"]:
            self.best = found
            save_file({name: weights.detach().clone() for name, weights in self._learned()}, self._path)
        since = len(self.history) - 1 - self.history.index(self.best)
        control.should_training_stop = control.should_training_stop or since >= self._patience
        kept = "kept" if self.best is found else f"best so far {self.best['loss']:.4f}"
        say(f"step {found['step']}: held-out loss {found['loss']:.4f} ({kept}), {found['accuracy']:.1%} right")

    def restore(self) -> None:
        """Put the best weights back into the model."""
        kept = load_file(self._path)
        with torch.no_grad():
            for name, weights in self._learned():
                weights.copy_(kept[name])

    def _learned(self) -> list[tuple[str, torch.nn.Parameter]]:
        return [(name, weights) for name, weights in self._model.named_parameters() if weights.requires_grad]


class ShowSteps(TrainerCallback):
    """Moves a bar on by the readings of every step."""

    def __init__(self, bar: Activity) -> None:
        self._bar = bar

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._bar.advance(args.per_device_train_batch_size * args.gradient_accumulation_steps)


def arguments(settings: JudgeTraining, folder: Path, seed: int, half: bool, cpu: bool) -> dict[str, Any]:
    """Return what transformers' and TRL's configurations are given alike."""
    micro = settings.micro_batch_rows or settings.batch_rows
    return {
        "output_dir": str(folder),
        "seed": seed,
        "num_train_epochs": settings.epochs,
        "report_to": "none",
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": settings.batch_rows // micro,
        "per_device_eval_batch_size": micro,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "linear",
        "warmup_steps": 0.05,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "gradient_checkpointing": settings.gradient_checkpointing,
        "eval_strategy": "epoch",
        "eval_on_start": True,
        "save_strategy": "no",
        "logging_strategy": "no",
        "remove_unused_columns": False,
        "disable_tqdm": True,
        "bf16": half,
        "use_cpu": cpu,
    }
