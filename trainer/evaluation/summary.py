"""The figures of a run or an experiment: what summary.json holds, written and read by the same classes.

`trainer.evaluation.summarise` makes them from the table of verdicts. Any number may be null and most keys may be
missing, as they are in what earlier releases stored; whoever reads it says "not measured" then.
"""

import json
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import model_validator

from rostrum.envs.files import write_atomically
from rostrum.trainer.reading import read_json
from rostrum.trainer.records import Figure, Record

SCHEMA_VERSION = 1
NAME = "summary.json"

Headline = Literal["raised", "lowered", "no change shown", "not tested by itself"]
"""A direction goes by the corrected p-value; one of several seeds is not tested by itself."""


class Estimate(Record):
    """An estimate with its 95 % interval, as shares of one."""

    estimate: Figure = None
    low: Figure = None
    high: Figure = None


class BySide(Record):
    """A share when arguing the right and when arguing the wrong answer."""

    right: Estimate = Estimate()
    wrong: Estimate = Estimate()


class WinRate(Estimate):
    """How often the final checkpoint convinced the reward judge."""

    by_side: BySide = BySide()
    against: str = ""


class BeforeAfter(Record):
    """A number for the base debaters and for the trained ones."""

    base: Figure = None
    trained: Figure = None


class Paired(BeforeAfter):
    """An accuracy before and after training, paired by question."""

    change: Figure = None
    low: Figure = None
    high: Figure = None
    p: Figure = None
    n_questions: int | None = None
    n_stories: int | None = None


class Change(Paired):
    """The same, corrected for being one of several comparisons."""

    p_adjusted: Figure = None
    headline: Headline | None = None


class ByJudge(Record):
    """A judge's name and role: "reward" or "held-out"."""

    judge: str
    role: str = ""


class JudgeAccuracy(Paired, ByJudge):
    """One judge's accuracy before and after training, or after a control arm (`base`) and after the arm (`trained`)."""

    n_invalid: int | None = None
    invalid: dict[str, Change] = {}
    """The same with INVALID verdicts "dropped", "half" right, and "wrong"."""
    base_interval: tuple[Figure, Figure] = (None, None)
    trained_interval: tuple[Figure, Figure] = (None, None)
    seed_changes: dict[str, Figure] = {}
    """Of pooled arms: the change by seed, and its interval for other seeds on these questions."""
    seeds_interval: tuple[Figure, Figure] = (None, None)
    on_seeds: str = ""
    """What the interval over several seeds covers."""
    brier: BeforeAfter = BeforeAfter()
    log_score: BeforeAfter = BeforeAfter()
    """Proper scores of the probabilities, over valid verdicts; 0 is best."""
    given_right: BeforeAfter | None = None
    given_wrong: BeforeAfter | None = None
    """Of a lone consultant: the accuracy where it was given the right and the wrong answer."""
    primary: bool = False
    """It was declared as the primary comparison."""
    p_adjusted: Figure = None
    headline: Headline | None = None


class Control(Record):
    """What an arm did beyond the arm that was trained on its penalties alone; no name: there is none."""

    name: str | None = None
    accuracy: list[JudgeAccuracy] = []
    sentence: str = ""

    def of(self, judge: str) -> JudgeAccuracy | None:
        """Return the figures of a judge."""
        return next((row for row in self.accuracy if row.judge == judge), None)


class CheckpointSummary(Record):
    """What evaluation measured of one checkpoint of an arm."""

    checkpoint: str
    iteration: int
    accuracy: dict[str, Estimate] = {}
    """By judge; `invalid` has it by what INVALID verdicts count for."""
    invalid: dict[str, dict[str, Estimate]] = {}
    win_rate: Estimate = Estimate()
    win_rate_right: Estimate = Estimate()
    win_rate_wrong: Estimate = Estimate()
    verified_quotes: Figure = None
    words_per_speech: Figure = None
    conduct: dict[str, Figure] = {}


class ArmSummary(Record):
    """One way of training: a protocol, a reward, a run of iterations; or several such runs pooled."""

    name: str
    protocol: str = ""
    arms: list[str] = []
    """Of arms that are pooled because they differ in nothing but the seed: their names, and their `seeds`."""
    seeds: list[int] = []
    minimum_detectable_change: Figure = None
    win_rate: WinRate = WinRate()
    verified_quotes: BeforeAfter = BeforeAfter()
    words_per_speech: BeforeAfter = BeforeAfter()
    accuracy: list[JudgeAccuracy] = []
    """The reward judge's first."""
    checkpoints: list[CheckpointSummary] = []
    control: Control | None = None
    """None where penalties do not shape the reward."""
    headline: Headline | None = None
    sentence: str = ""

    def flat(self) -> dict[str, Any]:
        """Return the headline and each judge's figures, each under one name, as a dashboard wants them."""
        kept = ("base", "trained", "change", "low", "high", "p", "p_adjusted", "headline")
        judges = {f"judge_accuracy/{row.judge}/{name}": getattr(row, name) for row in self.accuracy for name in kept}
        return {"headline": self.headline, **judges}


class Reference(Record):
    """A judge without debaters: "naive" reads the question alone, "expert" the passage as well."""

    protocol: str
    judge: str
    role: str = ""
    accuracy: Estimate = Estimate()
    n_questions: int | None = None
    n_invalid: int | None = None
    invalid: dict[str, Estimate] = {}


class Family(Record):
    """The comparisons whose p-values are adjusted for being many: changes over the base and differences to controls."""

    correction: str = ""
    size: int = 0
    primary: tuple[str, str] | None = None
    """Arm and judge of the comparison that was declared as primary, which is none of them."""


class Amendment(Record):
    """What was declared otherwise after the plan."""

    at: str = ""
    reason: str = ""
    changes: list[str] = []


class PlanRecord(Record):
    """Whether what was run is what was planned (`trainer.evaluation.preregistration.deviations`)."""

    status: str = ""
    declared: str = ""
    hash: str = ""
    amendments: list[Amendment] = []
    deviations: list[str] = []


class Summary(Record):
    """The figures of a run."""

    schema_version: int
    invalid: str = "dropped"
    """What INVALID verdicts count for in the headlines."""
    family: Family = Family()
    pooled: list[ArmSummary] = []
    arms: list[ArmSummary] = []
    references: list[Reference] = []
    plan: PlanRecord = PlanRecord()

    @property
    def units(self) -> list[ArmSummary]:
        """Return what is compared: arms, but those of several seeds pooled."""
        parts = {name for group in self.pooled for name in group.arms}
        return [*self.pooled, *(arm for arm in self.arms if arm.name not in parts)]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return what a summary.json holds.

        Raises:
            DamagedError: it is not there or cannot be understood.
        """
        return read_json(path, cls, "run `rostrum evaluate` again")

    def write(self, path: Path) -> None:
        """Write summary.json, whole or not at all."""
        write_atomically(path, json.dumps(self.stored(), indent=1))

    @model_validator(mode="after")
    def _known_version(self) -> Self:
        if self.schema_version != SCHEMA_VERSION:
            raise ValueError(f"schema version {self.schema_version} is not {SCHEMA_VERSION}")
        return self
