"""`rostrum people`: studies in which people judge debates of evaluated runs."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from rostrum.envs.files import write_atomically
from rostrum.launch import compose, environment, saved
from rostrum.launch.arguments import take, tell
from rostrum.launch.errors import LaunchError
from rostrum.trainer.config.people import People
from rostrum.trainer.reading import read_json
from rostrum.trainer.section import Section

if TYPE_CHECKING:
    import sqlite3

SETTINGS = "study.json"
GUIDELINES = Path(__file__).parents[1] / "people" / "guidelines.md"


DESK = ("password", "pause", "resume", "guidelines", "message")
"""What is in `rostrum.launch.people.desk`."""


class StudyFile(Section):
    """What a study was made with."""

    runs: tuple[str, ...]
    seed: int
    people: People


def people(words: Sequence[str]) -> int:
    """Carry out `people new|invite|serve|rehearse|...`."""
    verbs: dict[str, Callable[[Sequence[str]], int]] = {
        "new": _new,
        "invite": _invite,
        "serve": _serve,
        "rehearse": _rehearse,
        **{name: partial(_at_the_desk, name) for name in DESK},
    }
    verb, rest = (words[0], words[1:]) if words else ("", ())
    if verb not in verbs:
        raise LaunchError(f"Say what to do with a study: rostrum people {'|'.join(verbs)} KEY=VALUE.")
    return verbs[verb](rest)


def settings_of(study: Path) -> People:
    """Return how a study judges.

    Raises:
        DamagedError: the folder holds no study, or its settings were damaged.
        StudyError: they are another release's.
    """
    from rostrum.rewards.people.database import StudyError

    found = read_json(study / SETTINGS, dict[str, Any])
    try:
        return StudyFile.model_validate(found).people
    except ValidationError as error:
        raise StudyError(
            f"{study / SETTINGS} holds no settings of a study ({error.errors()[0]['msg']}): restore it from a copy."
        ) from None


def _new(words: Sequence[str]) -> int:
    """Make a study's folder from evaluated runs."""
    rest, output = take(words, "output")
    rest, runs = take(rest, "runs")
    if output is None or runs is None:
        raise LaunchError("Name a folder and evaluated runs: rostrum people new output=STUDY runs=RUN[,RUN...].")
    if strange := [word for word in rest if not word.startswith(("people.", "seed="))]:
        raise LaunchError(f"{strange[0]} says nothing about a study: only people.* and seed can be given.")
    config, folder, folders = compose.load(rest), Path(output), [Path(run) for run in runs.split(",")]
    configs = [saved.run_config(run) for run in folders]
    environment.silence()
    from rostrum.trainer.evaluation.people import new_study

    with saved.reserved(folder):
        saved.check_new(folder)
        found = [
            new_study.conditions_of(run, own, config.people.checkpoints)
            for run, own in zip(folders, configs, strict=True)
        ]
        conditions = [condition for of_run in found for condition in of_run]
        chosen = new_study.choose(conditions, new_study.right_seats(folders), config.people, config.seed)
        source = config.people.guidelines or GUIDELINES
        if not source.is_file():
            raise LaunchError(f"There is no file {source}: give the guidelines as people.guidelines=FILE.md.")
        new_study.write(folder, conditions, chosen, source.read_text("utf-8"), time.time())
        made = StudyFile(runs=tuple(map(str, folders)), seed=config.seed, people=config.people)
        write_atomically(folder / SETTINGS, json.dumps(made.model_dump(mode="json"), indent=2) + "\n")
    wanted, judged = new_study.cost(chosen, config.people), sum(each.phase == "main" for each in chosen)
    tell(
        f"{folder}: {judged} debates on {config.people.questions} questions under {len(conditions)} conditions, "
        f"{config.people.verdicts} verdicts each.",
        f"With training and qualification of {config.people.judges} people that is {wanted['verdicts']} verdicts, "
        f"about {wanted['hours']:.1f} hours and ${wanted['dollars']:,.0f}.",
        f"Try it with scripted judges: rostrum people rehearse {folder}.",
    )
    return 0


def _invite(words: Sequence[str]) -> int:
    """Add judges to a study and print a link for each; links are not kept, so they are printed once."""
    study, rest = _study(words)
    rest, count = take(rest, "judges")
    rest, address = take(rest, "address")
    _nothing_else(rest)
    if count is None or not count.isdecimal() or address is None:
        raise LaunchError("Say how many and where: rostrum people invite STUDY judges=N address=https://HOST.")
    from rostrum.launch.people import access

    with _opened(study) as db:
        for _ in range(int(count)):
            sys.stdout.write(f"{address.rstrip('/')}/join/{access.invite(db)}\n")
    return 0


def _serve(words: Sequence[str]) -> int:
    """Serve the pages until stopped; on this machine alone unless told otherwise."""
    study, rest = _study(words)
    from rostrum.launch.people import serving

    with _opened(study) as db:
        judges, researcher = serving.places(study, settings_of(study), db, rest)
    tell(f"Judges' pages of {study} on {judges}; stop with Ctrl-C.")
    if researcher is None:
        tell(f"The researcher's pages need a password first: rostrum people password {study}.")
    else:
        tell(f"Researcher's pages on {researcher}.")
    serving.serve(judges, researcher)
    return 0


def _at_the_desk(verb: str, words: Sequence[str]) -> int:
    """Do what a researcher does to a study."""
    study, rest = _study(words)
    from rostrum.launch.people import desk

    with _opened(study) as db:
        desk.VERBS[verb](db, study, rest)
    return 0


def _rehearse(words: Sequence[str]) -> int:
    """Run a copy of the study with scripted judges over its pages."""
    study, rest = _study(words)
    rest, output = take(rest, "output")
    rest, judges = take(rest, "judges")
    _nothing_else(rest)
    if judges is not None and not judges.isdecimal():
        raise LaunchError(f"judges={judges} is no number: give how many scripted judges there are to be.")
    settings, copy = settings_of(study), Path(output or study / "rehearsal")
    from rostrum.launch.people.rehearsal import rehearse
    from rostrum.rewards.people import database

    with _opened(study) as db, saved.reserved(copy):
        saved.check_new(copy)
        fresh = database.copied(db, copy)
        write_atomically(copy / SETTINGS, (study / SETTINGS).read_bytes())
        told = rehearse(fresh, copy, settings, int(judges or settings.judges))
    tell(told, f"Their verdicts are a judge: heldout_judges=[{{kind: people, name: people, study: {copy}}}].")
    return 0


def _study(words: Sequence[str]) -> tuple[Path, list[str]]:
    if not words or "=" in words[0]:
        raise LaunchError("Name the study's folder: rostrum people VERB STUDY KEY=VALUE.")
    return Path(words[0]), list(words[1:])


def _nothing_else(rest: Sequence[str]) -> None:
    if rest:
        raise LaunchError(f"{rest[0]} is not known here: see `rostrum people --help`.")


class _opened:
    """The database of a study, as a context."""

    def __init__(self, study: Path) -> None:
        self._study = study

    def __enter__(self) -> "sqlite3.Connection":
        from rostrum.rewards.people import database

        self._open = database.connect(self._study)
        return self._open

    def __exit__(self, *_: object) -> None:
        self._open.close()
