"""`rostrum tournament`: the checkpoints of finished runs, and the base debater, rated against each other.

Runs are grouped by protocol: only debaters of one protocol can meet, but all are judged by the same judges on the same
questions, so how judge accuracy goes with persuasiveness can be compared between protocols.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rostrum.envs.files import write_atomically
from rostrum.launch import compose, environment, figures, saved
from rostrum.launch.arguments import take
from rostrum.launch.errors import LaunchError, continued_with
from rostrum.launch.results import show_root
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation.preregistration import hashes
from rostrum.trainer.evaluation.verdict_table import BASE
from rostrum.trainer.policies import path_of
from rostrum.trainer.progress import say
from rostrum.trainer.reading import read_json
from rostrum.trainer.store.run_folder import RunFolder

RECONSIDERED = ("heldout_judges", "questions.heldout", "evaluation.questions_seed", "cluster", "people.study")
"""What may be another than in training."""
SHARED = ("questions", "judge", "heldout_judges")
"""Sections in which the runs of one tournament must agree; debater.model and debater.prompts as well."""


@dataclass(frozen=True, slots=True)
class Group:
    """Runs of one protocol, under the name that the group has in files and on the page."""

    name: str
    config: Config
    runs: tuple[Path, ...]


def tournament(overrides: Sequence[str]) -> int:
    """Play what has not been played yet, then rate; write tournament.json, tournament.html and verdicts.parquet."""
    rest, runs = take(overrides, "runs")
    rest, output = take(rest, "output")
    rest, rounds = take(rest, "swiss")
    if runs is None or output is None:
        raise LaunchError("Name the runs and a folder: rostrum tournament runs=RUN[,RUN...] output=FOLDER [swiss=N].")
    if rounds is not None and not rounds.isdecimal():
        raise LaunchError(f"swiss={rounds} is no number of rounds: give a whole number, or leave it out for everybody.")
    groups = _groups([folder for name in runs.split(",") for folder in _runs_of(Path(name))], rest)
    if rounds is not None and all(len(group.config.protocol.sides) == 1 for group in groups):
        raise LaunchError("swiss=N says who meets whom, and consultants meet nobody: leave it out.")
    folder = Path(output)
    with saved.reserved(folder), continued_with(" ".join(["rostrum tournament", *overrides])):
        if not any(folder.glob("*/runs.json")):
            saved.check_new(folder, [group.name for group in groups])
        for group in groups:
            _begin(folder / group.name, group)
        environment.silence()
        _play(folder, groups, None if rounds is None else int(rounds))
        root = hashes.write(folder)
    show_root(root)
    say(f"The standings are in {folder}/tournament.html and {folder}/tournament.json.")
    return 0


def _runs_of(path: Path) -> list[Path]:
    """Return the run, or the arms of an experiment."""
    if (path / "arms").is_dir():
        return sorted(arm for arm in (path / "arms").iterdir() if RunFolder(arm).config.is_file())
    return [path]


def _groups(folders: Sequence[Path], overrides: Sequence[str]) -> list[Group]:
    """Return the runs by protocol, in the order in which they are named, with the first one's configuration."""
    read = [saved.entrusted(folder, overrides) for folder in folders]
    configs, overrides = [config for config, _ in read], read[0][1]
    _check_agreement(folders, configs)
    groups: list[Group] = []
    for first in configs:
        if any(first.protocol == group.config.protocol for group in groups):
            continue
        same = tuple(folder for folder, c in zip(folders, configs, strict=True) if c.protocol == first.protocol)
        name = _free(first.protocol.name, [group.name for group in groups])
        groups.append(Group(name, saved.changed(first, saved.tested_on(overrides), RECONSIDERED), same))
    return groups


def _free(name: str, taken: Sequence[str]) -> str:
    """Return the name, with a number behind it if another group has it: folders are called after groups."""
    return next(each for each in (name, *(f"{name}-{n}" for n in range(2, len(taken) + 3))) if each not in taken)


def _check_agreement(folders: Sequence[Path], configs: Sequence[Config]) -> None:
    """Refuse runs that do not agree where it matters.

    Raises:
        LaunchError: one of them does not.
    """
    first, *others = configs
    for folder, other in zip(folders[1:], others, strict=True):
        same = {name: getattr(first, name) for name in SHARED}
        debater = other.debater.model_copy(update={"model": first.debater.model, "prompts": first.debater.prompts})
        if key := saved.difference(other, other.model_copy(update={**same, "debater": debater})):
            raise LaunchError(f"{folder} was trained with another {key} than {folders[0]}: they cannot meet.")


def _begin(folder: Path, group: Group) -> None:
    """Write down who plays and under which configuration, or refuse a folder that holds another tournament."""
    made_with, names = folder / "config.yaml", folder / "runs.json"
    if made_with.exists():
        same = read_json(names, object) == [str(run) for run in group.runs]
        if not same or saved.difference(compose.read(made_with), group.config):
            raise LaunchError(f"{folder} holds another tournament: choose another output=FOLDER.")
        return
    write_atomically(names, json.dumps([str(run) for run in group.runs]))
    compose.save(group.config, made_with)


def _play(folder: Path, groups: Sequence[Group], rounds: int | None) -> None:
    import pandas as pd

    from rostrum.launch import checks, context
    from rostrum.trainer.evaluation.comparisons.standings import silent, standings
    from rostrum.trainer.evaluation.comparisons.tournament import Player, Tournament
    from rostrum.trainer.evaluation.verdict_table import write_verdicts
    from rostrum.trainer.records import jsonable
    from rostrum.trainer.report.tournament_page import write_tournament
    from rostrum.trainer.run_context import RunContext
    from rostrum.trainer.stored_judge import stored_judge

    config = groups[0].config
    known = RunContext(config)
    config.evaluation.check_questions(known)
    checks.check_teachers(known)
    checks.check_judges(config.judge_models, known, counted=False)
    for group in groups:
        context.check_context(RunContext(group.config))
    players = {group.name: [Player(name, path) for name, path in _players(group)] for group in groups}
    judges = [stored_judge(judge, config, folder / "judging.jsonl") for judge in config.judges]
    tables: dict[str, pd.DataFrame] = {}
    for group in groups:
        played = Tournament(group.config, players[group.name], judges, folder / group.name)
        try:
            tables[group.name] = played.round_robin() if rounds is None else played.swiss(rounds)
        finally:
            played.close()
    together = [table.assign(protocol=name) for name, table in tables.items()]
    write_verdicts(pd.concat(together, ignore_index=True), folder / "verdicts.parquet")
    for judge in sorted({judge for table in tables.values() for judge in silent(table)}):
        say(f"{judge} gave no valid verdict on these debates, and so rates nobody.")
    rated = {name: standings(table, BASE) for name, table in tables.items()}
    found = jsonable({"anchor": BASE, "groups": rated})
    figures.keep("tournament", found)
    write_atomically(folder / "tournament.json", json.dumps(found, indent=1))
    write_tournament(folder, f"Tournament: {', '.join(tables)}, {sum(map(len, players.values()))} players", found)


def _players(group: Group) -> list[tuple[str, str]]:
    """Return name and folder of the base debater and of every checkpoint.

    Raises:
        LaunchError: there is none but the base.
    """
    players = [(BASE, _whole(RunFolder(group.runs[0]).policy(0), group.config))]  # an adapter, or not, as the others
    for run, name in zip(group.runs, names_of(group.runs), strict=True):
        folder = RunFolder(run)
        players += [(f"{name} {i}", _whole(folder.policy(i), group.config)) for i in folder.published() if i]
    if len(players) < 2:
        raise LaunchError(f"{group.runs[0]} has published no trained policy yet: train it first.")
    return players


def _whole(published: Path, config: Config) -> str:
    """Return the absolute path of what was published after an iteration, which other machines read.

    Raises:
        ModelError: a policy is missing in there, or is no model.
    """
    from rostrum.trainer.models import loading

    for policy in config.policies:
        loading.resolve(str(path_of(published, policy, config.policies)))
    return str(published.absolute())


def names_of(runs: Sequence[Path]) -> list[str]:
    """Return the folders' names, with as much of the path before them as tells them apart."""
    for length in range(1, max(len(run.parts) for run in runs) + 1):
        names = ["/".join(run.parts[-length:]) for run in runs]
        if len(set(names)) == len(names):
            return names
    raise LaunchError(f"{runs[0]} is named twice: name each run once.")
