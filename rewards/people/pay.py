"""What judges are due: their seconds at work, by the wage. Late verdicts are paid like others, and so are debates that
were begun and not finished."""

import sqlite3
from dataclasses import dataclass

LONGEST = 3600
"""Seconds of a page that count at most where no script counted: a tab may be left open overnight."""
_LAST = f"coalesce(v.active, min(v.on_page, {LONGEST}))"
_ROUNDS = f"(SELECT coalesce(sum(coalesce(s.active, min(s.on_page, {LONGEST}))), 0) FROM step s WHERE s.place = p.id)"
SECONDS = f"({_LAST} + {_ROUNDS})"
"""SQL for the seconds of a verdict `v` at a place `p`, its rounds included: active ones, or those on the page where
they were not counted."""
_WAITED = (
    "(SELECT coalesce(sum(i.since - i.at), 0) FROM inquiry i WHERE i.place = p.id AND i.state IN ('done', 'failed'))"
)
_DRAFTED = "(SELECT json_extract(f.fields, '$.seconds') FROM draft f WHERE f.place = p.id)"
PAID = f"(coalesce({_LAST}, {_DRAFTED}, 0) + {_ROUNDS} + {_WAITED})"
"""SQL for the seconds that are paid of a place `p` with its verdict `v`, NULL where there is none: those of the
verdict, or of the round that was open when its judge was last heard of; of the rounds before; and of waiting for live
debaters."""


@dataclass(frozen=True, slots=True)
class Worked:
    """What a judge has done, and the seconds that this took."""

    verdicts: int = 0
    seconds: float = 0.0
    unfinished: float = 0.0
    """Of these: on debates without a verdict: the judge is at it, has left, was stopped, or let the time run out."""


def worked(connection: sqlite3.Connection, judge: str | None = None) -> dict[str, Worked]:
    """Return what each judge, or one, has done; a judge who was given nothing is left out."""
    rows = connection.execute(
        f"SELECT p.judge, count(v.place), sum({PAID}), sum(CASE WHEN v.place IS NULL THEN {PAID} ELSE 0 END) "
        "FROM place p LEFT JOIN verdict v ON v.place = p.id "
        f"{'' if judge is None else 'WHERE p.judge = :judge'} GROUP BY p.judge",
        {"judge": judge},
    )
    return {judge: Worked(count, seconds, unfinished) for judge, count, seconds, unfinished in rows}


def judging(connection: sqlite3.Connection) -> tuple[int, float]:
    """Return how many debates of the main phase people have judged, and the seconds that all verdicts on them took."""
    (count, seconds) = connection.execute(
        f"SELECT count(DISTINCT d.id), coalesce(sum({SECONDS}), 0) FROM verdict v JOIN place p ON p.id = v.place "
        "JOIN debate d ON d.id = p.debate WHERE p.state = 'done' AND d.phase = 'main'"
    ).fetchone()
    return count, seconds


def dollars(seconds: float, wage: float) -> float:
    """Return what so many seconds are paid at a wage per hour."""
    return seconds / 3600 * wage


def sentence(connection: sqlite3.Connection, wage: float) -> str:
    """Return what all judges together are due, in words."""
    every = worked(connection).values()
    seconds, unfinished = sum(each.seconds for each in every), sum(each.unfinished for each in every)
    return (
        f"Judges are due ${dollars(seconds, wage):,.2f} for {seconds / 3600:.1f} hours of work, of which "
        f"${dollars(unfinished, wage):,.2f} are for debates that were begun and not finished."
    )
