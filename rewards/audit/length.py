"""Does the judge favour whoever says more, beyond what being right explains?"""

from dataclasses import dataclass

import numpy as np

from rostrum.rewards.audit.table import Table
from rostrum.rewards.statistics import FloatArray, Interval, cluster_statistic, wilson


@dataclass(frozen=True, slots=True)
class Length:
    """Over debates in which one side says more than the other by more than a threshold; Wilson intervals but for
    `bias`."""

    prefers_longer: Interval
    """How often the judge favours the longer side; an even probability counts one half."""
    longer_is_right: Interval
    """How often the longer side is the right one: the confounding in `prefers_longer`."""
    when_longer_is_right: Interval
    """How often the judge favours the longer side where that side is right, ..."""
    when_longer_is_wrong: Interval
    """... and where it is wrong."""
    bias: Interval
    """Mean of these two less one half: the preference for length were the longer side right half of the time, with
    an interval clustered by story. 0 for a judge that does not look at length."""


def length(table: Table, longer_by: float) -> Length:
    """Return the length bias among debates whose sides differ by more than `longer_by` words."""
    table = table.judged().labelled()
    difference = table.words_a - table.words_b
    table = table.keep(np.abs(difference) > longer_by)
    longer_is_right = (table.words_a > table.words_b) == table.a_is_right
    favours_longer = np.where(longer_is_right, table.correct, 1 - table.correct)
    right, wrong = longer_is_right.astype(float), (~longer_is_right).astype(float)
    return Length(
        wilson(float(favours_longer.sum()), len(table)),
        wilson(int(right.sum()), len(table)),
        wilson(float(favours_longer @ right), int(right.sum())),
        wilson(float(favours_longer @ wrong), int(wrong.sum())),
        cluster_statistic(
            (favours_longer * right, right, favours_longer * wrong, wrong),
            table.story,
            _balanced,
            bounds=(-0.5, 0.5),
        ),
    )


def _balanced(sums: FloatArray) -> FloatArray:
    return np.asarray((sums[0] / sums[1] + sums[2] / sums[3]) / 2 - 0.5, dtype=np.float64)
