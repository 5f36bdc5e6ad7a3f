"""What people said: steps on the way, drafts, verdicts; written once, read as opinions on a debate."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rostrum.envs.types import Side
from rostrum.rewards.people import quality
from rostrum.rewards.people.database import StudyError, transaction
from rostrum.rewards.people.pay import SECONDS

Outcome = Literal["done", "late"]
"""What became of a verdict that was sent: counted, or kept and paid beyond what was wanted, since the place had been
given to somebody else meanwhile."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A verdict as a form brings it. Probabilities are of the answer of side A, however the answers were shown."""

    key: str
    """Made with the form: whoever sends again, sends the same."""
    p: float
    explanation: str
    on_page: float
    """Seconds between the page and the form, by the server's clock."""
    active: float | None = None
    """Seconds less idle times and hidden tabs; None without a script."""
    also: Mapping[str, Any] = field(default_factory=dict)
    """What other scales were given: `choice` is a side, `rating` says by side how good its case was, from 1 to 10."""
    checks: Mapping[quality.Kind, bool] = field(default_factory=dict)
    """Which checks of this debate were passed."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """A person's verdict on a debate."""

    judge: str
    debate: str
    """What was read: `rewards.people.debates.id_of`."""
    first: Side
    """Whose answer was shown first."""
    p: float
    """P(answer of side A)."""
    explanation: str
    guidelines: int
    seconds: float
    """Active ones, or those on the page where they were not counted; with the rounds before."""
    at: float
    by_round: tuple[float, ...]
    """P(answer of side A) after each round, where the judge read step by step."""


def step(
    connection: sqlite3.Connection,
    judge: str,
    place: int,
    round_: int,
    p: float,
    on_page: float,
    now: float,
    active: float | None = None,
    too_fast: bool = False,
) -> None:
    """Keep the probability after a round, and whether that was given faster than one can read. What was said after a
    round stays: sending again changes nothing.

    Raises:
        StudyError: the place is not this judge's, or rounds before this one were left out.
    """
    with transaction(connection):
        _own(connection, judge, place)
        (known,) = connection.execute("SELECT count(*) FROM step WHERE place = ?", (place,)).fetchone()
        if round_ > known:
            raise StudyError(
                f"Round {round_ + 1} cannot be judged before round {known + 1}: go on from there.",
                "round_early",
                round=round_ + 1,
                before=known + 1,
            )
        connection.execute(
            "INSERT OR IGNORE INTO step (place, round, p, active, on_page, at) VALUES (?, ?, ?, ?, ?, ?)",
            (place, round_, p, active, on_page, now),
        )
        connection.execute("DELETE FROM draft WHERE place = ? AND ? = ?", (place, round_, known))  # of this round
        if too_fast and round_ == known:
            quality.note(connection, judge, "time", False, now, place)


def save_draft(
    connection: sqlite3.Connection,
    judge: str,
    place: int,
    fields: Mapping[str, str],
    now: float,
    seconds: float | None = None,
) -> None:
    """Keep what a judge has typed so far, and the seconds that the round has taken, if they are known: they are paid
    should no more come. The greatest number of them stays, whichever tab it is of. Once there is a verdict, all is left
    alone.

    Raises:
        StudyError: the place is not this judge's.
    """
    with transaction(connection):
        _own(connection, judge, place)
        if connection.execute("SELECT 1 FROM verdict WHERE place = ?", (place,)).fetchone():
            return
        most = max(draft(connection, place).seconds, seconds or 0.0)
        connection.execute(
            "INSERT INTO draft (place, fields, at) VALUES (?, ?, ?) "
            "ON CONFLICT (place) DO UPDATE SET fields = excluded.fields, at = excluded.at",
            (place, json.dumps({**fields, "seconds": most}), now),
        )


@dataclass(frozen=True, slots=True)
class Draft:
    """What a judge has typed for a round, and the seconds that it has taken so far."""

    fields: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def draft(connection: sqlite3.Connection, place: int) -> Draft:
    """Return what was kept of the round of a place that is open."""
    found = connection.execute("SELECT fields FROM draft WHERE place = ?", (place,)).fetchone()
    fields = json.loads(found["fields"]) if found else {}
    return Draft({name: text for name, text in fields.items() if name != "seconds"}, fields.get("seconds") or 0.0)


def submit(connection: sqlite3.Connection, judge: str, place: int, sent: Sent, now: float) -> Outcome:
    """Keep a verdict, once: sent again, or from a second tab, it changes nothing, and what was kept first counts.

    A place whose time was up is the judge's again if nobody has taken it; if somebody has, the verdict is "late".

    Raises:
        StudyError: the place is not this judge's.
    """
    with transaction(connection):
        state = _own(connection, judge, place)["state"]
        if connection.execute("SELECT 1 FROM verdict WHERE place = ?", (place,)).fetchone():
            return "late" if state == "late" else "done"
        outcome: Outcome = "done" if state == "open" or _free_again(connection, place) else "late"
        connection.execute("UPDATE place SET state = ? WHERE id = ?", (outcome, place))
        connection.execute(
            "INSERT INTO verdict (place, key, p, explanation, active, on_page, at, also) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (place, sent.key, sent.p, sent.explanation, sent.active, sent.on_page, now, json.dumps(dict(sent.also))),
        )
        for kind, passed in sent.checks.items():
            quality.note(connection, judge, kind, passed, now, place)
        connection.execute("DELETE FROM draft WHERE place = ?", (place,))
        return outcome


def opinions(connection: sqlite3.Connection, debate: str | None = None) -> Iterator[Opinion]:
    """Yield the verdicts that count, of one debate or of the whole main phase, in the order in which they came."""
    which = "coalesce(l.shown, d.shown) = :debate" if debate is not None else "d.phase = 'main'"
    found = connection.execute(
        "SELECT p.id, p.judge, coalesce(l.shown, d.shown) AS shown, p.first, p.guidelines, v.p, v.explanation, "
        f"{SECONDS} AS seconds, v.at "
        "FROM verdict v JOIN place p ON p.id = v.place JOIN debate d ON d.id = p.debate "
        "LEFT JOIN live l ON l.place = p.id "  # the place's own debate, where its judge asked
        f"WHERE p.state = 'done' AND {which} ORDER BY v.at, p.id",
        {"debate": debate},
    ).fetchall()
    for row in found:
        steps = connection.execute("SELECT p FROM step WHERE place = ? ORDER BY round", (row["id"],))
        yield Opinion(
            row["judge"],
            row["shown"],
            Side(row["first"]),
            row["p"],
            row["explanation"],
            row["guidelines"],
            row["seconds"],
            row["at"],
            tuple(p for (p,) in steps),
        )


def _own(connection: sqlite3.Connection, judge: str, place: int) -> sqlite3.Row:
    found: sqlite3.Row | None = connection.execute(
        "SELECT * FROM place WHERE id = ? AND judge = ?", (place, judge)
    ).fetchone()
    if found is None:
        raise StudyError("This debate was not given to you: go back to the study and open yours.", "not_yours")
    return found


def _free_again(connection: sqlite3.Connection, place: int) -> bool:
    """Return whether a place that was put back is not taken, and is its judge's again."""
    taken = connection.execute(
        "SELECT 1 FROM place other JOIN place mine ON mine.debate = other.debate AND mine.number = other.number "
        "WHERE mine.id = ? AND other.state IN ('open', 'done')",
        (place,),
    ).fetchone()
    return taken is None
