"""A run's files: what is where, what may be trusted after a crash, and how a resumed run cuts back what it plays again.

    config.yaml  manifest.json  metrics.jsonl  transcripts.jsonl  watch.jsonl
    policies/iteration-0003/      published weights, a Hugging Face folder
    trainer/checkpoint-24/        trainer state; rostrum.json in it is written last and makes it count
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from envs.files import append, remove_folder, remove_leftovers, write_atomically

STATE = "rostrum.json"


class RunError(ValueError):
    """A run folder that cannot be used; the message says what to do."""


class RunFolder:
    """Paths and files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config, self.manifest = path / "config.yaml", path / "manifest.json"
        self.metrics, self.transcripts = path / "metrics.jsonl", path / "transcripts.jsonl"
        self.watch = path / "watch.jsonl"
        self.policies, self.trainer = path / "policies", path / "trainer"

    def policy(self, iteration: int) -> Path:
        """Where the weights after that many updates are published."""
        return self.policies / f"iteration-{iteration:04d}"

    def published(self) -> list[int]:
        """Iterations whose weights are there, in order."""
        return sorted(int(path.name.removeprefix("iteration-")) for path in self.policies.glob("iteration-*"))

    def stopped(self) -> int | None:
        """The iteration after which the watch ended the training; None if it did not."""
        return next((record["iteration"] for record in read_lines(self.watch) if record["stop"]), None)

    def final(self, iterations: int) -> int:
        """The last iteration of a run that was to have so many."""
        stopped = self.stopped()
        return iterations if stopped is None else stopped

    def checkpoint(self) -> tuple[Path, dict[str, Any]] | None:
        """The newest checkpoint that was completely written, with our state of it."""
        whole = [path for path in self.trainer.glob("checkpoint-*") if (path / STATE).exists()]
        if not whole:
            return None
        newest = max(whole, key=lambda path: int(path.name.rpartition("-")[2]))
        return newest, json.loads((newest / STATE).read_text("utf-8"))

    def cut_back(self, iteration: int) -> None:
        """Forgets everything after that iteration: it is about to be played again."""
        for path in (self.metrics, self.transcripts, self.watch):
            if path.exists():
                kept = [line for line in _whole_lines(path) if _iteration(line) <= iteration]
                write_atomically(path, "".join(kept))
        for later in self.published():
            if later > iteration:
                remove_folder(self.policy(later))
        for path in self.trainer.glob("checkpoint-*"):
            if not (path / STATE).exists():
                remove_folder(path)
        for folder in (self.path, self.policies):
            remove_leftovers(folder)


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Adds one JSON line and makes sure that it is on the disk."""
    append_lines(path, [record])


def append_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Adds JSON lines and makes sure that they are on the disk."""
    append(path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))


def cut_torn_line(path: Path) -> None:
    """Takes away a last line that a killed process did not finish, so that what is added is not glued to it."""
    if path.exists() and path.read_bytes()[-1:] not in (b"", b"\n"):
        write_atomically(path, "".join(_whole_lines(path)))


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The records of a JSON Lines file; none if it is not there."""
    return [json.loads(line) for line in _whole_lines(path)] if path.exists() else []


def read_record(path: Path) -> dict[str, Any]:
    """The record of a JSON file; empty if it is not there."""
    return dict(json.loads(path.read_text("utf-8"))) if path.is_file() else {}


def prune(folder: RunFolder, keep: Sequence[int]) -> None:
    """Removes published weights that are neither kept nor the newest."""
    for iteration in folder.published()[:-1]:
        if iteration not in keep:
            remove_folder(folder.policy(iteration))


def _whole_lines(path: Path) -> Iterator[str]:
    """The lines of a file but for a last one that a crash has torn."""
    with path.open(encoding="utf-8") as file:
        yield from (line for line in file if line.endswith("\n"))


def _iteration(line: str) -> int:
    record = json.loads(line)
    return int(record["iteration"] if "iteration" in record else record["extra"]["iteration"])
