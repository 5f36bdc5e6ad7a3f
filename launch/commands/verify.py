"""`rostrum verify`: a folder's files against their hashes, and a run's figures against its verdicts."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rostrum.launch import compose, environment, figures, saved
from rostrum.launch.arguments import take
from rostrum.launch.errors import LaunchError
from rostrum.trainer.evaluation.preregistration import hashes
from rostrum.trainer.terminal import visible

if TYPE_CHECKING:
    from rostrum.trainer.evaluation.preregistration.verification import Files, Finding

DIFFERS = 1
"""Exit code."""


def verify(overrides: Sequence[str]) -> int:
    """Say what matches and what does not; return 0 if everything that was recorded does, else 1."""
    rest, run = take(overrides, "run")
    rest, root = take(rest, "root")
    if run is None or rest:
        raise LaunchError("Name the run or experiment to check, and nothing else: rostrum verify run=RUN [root=HASH].")
    if root is not None and not hashes.is_root(root):
        raise LaunchError("root=HASH is the hash of 64 digits that was printed when the run was evaluated.")
    folder = Path(run)
    if not hashes.has(folder):
        saved.run_config(folder)  # says what is amiss if it is no run
    if _is_run(folder) and not _is_evaluated(folder):
        raise LaunchError(f"{folder} has no verdicts to check: evaluate it first with `rostrum evaluate run={folder}`.")
    environment.silence()
    return _told(folder, root)


def _told(folder: Path, root: str | None) -> int:
    from rostrum.trainer.evaluation.preregistration import verification

    lines, told = list[str](), list[dict[str, str]]()
    for path in _folders(folder):
        lines.append(f"{path}:")
        found = verification.files(path, root if path == folder else None)
        for finding in [*found.findings, *_of_run(path, found)]:
            lines.append(f"  {finding.result:12}  {finding.sentence}")
            told.append({"folder": str(path), "result": finding.result, "sentence": finding.sentence})
    results = [one["result"] for one in told]
    differ, unknown = results.count("differs"), results.count("not recorded")
    lines.append(f"{results.count('matches')} checks match, {differ} do not, {unknown} could not be made.")
    figures.keep("checks", told)
    try:
        print(*map(visible, lines), sep="\n", flush=True)
    except BrokenPipeError:  # as with `| head`: the exit code is what it is, however much was read
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return DIFFERS if differ else 0


def _folders(folder: Path) -> list[Path]:
    """Return the folder itself, its arms if it is an experiment, and whatever lies in it with hashes of its own."""
    inside = {path for path in (folder / "arms").glob("*") if _is_run(path)} | set(hashes.nested(folder))
    return [folder, *(path for one in sorted(inside) for path in _folders(one))]


def _is_run(folder: Path) -> bool:
    return (folder / "config.yaml").is_file()


def _is_evaluated(folder: Path) -> bool:
    """Return whether there are verdicts, or have been."""
    try:
        recorded = hashes.read(folder) if hashes.has(folder) else {}
    except hashes.HashesError:
        return True
    return "verdicts.parquet" in recorded or (folder / "verdicts.parquet").is_file()


def _of_run(folder: Path, found: "Files") -> "Iterator[Finding]":
    """Yield whether the figures of an evaluated run or experiment follow, and from what it was made."""
    from rostrum.trainer.evaluation.preregistration import verification
    from rostrum.trainer.evaluation.preregistration.verification import Finding

    has_summary = (folder / "summary.json").is_file() or not found.recorded
    if not (_is_run(folder) and has_summary) or found.altered is None:
        return
    try:
        config = saved.run_config(folder)
        for arm in _arms(folder):
            saved.run_config(arm)
        evaluated = folder / "evaluation" / "config.yaml"  # with other questions and judges, perhaps, than in training
        tested = compose.read(evaluated) if evaluated.is_file() else config
    except LaunchError as error:
        yield Finding("differs", str(error))
        return
    yield from verification.verify(folder, config, tested, found)


def _arms(folder: Path) -> list[Path]:
    return sorted((folder / "arms").glob("*"))
