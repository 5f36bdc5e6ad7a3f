"""From verdicts of taught judges to what labels are worth: figures, best shares, the Pareto front, other arms."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from rostrum.envs.files import write_atomically
from rostrum.rewards.significance import SIGNIFICANCE
from rostrum.trainer.config.labels import PLAIN
from rostrum.trainer.evaluation.summary import Estimate
from rostrum.trainer.labels import labels_wording as wording
from rostrum.trainer.labels.grid_plan import UNTAUGHT
from rostrum.trainer.labels.labels_summary import (
    SCHEMA_VERSION,
    About,
    ArmRow,
    Best,
    BudgetSummary,
    CellSummary,
    Compared,
    FrontPoint,
    LabelsSummary,
    PriceSummary,
)
from rostrum.trainer.labels.pareto import Priced, front
from rostrum.trainer.labels.regimes import (
    Cell,
    Difference,
    SeedVariance,
    best_share,
    cell_mean,
    difference,
    seed_variance,
    whole_seed_variance,
)
from rostrum.trainer.labels.tested_judges import MEASURES, Measure, Tested, Trial, held_out, tested
from rostrum.trainer.stats.paired import holm
from rostrum.trainer.store.tables import write_parquet


@dataclass(frozen=True, slots=True)
class _Place:
    """A cell of the grid at one price: what is bought, and the judges that were taught with it, one for each seed."""

    arm: str
    budget: float
    share: float
    cheap: int
    dear: int
    spent: float
    exhausted: bool
    trials: tuple[Trial, ...]


@dataclass(frozen=True, slots=True)
class _Board:
    """The judges of one price under every measure. Of every measure more is better: a Brier score is negated."""

    places: Sequence[_Place]
    cells: Mapping[str, Sequence[Cell | None]]
    """By measure, in the order of the places."""
    untaught: Mapping[str, Cell | None]

    def beside(self, name: str, places: Sequence[int]) -> list[Cell]:
        """Return the judges at these places, with the seeds that all of them have."""
        found = [cell for i in places if (cell := self.cells[name][i]) is not None]
        seeds = [seed for seed in found[0].seeds if all(seed in cell.seeds for cell in found)] if found else []
        return [cell.of(seeds) for cell in found] if seeds else []


def summarise(outcomes: pd.DataFrame, cells: pd.DataFrame, about: About) -> LabelsSummary:
    """Return what labels are worth.

    `outcomes` has a row for each trial and held-out debate: `arm`, `cheap`, `dear`, `seed`, `debaters` ("base" or
    "trained"), `question`, `story`, `swapped` and `p`, P(right answer), NaN where INVALID; the judge as it was is the
    arm "none". `cells` has a row for each `price`, `budget`, `share`, `arm` and `seed`: `cheap`, `dear`, `spent`,
    `exhausted`. The first price is that of `about.cheap`, if it has one, then they ascend.
    """
    by_measure = {measure: tested(outcomes, measure) for measure in MEASURES}
    untaught = {measure.name: _untaught(found, measure) for measure, found in by_measure.items()}
    asked = sorted(float(price) for price in cells["price"].unique())
    asked.sort(key=lambda price: price != about.cheap.price)
    numbers = held_out(outcomes)
    prices = [_price(price, _board(cells[cells["price"] == price], by_measure, untaught), about) for price in asked]
    return LabelsSummary(
        schema_version=SCHEMA_VERSION,
        about=about,
        seeds=sorted(int(seed) for seed in cells["seed"].unique()),
        questions=numbers.pop("question"),
        stories=numbers.pop("story"),
        debates=numbers,
        untaught={m.name: _estimate(untaught[m.name], m) for m in MEASURES},
        prices=prices,
        sentences=[price.sentence for price in prices],
    )


def _untaught(found: Tested, measure: Measure) -> Cell | None:
    """Return the judge as it was, in which seeds have no part."""
    cell = found.cell([trial for trial in found.rows if trial[0] == UNTAUGHT][:1], measure.sign)
    return cell and Cell((), cell.sums, cell.sizes)


def _board(cells: pd.DataFrame, by_measure: Mapping[Measure, Tested], untaught: Mapping[str, Cell | None]) -> _Board:
    places = []
    order = cells.assign(other=cells["arm"] != PLAIN).sort_values(
        ["budget", "other", "arm", "share", "seed"], kind="stable"
    )
    for (arm, budget, share), part in order.groupby(["arm", "budget", "share"], sort=False):
        cheap, dear = (round(float(part[name].mean())) for name in ("cheap", "dear"))
        rows = zip(part["arm"], part["cheap"], part["dear"], part["seed"], strict=True)
        trials = tuple((str(name), int(low), int(high), int(seed)) for name, low, high, seed in rows)
        spent, exhausted = float(part["spent"].mean()), bool(part["exhausted"].any())
        places.append(_Place(str(arm), float(budget), float(share), cheap, dear, spent, exhausted, trials))
    found = {
        measure.name: [table.cell(place.trials, measure.sign) for place in places]
        for measure, table in by_measure.items()
    }
    return _Board(places, found, untaught)


def _price(price: float, board: _Board, about: About) -> PriceSummary:
    cells = _cells(board)
    plain = [i for i, place in enumerate(board.places) if place.arm == PLAIN]
    budgets = sorted({board.places[i].budget for i in plain})
    rows = []
    for budget in budgets:
        here = [i for i in plain if board.places[i].budget == budget]
        best = {m.name: found for m in MEASURES if (found := _best(board, m, here, len(budgets))) is not None}
        of_budget = [cells[i] for i in here]
        sentence = wording.of_budget(budget, of_budget, best.get("accuracy"), about)
        rows.append(BudgetSummary(budget=budget, cells=of_budget, best=best, sentence=sentence))
    on_front = _front(board, cells)
    return PriceSummary(
        price=price,
        budgets=rows,
        front=on_front,
        arms=_arms(board, cells),
        sentence=wording.of_price(price, rows, about),
        front_sentence=wording.of_front(on_front),
    )


def _estimate(cell: Cell | None, measure: Measure) -> Estimate:
    """Return a cell's figure as it is stored; the cell of a measure of which less is better is negated."""
    if cell is None:
        return Estimate()
    mean = cell_mean(replace(cell, sums=measure.sign * cell.sums))
    return Estimate(estimate=mean.estimate, low=mean.low, high=mean.high)


def _cells(board: _Board) -> list[CellSummary]:
    """Return every cell with its figures, and what it has over the judge as it was."""
    over = {measure.name: _over_untaught(board, measure) for measure in MEASURES}
    found = []
    for i, place in enumerate(board.places):
        of_accuracy = board.cells["accuracy"][i]
        found.append(
            CellSummary(
                **{name: value for name, value in asdict(place).items() if name != "trials"},
                seeds=list(of_accuracy.seeds) if of_accuracy else [],
                figures={m.name: _estimate(board.cells[m.name][i], m) for m in MEASURES},
                over_untaught={name: compared[i] for name, compared in over.items() if i in compared},
            )
        )
    return found


def _over_untaught(board: _Board, measure: Measure) -> dict[int, Compared]:
    """Return what each place has over the judge as it was, which has no seeds: all that they add is a judge's own."""
    known, before = _whole_variances(board, measure.name), board.untaught[measure.name]
    found: dict[int, Difference] = {}
    for i, cell in enumerate(board.cells[measure.name]):
        if cell is not None and before is not None:
            found[i] = difference(cell, before, known[i])
    return _compared(found, measure.sign)


def _whole_variances(board: _Board, name: str) -> list[SeedVariance | None]:
    """Return all that seeds add to the judge at each place, pooled over the shares of its budget and arm."""
    groups: dict[tuple[str, float], list[int]] = {}
    for i, place in enumerate(board.places):
        groups.setdefault((place.arm, place.budget), []).append(i)
    of_group = {key: whole_seed_variance(board.beside(name, places)) for key, places in groups.items()}
    return [of_group[place.arm, place.budget] for place in board.places]


def _compared(found: Mapping[int, Difference], sign: float) -> dict[int, Compared]:
    """Return differences as they are stored, p-values corrected for all of them."""
    adjusted = holm([one.p for one in found.values()])
    return {i: _stored(one, float(p), sign) for (i, one), p in zip(found.items(), adjusted, strict=True)}


def _stored(one: Difference, adjusted: float, sign: float) -> Compared:
    shown = adjusted < SIGNIFICANCE and (one.low > 0 or one.high < 0)
    low, high = sorted((sign * one.low, sign * one.high)) if not np.isnan(one.low) else (one.low, one.high)
    return Compared(
        estimate=sign * one.estimate,
        low=low,
        high=high,
        p=one.p,
        p_adjusted=adjusted,
        shown="no difference shown" if not shown else "better" if one.estimate > 0 else "worse",
    )


def _best(board: _Board, measure: Measure, here: Sequence[int], budgets: int) -> Best | None:
    places = [i for i in here if board.cells[measure.name][i] is not None]
    cells = board.beside(measure.name, places)
    if not cells:
        return None
    found = best_share([board.places[i].share for i in places], cells, SIGNIFICANCE / budgets)
    return Best(
        share=found.best,
        low=found.low,
        high=found.high,
        left=list(found.left),
        regime=found.regime,
        recommended=found.recommended,
        shown=(found.low, found.high) != (found.shares[0], found.shares[-1]),
        worse_p={f"{share:g}": p for share, p in zip(found.shares, found.p, strict=True)},
    )


def _front(board: _Board, cells: Sequence[CellSummary]) -> list[FrontPoint]:
    """Return the front; it begins with the judge as it was, which costs nothing."""
    of_seeds = _whole_variances(board, "accuracy")
    points, known = list[Priced](), list[CellSummary]()
    if before := board.untaught["accuracy"]:
        points.append(Priced(0.0, 0.0, before))
        figures = {"accuracy": _estimate(before, MEASURES[0])}
        what = {"cheap": 0, "dear": 0, "spent": 0.0, "exhausted": False, "seeds": list[int]()}
        known.append(CellSummary(arm=UNTAUGHT, budget=0.0, share=0.0, figures=figures, **what))
    for cell, place, variance, summary in zip(board.cells["accuracy"], board.places, of_seeds, cells, strict=True):
        if cell is not None:
            points.append(Priced(place.budget, place.spent, cell, variance))
            known.append(summary)
    return [
        FrontPoint(
            **{name: getattr(known[on.index], name) for name in ("arm", "budget", "share", "spent")},
            accuracy=known[on.index].figures["accuracy"],
            lead=None if on.lead is None else _stored(on.lead, on.p_adjusted, 1.0),
        )
        for on in front(points)
    ]


def _arms(board: _Board, cells: Sequence[CellSummary]) -> list[ArmRow]:
    """Return the other arms beside plain fine-tuning with the same money. What seeds add is pooled over all arms at one
    budget and share; an arm that is tried at one share alone stands beside plain fine-tuning at that share."""
    plain = {(p.budget, p.share): i for i, p in enumerate(board.places) if p.arm == PLAIN}
    others = [i for i, p in enumerate(board.places) if p.arm != PLAIN and (p.budget, p.share) in plain]
    over: dict[int, dict[str, Compared]] = {i: {} for i in others}
    for measure in MEASURES:
        found = {}
        for i in others:
            at = board.places[i].budget, board.places[i].share
            together = [plain[at], *(j for j in others if (board.places[j].budget, board.places[j].share) == at)]
            one, same = board.cells[measure.name][i], board.cells[measure.name][plain[at]]
            if one is not None and same is not None:
                pooled = seed_variance(board.beside(measure.name, together))
                of_two = pooled and SeedVariance(2 * pooled.square, pooled.freedom)
                found[i] = difference(one, same, of_two)
        for i, compared in _compared(found, measure.sign).items():
            over[i][measure.name] = compared
    return [ArmRow(cell=cells[i], over_plain=over[i]) for i in others]


COLUMNS = {
    "price": "dollars for a cheaper label",
    "budget": "dollars to spend",
    "share": "share of the budget that is spent on dearer labels",
    "arm": "how the judge learns",
    "cheap": "cheaper labels bought",
    "dear": "dearer labels bought",
    "spent": "dollars spent",
    "exhausted": "whether there were fewer debates than the money would have bought labels of",
    "seeds": "judges that were taught, each with a seed of its own",
    "over_untaught": "accuracy less that of the judge as it was",
    "over_untaught_low": "lower end of its 95 % interval",
    "over_untaught_high": "upper end of its 95 % interval",
    "over_untaught_p_holm": "p-value among all cells of the price",
    "over_plain": "accuracy less that of plain fine-tuning with the same money",
    "over_plain_low": "lower end of its 95 % interval",
    "over_plain_high": "upper end of its 95 % interval",
    "over_plain_p_holm": "p-value among all such comparisons of the price",
    "best": "whether this share has the highest accuracy of its budget (plain fine-tuning)",
    "left": "whether it is between the ends of the shares that are not shown to be worse than another",
    "on_front": "whether no cell that costs less is as accurate",
}
_OF_MEASURE = {"": "{}", "_low": "lower end of its 95 % interval", "_high": "upper end of its 95 % interval"}
COLUMNS |= {f"{m.name}{end}": words.format(m.words) for m in MEASURES for end, words in _OF_MEASURE.items()}
"""Columns of cells.parquet and cells.csv, and what they hold."""


def rows(summary: LabelsSummary) -> pd.DataFrame:
    """Return one row for each price, budget, share and arm."""
    found = []
    for price in summary.prices:
        on_front = {(point.arm, point.budget, point.share) for point in price.front}
        listed: list[tuple[CellSummary, Best | None, Compared | None]] = []
        listed += [(cell, budget.best.get("accuracy"), None) for budget in price.budgets for cell in budget.cells]
        listed += [(arm.cell, None, arm.over_plain.get("accuracy")) for arm in price.arms]
        for cell, best, over_plain in listed:
            row = {"price": price.price} | {name: getattr(cell, name) for name in list(COLUMNS)[1:8]}
            row |= {"seeds": len(cell.seeds)}
            for measure in MEASURES:
                row |= _ends(measure.name, cell.figures[measure.name])
            row |= _ends("over_untaught", cell.over_untaught.get("accuracy")) | _ends("over_plain", over_plain)
            row["best"] = None if best is None else cell.share == best.share
            row["left"] = None if best is None else best.low <= cell.share <= best.high
            row["on_front"] = (cell.arm, cell.budget, cell.share) in on_front
            found.append(row)
    return pd.DataFrame(found)


def _ends(name: str, figure: Estimate | None) -> dict[str, float | None]:
    known = figure or Estimate()
    ends = {name: known.estimate, f"{name}_low": known.low, f"{name}_high": known.high}
    if name in ("over_untaught", "over_plain"):
        ends[f"{name}_p_holm"] = known.p_adjusted if isinstance(known, Compared) else None
    return ends


def write(folder: Path, summary: LabelsSummary) -> None:
    """Write labels.json, cells.parquet and cells.csv."""
    summary.write(folder)
    table = rows(summary)
    write_parquet(table, folder / "cells.parquet", COLUMNS)
    write_atomically(folder / "cells.csv", table.to_csv(index=False, lineterminator="\r\n"))
