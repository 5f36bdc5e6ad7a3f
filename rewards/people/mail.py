"""What researchers and judges write to each other, perhaps about a debate."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rostrum.rewards.people.database import StudyError, transaction

Sender = Literal["judge", "researcher"]
LONGEST = 4_000
"""Characters of a message."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message between a judge and the researchers."""

    id: int
    sender: Sender
    text: str
    at: float
    read: float | None
    """When the other side opened it."""
    place: int | None
    """The place on a debate that it is about."""
    debate: int | None


@dataclass(frozen=True, slots=True)
class Thread:
    """All messages with one judge."""

    judge: str
    unread: int
    """Messages of the judge that no researcher has opened."""
    messages: Sequence[Message]
    """The oldest first."""


def send(
    connection: sqlite3.Connection, judge: str, sender: Sender, text: str, now: float, place: int | None = None
) -> None:
    """Keep a message to or from a judge, perhaps about one of the judge's debates.

    Raises:
        StudyError: it is empty or too long, or there is no such judge, or the debate was not given to this judge.
    """
    with transaction(connection):
        if not connection.execute("SELECT 1 FROM judge WHERE id = ?", (judge,)).fetchone():
            raise StudyError(f"There is no judge {judge} here: choose one from the list.", "no_judge", judge=judge)
        if (
            place is not None
            and not connection.execute("SELECT 1 FROM place WHERE id = ? AND judge = ?", (place, judge)).fetchone()
        ):
            raise StudyError("This debate was not given to you: go back to the study and open yours.", "not_yours")
        _insert(connection, judge, sender, _checked(text), now, place)


def send_to_all(connection: sqlite3.Connection, text: str, now: float) -> int:
    """Send a message from the researchers to every judge who is at work or through; return how many there are.

    Raises:
        StudyError: it is empty or too long.
    """
    with transaction(connection):
        judges = connection.execute("SELECT id FROM judge WHERE state NOT IN ('invited', 'left') ORDER BY number")
        found = [judge for (judge,) in judges]
        for judge in found:
            _insert(connection, judge, "researcher", _checked(text), now, None)
    return len(found)


def messages(connection: sqlite3.Connection, judge: str) -> list[Message]:
    """Return all messages with a judge, the oldest first."""
    rows = connection.execute(
        "SELECT m.id, m.sender, m.text, m.at, m.read, m.place, p.debate "
        "FROM message m LEFT JOIN place p ON p.id = m.place WHERE m.judge = ? ORDER BY m.at, m.id",
        (judge,),
    )
    return [Message(*row) for row in rows]


def unread(connection: sqlite3.Connection, judge: str, sender: Sender) -> int:
    """Return how many messages of this sender with a judge the other side has not opened."""
    (count,) = connection.execute(
        "SELECT count(*) FROM message WHERE judge = ? AND sender = ? AND read IS NULL", (judge, sender)
    ).fetchone()
    return int(count)


def mark_read(connection: sqlite3.Connection, judge: str, sender: Sender, now: float, until: int | None = None) -> None:
    """Note that the messages of this sender, up to one's number or all, were opened by the other side."""
    with transaction(connection):
        connection.execute(
            "UPDATE message SET read = ? WHERE judge = ? AND sender = ? AND read IS NULL AND id <= coalesce(?, id)",
            (now, judge, sender, until),
        )


def threads(connection: sqlite3.Connection) -> list[Thread]:
    """Return all threads: those with messages that no researcher has opened first, and the newest first of these."""
    judges = connection.execute("SELECT DISTINCT judge FROM message").fetchall()
    found = [Thread(judge, unread(connection, judge, "judge"), messages(connection, judge)) for (judge,) in judges]
    return sorted(found, key=lambda thread: (thread.unread == 0, -thread.messages[-1].at, thread.judge))


def _checked(text: str) -> str:
    text = text.strip()
    if not text:
        raise StudyError("Write something first.", "empty")
    if len(text) > LONGEST:
        raise StudyError(f"A message has at most {LONGEST} characters: write a shorter one.", "long", most=LONGEST)
    return text


def _insert(
    connection: sqlite3.Connection, judge: str, sender: Sender, text: str, now: float, place: int | None
) -> None:
    connection.execute(
        "INSERT INTO message (judge, sender, place, text, at) VALUES (?, ?, ?, ?, ?)", (judge, sender, place, text, now)
    )
