"""`rostrum people`: studies in which people judge debates of evaluated runs."""

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rostrum.envs.files import write_atomically
from rostrum.launch import saved
from rostrum.launch.arguments import nothing_else, take, tell
from rostrum.launch.errors import LaunchError
from rostrum.trainer.evaluation.people.study_file import NAME, StudyFile, settings_of

if TYPE_CHECKING:
    import sqlite3

DESK = ("password", "pause", "resume", "guidelines", "message", "export", "delete")
"""Functions of `rostrum.launch.people.desk`, which is loaded for one of these alone."""


def people(words: Sequence[str]) -> int:
    """Carry out `people new|invite|serve|rehearse|...`."""
    verbs: dict[str, Callable[[Sequence[str]], int]] = {
        "new": _new,
        "invite": _invite,
        "serve": _serve,
        "play": _play,
        "rehearse": _rehearse,
        "results": _results,
        "import": _import,
        **{name: partial(_at_the_desk, name) for name in DESK},
    }
    verb, rest = (words[0], words[1:]) if words else ("", ())
    if verb not in verbs:
        raise LaunchError(f"Say what to do with a study: rostrum people {'|'.join(verbs)} KEY=VALUE.")
    return verbs[verb](rest)


def _new(words: Sequence[str]) -> int:
    """Make a study's folder from evaluated runs."""
    from rostrum.launch.people.making import make

    tell(*make(words))
    return 0


def _import(words: Sequence[str]) -> int:
    """Make a study's folder from published human debates."""
    from rostrum.launch.people.making import take_over

    tell(*take_over(words))
    return 0


def _invite(words: Sequence[str]) -> int:
    """Add judges to a study and print a link for each; links are not kept, so they are printed once."""
    study, rest = _study(words)
    rest, count = take(rest, "judges")
    rest, address = take(rest, "address")
    rest, tags = take(rest, "tags")
    nothing_else(rest, "people")
    if count is None or not count.isdecimal() or address is None:
        raise LaunchError("Say how many and where: rostrum people invite STUDY judges=N address=https://HOST.")
    given, days = tuple(filter(None, (tag.strip() for tag in (tags or "").split(",")))), settings_of(study).link_days
    from rostrum.launch.people import access

    with _opened(study) as db:
        for _ in range(int(count)):
            sys.stdout.write(f"{address.rstrip('/')}/join/{access.invite(db, days=days, tags=given)}\n")
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
        getattr(desk, verb)(db, study, rest)
    return 0


def _play(words: Sequence[str]) -> int:
    """Have the debaters of a live study answer its judges until stopped."""
    study, rest = _study(words)
    from rostrum.launch.people import player

    with _opened(study) as db:
        ready = player.player_of(study, db, StudyFile.read(study), rest)
        tell(f"Debaters of {study} answer their judges; stop with Ctrl-C.")
        player.play(ready)
    return 0


def _rehearse(words: Sequence[str]) -> int:
    """Run a copy of the study with scripted judges over its pages."""
    study, rest = _study(words)
    rest, output = take(rest, "output")
    rest, judges = take(rest, "judges")
    made, copy = StudyFile.read(study), Path(output or study / "rehearsal")
    settings = made.people
    if not settings.live:
        nothing_else(rest, "people")
    if judges is not None and not judges.isdecimal():
        raise LaunchError(f"judges={judges} is no number: give how many scripted judges there are to be.")
    from rostrum.launch.people.rehearsal import rehearse
    from rostrum.rewards.people import database

    with _opened(study) as db, saved.reserved(copy):
        saved.check_new(copy)
        fresh = database.copied(db, copy)
        write_atomically(copy / NAME, (study / NAME).read_bytes())
        with _debaters(copy, fresh, made, rest) if settings.live else nullcontext(lambda: None) as look:
            told = rehearse(fresh, copy, settings, int(judges or settings.judges), look)
    tell(told, f"Their verdicts are a judge: heldout_judges=[{{kind: people, name: people, study: {copy}}}].")
    return 0


def _debaters(
    study: Path, db: "sqlite3.Connection", made: StudyFile, rest: Sequence[str]
) -> AbstractContextManager[Callable[[], None]]:
    from rostrum.launch.people import player

    return player.at_hand(study, db, made, rest)


def _results(words: Sequence[str]) -> int:
    """Print what came out of a study so far, and whether it is as it was declared."""
    study, rest = _study(words)
    nothing_else(rest, "people")
    from rostrum.rewards.people import pay
    from rostrum.trainer.evaluation.people import double_check, given, queued, study_lock, worth_a_look
    from rostrum.trainer.evaluation.people.results import read, results, sentences

    wage = settings_of(study).wage
    with _opened(study) as db:
        judged = read(db)
        every = given.read(db)
        queue = queued.sentence(queued.queued(db, every))
        found = sentences(results(judged)) or ([] if queue else ["Nobody has judged a debate of the main phase yet."])
        found += double_check.sentences(double_check.agreement(judged, double_check.read(db)))
        decided = worth_a_look.sentence(worth_a_look.decided(db, every))
        otherwise, due = study_lock.check(study, db), pay.sentence(db, wage)
    tell(*found, *filter(None, [decided, queue]), due, *(f"Not as declared: {sentence}" for sentence in otherwise))
    return 0


def _study(words: Sequence[str]) -> tuple[Path, list[str]]:
    if not words or "=" in words[0]:
        raise LaunchError("Name the study's folder: rostrum people VERB STUDY KEY=VALUE.")
    return Path(words[0]), list(words[1:])


def _opened(study: Path) -> "closing[sqlite3.Connection]":
    """Return the database of a study, as a context."""
    from rostrum.rewards.people import database

    return closing(database.connect(study))
