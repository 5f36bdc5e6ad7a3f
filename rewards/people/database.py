"""The SQLite file of a study: opened safely, written in whole transactions, one writer at a time."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rostrum.envs import files

NAME = "study.sqlite"
VERSION = 2
"""Of the schema, kept as SQLite's user_version."""
PATIENCE = 30.0
"""Seconds that a writer waits for another."""


class StudyError(ValueError):
    """A study that cannot be used as it is; the message is one sentence that says what to do.

    What people can meet on a page has a `key` too, of the sentence in the pages' own words, and the `values` for it.
    """

    def __init__(self, sentence: str, key: str = "", **values: object) -> None:
        """Make it of a sentence for the command line, and what pages make theirs of."""
        super().__init__(sentence)
        self.key, self.values = key, values


def create(folder: Path) -> sqlite3.Connection:
    """Make the database of a new study and open it.

    Raises:
        StudyError: there is one already.
        FilesError: the file, or a folder on the way, is a link.
    """
    path = files.checked(folder / NAME)
    if path.exists():
        raise StudyError(f"{folder} already holds a study: choose another output=FOLDER.")
    path.touch(0o600)  # it will hold names and contacts
    connection = _opened(path)
    connection.execute("PRAGMA journal_mode = WAL")
    schema = Path(__file__).with_name("schema.sql").read_text("utf-8")
    connection.executescript(f"BEGIN IMMEDIATE; {schema} PRAGMA user_version = {VERSION}; COMMIT;")
    return connection


def connect(folder: Path) -> sqlite3.Connection:
    """Open the database of a study.

    Raises:
        StudyError: there is none, or it is another version's, or no database.
        FilesError: the file, or a folder on the way, is a link.
    """
    path = files.checked(folder / NAME)
    if not path.exists():
        raise StudyError(f"{folder} holds no study: name the folder of one, or make one with `rostrum people new`.")
    try:
        connection = _opened(path)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise StudyError(f"{path} is damaged ({error}): restore it from a copy.") from None
    if version != VERSION:
        raise StudyError(f"{path} is of version {version} and this code reads {VERSION}: use the release that made it.")
    return connection


def folder_of(connection: sqlite3.Connection) -> Path:
    """Return the folder of the study whose database this is."""
    (path,) = [row[2] for row in connection.execute("PRAGMA database_list") if row[1] == "main"]
    return Path(path).parent


def copied(connection: sqlite3.Connection, folder: Path) -> sqlite3.Connection:
    """Make a study of the same debates, answers and guidelines in which nobody has judged, and open it."""
    new = create(folder)
    with transaction(new):
        for table in ("condition", "debate", "answer", "model_verdict", "guidelines"):
            rows = [tuple(row) for row in connection.execute(f"SELECT * FROM {table}")]
            if rows:
                new.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
        for row in connection.execute("SELECT key, value FROM setting WHERE key = 'comprehension'"):
            new.execute("INSERT INTO setting VALUES (?, ?)", tuple(row))
    return new


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")  # a verdict that was confirmed outlives a power cut
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Do everything in the block or nothing of it. Waits for other writers first, so what is read in it stays true."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
