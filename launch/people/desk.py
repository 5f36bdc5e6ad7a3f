"""What a researcher does to a study from the command line: a function for each of `launch.commands.people.DESK`."""

import getpass
import sqlite3
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rostrum.launch import saved
from rostrum.launch.arguments import nothing_else, take, tell
from rostrum.launch.errors import LaunchError
from rostrum.launch.people import password as passwords
from rostrum.rewards.people import controls, mail, removal


def password(db: sqlite3.Connection, study: Path, words: Sequence[str]) -> None:
    """Set the password of the researcher's pages: from standard input, or asked for twice where that is a terminal."""
    nothing_else(words, "people")
    if sys.stdin.isatty():
        given = getpass.getpass("New password: ")
        if given != getpass.getpass("Once more: "):
            raise LaunchError("The two passwords differ: nothing was changed.")
    else:
        given = sys.stdin.readline().rstrip("\r\n")
    passwords.keep(db, given)
    tell(f"The researcher's pages of {study} have a new password; whoever was logged in no longer is.")


def pause(db: sqlite3.Connection, study: Path, words: Sequence[str]) -> None:
    """Give out no new debates."""
    nothing_else(words, "people")
    controls.pause(db)
    tell(f"{study} is paused: judges finish what they have begun. Go on with `rostrum people resume {study}`.")


def resume(db: sqlite3.Connection, study: Path, words: Sequence[str]) -> None:
    """Give out debates again."""
    nothing_else(words, "people")
    controls.resume(db)
    tell(f"{study} goes on.")


def guidelines(db: sqlite3.Connection, study: Path, words: Sequence[str]) -> None:
    """Give the guidelines a new version."""
    rest, name = take(words, "file")
    nothing_else(rest, "people")
    if name is None or not Path(name).is_file():
        raise LaunchError(f"Name a file: rostrum people guidelines {study} file=FILE.md.")
    version = controls.new_guidelines(db, Path(name).read_text("utf-8"), time.time())
    tell(f"Version {version} of the guidelines: each judge reads it before the next debate.")


def message(db: sqlite3.Connection, study: Path, words: Sequence[str]) -> None:
    """Write to one judge, or to all who have joined."""
    rest, judge = take(words, "judge")
    rest, text = take(rest, "text")
    nothing_else(rest, "people")
    if judge is None or text is None:
        raise LaunchError(f'Say to whom and what: rostrum people message {study} judge=ID|all text="...".')
    if judge == "all":
        tell(f"Sent to {mail.send_to_all(db, text, time.time())} judges.")
    else:
        mail.send(db, judge, "researcher", text, time.time())
        tell(f"Sent to {judge}.")


def export(db: sqlite3.Connection, study: Path, words: Sequence[str]) -> None:
    """Write what a study holds as tables, without names and with new pseudonyms."""
    rest, output = take(words, "output")
    rest, ids = take(rest, "ids")
    nothing_else(rest, "people")
    if output is None or ids not in (None, "kept"):
        raise LaunchError(f"Name a folder: rostrum people export {study} output=FOLDER [ids=kept].")
    from rostrum.trainer.evaluation.people import exporting

    folder = Path(output)
    with saved.reserved(folder):
        saved.check_new(folder)
        rows = exporting.export(db, folder, keep_ids=ids is not None)
    tell(
        f"{folder}: {', '.join(f'{count} {name}' for name, count in rows.items())}, each as .parquet, .csv and .jsonl.",
        "Names, contacts and outside ids are not in it. Read what people wrote before you share it: they may say who "
        "they are.",
    )


def delete(db: sqlite3.Connection, study: Path, words: Sequence[str]) -> None:
    """Remove a person from a study."""
    rest, judge = take(words, "judge")
    rest, keep = take(rest, "keep")
    nothing_else(rest, "people")
    if judge is None or keep not in ("verdicts", "nothing"):
        raise LaunchError(
            f"Say who and what stays: rostrum people delete {study} judge=ID keep=verdicts (the numbers, under a new "
            "pseudonym) or keep=nothing."
        )
    new = removal.remove(db, judge, "verdicts" if keep == "verdicts" else "nothing")
    stays = f"The numbers of their verdicts stay as those of {new}." if new else "Their places are given out again."
    tell(f"{judge} is removed from {study}. {stays}", "Exports, backups and rehearsals of before still hold them.")
