"""Has the debaters of a live study answer its judges (`rostrum people play`), and those of a rehearsal."""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rostrum.launch import environment, errors, saved
from rostrum.launch.commands.tournament import names_of
from rostrum.launch.errors import LaunchError
from rostrum.trainer.config import Config
from rostrum.trainer.evaluation.people.playing import EndedError, Player, RunDebaters, at_play
from rostrum.trainer.evaluation.people.study_file import StudyFile


def as_evaluated(runs: Sequence[str], overrides: Sequence[str]) -> list[Config]:
    """Return the configurations with which the runs of a study were evaluated; the overrides entrust what these name
    of other people's (`launch.trust`), and nothing else.

    Raises:
        LaunchError: something that is named is not entrusted, or an override says anything else.
    """
    left, configs = list(overrides), list[Config]()
    for run in runs:
        config, kept = saved.entrusted(Path(run), overrides, evaluated=True)
        configs.append(config)
        left = [override for override in left if override in kept]
    if left:
        raise LaunchError(f"{left[0]} is not known here: debaters play as they were evaluated.")
    return configs


def player_of(study: Path, db: sqlite3.Connection, made: StudyFile, overrides: Sequence[str]) -> Player:
    """Return the player of a study, or of a copy of it; `overrides` as for `as_evaluated`.

    Raises:
        LaunchError: its judges ask nothing.
        StudyError: a checkpoint is not there any more.
    """
    if not made.people.live:
        raise LaunchError(f"In {study} nobody asks: only studies made with people.live=true are played.")
    shown = {text for (text,) in db.execute("SELECT shown FROM debate WHERE condition IS NOT NULL")}
    configs, names = as_evaluated(made.runs, overrides), names_of([Path(run) for run in made.runs])
    environment.silence()
    debaters = RunDebaters(dict(zip(names, configs, strict=True)), shown, made.seed)
    return Player(study, debaters, made.people.live_seconds)


@contextmanager
def at_hand(
    study: Path, db: sqlite3.Connection, made: StudyFile, overrides: Sequence[str]
) -> Iterator[Callable[[], None]]:
    """Have a study's debaters answer while the block runs, which is given a look whether they still do; arguments as
    for `player_of`.

    Raises:
        LaunchError: they have ended before; the message says why.
    """
    try:
        with at_play(player_of(study, db, made, overrides)) as look:
            yield look
    except EndedError as ended:
        why = ended.__cause__ or ended
        told = errors.sentence(why) or f"{type(why).__name__}: {why}"
        raise LaunchError(f"The debaters have ended, so nobody answers the judges any more: {told}") from why


def play(player: Player) -> None:
    """Play until Ctrl-C. A round that was under way is taken up by the next player."""
    stop = threading.Event()
    try:
        player.run(stop)
    except KeyboardInterrupt:
        stop.set()
