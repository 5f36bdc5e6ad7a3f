"""Fine-tuning a judge on labelled debates, from its settings to a folder that is a judge: `judge.model=FOLDER`.

Runs in one process, on one device. Nothing in the output folder looks like a model until all of it is there.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import set_seed
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rostrum.envs.files import temporary_folder
from rostrum.rewards import calibration
from rostrum.rewards.judges import JudgeSettings, ModelSettings
from rostrum.rewards.labelled import Labelled
from rostrum.trainer import setup
from rostrum.trainer.config import Config, JudgeTraining
from rostrum.trainer.engines.formats import make_format
from rostrum.trainer.judge_training import figures, folder, reward, sft
from rostrum.trainer.judge_training.data import JudgeTrainingError, readings_of, split_by_story
from rostrum.trainer.judge_training.learning import JudgeTrainer, KeepBest, ShowSteps, arguments
from rostrum.trainer.models import loading
from rostrum.trainer.progress import activity, say
from rostrum.trainer.weights.merging import merged


@dataclass(frozen=True, slots=True)
class Student:
    """What is taught: a judge's model and how it is to say its verdict ("letter", "answer" or "classifier")."""

    judge: ModelSettings
    head: str


def student_of(judge: JudgeSettings, training: JudgeTraining) -> Student:
    """Return the judge as something that can be trained.

    Raises:
        JudgeTrainingError: it is of a kind that has no model of its own to teach.
    """
    if not isinstance(judge, ModelSettings) or judge.kind not in ("likelihood", "head"):
        raise JudgeTrainingError(
            f"A judge of kind {judge.kind} cannot be trained: choose one of kind likelihood or head, such as "
            "judge=testimony or judge=chat."
        )
    if training.head != "auto":
        return Student(judge, training.head)
    return Student(judge, "classifier" if judge.kind == "head" else getattr(judge, "choice"))  # noqa: B009


def train_judge(
    settings: Config, debates: Sequence[Labelled], output: Path, taught: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Train the configured judge and write it into `output`; return what training.json holds.

    `taught` says which people taught it, and on which stories; none: those who taught the judge that it begins with.

    Raises:
        JudgeTrainingError: the judge or the debates do not allow it.
    """
    started, training = time.monotonic(), settings.judge_training
    student = student_of(settings.judge, training)
    if torch.cuda.device_count() > 1:
        raise JudgeTrainingError("A judge is trained on one GPU: make one visible with CUDA_VISIBLE_DEVICES=0.")
    set_seed(settings.seed)
    learned, heldout = split_by_story(debates, training.heldout_fraction, settings.seed)
    before = setup.judge(settings.judge).judge([debate.transcript for debate in heldout])
    with temporary_folder(output, "training") as workplace:
        lesson = Lesson(settings, student, learned, heldout, workplace)
        log_odds = lesson.teach()
    targets = [reading.target for reading in lesson.trainer.heldout]
    fitted = calibration.fit_readings(log_odds, targets)
    record = {
        "judge": output.name,
        "started_from": {"judge": settings.judge.name, "model": student.judge.model},
        "head": student.head,
        "weights": f"LoRA of rank {training.lora.rank}, merged" if training.lora else "all",
        "seed": settings.seed,
        "prompts": student.judge.prompts,
        "debates": figures.counts(learned, heldout),
        "evaluations": lesson.best.history,
        "kept": lesson.best.best,
        "held_out": figures.before_and_after(heldout, before, figures.mean_probability(log_odds)),
        "calibration": {
            "temperature": fitted.temperature,
            "bias": fitted.bias,
            "log_loss": calibration.log_loss(log_odds, targets),
            "log_loss_calibrated": calibration.log_loss(fitted.temper(log_odds), targets),
        },
        "seconds": round(time.monotonic() - started, 1),
    }
    folder.write(
        output,
        lesson.finished(),
        lesson.tokenizer,
        folder.judge_settings(student.judge, student.head, output),
        fitted,
        record,
        taught or folder.taught(student.judge.model),
    )
    return record


class Lesson:
    """A model, what it is taught from, and the trainer that teaches it. `schedule` are arguments of the trainer that
    take the place of the configured ones."""

    def __init__(
        self,
        settings: Config,
        student: Student,
        learned: Sequence[Labelled],
        heldout: Sequence[Labelled],
        workplace: Path,
        schedule: Mapping[str, Any] | None = None,
    ) -> None:
        self._training, judge = settings.judge_training, student.judge
        self._dtype = getattr(torch, judge.dtype)
        self.tokenizer = loading.load_tokenizer(judge.model)
        fmt = make_format(self.tokenizer, loading.end_tokens(judge.model, self.tokenizer), judge.format)
        context = loading.read_context_length(judge.model)
        prompts = judge.judge_prompts()
        taught, held_out = (readings_of(part, prompts, fmt, student.head, context) for part in (learned, heldout))
        device = loading.default_device()
        self._readings = len(taught)
        make = reward.make_trainer if student.head == "classifier" else sft.make_trainer
        lora, task = self._training.lora, "SEQ_CLS" if student.head == "classifier" else "CAUSAL_LM"
        self.trainer: JudgeTrainer = make(
            _model(student, self.tokenizer, self._dtype if lora else torch.float32, device),
            self.tokenizer,
            taught,
            held_out,
            adapter=setup.lora_config(lora, task) if lora else None,
            **{
                **arguments(
                    self._training, workplace / "trainer", settings.seed, judge.dtype == "bfloat16", device == "cpu"
                ),
                **(schedule or {}),
            },
        )
        self.best = KeepBest(self.trainer.model, workplace / "best.safetensors", self._training.patience)

    def teach(self) -> Any:
        """Train the model, which is left with the best weights; return the log-odds by slot on the held-out readings
        under them."""
        say(f"teaching from {self._readings:,} readings, {len(self.trainer.heldout):,} held out")
        self.trainer.add_callback(self.best)
        with activity("teaching the judge", self._readings * self._training.epochs, "readings") as bar:
            self.trainer.add_callback(ShowSteps(bar))
            self.trainer.train()
        self.best.restore()
        return self.trainer.log_odds()

    def finished(self) -> PreTrainedModel:
        """Return the model with its adapter merged, in the judge's dtype."""
        return merged(self.trainer.model).to(self._dtype)


def _model(student: Student, tokenizer: PreTrainedTokenizerBase, dtype: torch.dtype, device: str) -> PreTrainedModel:
    if student.head == "classifier":
        return reward.load_classifier(student.judge.model, tokenizer, device)
    return merged(loading.load_model(student.judge.model, device=device)).to(dtype)
