"""What judges are due: their seconds at work, by the wage. Late verdicts are paid like others."""

import sqlite3

LONGEST = 3600
"""Seconds of a page that count at most where no script counted: a tab may be left open overnight."""
SECONDS = (
    f"(coalesce(v.active, min(v.on_page, {LONGEST})) "
    f"+ (SELECT coalesce(sum(coalesce(s.active, min(s.on_page, {LONGEST}))), 0) FROM step s WHERE s.place = p.id))"
)
"""SQL for the seconds of a verdict `v` at a place `p`, its rounds included: active ones, or those on the page where
they were not counted."""


WAITED = (
    "(SELECT coalesce(sum(i.since - i.at), 0) FROM inquiry i WHERE i.place = p.id AND i.state IN ('done', 'failed'))"
)
"""SQL for the seconds in which the judge of a place `p` waited for live debaters: paid, but not of the verdict."""


def worked(connection: sqlite3.Connection, judge: str | None = None) -> dict[str, tuple[int, float]]:
    """Return how many verdicts each judge, or one, has given, and the seconds that these took, rounds and
    waiting for live debaters included."""
    rows = connection.execute(
        f"SELECT p.judge, count(*), sum({SECONDS} + {WAITED}) FROM verdict v JOIN place p ON p.id = v.place "
        f"{'' if judge is None else 'WHERE p.judge = :judge'} GROUP BY p.judge",
        {"judge": judge},
    )
    return {judge: (count, seconds) for judge, count, seconds in rows}


def dollars(seconds: float, wage: float) -> float:
    """Return what so many seconds are paid at a wage per hour."""
    return seconds / 3600 * wage
