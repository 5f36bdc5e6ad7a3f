"""How judges are taught (configs/judge_training/)."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from rostrum.trainer.config.debater import Lora
from rostrum.trainer.section import Section


class JudgeTraining(Section):
    """How `rostrum judge train` fine-tunes the configured judge on labelled debates (configs/judge_training/)."""

    head: Literal["auto", "letter", "answer", "classifier"] = "auto"
    """What is taught to say the verdict: the letters A and B, the answers' own words, or a new classification head with
    a class per answer; auto: whatever the judge reads its verdict from."""
    debates: Path | None = None
    """JSON Lines of labelled debates (`rewards.labelled`); none: the base debater plays them on the training split."""
    questions: int = Field(500, ge=2)
    """Questions of the training split that are played, in both seatings, where no file is given."""
    heldout_fraction: float = Field(0.25, gt=0, lt=1)
    """Share of the debates' stories that is not learned from: when to stop and the temperature are found there."""
    learning_rate: float = Field(3e-4, gt=0)
    epochs: int = Field(12, ge=1)
    """Passes over the debates, each in both presentation orders, at the most."""
    patience: int = Field(4, ge=1)
    """Passes without a lower held-out loss before it stops; the first ones often raise it before it falls."""
    batch_rows: int = Field(64, ge=1)
    """Readings (a debate in one order) per optimizer step."""
    micro_batch_rows: int | None = Field(None, ge=1)
    """Readings in memory at once; it must divide batch_rows. None: all of a step's."""
    weight_decay: float = Field(0.01, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    gradient_checkpointing: bool = False
    lora: Lora | None = None
    """None learns all weights; an adapter is merged when the judge is written."""

    @model_validator(mode="after")
    def _rows_divide(self) -> "JudgeTraining":
        if self.batch_rows % (self.micro_batch_rows or self.batch_rows):
            raise ValueError(f"micro_batch_rows={self.micro_batch_rows} does not divide batch_rows={self.batch_rows}")
        return self


class Adversarial(Section):
    """The rounds of `rostrum judge adversarial` (configs/experiment/adversarial.yaml)."""

    rounds: int = Field(2, ge=1)
    """How often the judge is retrained; debaters are trained once more, against the last judge."""
    questions: int = Field(500, ge=2)
    """Questions of the training split that the debaters of each round play, in both seatings, to teach the judge."""
