"""What a researcher does to a study that runs: pauses it, changes its guidelines, stops a judge or lets one back in,
notes something down, decides about a debate on which judges part."""

import sqlite3

from rostrum.rewards.people import mail
from rostrum.rewards.people.database import StudyError, transaction

LONGEST = 100_000
"""Characters of guidelines."""
AT_WORK = ("training", "qualification", "main")
"""States in which a judge is given debates."""


def setting(connection: sqlite3.Connection, key: str) -> str | None:
    """Return what was set, None if nothing was."""
    found = connection.execute("SELECT value FROM setting WHERE key = ?", (key,)).fetchone()
    return None if found is None else str(found["value"])


def put(connection: sqlite3.Connection, key: str, value: str) -> None:
    """Set something."""
    with transaction(connection):
        connection.execute(
            "INSERT INTO setting VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value)
        )


def pause(connection: sqlite3.Connection) -> None:
    """Give out no new debates from now on; what was begun can be finished."""
    put(connection, "paused", "yes")


def resume(connection: sqlite3.Connection) -> None:
    """Give out debates again."""
    put(connection, "paused", "no")


def is_paused(connection: sqlite3.Connection) -> bool:
    """Return whether a study gives out no new debates."""
    return setting(connection, "paused") == "yes"


def is_at_work(connection: sqlite3.Connection, judge: str) -> bool:
    """Return whether a judge is in a phase in which debates are given out."""
    found = connection.execute("SELECT state FROM judge WHERE id = ?", (judge,)).fetchone()
    return found is not None and found["state"] in AT_WORK


def new_guidelines(connection: sqlite3.Connection, text: str, now: float) -> int:
    """Give the guidelines a new version, which each judge reads before the next debate; return its number.

    Raises:
        StudyError: they are empty, too long, or as they were.
    """
    text = text.replace("\r\n", "\n").strip()
    if not text:
        raise StudyError("The guidelines are empty: write what judges are to do.", "guidelines_empty")
    if len(text) > LONGEST:
        raise StudyError(
            f"Guidelines have at most {LONGEST} characters: write shorter ones.", "guidelines_long", most=LONGEST
        )
    with transaction(connection):
        newest = connection.execute("SELECT * FROM guidelines ORDER BY version DESC LIMIT 1").fetchone()
        if newest["text"].strip() == text:
            raise StudyError("These are the guidelines that there are: change something first.", "guidelines_same")
        connection.execute("INSERT INTO guidelines VALUES (?, ?, ?)", (newest["version"] + 1, text, now))
    return int(newest["version"]) + 1


def stop(connection: sqlite3.Connection, judge: str, reason: str) -> None:
    """Stop a judge, who is told why, and put the judge's open debate back.

    Raises:
        StudyError: there is no reason, or the judge is not at work.
    """
    if not reason.strip():
        raise StudyError("Say why: the judge is told.", "say_why")
    with transaction(connection):
        stopped = connection.execute(
            "UPDATE judge SET state = 'stopped', reason = ? WHERE id = ? "
            "AND state NOT IN ('stopped', 'left', 'finished') RETURNING id",
            (reason.strip(), judge),
        ).fetchone()
        if stopped is None:
            raise StudyError("This judge is not at work: there is nobody to stop.", "not_at_work")
        connection.execute("UPDATE place SET state = 'returned' WHERE judge = ? AND state = 'open'", (judge,))


def let_back(connection: sqlite3.Connection, judge: str, phase: str, reason: str, now: float) -> None:
    """Let a judge who was stopped or has left go on with a phase; the reason is sent as a message.

    Raises:
        StudyError: there is no reason or no such phase, or the judge was not stopped.
    """
    if phase not in AT_WORK:
        phases = ", ".join(AT_WORK)
        raise StudyError(f"There is no phase {phase}: choose one of {phases}.", "no_phase", phase=phase, phases=phases)
    if not reason.strip():
        raise StudyError("Say why: the judge is told.", "say_why")
    with transaction(connection):
        back = connection.execute(
            "UPDATE judge SET state = ?, reason = '' WHERE id = ? AND state IN ('stopped', 'left') RETURNING id",
            (phase, judge),
        ).fetchone()
    if back is None:
        raise StudyError("This judge was not stopped: there is nobody to let back in.", "not_stopped")
    mail.send(connection, judge, "researcher", reason, now)


def add_note(
    connection: sqlite3.Connection, text: str, now: float, judge: str | None = None, debate: int | None = None
) -> None:
    """Note something about a judge or a debate, for researchers alone.

    Raises:
        StudyError: there is nothing to note.
    """
    if not text.strip():
        raise StudyError("Write something first.", "empty")
    with transaction(connection):
        connection.execute(
            "INSERT INTO note (judge, debate, text, at) VALUES (?, ?, ?, ?)", (judge, debate, text.strip(), now)
        )


def adjudicate(connection: sqlite3.Connection, debate: int, p: float, explanation: str, now: float) -> None:
    """Keep what a researcher decided about a debate, P(answer of side A), beside its verdicts; the last one stands.

    Raises:
        StudyError: there is no explanation.
    """
    if not explanation.strip():
        raise StudyError("Say why: a decision is kept with its reason.", "decision_why")
    with transaction(connection):
        connection.execute(
            "INSERT INTO adjudication VALUES (?, ?, ?, ?) ON CONFLICT (debate) "
            "DO UPDATE SET p = excluded.p, explanation = excluded.explanation, at = excluded.at",
            (debate, p, explanation.strip(), now),
        )
