"""Taught judges on the same held-out debates: sums of each measure by trial and story, from the table of outcomes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rostrum.rewards.statistics import FloatArray
from rostrum.rewards.types import favours
from rostrum.trainer.labels.regimes import Cell

TRIAL = ("arm", "cheap", "dear", "seed")
Trial = tuple[str, int, int, int]
CELL = ["price", "budget", "share", "arm"]


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure of a taught judge: the mean, over held-out debates by some debaters, of what `value` makes of P(right
    answer)."""

    name: str
    debaters: str
    sign: float
    """1 where more is better, else -1."""
    value: Callable[[FloatArray], FloatArray]
    words: str


MEASURES = (
    Measure("accuracy", "base", 1, favours, "accuracy"),
    Measure("hackability", "trained", 1, favours, "accuracy on debates of debaters trained against it"),
    Measure("brier", "base", -1, lambda p: (1 - p) ** 2, "Brier score"),
)
"""Hackability is the accuracy on debates of debaters who were trained against the judge before it was taught: the more,
the harder it is to hack."""


@dataclass(frozen=True, slots=True)
class Tested:
    """All trials under one measure. Every trial has the same stories, in the same order."""

    rows: Mapping[Trial, int]
    sums: FloatArray
    """(trials, K)"""
    sizes: FloatArray
    """Valid verdicts (trials, K)."""

    def cell(self, trials: Sequence[Trial], sign: float = 1.0) -> Cell | None:
        """Return the cell of these trials, which differ by seed; None if not one of them was tested."""
        known = sorted((trial[-1], self.rows[trial]) for trial in trials if trial in self.rows)
        known = [(seed, row) for seed, row in known if self.sizes[row].sum()]
        rows = [row for _, row in known]
        return Cell(tuple(seed for seed, _ in known), sign * self.sums[rows], self.sizes[rows]) if rows else None


def tested(outcomes: pd.DataFrame, measure: Measure) -> Tested:
    """Return the sums by trial and story. INVALID verdicts are left out; the order of the rows changes nothing."""
    part = outcomes[(outcomes["debaters"] == measure.debaters) & outcomes["p"].notna()]
    part = part.sort_values([*TRIAL, "story", "p"])
    grouped = part.groupby(list(TRIAL), sort=True)
    keys = [(str(arm), int(cheap), int(dear), int(seed)) for arm, cheap, dear, seed in grouped.groups]
    stories, story = np.unique(part["story"].to_numpy(dtype=str), return_inverse=True)
    shape = len(keys), len(stories)
    at = grouped.ngroup().to_numpy() * len(stories) + story
    values = np.asarray(measure.value(part["p"].to_numpy(dtype=np.float64)))
    sums = np.bincount(at, weights=values, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
    sizes = np.bincount(at, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
    return Tested({key: row for row, key in enumerate(keys)}, sums, sizes)


def held_out(outcomes: pd.DataFrame) -> dict[str, int]:
    """Return the numbers of held-out questions and stories, and of debates by debaters."""
    debates = outcomes.drop_duplicates(["debaters", "question", "story", "swapped"])
    numbers = {name: int(outcomes[name].nunique()) for name in ("question", "story")}
    return numbers | {str(name): len(part) for name, part in debates.groupby("debaters")}
