"""The Pareto front of what labels cost and how often the taught judge is right, and which of its leads are shown."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rostrum.trainer.labels.regimes import Cell, Difference, SeedVariance, both, difference
from rostrum.trainer.stats.paired import holm


@dataclass(frozen=True, slots=True)
class Priced:
    """A cell with its budget, what was spent of it, and what seeds add to it (`whole_seed_variance`); None: as it is
    by itself."""

    budget: float
    spent: float
    cell: Cell
    of_seeds: SeedVariance | None = None


@dataclass(frozen=True, slots=True)
class OnFront:
    """A point that no cheaper point equals, with its lead over the best of all smaller budgets; None: there is none."""

    index: int
    lead: Difference | None
    p_adjusted: float


def front(points: Sequence[Priced]) -> list[OnFront]:
    """Return the front, cheapest first, more being better. Of equally dear points the best can be on it.

    Every point, on the front or not, is compared with the best of smaller budgets, and all these comparisons are one
    family (Holm): those on the front were picked for being high.
    """
    known = [i for i, point in enumerate(points) if not np.isnan(point.cell.mean)]
    order = sorted(known, key=lambda i: (points[i].spent, -points[i].cell.mean, i))
    on_front: list[int] = []
    for i in order:
        if not on_front or points[i].cell.mean > points[on_front[-1]].cell.mean:
            on_front.append(i)
    leads = {i: lead for i in order if (lead := _lead(i, known, points)) is not None}
    adjusted = dict(zip(leads, holm([lead.p for lead in leads.values()]), strict=True))
    return [OnFront(i, leads.get(i), float(adjusted.get(i, np.nan))) for i in on_front]


def _lead(index: int, known: Sequence[int], points: Sequence[Priced]) -> Difference | None:
    point = points[index]
    smaller = [points[i] for i in known if points[i].budget < point.budget]
    if not smaller:
        return None
    best = max(smaller, key=lambda one: one.cell.mean)
    return difference(point.cell, best.cell, both(point.of_seeds, best.of_seeds))
