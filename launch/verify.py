"""`rostrum verify`: a run's figures against its verdicts, and its files against its manifest."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from launch import compose, environment, saved
from launch.commands import take
from launch.errors import LaunchError
from trainer.config import Config

DIFFERS = 1
"""Exit code."""


def verify(overrides: Sequence[str]) -> int:
    """Says what matches and what does not; returns 0 if everything that was recorded does, else 1."""
    rest, run = take(overrides, "run")
    if run is None or rest:
        raise LaunchError("Name the run or experiment to check, and nothing else: rostrum verify run=RUN.")
    folder = Path(run)
    config = saved.run_config(folder)
    if not (folder / "verdicts.parquet").is_file():
        raise LaunchError(f"{folder} has no verdicts to check: evaluate it first with `rostrum evaluate run={folder}`.")
    environment.silence()
    return _told(folder, config)


def _told(folder: Path, config: Config) -> int:
    from trainer.evidence import verification

    console = Console(soft_wrap=True, markup=False, highlight=False)
    results: list[str] = []
    for run, settings in _runs(folder, config):
        console.print(f"{run}:")
        for finding in verification.verify(run, settings, _tested(run, settings)):
            console.print(f"  {finding.result:12}  {finding.sentence}")
            results.append(finding.result)
    differ, unknown = results.count("differs"), results.count("not recorded")
    console.print(f"{results.count('matches')} checks match, {differ} do not, {unknown} could not be made.")
    return DIFFERS if differ else 0


def _runs(folder: Path, config: Config) -> Iterator[tuple[Path, Config]]:
    """The folder itself, and the arms if it is an experiment."""
    yield folder, config
    if (folder / "arms").is_dir():
        for arm in sorted((folder / "arms").iterdir()):
            yield arm, saved.run_config(arm)


def _tested(run: Path, config: Config) -> Config:
    """What the run was evaluated with, which may be other questions and judges than it was trained with."""
    path = run / "evaluation" / "config.yaml"
    return compose.read(path) if path.is_file() else config
