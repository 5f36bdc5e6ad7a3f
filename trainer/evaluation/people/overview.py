"""How far a study is, what it has cost, and who does the work."""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from rostrum.rewards.audit.raters import share_of_busiest
from rostrum.rewards.people import pay
from rostrum.trainer.config.people import People
from rostrum.trainer.evaluation.people.given import Given

FIRST_VERDICTS = 10
"""How many verdicts under new guidelines are waited for, to say how long that took."""
NOW = 600.0
"""Seconds since a judge was last seen within which the judge is at work."""
FEWEST_JUDGES, FEWEST_VERDICTS = 5, 20
"""Below these a busiest fifth means nothing."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The verdicts on debates of a phase under a condition."""

    phase: str
    """"queue" for the debates of the main phase that a cascade has put to the people."""
    condition: str
    debates: int
    done: int
    begun: int
    wanted: int


def progress(connection: sqlite3.Connection) -> list[Progress]:
    """Return how far each phase is under each condition, in the order of phases and checkpoints."""
    rows = connection.execute(
        "SELECT CASE WHEN a.debate IS NULL THEN 'queue' ELSE d.phase END AS kind, "
        "coalesce(c.run || ': ' || c.checkpoint || ', ' || c.protocol, ''), count(*), "
        "sum((SELECT count(*) FROM place p WHERE p.debate = d.id AND p.state = 'done')), "
        "sum((SELECT count(*) FROM place p WHERE p.debate = d.id AND p.state = 'open')), sum(d.wanted) "
        "FROM debate d LEFT JOIN condition c ON c.id = d.condition LEFT JOIN answer a ON a.debate = d.id "
        "GROUP BY kind, d.condition "
        "ORDER BY instr('training qualification main gold queue', kind), c.id"
    )
    return [Progress(*row) for row in rows]


def per_day(given: Sequence[Given]) -> list[tuple[str, int, int]]:
    """Return the days (UTC) on which verdicts came, the last one first: verdicts of the main phase, and all."""
    every, main = Counter[str](), Counter[str]()
    for each in given:
        day = datetime.fromtimestamp(each.at, UTC).strftime("%Y-%m-%d")
        every[day] += 1
        main[day] += each.phase == "main" and each.counts
    return [(day, main[day], every[day]) for day in sorted(every, reverse=True)]


def at_work(connection: sqlite3.Connection, now: float) -> list[str]:
    """Return the judges in a phase who were seen within ten minutes."""
    rows = connection.execute(
        "SELECT id FROM judge WHERE seen > ? AND state IN ('training', 'qualification', 'main') ORDER BY number",
        (now - NOW,),
    )
    return [judge for (judge,) in rows]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a study has cost so far, in dollars. Practice, qualification, late verdicts and debates that were begun and
    not finished are paid too."""

    seconds: float
    dollars: float
    unfinished: float
    """Of these: for debates that were begun and not finished."""
    budget: float
    verdicts: int
    """Of the main phase, that count."""
    accuracy: float
    """Share of them for the right answer, where it is known; NaN without one."""

    @property
    def per_verdict(self) -> float:
        """Return what one verdict of the main phase has cost; NaN without one."""
        return self.dollars / self.verdicts if self.verdicts else np.nan

    @property
    def per_right(self) -> float:
        """Return what one verdict for the right answer has cost; NaN without one."""
        return self.per_verdict / self.accuracy if self.accuracy else np.nan


def cost(connection: sqlite3.Connection, given: Sequence[Given], people: People) -> Cost:
    """Return what a study has cost so far, by the seconds of its judges (`rewards.people.pay`)."""
    budget = people.budget
    if budget is None:
        (wanted,) = connection.execute("SELECT coalesce(sum(wanted), 0) FROM debate").fetchone()
        budget = pay.dollars(wanted * people.minutes * 60, people.wage)
    every = pay.worked(connection).values()
    seconds, unfinished = sum(each.seconds for each in every), sum(each.unfinished for each in every)
    counting = [each for each in given if each.counts and each.phase == "main"]
    known = [each.right for each in counting if each.correct is not None]
    return Cost(
        seconds,
        pay.dollars(seconds, people.wage),
        pay.dollars(unfinished, people.wage),
        budget,
        len(counting),
        float(np.mean(known)) if known else np.nan,
    )


def alarm(counts: Sequence[int], limit: float) -> float | None:
    """Return the share of the verdicts that came from the busiest fifth of the judges, if it is above the limit and
    there are enough judges and verdicts to say so; None otherwise."""
    if len(counts) < FEWEST_JUDGES or sum(counts) < FEWEST_VERDICTS:
        return None
    share = share_of_busiest(counts)
    return share if share > limit else None


@dataclass(frozen=True, slots=True)
class Change:
    """A version of the guidelines, and how long it took until there were verdicts under it."""

    version: int
    since: float
    verdicts: int
    hours: float | None
    """Until the tenth verdict under it; None until there are so many."""


def changes(connection: sqlite3.Connection, given: Sequence[Given], first: int = FIRST_VERDICTS) -> list[Change]:
    """Return the versions of the guidelines, the newest first; `given` is in the order of time."""
    found = []
    for version, since in connection.execute("SELECT version, since FROM guidelines ORDER BY version DESC"):
        times = [each.at for each in given if each.guidelines == version]
        hours = (times[first - 1] - since) / 3600 if len(times) >= first else None
        found.append(Change(version, since, len(times), hours))
    return found
