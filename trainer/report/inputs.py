"""What the report reads from a run folder, validated once.

Any number may be null and any optional file may be missing; the page then says "not measured" or leaves the part out.
A file that is there and cannot be understood is an error.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rostrum.envs.transcripts import today
from rostrum.envs.types import Protocol, Side, Speaker
from rostrum.trainer.evaluation.people import people_and_models
from rostrum.trainer.evaluation.people.people_and_models import Beside
from rostrum.trainer.evaluation.stored_lines import AttackRecord, MonitorRecord, TrainingAccuracy
from rostrum.trainer.evaluation.summary import NAME, Summary
from rostrum.trainer.reading import read_text
from rostrum.trainer.records import Record


class ReportError(ValueError):
    """The run folder cannot be reported on; the message says what to do."""


class Metrics(BaseModel):
    """One training iteration; beside the iteration, whatever numbers the trainer logged."""

    model_config = ConfigDict(frozen=True, extra="allow")
    iteration: int

    def number(self, name: str) -> float | None:
        """Return the logged number of this name, None where it is missing or no number."""
        value = (self.model_extra or {}).get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return None
        return float(value)


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
    read_as: dict[str, str] = {}
    """What each side was called where the judge read the transcript first; empty: A and B."""


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
    monitor: dict[str, list[MonitorRecord]] = Field(default_factory=dict)
    debates: list[Debate] = []
    people: Beside | None = None


def read_run(run: Path) -> Run:
    """Read a run folder.

    Raises:
        ReportError: summary.json is missing, or a file beside it cannot be understood.
        DamagedError: summary.json cannot be understood.
    """
    if not (run / NAME).is_file():
        raise ReportError(f"{run} has no {NAME} to report on; run `rostrum evaluate` first.")
    summary = Summary.read(run / NAME)
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
        monitor={name: list(_lines(MonitorRecord, folder / "watch.jsonl")) for name, folder in folders.items()},
        debates=list(_lines(Debate, run / "debates.jsonl")),
        people=people_and_models.read(run),
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
