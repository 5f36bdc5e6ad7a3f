"""Another judge with its confidence and its position bias set right (`rewards.calibration`)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from rostrum.envs.types import Transcript
from rostrum.rewards.calibration import Calibration
from rostrum.rewards.settings import JudgeSettings, Models, ModelSettings
from rostrum.rewards.types import Judge, Usage, Verdict

if TYPE_CHECKING:
    from rostrum.rewards.judges import AnyJudge


class Settings(JudgeSettings):
    """A judge of any kind and what `rostrum judge calibrate` found for it, which so is saved with every run."""

    kind: Literal["calibrated"]
    base: "AnyJudge"
    calibration: Calibration

    def make(self, models: Models) -> "CalibratedJudge":
        return CalibratedJudge(self.name, self.base.make(models), self.calibration)

    def needs(self) -> Sequence[ModelSettings]:
        return self.base.needs()


class CalibratedJudge:
    """Corrects every reading of a judge by itself; INVALID verdicts stay INVALID."""

    def __init__(self, name: str, base: Judge, calibration: Calibration) -> None:
        self.name, self.base, self.calibration = name, base, calibration

    @property
    def usage(self) -> Usage:
        """What the judge behind it has asked of its models."""
        return self.base.usage

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        """Return one verdict per transcript."""
        return [replace(self.calibration.verdict(v), judge=self.name) for v in self.base.judge(transcripts)]
