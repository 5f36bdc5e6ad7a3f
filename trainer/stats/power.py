"""How small a change an experiment can show, worked out before it is run.

A question that the judge gets right before training and wrong after it, or the reverse, is discordant; the others say
nothing about the change. Of n questions with a share of discordant ones, a change d has the variance (share - d^2) / n
(McNemar's test; Connett, Smith & McHugh 1987, Statistics in Medicine 6:53). Where a question is argued in both seatings
and may change by halves, the mean square of its change is what stands for the share.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import t

from rostrum.rewards.significance import FEWEST_STORIES, SIGNIFICANCE
from rostrum.trainer.stats.paired import POWER, errors_to_detect

DISCORDANT = (0.10, 0.15, 0.20, 0.30)
"""Shares of discordant questions that the table is made for."""
SEEDS = (1, 3, 5, 8)


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What nobody knows before the experiment, and the table is made with."""

    story_correlation: float = 0.2
    """Of the changes of two questions about one story."""
    seed_correlation: float = 0.5
    """Of the changes of one question under two seeds."""
    seed_sd: float = 0.02
    """Standard deviation, over seeds, of the true change."""


def smallest_change(
    questions: int, stories: int, discordant: float, seeds: int = 1, assumed: Assumptions = Assumptions()
) -> float:
    """Return the change that is shown with 80 % power, two-sided at 5 %, on so many paired questions; NaN if none is.

    With one seed it is a change of that one training run, and seeds do not vary. With several it is a change that holds
    for others too, tested as `trainer.stats.seeds.pooled_change` does: the variance over seeds comes in. Quantiles
    are Student's, with the degrees of freedom of that test.
    """
    if stories < FEWEST_STORIES:
        return float("nan")

    def lacking(change: float) -> float:
        shown, likely = (
            _variance(questions, stories, share, seeds, assumed) for share in (discordant, discordant - change**2)
        )
        freedom = _freedom(shown, seeds, stories)
        significant, likelier = t.ppf(1 - SIGNIFICANCE / 2, freedom), t.ppf(POWER, freedom)
        by_flips = errors_to_detect(stories, freedom) / (significant + likelier)
        return float(by_flips * (significant * np.sqrt(sum(shown)) + likelier * np.sqrt(sum(likely))) - change)

    return float(brentq(lacking, 0.0, discordant)) if lacking(discordant) <= 0 else float("nan")


def power_table(
    questions: int, stories: int, seeds: Sequence[int], assumed: Assumptions = Assumptions()
) -> dict[str, Any]:
    """Return the smallest change by share of discordant questions and number of seeds, as it is stored; NaN is None."""
    rows = [
        {
            "discordant": share,
            "smallest_change": {
                str(n): None
                if np.isnan(found := smallest_change(questions, stories, share, n, assumed))
                else round(found, 4)
                for n in seeds
            },
        }
        for share in DISCORDANT
    ]
    return {
        "questions": questions,
        "stories": stories,
        "power": POWER,
        "level": SIGNIFICANCE,
        "assumed": asdict(assumed),
        "rows": rows,
    }


def _variance(questions: int, stories: int, share: float, seeds: int, assumed: Assumptions) -> tuple[float, float]:
    """Return the variance of the mean change: what seeds add to it (their own luck with each story, and their true
    changes), and what all of them share."""
    crowding = 1 + (questions / stories - 1) * assumed.story_correlation
    one = share * crowding / questions
    if seeds == 1:
        return one, 0.0
    own = one * (1 - assumed.seed_correlation) + assumed.seed_sd**2
    return own / seeds, one * assumed.seed_correlation


def _freedom(variance: tuple[float, float], seeds: int, stories: int) -> float:
    """Return the degrees of freedom as in `trainer.stats.seeds.crossed_error`."""
    own, shared = variance
    if not own or seeds == 1:
        return stories - 1.0
    return 1.0 if seeds == 2 else (own + shared) ** 2 / (own**2 / (seeds - 1) + shared**2 / (stories - 1))
