"""A judge whose verdicts are written down as they come, so that what was answered once is never asked again."""

import hashlib
import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict

from rostrum.envs import transcripts
from rostrum.envs.files import remove_file, write_atomically
from rostrum.envs.types import Transcript
from rostrum.rewards.audit.cost import Cost
from rostrum.rewards.judges import JudgeSettings
from rostrum.rewards.types import Judge, Usage, Verdict
from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.progress import activity
from rostrum.trainer.reading import Open, read_json_lines, read_text, valid
from rostrum.trainer.store.judge_identity import fingerprint, identity
from rostrum.trainer.store.run_folder import append_lines, cut_torn_line

VERDICTS = "verdicts.jsonl"
"""The file of an audit that keeps them."""
BATCH = 128
"""Debates that are judged at a time; their verdicts are stored together."""
ASKED_AT_ONCE = 16
"""The same for a judge behind an endpoint. One without a model, a person perhaps, is asked about one at a time."""
CALLS = 4
"""Batches of a local model that are judged at a time: several, since it reads texts of like length together."""


def stored_judge(settings: JudgeSettings, run: Config, path: Path) -> "StoredJudge":
    """Return a judge of a run whose verdicts are kept in `path`; at most one batch is asked twice after a kill."""
    needs = settings.needs()
    local = [model.batch_size for model in needs if model.endpoint is None]
    batch = 1 if not needs else ASKED_AT_ONCE if len(local) < len(needs) else CALLS * min(local)
    known_as = f"{fingerprint(identity(settings))} {settings.name}"  # two judges of a run may differ in name alone
    return StoredJudge(setup.judge(settings, run), known_as, path, batch)


class _Line(Open):
    """What is counted on in a line of verdicts.jsonl."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    judge: str
    debate: str
    verdict: Verdict
    seconds: float
    usage: dict[Literal["requests", "prompt_tokens", "new_tokens", "dollars", "cached"], float]


class StoredJudge:
    """Gives the verdicts of `judge`, those in the file first.

    A line of the file is an object with `judge` (a fingerprint: verdicts of other judges are passed over), `debate` (a
    hash of the transcript), `verdict`, and `seconds` and `usage`: an equal share of what its batch took.
    """

    def __init__(self, judge: Judge, fingerprint: str, path: Path, batch: int = BATCH) -> None:
        self.name, self._judge, self._fingerprint, self._path = judge.name, judge, fingerprint, path
        self._batch = batch
        cut_torn_line(path)
        self._known = {line["debate"]: line for line in _given(path, fingerprint)}

    @property
    def usage(self) -> Usage:
        """What the judge was asked in this process."""
        return self._judge.usage

    @property
    def unstored(self) -> Judge:
        """The judge itself, whose verdicts nobody keeps."""
        return self._judge

    def judge(self, asked: Sequence[Transcript]) -> list[Verdict]:
        """Return one verdict per transcript, in the same order."""
        keys = [key_of(transcript) for transcript in asked]
        missing = {key: t for key, t in zip(keys, asked, strict=True) if key not in self._known}
        if missing:
            self._ask_all(list(missing.items()))
        return [self._known[key]["verdict"] for key in keys]

    def cost(self, asked: Sequence[Transcript]) -> Cost:
        """Return what the verdicts on these transcripts took, whenever they were given."""
        lines = [self._known[key] for key in {key_of(transcript) for transcript in asked}]
        usage = sum((Usage(**line["usage"]) for line in lines), Usage())
        return Cost(len(lines), sum(line["seconds"] for line in lines), usage)

    @property
    def judged(self) -> Collection[str]:
        """The debates whose verdicts are stored, by `key_of`."""
        return frozenset(self._known)

    def clear(self, debates: Collection[str] | None = None) -> None:
        """Remove what was stored, once nobody can need it again: all, or the verdicts on these debates."""
        self._known = {} if debates is None else {k: line for k, line in self._known.items() if k not in debates}
        if not self._known:
            remove_file(self._path)
            return
        lines = [line for line in read_text(self._path).split("\n") if line]
        kept = [f"{line}\n" for line in lines if json.loads(line)["debate"] in self._known]
        write_atomically(self._path, "".join(kept))

    def _ask_all(self, waiting: Sequence[tuple[str, Transcript]]) -> None:
        batches = [dict(waiting[at : at + self._batch]) for at in range(0, len(waiting), self._batch)]
        with activity(f"{self.name} judges", len(waiting), "debates") as bar:
            for batch in batches:
                self._ask(batch)
                bar.advance(len(batch))

    def _ask(self, batch: Mapping[str, Transcript]) -> None:
        before, start = self._judge.usage, time.perf_counter()
        verdicts = self._judge.judge(list(batch.values()))
        shared = {
            "seconds": (time.perf_counter() - start) / len(batch),
            "usage": {name: value / len(batch) for name, value in asdict(self._judge.usage - before).items()},
        }
        about = {"judge": self._fingerprint, "name": self.name}
        lines = [
            {**about, "debate": key, "verdict": asdict(verdict), **shared}
            for key, verdict in zip(batch, verdicts, strict=True)
        ]
        append_lines(self._path, lines)
        self._known.update((key, valid(line, _Line, self._path)) for key, line in zip(batch, lines, strict=True))


def keys(path: Path, fingerprint: str) -> set[str]:
    """Return the keys (`key_of`) of what the file holds this judge's verdicts on."""
    return {line["debate"] for line in _given(path, fingerprint)}


def _given(path: Path, fingerprint: str) -> list[_Line]:
    """Return the lines of one judge, without those where something failed: whoever goes on asks again."""
    lines = read_json_lines(path, _Line) if path.exists() else []
    return [
        line
        for line in lines
        if line["judge"] == fingerprint and (line["verdict"].valid or line["verdict"].cause == "speech")
    ]


def key_of(transcript: Transcript) -> str:
    """Return a hash of everything that is in a transcript."""
    return hashlib.sha256(json.dumps(transcripts.to_json(transcript), sort_keys=True).encode()).hexdigest()[:24]
