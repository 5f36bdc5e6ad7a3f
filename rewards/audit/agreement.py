"""Does the judge rate as people do? Two ratings from 1 to 9 of the same debates.

"Exact" and "within one" mean little alone: two raters that know nothing agree sometimes, the more often the more both
crowd in one place. So each comes with its chance level, what it would be on average if the judge's ratings were dealt
to the debates at random.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from rostrum.rewards.audit.ratings import HIGHEST, LOWEST, MIDDLE
from rostrum.rewards.audit.signs import sign_test
from rostrum.rewards.audit.ties import Split
from rostrum.rewards.statistics import FloatArray, Interval, wilson

Ratings = NDArray[np.int64]
SCALE = HIGHEST - LOWEST + 1


@dataclass(frozen=True, slots=True)
class Hits:
    """How often two ratings agree, with a Wilson interval, and how often they would by chance."""

    share: Interval
    chance: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """A judge's ratings against people's."""

    n: int
    exact: Hits
    within_one: Hits
    kappa: float
    """Cohen's kappa with quadratic weights: 1 is full agreement, 0 chance."""
    spearman: float
    total_variation: float
    """Half the summed difference of the two histograms: 0 if they are alike, 1 if they do not touch."""
    wasserstein: float
    """Steps of the scale by which ratings would have to be moved, on average, to make the histograms alike."""
    human: Sequence[int]
    """Ratings 1, 2, ... 9 by people, counted."""
    judge: Sequence[int]
    """The same by the judge."""
    on_human_ties: Split
    """The judge where people said 5: below 5 (the first side), 5, above."""
    sign_test_p: float
    """Exact two-sided p-value of below against above among these."""


def rating_of(p: FloatArray) -> Ratings:
    """Return the rating from 1 (surely side A) to 9 that P(answer of side A) (N,) stands for: 9.5 - 9 p, rounded."""
    return np.clip(np.rint(9.5 - 9 * np.round(p, 12)), LOWEST, HIGHEST).astype(np.int64)


def agreement(human: Ratings, judge: Ratings) -> Agreement:
    """Return the agreement of two columns of ratings (N,) of the same debates, each from 1 to 9."""
    counts = np.zeros((SCALE, SCALE))
    np.add.at(counts, (human - LOWEST, judge - LOWEST), 1)
    ties = judge[human == MIDDLE]
    on_ties = Split(int((ties < MIDDLE).sum()), int((ties == MIDDLE).sum()), int((ties > MIDDLE).sum()))
    varied = len(np.unique(human)) > 1 and len(np.unique(judge)) > 1
    apart = np.cumsum(counts.sum(axis=1) - counts.sum(axis=0))
    return Agreement(
        len(human),
        _hits(counts, 0),
        _hits(counts, 1),
        quadratic_kappa(counts),
        float(spearmanr(human, judge).statistic) if varied else np.nan,
        float(np.abs(counts.sum(axis=1) - counts.sum(axis=0)).sum() / 2 / max(len(human), 1)),
        float(np.abs(apart).sum() / max(len(human), 1)),
        counts.sum(axis=1).astype(int).tolist(),
        counts.sum(axis=0).astype(int).tolist(),
        on_ties,
        sign_test(on_ties.first, on_ties.second),
    )


def quadratic_kappa(counts: FloatArray) -> float:
    """Return kappa with weights (i - j)^2 of a table of counts (K, K); NaN if a rater always says the same as the
    other."""
    i, j = np.indices(counts.shape)
    weights = (i - j) ** 2
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / max(counts.sum(), 1)
    disagreement = (weights * expected).sum()
    return float(1 - (weights * counts).sum() / disagreement) if disagreement else np.nan


def _hits(counts: FloatArray, within: int) -> Hits:
    """Return the agreement within so many steps, and the mean of it over all ways of dealing the judge's ratings."""
    i, j = np.indices(counts.shape)
    near = np.abs(i - j) <= within
    n = int(counts.sum())
    dealt = np.outer(counts.sum(axis=1), counts.sum(axis=0))
    return Hits(wilson(float(counts[near].sum()), n), float(dealt[near].sum() / n**2) if n else np.nan)
