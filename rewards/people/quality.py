"""Checks that judges were put to, what they were warned of, and who was stopped."""

import sqlite3
from typing import Literal

from rostrum.rewards.people.database import transaction

Kind = Literal["comprehension", "attention", "time", "gold"]


def note(
    connection: sqlite3.Connection, judge: str, kind: Kind, passed: bool, now: float, place: int | None = None
) -> None:
    """Keep how a check went; what was kept first of a place stays. Belongs into a transaction."""
    connection.execute(
        "INSERT OR IGNORE INTO checked (judge, kind, place, passed, at) VALUES (?, ?, ?, ?, ?)",
        (judge, kind, place, passed, now),
    )


def counts(connection: sqlite3.Connection, judge: str, kind: Kind) -> tuple[int, int]:
    """Return how many checks of a kind there were, and how many were passed."""
    n, passed = connection.execute(
        "SELECT count(*), coalesce(sum(passed), 0) FROM checked WHERE judge = ? AND kind = ?", (judge, kind)
    ).fetchone()
    return n, passed


def warn(connection: sqlite3.Connection, judge: str, reason: str, now: float) -> None:
    """Keep a warning for a judge, who is shown it on the next page. Belongs into a transaction."""
    connection.execute("INSERT INTO warning (judge, reason, at) VALUES (?, ?, ?)", (judge, reason, now))


def warned(connection: sqlite3.Connection, judge: str) -> int:
    """Return how often a judge was warned."""
    (n,) = connection.execute("SELECT count(*) FROM warning WHERE judge = ?", (judge,)).fetchone()
    return int(n)


def unread(connection: sqlite3.Connection, judge: str) -> list[tuple[int, str]]:
    """Return the warnings that a judge has not seen yet, with their numbers."""
    rows = connection.execute("SELECT id, reason FROM warning WHERE judge = ? AND read IS NULL ORDER BY id", (judge,))
    return [(row["id"], row["reason"]) for row in rows]


def have_read(connection: sqlite3.Connection, judge: str, up_to: int, now: float) -> None:
    """Note that the warnings up to a number were on a page from which the judge went on."""
    with transaction(connection):
        connection.execute(
            "UPDATE warning SET read = ? WHERE judge = ? AND id <= ? AND read IS NULL", (now, judge, up_to)
        )


def stop(connection: sqlite3.Connection, judge: str, reason: str) -> None:
    """End a judge's part, with the reason that they are told, and put their debate back. Belongs into a transaction."""
    connection.execute("UPDATE judge SET state = 'stopped', reason = ? WHERE id = ?", (reason, judge))
    connection.execute("UPDATE place SET state = 'returned' WHERE state = 'open' AND judge = ?", (judge,))
