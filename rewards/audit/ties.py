"""Does the judge use the middle of its scale, and if it does not, does it go one way?

A scale of 1 to 9 has three buckets: 1-3, 4-6, 7-9. On probabilities they are the thirds of [0, 1]: a score s stands for
P(first) = (9.5 - s)/9, so 4 to 6 are .39 to .61.
"""

from dataclasses import dataclass

import numpy as np

from rostrum.rewards.audit.position import leans
from rostrum.rewards.audit.signs import sign_test
from rostrum.rewards.audit.table import Table
from rostrum.rewards.statistics import FloatArray

THIRD = 1 / 6
"""Half of the middle bucket's width."""


@dataclass(frozen=True, slots=True)
class Split:
    """Counts on either side of a middle. `first` favours the first-shown answer."""

    first: int
    middle: int
    second: int


@dataclass(frozen=True, slots=True)
class Ties:
    """Readings are P(first-shown answer), two for each debate."""

    halves: Split
    """Readings above, within and below `band` of one half."""
    buckets: Split
    """Readings in the upper, the middle and the lower third."""
    bucket_bias: float
    """Share of readings in the bucket of the first answer minus that of the second, among all; 0 without bias."""
    stories: Split
    """Stories whose readings, added up, lean to the first-shown answer, to neither, to the second."""
    sign_test_p: float
    """Exact two-sided p-value of the stories that lean, were each direction as likely. (Readings would not do: the two
    of one debate are opposite if the judge is consistent.)"""


def ties(table: Table, band: float) -> Ties:
    """Return how the readings lie about the middle; within `band` of one half counts as the middle."""
    table = table.judged()
    readings = np.concatenate([table.given, 1 - table.swapped]) - 0.5
    buckets = _split(readings, THIRD)
    _, codes = np.unique(table.story, return_inverse=True)
    stories = _split(np.bincount(codes, leans(table)) / np.bincount(codes) if len(table) else readings, band)
    bias = (buckets.first - buckets.second) / len(readings) if len(readings) else np.nan
    p = sign_test(stories.first, stories.second)
    return Ties(_split(readings, band), buckets, float(bias), stories, p)


def _split(leaning: FloatArray, band: float) -> Split:
    within = np.abs(leaning) <= band + 1e-12
    first, second = int((~within & (leaning > 0)).sum()), int((~within & (leaning < 0)).sum())
    return Split(first, int(within.sum()), second)
