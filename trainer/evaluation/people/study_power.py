"""How small a change people would show, found by simulating studies of the same design, before a cent is spent.

Each simulated study has the judges, questions, stories and verdicts of the real one, dealt out in the same Latin
square, and is read with the same statistic (`rewards.crossed.crossed_change`). People differ in how often they are
right, stories in how hard they are, and debates about one story are alike; `Differ` says by how much.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from rostrum.rewards.crossed import crossed_change
from rostrum.rewards.significance import SIGNIFICANCE
from rostrum.trainer.stats.paired import POWER

STUDIES = 400
"""Simulated for each change that is tried."""
STEP = 0.01
"""Changes are found to a point."""


@dataclass(frozen=True, slots=True)
class Differ:
    """What nobody knows before the study: the accuracy before training, and standard deviations on the log-odds scale
    of being right."""

    accuracy: float = 0.75
    judges: float = 0.5
    """Between people: of most, between 64 and 83 % right where all together are 75 %."""
    stories: float = 0.5
    debates: float = 0.5
    """Between debates about one story."""


@dataclass(frozen=True, slots=True)
class Design:
    """Who judges what in the main phase."""

    judges: int
    stories: tuple[int, ...]
    """The story of each question."""
    conditions: int
    verdicts: int
    """Wanted on each debate."""

    def cells(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
        """Return judge and question of each verdict under the first condition and another (N,), and whether it is
        under the other."""
        found = []
        for question in range(len(self.stories)):
            for late in (False, True)[: self.conditions]:
                under = [j for j in range(self.judges) if (j + question) % self.conditions == late]
                found += [(judge, question, late) for judge in under[: self.verdicts]]
        judge, asked, late_ = (np.array(column) for column in zip(*found, strict=True)) if found else (np.zeros(0),) * 3
        return judge.astype(np.intp), asked.astype(np.intp), late_.astype(bool)


def power_of(design: Design, change: float, differ: Differ = Differ(), studies: int = STUDIES, seed: int = 0) -> float:
    """Return in which share of simulated studies a true change of accuracy (in [-1, 1]) is shown: the interval leaves
    0 out."""
    judge, question, late = design.cells()
    story = np.array(design.stories)[question]
    rng = np.random.default_rng(seed)
    shown = 0
    for _ in range(studies):
        lean = rng.normal(0, differ.judges, design.judges)[judge]
        lean += rng.normal(0, differ.stories, max(design.stories) + 1)[story]
        lean += rng.normal(0, differ.debates, 2 * len(design.stories))[2 * question + late]
        p = expit(_middle(differ.accuracy, differ) + lean)
        p_late = expit(_middle(differ.accuracy + change, differ) + lean)
        right = (rng.random(len(judge)) < np.where(late, p_late, p)).astype(np.float64)
        found = crossed_change(right, late, story, judge)
        shown += found.low > 0 if change > 0 else found.high < 0
    return shown / studies


def smallest_change(design: Design, differ: Differ = Differ()) -> float | None:
    """Return the smallest fall of accuracy, to a point, that is shown with 80 % power; None if not even the largest is
    that could be (to 5 %)."""
    if design.conditions < 2 or design.judges < 2 or len(set(design.stories)) < 2:
        return None
    low, high = 0, round((differ.accuracy - 0.05) / STEP)
    if power_of(design, -high * STEP, differ) < POWER:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if power_of(design, -middle * STEP, differ) >= POWER:
            high = middle
        else:
            low = middle
    return high * STEP


def _middle(accuracy: float, differ: Differ) -> float:
    """Return the log-odds about which people and debates lie so that so many verdicts are right in all."""
    spread = np.sqrt(1 + (np.pi / 8) * (differ.judges**2 + differ.stories**2 + differ.debates**2))  # MacKay 1992
    return float(logit(accuracy) * spread)


def power_record(design: Design, differ: Differ = Differ()) -> dict[str, Any]:
    """Return what the lock holds of the power, ready for JSON."""
    found = smallest_change(design, differ)
    more = Design(2 * design.judges, design.stories, design.conditions, 2 * design.verdicts)
    return {
        "power": POWER,
        "level": SIGNIFICANCE,
        "studies": STUDIES,
        "assumed": asdict(differ),
        "smallest_change": found,
        "with_twice_the_people": smallest_change(more, differ),
    }


def power_sentences(design: Design, power: dict[str, Any]) -> list[str]:
    """Return the power in words, with what it takes for granted."""
    found, more, assumed = power["smallest_change"], power["with_twice_the_people"], power["assumed"]
    if design.conditions < 2:
        return ["With one condition there is no change to show."]
    shown = "not even the largest change" if found is None else f"a change of {100 * found:.0f} points or more"
    twice = "none" if more is None else f"{100 * more:.0f} points"
    return [
        f"With {power['power']:.0%} power, two-sided at {power['level']:.0%}, {shown} of people's accuracy between two "
        f"conditions would be shown; with twice the people and verdicts: {twice}.",
        f"Found with {power['studies']} simulated studies of this design for each change; taken for granted: people "
        f"are right in {assumed['accuracy']:.0%} before, and people, stories and debates differ by "
        f"{assumed['judges']:g}, {assumed['stories']:g} and {assumed['debates']:g} (standard deviations of log-odds).",
    ]
