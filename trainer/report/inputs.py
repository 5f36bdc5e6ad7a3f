"""What the report reads from a run folder, validated once.

Any number may be null and any optional file may be missing; the page then says "not measured" or leaves the part out.
A file that is there and cannot be understood is an error.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rostrum.envs.transcripts import today
from rostrum.envs.types import Protocol, Side, Speaker
from rostrum.trainer.reading import read_text

SUMMARY_SCHEMA_VERSION = 1


class ReportError(ValueError):
    """The run folder cannot be reported on; the message says what to do."""


class Record(BaseModel):
    """A JSON object in which a null means the same as a missing key."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_missing(cls, data: Any) -> Any:
        if data is None:
            return {}
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data


class Interval(Record):
    """An estimate with its 95 % interval, as shares of one."""

    estimate: float | None = None
    low: float | None = None
    high: float | None = None


class BySide(Record):
    """A share when arguing the right and when arguing the wrong answer."""

    right: Interval = Interval()
    wrong: Interval = Interval()


class WinRate(Interval):
    """How often the final checkpoint convinced the reward judge."""

    by_side: BySide = BySide()
    against: str = ""


class BeforeAfter(Record):
    """A number for the base debaters and for the trained ones."""

    base: float | None = None
    trained: float | None = None


Headline = Literal["raised", "lowered", "no change shown", "not tested by itself"]
"""A direction goes by the corrected p-value; one of several seeds is not tested by itself."""


class Change(BeforeAfter):
    """An accuracy before and after training, paired by question."""

    change: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    headline: Headline | None = None
    n_questions: int | None = None
    n_stories: int | None = None


class Accuracy(Change):
    """One judge's accuracy before and after training."""

    judge: str
    role: str = ""
    primary: bool = False
    """It was declared as the primary comparison."""
    n_invalid: int | None = None
    invalid: dict[str, Change] = {}
    """The same with INVALID verdicts "dropped", "half" right, and "wrong"."""
    on_seeds: str = ""
    """What the interval over several seeds covers."""
    brier: BeforeAfter = BeforeAfter()
    log_score: BeforeAfter = BeforeAfter()
    """Proper scores of the probabilities, over valid verdicts; 0 is best."""
    base_interval: tuple[float | None, float | None] = (None, None)
    trained_interval: tuple[float | None, float | None] = (None, None)
    given_right: BeforeAfter | None = None
    given_wrong: BeforeAfter | None = None


class ToControl(Change):
    """One judge's accuracy on the arm (`trained`) beside that on its control (`base`)."""

    judge: str
    role: str = ""


class Control(Record):
    """What an arm did beyond the arm that was trained on its penalties alone; no name: there is none."""

    name: str | None = None
    sentence: str = ""
    accuracy: list[ToControl] = []

    def of(self, judge: str) -> ToControl | None:
        """Return the figures of a judge."""
        return next((row for row in self.accuracy if row.judge == judge), None)


class Checkpoint(Record):
    """What evaluation measured of one checkpoint of an arm."""

    checkpoint: str
    iteration: int
    accuracy: dict[str, Interval] = {}
    win_rate: Interval = Interval()
    win_rate_right: Interval = Interval()
    win_rate_wrong: Interval = Interval()
    verified_quotes: float | None = None
    words_per_speech: float | None = None
    conduct: dict[str, float | None] = {}


class Arm(Record):
    """One way of training: a protocol, a reward, a run of iterations."""

    name: str
    protocol: str = ""
    arms: list[str] = []
    """Of arms that are pooled because they differ in nothing but the seed: their names, and their `seeds`."""
    seeds: list[int] = []
    headline: Headline | None = None
    sentence: str = ""
    minimum_detectable_change: float | None = None
    win_rate: WinRate = WinRate()
    verified_quotes: BeforeAfter = BeforeAfter()
    words_per_speech: BeforeAfter = BeforeAfter()
    accuracy: list[Accuracy] = []
    control: Control = Control()
    checkpoints: list[Checkpoint] = []


class Reference(Record):
    """A judge without debaters: "naive" reads the question alone, "expert" the passage as well."""

    protocol: str
    judge: str
    role: str = ""
    accuracy: Interval = Interval()
    n_questions: int | None = None
    n_invalid: int | None = None


class Family(Record):
    """The comparisons whose p-values are adjusted for being many: changes over the base and differences to controls."""

    correction: str = ""
    size: int = 0
    primary: list[str] = []
    """Arm and judge of the comparison that was declared as primary, which is none of them."""


class Amendment(Record):
    """What was declared otherwise after the plan."""

    at: str = ""
    reason: str = ""
    changes: list[str] = []


class PlanRecord(Record):
    """Whether what was run is what was planned (`trainer.evaluation.preregistration.adherence`)."""

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
    plan: PlanRecord = PlanRecord()
    pooled: list[Arm] = []
    arms: list[Arm] = []
    references: list[Reference] = []

    @property
    def units(self) -> list[Arm]:
        """What is compared: arms, but those of several seeds pooled."""
        parts = {name for group in self.pooled for name in group.arms}
        return [*self.pooled, *(arm for arm in self.arms if arm.name not in parts)]

    @model_validator(mode="after")
    def _known_version(self) -> Self:
        if self.schema_version != SUMMARY_SCHEMA_VERSION:
            raise ValueError(f"schema version {self.schema_version} is not {SUMMARY_SCHEMA_VERSION}")
        return self


class Metrics(BaseModel):
    """One training iteration; beside the iteration, whatever numbers the trainer logged."""

    model_config = ConfigDict(frozen=True, extra="allow")
    iteration: int

    def number(self, name: str) -> float | None:
        """The logged number of this name, None where it is missing or no number."""
        value = (self.model_extra or {}).get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return None
        return float(value)


class TrainingAccuracy(Record):
    """The reward judge's accuracy on one iteration's training debates."""

    iteration: int
    judge_accuracy: float | None = None


class AttackRecord(Record):
    """What one attack did to the reward judge at one checkpoint (`rewards.audit.attacks.AttackResult`)."""

    checkpoint: str
    iteration: int
    judge: str
    attack: str
    lost: int
    flips: int
    success: Interval = Interval()
    backfired: float | None = None
    shift: Interval = Interval()
    invalid: float | None = None


class WatchJudge(Record):
    """One judge at one look of the watch (`trainer.evaluation.opinions`)."""

    judge: str
    role: str = ""
    accuracy: float | None = None
    wrong_side: float | None = None


class WatchRecord(Record):
    """One look of the watch (`trainer.evaluation.monitor`)."""

    iteration: int
    judges: list[WatchJudge] = []
    gap: float | None = None
    reward: BeforeAfter = BeforeAfter()
    held_out: BeforeAfter = BeforeAfter()
    reward_judge: BeforeAfter = BeforeAfter()
    gap_change: BeforeAfter = BeforeAfter()
    triggers: list[str] = ["held_out"]
    """What was found beside the rise; runs that are older knew one thing only."""
    conduct: dict[str, float | None] = {}
    attack_success: float | None = None
    alarm: bool = False
    stop: bool = False


class QuoteRecord(Record):
    """A stored `envs.types.Quote`; offsets count code points."""

    start: int
    end: int
    status: Literal["exact", "normalised", "unverified"]
    source: list[tuple[int, int]] = []
    after_negation: bool = False


class SpeechRecord(Record):
    """A stored `envs.types.Speech`, as judged."""

    side: Literal["A", "B"]
    speaker: str = ""
    turn: int = 0
    text: str
    private: str = ""
    quotes: list[QuoteRecord] = []
    words: int | None = None
    policy: str = ""
    policy_version: int | None = None


class InquiryRecord(Record):
    """A stored `envs.types.Inquiry`."""

    turn: int
    text: str = ""
    problem: str = ""


class QuestionRecord(Record):
    """A stored `envs.types.Question`."""

    id: str = ""
    story_id: str = ""
    text: str
    passage: str = ""


class SpeakerRecord(Record):
    """A stored `envs.types.Speaker`."""

    side: Literal["A", "B"]


class ProtocolRecord(Record):
    """The name and the speakers of a stored `envs.types.Protocol`."""

    name: str = ""
    speakers: dict[str, SpeakerRecord] = {}


class TranscriptRecord(Record):
    """A stored `envs.types.Transcript`, bare or as `envs.transcripts` wraps it under "record"."""

    question: QuestionRecord
    answers: tuple[str, str]
    swapped_seats: bool = False
    protocol: ProtocolRecord = ProtocolRecord()
    speeches: list[SpeechRecord] = []
    inquiries: list[InquiryRecord] = []

    @model_validator(mode="before")
    @classmethod
    def _unwrapped(cls, data: Any) -> Any:
        return today(data)["record"] if isinstance(data, dict) and "record" in data else data

    def label(self, speech: SpeechRecord) -> str:
        """Return what the debate calls the speaker of a speech (`envs.types.Protocol.label`)."""
        speakers = {name: Speaker(Side(speaker.side)) for name, speaker in self.protocol.speakers.items()}
        return Protocol(self.protocol.name, speakers).label(speech.speaker, Side(speech.side))


class Debate(Record):
    """A debate to browse. `p_after[i]` is P(answer of seat A) after i speeches."""

    transcript: TranscriptRecord
    arm: str = ""
    checkpoint: str = ""
    matchup: str = ""
    judge: str = ""
    iteration: int = 0
    correct_seat: Literal["A", "B"] | None = None
    p_after: list[float | None] = []


class Manifest(Record):
    """Where the run came from."""

    title: str = ""
    created: str = ""
    config: dict[str, Any] = {}
    versions: dict[str, Any] = {}


class Run(Record):
    """Everything the report shows; the curves are keyed by arm name."""

    summary: Summary
    manifest: Manifest = Manifest()
    metrics: dict[str, list[Metrics]] = Field(default_factory=dict)
    training_accuracy: dict[str, list[TrainingAccuracy]] = Field(default_factory=dict)
    attacks: dict[str, list[AttackRecord]] = Field(default_factory=dict)
    watch: dict[str, list[WatchRecord]] = Field(default_factory=dict)
    debates: list[Debate] = []


def read_run(run: Path) -> Run:
    """Read a run folder. Raises ReportError if summary.json is missing or any file cannot be understood."""
    summary_path = run / "summary.json"
    if not summary_path.is_file():
        raise ReportError(f"{run} has no summary.json to report on; run `rostrum evaluate` first.")
    summary = _validate(Summary, read_text(summary_path), str(summary_path))
    manifest_path = run / "manifest.json"
    manifest = read_text(manifest_path) if manifest_path.exists() else "{}"
    several = (run / "arms").is_dir()  # else the folder is itself the one arm
    folders = {a.name: run / "arms" / a.name if several else run for a in summary.arms if Path(a.name).name == a.name}
    return Run(
        summary=summary,
        manifest=_validate(Manifest, manifest, str(manifest_path)),
        metrics={name: list(_lines(Metrics, folder / "metrics.jsonl")) for name, folder in folders.items()},
        training_accuracy={
            name: list(_lines(TrainingAccuracy, folder / "training_accuracy.jsonl")) for name, folder in folders.items()
        },
        attacks={name: list(_lines(AttackRecord, folder / "attacks.jsonl")) for name, folder in folders.items()},
        watch={name: list(_lines(WatchRecord, folder / "watch.jsonl")) for name, folder in folders.items()},
        debates=list(_lines(Debate, run / "debates.jsonl")),
    )


M = TypeVar("M", bound=BaseModel)


def _lines(model: type[M], path: Path) -> Iterator[M]:
    if not path.exists():
        return
    *whole, last = read_text(path).split("\n")
    lines = [*whole, last] if last.endswith("}") else whole  # a crash tore the last line while it was written
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _validate(model, line, f"{path}, line {number},")


def _validate(model: type[M], text: str, where: str) -> M:
    try:
        # NaN and infinities are no JSON, but Python writes them; here they mean "not measured".
        return model.model_validate(json.loads(text, parse_constant=lambda _: None))
    except json.JSONDecodeError as error:
        raise ReportError(f"{where} is not valid JSON ({error.msg}); run `rostrum evaluate` again.") from error
    except (ValueError, RecursionError) as error:
        if not isinstance(error, ValidationError):
            raise ReportError(f"{where} is no JSON that can be held; run `rostrum evaluate` again.") from error
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the record"
        raise ReportError(f"{where} does not fit at {field} ({first['msg']}); run `rostrum evaluate` again.") from error
