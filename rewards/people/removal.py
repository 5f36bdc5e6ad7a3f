"""Removes a person from a study, so that nothing of them can be read in its files either."""

import json
import secrets
import sqlite3
from typing import Literal

from rostrum.rewards.people import verdicts
from rostrum.rewards.people.database import StudyError, transaction

Keep = Literal["verdicts", "nothing"]
"""What stays: the numbers of the verdicts under a new pseudonym, or nothing, and others judge in the person's place."""
GONE = "[removed]"


def remove(connection: sqlite3.Connection, judge: str, keep: Keep) -> str | None:
    """Remove a judge's name, contact, outside id, messages, links, sessions, warnings, notes and free text. Return the
    new pseudonym of the verdicts that stay, if any do.

    Raises:
        StudyError: there is no such judge, or others are reading the study's files, so that nothing could be wiped.
    """
    if not connection.execute("SELECT 1 FROM judge WHERE id = ?", (judge,)).fetchone():
        raise StudyError(f"There is no judge {judge} in this study: see the researcher's pages or an export.")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA temp_store = MEMORY")  # no copy of the file in the system's folder for such
    _truncate(connection)
    with transaction(connection):
        new = _keep_verdicts(connection, judge) if keep == "verdicts" else None
        connection.execute("DELETE FROM judge WHERE id = ?", (judge,))  # and with it all that is the person's
        for table, column in (("note", "text"), ("message", "text"), ("adjudication", "explanation")):
            connection.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (judge, GONE))
    _wipe(connection)
    return new


def _keep_verdicts(connection: sqlite3.Connection, judge: str) -> str:
    """Move a judge's places with their verdicts to a new pseudonym, without words and what a browser knew them by."""
    new = f"judge-{secrets.token_hex(4)}"
    (number,) = connection.execute("SELECT number FROM judge WHERE id = ?", (judge,)).fetchone()
    (other,) = connection.execute("SELECT min(number) - 1 FROM judge").fetchone()
    connection.execute("UPDATE judge SET number = ? WHERE id = ?", (min(other, -1), judge))
    connection.execute("INSERT INTO judge (id, number, state) VALUES (?, ?, 'left')", (new, number))
    connection.execute("UPDATE place SET state = 'returned' WHERE judge = ? AND state = 'open'", (judge,))
    connection.execute("UPDATE place SET judge = ?, token = lower(hex(randomblob(16))) WHERE judge = ?", (new, judge))
    for table in ("checked", "acknowledged"):
        connection.execute(f"UPDATE {table} SET judge = ? WHERE judge = ?", (new, judge))
    places = [place for (place,) in connection.execute("SELECT id FROM place WHERE judge = ?", (new,))]
    for place in places:
        connection.execute(
            "UPDATE verdict SET explanation = '', key = lower(hex(randomblob(16))) WHERE place = ?", (place,)
        )
        seconds = verdicts.draft(connection, place).seconds  # which stay, as they were paid
        connection.execute("UPDATE draft SET fields = ? WHERE place = ?", (json.dumps({"seconds": seconds}), place))
        connection.execute("UPDATE inquiry SET text = '' WHERE place = ?", (place,))
        _remove_questions(connection, place)
    return new


def _remove_questions(connection: sqlite3.Connection, place: int) -> None:
    """Remove what the judge asked from a live debate."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for table in sorted({"live", "played"} & tables):
        found = connection.execute(f"SELECT transcript FROM {table} WHERE place = ?", (place,)).fetchone()
        if found is not None:
            stored = json.loads(found["transcript"])
            for inquiry in stored["record"].get("inquiries", ()):
                inquiry["text"] = ""
            connection.execute(f"UPDATE {table} SET transcript = ? WHERE place = ?", (json.dumps(stored), place))


def _wipe(connection: sqlite3.Connection) -> None:
    """Write the file anew without what was deleted, and empty the log beside it.

    Raises:
        StudyError: others are reading it.
    """
    connection.execute("VACUUM")
    _truncate(connection)


def _truncate(connection: sqlite3.Connection) -> None:
    busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise StudyError(
            "Others are reading the study, so old pages of its file cannot be wiped: stop the server, then run "
            "`rostrum people delete` again."
        )
