"""The debates that a cascade has put to a study's people: how far they are, and who judges them."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rostrum.trainer.evaluation.people.given import Given


@dataclass(frozen=True, slots=True)
class Queued:
    """A debate of a queue, of which nobody knows which answer is right. Probabilities are of the answer of side A."""

    debate: int
    question: str
    """Its text."""
    state: Literal["open", "begun", "judged"]
    """Whether nobody has begun it, somebody has, or there are as many verdicts as are wanted."""
    wanted: int
    begun: Sequence[str]
    """Who is at it."""
    said: Mapping[str, float]
    """Who has judged it, and what they said."""

    @property
    def mean(self) -> float:
        """Return the mean of what was said, which is people's verdict; NaN without any."""
        return float(np.mean(list(self.said.values()))) if self.said else np.nan


def queued(connection: sqlite3.Connection, given: Sequence[Given]) -> list[Queued]:
    """Return a study's queue: those that wait first, and of these those that were put there first."""
    at_work: dict[int, list[str]] = {}
    for debate, judge in connection.execute("SELECT debate, judge FROM place WHERE state = 'open' ORDER BY id"):
        at_work.setdefault(debate, []).append(judge)
    said: dict[int, dict[str, float]] = {}
    for each in given:
        if each.kind == "queue" and each.counts:
            said.setdefault(each.debate, {})[each.judge] = each.p
    rows = connection.execute(
        "SELECT d.id, json_extract(d.transcript, '$.record.question.text'), d.wanted "
        "FROM debate d LEFT JOIN answer a ON a.debate = d.id WHERE a.debate IS NULL AND d.phase = 'main' ORDER BY d.id"
    )
    found = [
        _queued(debate, question, wanted, at_work.get(debate, []), said.get(debate, {}))
        for debate, question, wanted in rows
    ]
    return sorted(found, key=lambda each: ("open", "begun", "judged").index(each.state))


def sentence(found: Sequence[Queued]) -> str | None:
    """Return how far a queue is, in words; None of a study without one."""
    if not found:
        return None
    of = {state: sum(each.state == state for each in found) for state in ("open", "begun", "judged")}
    debates = f"{len(found)} debate{'s' * (len(found) != 1)}"
    return f"In the queue: {debates}, of which {of['judged']} judged, {of['begun']} begun and {of['open']} open."


def _queued(debate: int, question: str, wanted: int, begun: Sequence[str], said: Mapping[str, float]) -> Queued:
    state: Literal["open", "begun", "judged"] = (
        "judged" if len(said) >= wanted else "begun" if begun or said else "open"
    )
    return Queued(debate, question, state, wanted, begun, said)
