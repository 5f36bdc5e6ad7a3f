"""`rostrum tournament`: the checkpoints of finished runs, and the base debater, rated against each other."""

import json
from collections.abc import Sequence
from pathlib import Path

from launch import compose, environment, saved
from launch.commands import take
from launch.errors import LaunchError, continued_with
from trainer.config import Config
from trainer.progress import say
from trainer.run_folder import RunFolder, write_atomically

RECONSIDERED = ("heldout_judges", "questions.heldout", "cluster")
"""What may be another than in training."""
SHARED = ("questions", "protocol", "judge", "heldout_judges")
"""Sections in which the runs of one tournament must agree; debater.model and debater.prompts as well."""
BASE = "base"


def tournament(overrides: Sequence[str]) -> int:
    """Plays what has not been played yet, then rates; writes tournament.json, tournament.html and verdicts.parquet."""
    rest, runs = take(overrides, "runs")
    rest, output = take(rest, "output")
    rest, rounds = take(rest, "swiss")
    if runs is None or output is None:
        raise LaunchError("Name the runs and a folder: rostrum tournament runs=RUN[,RUN...] output=FOLDER [swiss=N].")
    if rounds is not None and not rounds.isdecimal():
        raise LaunchError(f"swiss={rounds} is no number of rounds: give a whole number, or leave it out for everybody.")
    folders = [folder for name in runs.split(",") for folder in _runs_of(Path(name))]
    config = saved.changed(_agreed(folders), rest, RECONSIDERED)
    folder = Path(output)
    with saved.reserved(folder), continued_with(" ".join(["rostrum tournament", *overrides])):
        _begin(folder, config, folders)
        environment.silence()
        _play(folder, config, folders, None if rounds is None else int(rounds))
    say(f"The standings are in {folder}/tournament.html and {folder}/tournament.json.")
    return 0


def _runs_of(path: Path) -> list[Path]:
    """A run, or the arms of an experiment."""
    if (path / "arms").is_dir():
        return sorted(arm for arm in (path / "arms").iterdir() if RunFolder(arm).config.is_file())
    return [path]


def _agreed(folders: Sequence[Path]) -> Config:
    """The configuration of the first run, with which the others agree where it matters."""
    first, *others = [saved.run_config(folder) for folder in folders]
    for folder, other in zip(folders[1:], others, strict=True):
        same = {name: getattr(first, name) for name in SHARED}
        debater = other.debater.model_copy(update={"model": first.debater.model, "prompts": first.debater.prompts})
        if key := saved.difference(other, other.model_copy(update={**same, "debater": debater})):
            raise LaunchError(f"{folder} was trained with another {key} than {folders[0]}: they cannot meet.")
    return first


def _begin(folder: Path, config: Config, runs: Sequence[Path]) -> None:
    """What was played under another configuration, or by other runs, does not count."""
    made_with, names = folder / "config.yaml", folder / "runs.json"
    if made_with.exists():
        same = json.loads(names.read_text("utf-8")) == [str(run) for run in runs]
        if not same or saved.difference(compose.read(made_with), config):
            raise LaunchError(f"{folder} holds another tournament: choose another output=FOLDER.")
        return
    compose.save(config, made_with)
    write_atomically(names, json.dumps([str(run) for run in runs]))


def _play(folder: Path, config: Config, runs: Sequence[Path], rounds: int | None) -> None:
    from launch import checks
    from trainer.report.tournament import write_tournament
    from trainer.standings import standings
    from trainer.tournament import Player, Tournament

    checks.check_judges(config.judge_models)
    players = [Player(BASE, config.debater.model)]
    for run in runs:
        published = [iteration for iteration in RunFolder(run).published() if iteration]
        players += [Player(f"{run.name} {i}", str(RunFolder(run).policy(i))) for i in published]
    if len(players) < 2:
        raise LaunchError(f"{runs[0]} has published no trained policy yet: train it first.")
    played = Tournament(config, players, folder)
    try:
        table = played.round_robin() if rounds is None else played.swiss(rounds)
    finally:
        played.close()
    table.to_parquet(folder / "verdicts.parquet", index=False)
    found = standings(table, BASE)
    write_atomically(folder / "tournament.json", json.dumps(found, indent=1))
    write_tournament(folder, f"Tournament: {config.protocol.name}, {len(players)} players", found)
