"""Does it matter to the judge which answer is shown first?

With p = P(first-shown answer) when side A's answer is first and p' = P(first-shown answer) when side B's is, a judge
without position bias has p + p' = 1 whatever it believes: delta = mean(p + p')/2 - 1/2 is 0. In a `Table` both readings
are P(answer of side A), so p = given and p' = 1 - swapped.
"""

from dataclasses import dataclass

import numpy as np

from rostrum.rewards.audit.signs import sign_test
from rostrum.rewards.audit.table import Table
from rostrum.rewards.statistics import CHANGE, FloatArray, Interval, cluster_mean, wilson
from rostrum.rewards.types import favours


@dataclass(frozen=True, slots=True)
class Position:
    """Intervals of `delta` and `gap` are clustered by story, the others are Wilson's over debates."""

    delta: Interval
    """Probability that the first-shown answer gains by being first; negative: the second gains."""
    swap_consistency: Interval
    """Share of debates in which both orders favour the same answer, among those in which both favour one."""
    chose_first: int
    """Inconsistent debates in which the first-shown answer was favoured both times (primacy)."""
    chose_second: int
    """The same for the second-shown answer (recency)."""
    even: int
    """Debates in which a reading favoured neither answer: neither consistent nor inconsistent."""
    right_shown_first: Interval
    """Accuracy of the reading that shows the right answer first."""
    right_shown_second: Interval
    gap: Interval
    """The first of these minus the second. (Between "given" and "swapped" order it would cancel: in either, the right
    answer is first half of the time.)"""
    right_only_first: int
    """Debates judged rightly only when the right answer was first."""
    right_only_second: int
    mcnemar_p: float
    """Exact two-sided p-value of these two counts (McNemar 1947), debates taken as independent."""


def leans(table: Table) -> FloatArray:
    """Return by how much each debate's readings (N,) lean to the first-shown answer: (p + p')/2 - 1/2."""
    return (table.given - table.swapped) / 2


def position(table: Table) -> Position:
    """Return the statistics of position, over the debates with a valid verdict."""
    table = table.judged()
    first, second = favours(table.given), favours(table.swapped)
    decided = (first != 0.5) & (second != 0.5)
    consistent = decided & (first == second)
    labelled = table.labelled()
    right_first, right_second = right_by_place(labelled)
    only_first = int(((right_first == 1) & (right_second == 0)).sum())
    only_second = int(((right_first == 0) & (right_second == 1)).sum())
    return Position(
        cluster_mean(leans(table), table.story, (-0.5, 0.5)),
        wilson(int(consistent.sum()), int(decided.sum())),
        int((decided & (first > second)).sum()),
        int((decided & (first < second)).sum()),
        int((~decided).sum()),
        wilson(float(right_first.sum()), len(labelled)),
        wilson(float(right_second.sum()), len(labelled)),
        cluster_mean(right_first - right_second, labelled.story, CHANGE),
        only_first,
        only_second,
        sign_test(only_first, only_second),
    )


def right_by_place(table: Table) -> tuple[FloatArray, FloatArray]:
    """Return whether the reading that shows the right answer first is right (N,), and the one that shows it second
    (N,)."""
    of_given = np.where(table.a_is_right, favours(table.given), 1 - favours(table.given))
    of_swapped = np.where(table.a_is_right, favours(table.swapped), 1 - favours(table.swapped))
    first_is_given = table.a_is_right
    return np.where(first_is_given, of_given, of_swapped), np.where(first_is_given, of_swapped, of_given)
