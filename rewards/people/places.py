"""Who judges what: places on debates are given out, taken back when their time is up, and filled.

A judge meets a question once. Among the debates of the fewest places taken, judge and question take turns through the
conditions as in a Latin square, so that every judge sees every condition and every question is judged under all of
them. So the numbers of places taken on two debates do not differ by more than one, but for places that were returned,
which are given out first, and where a judge has met the questions of all debates that are behind. Each judge has an
order of their own, drawn without regard to conditions: if they took turns, every second debate would tell of the
others. The debates of training and qualification, and gold ones, are the same for everybody, in the same order, and for
as many as come.
"""

import hashlib
import secrets
import sqlite3
from dataclasses import dataclass
from typing import Literal

from rostrum.envs.types import Side
from rostrum.rewards.people import controls
from rostrum.rewards.people.database import StudyError, transaction

Phase = Literal["training", "qualification", "main", "gold"]


class PausedError(StudyError):
    """A study that gives out no new debates for the time being."""


@dataclass(frozen=True, slots=True)
class Place:
    """One judge's place on one debate."""

    id: int
    token: str
    """What the browser knows it by: random, so it tells nothing."""
    debate: int
    first: Side
    """Whose answer is shown first."""
    guidelines: int
    state: Literal["open", "done", "returned", "late"]
    expires: float


def take(
    connection: sqlite3.Connection, judge: str, phase: Phase, now: float, seconds: float, as_seated: bool = False
) -> Place | None:
    """Return the judge's open place or, if there is none, a new one for so many seconds; None where no debate of the
    phase is left that this judge may be given now. A new one is given under the guidelines that the judge read last,
    with the answer of side A first if `as_seated`, so that debaters are called what they are called among themselves.

    Raises:
        PausedError: the judge has none, and no new ones are given out.
    """
    with transaction(connection):
        return_late(connection, now)
        found = connection.execute("SELECT * FROM place WHERE judge = ? AND state = 'open'", (judge,)).fetchone()
        if found is not None:
            return _place(found)
        if controls.is_paused(connection):
            raise PausedError("The study is paused.")
        debate = _choose(connection, judge, phase)
        if debate is None:
            return None
        taken = {n for (n,) in connection.execute(f"SELECT number FROM place WHERE {_TAKEN}", (debate["id"],))}
        number = next(n for n in range(len(taken) + 1) if n not in taken)
        (guidelines,) = connection.execute(
            "SELECT coalesce((SELECT max(version) FROM acknowledged WHERE judge = ?), max(version)) FROM guidelines",
            (judge,),
        ).fetchone()
        (row,) = connection.execute(
            "INSERT INTO place (token, debate, question, judge, number, first, guidelines, state, given, expires) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, 'open', ?, ?) RETURNING *",
            (
                secrets.token_urlsafe(16),
                debate["id"],
                debate["question"],
                judge,
                number,
                Side.A if as_seated else first_answer(debate["shown"], number),
                guidelines,
                now,
                now + seconds,
            ),
        ).fetchall()
        return _place(row)


def has_open(connection: sqlite3.Connection, judge: str, now: float) -> bool:
    """Return whether a judge has begun a debate that is still the judge's."""
    found = connection.execute(
        "SELECT 1 FROM place WHERE judge = ? AND state = 'open' AND expires > ?", (judge, now)
    ).fetchone()
    return found is not None


def return_late(connection: sqlite3.Connection, now: float) -> None:
    """Put places whose time is up back into the pool. Belongs into a transaction."""
    connection.execute("UPDATE place SET state = 'returned' WHERE state = 'open' AND expires <= ?", (now,))


def give_back(connection: sqlite3.Connection, judge: str) -> None:
    """Put the place of a judge who leaves back into the pool."""
    with transaction(connection):
        connection.execute("UPDATE place SET state = 'returned' WHERE state = 'open' AND judge = ?", (judge,))


def extend(connection: sqlite3.Connection, place: int, now: float, seconds: float) -> None:
    """Give an open place more time: its judge is at work."""
    with transaction(connection):
        connection.execute("UPDATE place SET expires = ? WHERE id = ? AND state = 'open'", (now + seconds, place))


def first_answer(debate: str, number: int) -> Side:
    """Return whose answer the judge of a debate's place is shown first: by chance for every second place, and the
    other way round for the next."""
    flipped = hashlib.sha256(f"{debate}:{number // 2}".encode()).digest()[0] % 2
    return Side.A if (number + flipped) % 2 == 0 else Side.B


_TAKEN = "debate = ? AND state IN ('open', 'done')"
_CHOICE = """
SELECT d.id, count(p.id) AS taken
FROM debate d LEFT JOIN place p ON p.debate = d.id AND p.state IN ('open', 'done')
WHERE d.phase = :phase GROUP BY d.id
"""
_OPEN = f"""
WITH counted AS ({_CHOICE}),
     conditions AS (SELECT id, row_number() OVER (ORDER BY id) - 1 AS place, count(*) OVER () AS n FROM condition),
     questions AS (
       SELECT question, row_number() OVER (ORDER BY min(id)) AS place FROM debate
       WHERE phase = :phase GROUP BY question
     )
SELECT d.id, d.question, d.shown
FROM counted t JOIN debate d ON d.id = t.id
     LEFT JOIN conditions c ON c.id = d.condition
     JOIN questions q ON q.question = d.question
     JOIN judge j ON j.id = :judge
WHERE (:phase != 'main' OR t.taken < d.wanted)
  AND d.question NOT IN (SELECT question FROM place WHERE judge = :judge)
ORDER BY CASE :phase WHEN 'main' THEN t.taken ELSE 0 END,
  CASE :phase WHEN 'main' THEN coalesce((j.number + q.place - c.place) % c.n, 0) != 0 ELSE 0 END,
  CASE :phase WHEN 'main' THEN (d.id + 1) * (j.number * 7919 + 104729) % 65537 ELSE d.id END
LIMIT 1
"""


def _choose(connection: sqlite3.Connection, judge: str, phase: Phase) -> sqlite3.Row | None:
    found: sqlite3.Row | None = connection.execute(_OPEN, {"judge": judge, "phase": phase}).fetchone()
    return found


def _place(row: sqlite3.Row) -> Place:
    return Place(
        row["id"], row["token"], row["debate"], Side(row["first"]), row["guidelines"], row["state"], row["expires"]
    )
