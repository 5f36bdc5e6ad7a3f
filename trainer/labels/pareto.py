"""The Pareto front of what labels cost and how often the taught judge is right, and which of its leads are shown."""

from collections.abc import Sequence
from dataclasses import dataclass

from rostrum.rewards.significance import SIGNIFICANCE
from rostrum.trainer.labels.regimes import Cell, Difference, SeedVariance, both, difference
from rostrum.trainer.stats.paired import holm


@dataclass(frozen=True, slots=True)
class Priced:
    """A cell with its cost, and all that seeds add to it (`whole_seed_variance`); None: as it is by itself."""

    spent: float
    cell: Cell
    of_seeds: SeedVariance | None = None


@dataclass(frozen=True, slots=True)
class OnFront:
    """A point that no cheaper point equals, with its lead over the best of them; None: it is the cheapest."""

    index: int
    lead: Difference | None
    p_adjusted: float
    shown: bool


def front(points: Sequence[Priced]) -> list[OnFront]:
    """Return the front, cheapest first, more being better. Of equally dear points the best can be on it.

    Every point, on the front or not, is compared with the best that costs less, and all these comparisons are one
    family (Holm): the front's points were picked for being high.
    """
    known = [i for i, point in enumerate(points) if point.cell.mean == point.cell.mean]
    order = sorted(known, key=lambda i: (points[i].spent, -points[i].cell.mean, i))
    leads: dict[int, Difference] = {}
    on_front: list[int] = []
    for i in order:
        cheaper = [j for j in on_front if points[j].spent < points[i].spent]
        if cheaper:
            leads[i] = _lead(points[i], points[cheaper[-1]])
        if not on_front or points[i].cell.mean > points[on_front[-1]].cell.mean:
            on_front.append(i)
    adjusted = dict(zip(leads, holm([lead.p for lead in leads.values()]), strict=True))
    return [
        OnFront(
            i, lead := leads.get(i), p := float(adjusted.get(i, 1.0)), bool(lead and _leads(lead) and p < SIGNIFICANCE)
        )
        for i in on_front
    ]


def _lead(point: Priced, cheaper: Priced) -> Difference:
    return difference(point.cell, cheaper.cell, both(point.of_seeds, cheaper.of_seeds))


def _leads(lead: Difference) -> bool:
    return lead.estimate > 0 and lead.low > 0
