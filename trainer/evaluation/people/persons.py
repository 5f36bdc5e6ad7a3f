"""What each judge of a study has done, how well, how quickly, and what is due."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rostrum.rewards.audit.raters import kappa_by_pair
from rostrum.rewards.people import mail, pay
from rostrum.rewards.types import favours
from rostrum.trainer.config.people import People
from rostrum.trainer.evaluation.people.given import Given

STEPS = ((0.5, 0.6), (0.6, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 1.0))
"""Of the calibration table: what was said of the favoured answer."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How often the favoured answer was right when it was called so likely."""

    low: float
    high: float
    n: int
    said: float
    """Mean of what was said."""
    right: float
    """Share that was right."""


@dataclass(frozen=True, slots=True)
class Person:
    """One judge; shares and medians are NaN where there is nothing to take them of."""

    judge: str
    state: str
    reason: str
    joined: float | None
    seen: float | None
    gold: tuple[float, int]
    """Share of the gold items that the judge got right, and how many there were."""
    qualification: tuple[float, int]
    accuracy: tuple[float, int]
    """The same of the main phase."""
    calibration: Sequence[Calibration]
    """Without practice."""
    seconds: float
    """Median of a verdict."""
    first: float
    """How often the answer shown first was favoured, without practice."""
    share: float
    """Of all verdicts of the main phase."""
    to_first_verdict: float | None
    """Hours between joining and the first verdict."""
    to_verdict: float
    """Median hours between being given a debate and the verdict."""
    due: float
    """Dollars."""
    unfinished: float
    """Of these: for debates that were begun and not finished."""
    unread: int
    """Messages that no researcher has opened."""
    tags: Sequence[str] = ()
    """What describes the judge, by the invitation or their own words."""
    profiled: float | None = None
    """When the judge was asked about tags; None: not yet."""


def persons(connection: sqlite3.Connection, given: Sequence[Given], people: People) -> list[Person]:
    """Return all judges in the order in which they were invited."""
    rows = connection.execute("SELECT * FROM judge ORDER BY number").fetchall()
    whole, worked = sum(each.phase == "main" and each.counts for each in given), pay.worked(connection)
    return [
        _person(
            row,
            [each for each in given if each.judge == row["id"]],
            whole,
            worked.get(row["id"], pay.Worked()),
            people.wage,
            mail.unread(connection, row["id"], "judge"),
        )
        for row in rows
    ]


def _person(row: sqlite3.Row, own: Sequence[Given], whole: int, worked: pay.Worked, wage: float, unread: int) -> Person:
    main = [each for each in own if each.phase == "main" and each.counts]
    serious = [each for each in own if each.phase != "training"]
    return Person(
        row["id"],
        row["state"],
        row["reason"],
        row["joined"],
        row["seen"],
        _accuracy([each for each in own if each.phase == "gold"]),
        _accuracy([each for each in own if each.phase == "qualification"]),
        _accuracy(main),
        calibration(serious),
        float(np.median([each.seconds for each in own])) if own else np.nan,
        float(np.mean([float(favours(each.p_first)) for each in serious])) if serious else np.nan,
        len(main) / whole if whole else np.nan,
        (own[0].at - row["joined"]) / 3600 if own and row["joined"] is not None else None,
        float(np.median([(each.at - each.given_at) / 3600 for each in own])) if own else np.nan,
        pay.dollars(worked.seconds, wage),
        pay.dollars(worked.unfinished, wage),
        unread,
        json.loads(row["tags"]),
        row["profiled"],
    )


def _accuracy(given: Sequence[Given]) -> tuple[float, int]:
    known = [each.right for each in given if each.correct is not None]
    return float(np.mean(known)) if known else np.nan, len(known)


def calibration(given: Sequence[Given]) -> list[Calibration]:
    """Return how often the favoured answer was right by how likely it was called; steps that nobody used are left
    out, and so are verdicts of one half and those on debates whose answer nobody knows."""
    known = [each for each in given if each.correct is not None]
    said = np.array([max(each.p, 1 - each.p) for each in known])
    right = np.array([each.right for each in known])
    found = []
    for low, high in STEPS:
        inside = (said > low if low == 0.5 else said >= low - 1e-9) & (said < high - 1e-9 if high < 1 else said <= 1)
        if inside.any():
            found.append(
                Calibration(low, high, int(inside.sum()), float(said[inside].mean()), float(right[inside].mean()))
            )
    return found


@dataclass(frozen=True, slots=True)
class Pair:
    """How far two judges agree on which answer is likelier."""

    one: str
    other: str
    kappa: float
    """Cohen's; NaN where both gave one and the same answer throughout."""
    n: int
    """Debates that both judged."""


def pairs(given: Sequence[Given]) -> list[Pair]:
    """Return the agreement of each two judges with at least two debates in common, practice left out; those who agree
    least first."""
    labels: dict[str, dict[str, str]] = {}
    for each in given:
        if each.phase != "training" and each.p != 0.5:
            labels.setdefault(each.judge, {})[str(each.debate)] = "A" if each.p > 0.5 else "B"
    found = [Pair(one, other, kappa, n) for (one, other), (kappa, n) in kappa_by_pair(labels).items()]
    return sorted(found, key=lambda pair: (np.isnan(pair.kappa), pair.kappa, pair.one, pair.other))
