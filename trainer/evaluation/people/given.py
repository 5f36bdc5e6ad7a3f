"""Every verdict of a study with what a researcher knows of it: for pages and exports, not for statistics of results."""

import json
import math
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rostrum.envs.types import Side
from rostrum.rewards.people.pay import SECONDS
from rostrum.rewards.types import favours
from rostrum.trainer.evaluation.people.results import SURE


@dataclass(frozen=True, slots=True)
class Given:
    """A verdict of any phase, one that came too late to count included."""

    place: int
    judge: str
    debate: int
    phase: str
    condition: str
    """Run, checkpoint and protocol; empty where a debate is of none."""
    question: str
    story: str
    first: Side
    """Whose answer was shown first."""
    guidelines: int
    counts: bool
    """False: the place had been given to somebody else when it came."""
    p: float
    """P(answer of side A)."""
    correct: Side | None
    """None of a queue's debates, of which nobody knows it."""
    explanation: str
    active: float | None
    on_page: float
    seconds: float
    """Active ones, or those on the page where they were not counted; with the rounds before."""
    given_at: float
    """When the debate was given out."""
    at: float
    also: Mapping[str, Any] = field(default_factory=dict)
    """What other scales of the form were given: `choice`, a side, and `rating`, by side."""

    @property
    def kind(self) -> str:
        """Return the phase, or "queue" for a debate that a cascade has put to the people."""
        return "queue" if self.correct is None else self.phase

    @property
    def p_right(self) -> float:
        """Return the probability given to the right answer; NaN where nobody knows which that is."""
        if self.correct is None:
            return math.nan
        return self.p if self.correct is Side.A else 1 - self.p

    @property
    def p_first(self) -> float:
        """Return the probability given to the answer that was shown first."""
        return self.p if self.first is Side.A else 1 - self.p

    @property
    def right(self) -> float:
        """Return 1 if the right answer was favoured, 0 if the other was, a half for neither; NaN where nobody knows."""
        return float(favours(self.p_right))

    @property
    def sure_and_wrong(self) -> bool:
        """Return whether the wrong answer was called at least 75 % likely."""
        return self.p_right <= 1 - SURE + 1e-9


_ROWS = f"""
SELECT p.id AS place, p.judge, d.id AS debate, d.phase,
       coalesce(c.run || ': ' || c.checkpoint || ', ' || c.protocol, '') AS condition, d.question, d.story, p.first,
       p.guidelines, p.state, v.p, a.correct, v.explanation, v.active, v.on_page, {SECONDS} AS seconds, p.given, v.at,
       v.also
FROM verdict v JOIN place p ON p.id = v.place JOIN debate d ON d.id = p.debate LEFT JOIN answer a ON a.debate = d.id
     LEFT JOIN condition c ON c.id = d.condition
ORDER BY v.at, p.id
"""


def read(connection: sqlite3.Connection) -> list[Given]:
    """Return all verdicts in the order in which they came."""
    return [
        Given(
            row["place"],
            row["judge"],
            row["debate"],
            row["phase"],
            row["condition"],
            row["question"],
            row["story"],
            Side(row["first"]),
            row["guidelines"],
            row["state"] == "done",
            row["p"],
            row["correct"] and Side(row["correct"]),
            row["explanation"],
            row["active"],
            row["on_page"],
            row["seconds"],
            row["given"],
            row["at"],
            json.loads(row["also"]),
        )
        for row in connection.execute(_ROWS)
    ]
