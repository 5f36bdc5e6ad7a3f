"""How often the judge favours the right answer, and what INVALID verdicts make of that."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rostrum.rewards.audit.table import Table
from rostrum.rewards.statistics import CHANGE, Interval, cluster_mean, wilson


@dataclass(frozen=True, slots=True)
class Accuracy:
    """An exactly even probability counts one half. Wilson intervals over debates, but for `clustered`."""

    invalid_dropped: Interval
    invalid_half: Interval
    invalid_wrong: Interval
    clustered: Interval
    """As `invalid_dropped`, with an interval of whole stories."""
    stories: int


@dataclass(frozen=True, slots=True)
class Invalid:
    """INVALID verdicts: how many, and why."""

    rate: Interval
    reasons: Mapping[str, int]
    """Most frequent first."""


def accuracy(table: Table) -> Accuracy:
    """Return the accuracy over the debates whose label names a side."""
    table = table.labelled()
    judged = table.judged()
    right, invalid = float(judged.correct.sum()), len(table) - len(judged)
    return Accuracy(
        wilson(right, len(judged)),
        wilson(right + invalid / 2, len(table)),
        wilson(right, len(table)),
        cluster_mean(judged.correct, judged.story),
        len(np.unique(table.story)),
    )


def contrast(table: Table, other: Table) -> Interval:
    """Return by how much a judge is more often right than another on the same debates (rows in the same order), over
    those with a valid verdict of both; the interval is clustered by story."""
    both = table.valid & other.valid & (table.target != 0.5)
    more = table.keep(both).correct - other.keep(both).correct
    return cluster_mean(more, table.story[both], CHANGE)


def invalid(table: Table) -> Invalid:
    """Return the share of INVALID verdicts among all."""
    reasons = Counter(str(reason) for reason in table.reason if reason)
    ordered = sorted(reasons.items(), key=lambda entry: (-entry[1], entry[0]))
    return Invalid(wilson(reasons.total(), len(table)), dict(ordered))
