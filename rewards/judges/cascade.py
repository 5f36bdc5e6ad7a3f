"""A cheap judge first; a dearer one where the first is unsure, or where much is at stake."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from rostrum.envs.types import Transcript
from rostrum.rewards.settings import JudgeError, JudgeSettings, Models, ModelSettings
from rostrum.rewards.types import Judge, Usage, Verdict

if TYPE_CHECKING:
    from rostrum.rewards.judges import AnyJudge


class Settings(JudgeSettings):
    """Two judges of any kind and the rule that says who decides."""

    kind: Literal["cascade"]
    first: "AnyJudge"
    second: "AnyJudge"
    margin: float = Field(0.15, ge=0, le=0.5)
    """The second judge decides where the first one's |P(A) − ½| is below this."""
    high_stakes: Path | None = None
    """File of question ids, one a line, that the second judge always decides."""

    def make(self, models: Models) -> "Cascade":
        return Cascade(self.name, self.first.make(models), self.second.make(models), self.margin, self._stakes())

    def needs(self) -> Sequence[ModelSettings]:
        return [*self.first.needs(), *self.second.needs()]

    def _stakes(self) -> frozenset[str]:
        if self.high_stakes is None:
            return frozenset()
        try:
            lines = self.high_stakes.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            raise JudgeError(
                f"judge.high_stakes={self.high_stakes} cannot be read: give a text file with one question id a line."
            ) from None
        return frozenset(line.strip() for line in lines if line.strip())


class Cascade:
    """The first judge's verdict where it is valid and clear, and the question an ordinary one; else the second's."""

    def __init__(
        self, name: str, first: Judge, second: Judge, margin: float, high_stakes: frozenset[str] = frozenset()
    ) -> None:
        self.name, self.first, self.second = name, first, second
        self._margin, self._high_stakes = margin, high_stakes

    @property
    def usage(self) -> Usage:
        """What both have asked of their models."""
        return self.first.usage + self.second.usage

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        """Return one verdict per transcript; each judge reads what it is asked as one batch."""
        ordinary = [transcript.question.id not in self._high_stakes for transcript in transcripts]
        first = iter(self.first.judge([t for t, asked in zip(transcripts, ordinary, strict=True) if asked]))
        found = [next(first) if asked else None for asked in ordinary]
        routed = [t for t, verdict in zip(transcripts, found, strict=True) if not self._decides(verdict)]
        second = iter(self.second.judge(routed))
        return [self._named(v) if v is not None and self._decides(v) else self._named(next(second), v) for v in found]

    def _decides(self, verdict: Verdict | None) -> bool:
        return verdict is not None and verdict.valid and abs(verdict.mean - 0.5) >= self._margin

    def _named(self, verdict: Verdict, before: Verdict | None = None) -> Verdict:
        readings = verdict.readings + (before.readings if before is not None else 0)
        return replace(verdict, judge=self.name, decided_by=verdict.judge, readings=readings)
