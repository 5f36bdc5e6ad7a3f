"""A run's files: what is where, what may be trusted after a crash, and how a resumed run cuts back what it plays again.

config.yaml  manifest.json  metrics.jsonl  transcripts.jsonl  watch.jsonl
policies/iteration-0003/      published weights, a Hugging Face folder
trainer/checkpoint-24/        what the learners go on from; rostrum.json in it is written last and makes it count
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Required

from pydantic import Field, StringConstraints

from rostrum.envs.files import append, remove_folder, remove_leftovers, write_atomically
from rostrum.trainer.reading import Open, parsed, read_json, read_json_lines, read_text

STATE = "rostrum.json"


class RunError(ValueError):
    """A run folder that cannot be used; the message says what to do."""


class MetricsLine(Open):
    """What is counted on in a line of metrics.jsonl."""

    iteration: Annotated[int, Field(ge=0)]


class MonitorLine(Open):
    """What is counted on in a line of watch.jsonl."""

    iteration: Annotated[int, Field(ge=0)]
    stop: bool
    suspicious: bool
    by_question: dict[str, list[float]]


class TranscriptLine(Open):
    """What is counted on in a line of transcripts.jsonl when a run is cut back."""

    extra: MetricsLine


class Ranks(Open):
    """Who wrote a checkpoint."""

    world: int
    deepspeed: str | None


class Opponents(Open, total=False):
    """What a league keeps in a checkpoint."""

    win_rates: list[Annotated[tuple[int, float], Field(strict=False)]]


class CheckpointState(Open, total=False):
    """What is counted on in a checkpoint's rostrum.json."""

    iteration: Required[Annotated[int, Field(ge=0)]]
    ranks: Ranks
    files: dict[str, str]
    opponents: Opponents


Hashes = dict[str, dict[str, str | int]]


class Evaluated(Open, total=False):
    """What is counted on in what a manifest says of the evaluation."""

    verdicts: str
    questions: dict[str, str | int]
    judges: Hashes


class ManifestConfig(Open, total=False):
    """What is counted on in a manifest's configuration."""

    seed: int
    protocol: dict[str, Any]


class Manifest(Open, total=False):
    """What is counted on in manifest.json."""

    title: str
    created: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.+Z-]{0,40}$")]
    config: ManifestConfig
    config_hash: str
    lock: str | None
    versions: dict[str, str]
    git: dict[str, str | bool] | None
    questions: Hashes
    debater: dict[str, str]
    judges: Hashes
    last_iteration: int
    evaluated: Evaluated


KINDS: dict[str, Any] = {
    "manifest.json": Manifest,
    "metrics.jsonl": MetricsLine,
    "watch.jsonl": MonitorLine,
    STATE: CheckpointState,
}
"""What a file of this name holds."""


class RunFolder:
    """Paths and files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config, self.manifest = path / "config.yaml", path / "manifest.json"
        self.metrics, self.transcripts = path / "metrics.jsonl", path / "transcripts.jsonl"
        self.monitor, self.estimate = path / "watch.jsonl", path / "estimate.json"
        self.policies, self.trainer = path / "policies", path / "trainer"
        self.judging = path / "judging"
        """Verdicts as they were given, so that a judge is not asked again by what was stopped and goes on."""

    def policy(self, iteration: int) -> Path:
        """Return where the weights after that many updates are published."""
        return self.policies / f"iteration-{iteration:04d}"

    def published(self) -> list[int]:
        """Return the iterations whose weights are there, in order."""
        return sorted(number for number, path in _numbered(self.policies, "iteration") if path.is_dir())

    def stopped(self) -> int | None:
        """Return the iteration after which the monitor ended the training; None if it did not."""
        return next((record["iteration"] for record in read_lines(self.monitor) if record["stop"]), None)

    def final(self, iterations: int) -> int:
        """Return the last iteration of a run that was to have so many."""
        stopped = self.stopped()
        return iterations if stopped is None else stopped

    def checkpoint(self) -> tuple[Path, CheckpointState] | None:
        """Return the newest checkpoint that was completely written, with our state of it."""
        whole = self.checkpoints()
        return (whole[-1], read_json(whole[-1] / STATE, CheckpointState)) if whole else None

    def checkpoints(self) -> list[Path]:
        """Return the checkpoints that were completely written, in order."""
        return [path for _, path in _numbered(self.trainer, "checkpoint") if (path / STATE).exists()]

    def cut_back(self, iteration: int) -> None:
        """Remove everything after that iteration: it is about to be played again."""
        for path in (self.metrics, self.transcripts, self.monitor):
            if path.exists():
                lines = enumerate(_whole_lines(path), 1)
                kept = [line for number, line in lines if _of(path, number, line) <= iteration]
                write_atomically(path, "".join(kept))
        for later in self.published():
            if later > iteration:
                remove_folder(self.policy(later))
        for _, path in _numbered(self.trainer, "checkpoint"):
            if path.is_dir() and not (path / STATE).exists():
                remove_folder(path)
        for folder in (self.path, self.policies):
            remove_leftovers(folder)


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Add one JSON line and make sure that it is on the disk."""
    append_lines(path, [record])


def append_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Add JSON lines and make sure that they are on the disk."""
    append(path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))


def cut_torn_line(path: Path) -> None:
    """Take away a last line that a killed process did not finish, so that what is added is not glued to it."""
    if path.exists() and path.read_bytes()[-1:] not in (b"", b"\n"):
        write_atomically(path, "".join(_whole_lines(path)))


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the records of a JSON Lines file; none if it is not there."""
    return read_json_lines(path, KINDS.get(path.name, dict[str, Any])) if path.exists() else []


def read_record(path: Path) -> dict[str, Any]:
    """Return the record of a JSON file; empty if it is not there."""
    return read_json(path, KINDS.get(path.name, dict[str, Any])) if path.exists() else {}


def prune(folder: RunFolder, keep: Sequence[int]) -> None:
    """Remove published weights that are neither kept nor the newest."""
    for iteration in folder.published()[:-1]:
        if iteration not in keep:
            remove_folder(folder.policy(iteration))


def _whole_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file but for a last one that a crash has torn."""
    yield from (f"{line}\n" for line in read_text(path).split("\n")[:-1])


def _of(path: Path, number: int, line: str) -> int:
    """Return the iteration that a line belongs to."""
    where = f"{path}, line {number},"
    if path.name in KINDS:
        return int(parsed(line, KINDS[path.name], where)["iteration"])
    return parsed(line, TranscriptLine, where)["extra"]["iteration"]


def _numbered(folder: Path, name: str) -> list[tuple[int, Path]]:
    """Return the folders NAME-NUMBER of a folder; what else may lie there is not ours."""
    found = [(re.fullmatch(rf"{name}-([0-9]{{1,9}})", path.name), path) for path in folder.glob(f"{name}-*")]
    return sorted((int(matchup[1]), path) for matchup, path in found if matchup)
