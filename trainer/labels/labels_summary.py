"""What labels are worth, as labels.json holds it: written and read by the same classes."""

import json
from pathlib import Path
from typing import Any, Literal, Self

from rostrum.envs.files import write_atomically
from rostrum.trainer.evaluation.summary import Estimate
from rostrum.trainer.labels.regimes import Regime
from rostrum.trainer.reading import read_json
from rostrum.trainer.records import Figure, Record

NAME = "labels.json"
SCHEMA_VERSION = 1
Shown = Literal["better", "worse", "no difference shown"]


class Source(Record):
    """Who sells labels. `price` is of one label in dollars."""

    name: str
    kind: str = ""
    price: Figure = None


class About(Record):
    """What was asked of the sweep."""

    title: str
    cheap: Source
    """The source of the cheaper labels; its price is in each `PriceSummary`."""
    dear: Source
    pool: int
    """Debates on offer."""
    judge: str = ""
    """The judge that is taught."""


class Compared(Estimate):
    """A taught judge's figure less another judge's. The interval is for one comparison; what is shown goes by the
    p-value, corrected (Holm) for all comparisons of its kind at one price."""

    p: Figure = None
    p_adjusted: Figure = None
    shown: Shown = "no difference shown"


class CellSummary(Record):
    """Judges taught with what a budget buys at one share, over seeds. Figures are by measure."""

    arm: str
    budget: float
    share: float
    cheap: int
    """Labels bought, the mean over seeds rounded."""
    dear: int
    spent: float
    exhausted: bool
    seeds: list[int]
    figures: dict[str, Estimate]
    over_untaught: dict[str, Compared] = {}


class Best(Record):
    """What a budget is best spent on by one measure (`trainer.labels.regimes.BestShare`)."""

    share: float
    """That with the best figure."""
    low: float
    high: float
    left: list[float]
    """The shares that are not shown to be worse than another; low and high are its ends."""
    regime: Regime
    recommended: float
    shown: bool
    """Whether fewer shares than all, from one end to the other, are left between low and high."""
    worse_p: dict[str, Figure] = {}
    """By share: p-value of the hypothesis that it is as good as every other."""


class BudgetSummary(Record):
    """A budget spent on plain fine-tuning, share by share."""

    budget: float
    cells: list[CellSummary]
    best: dict[str, Best]
    sentence: str


class FrontPoint(Record):
    """A point of the Pareto front. `lead` is what it has over the best of smaller budgets; None: there are none."""

    arm: str
    budget: float
    share: float
    spent: float
    accuracy: Estimate
    lead: Compared | None = None


class ArmRow(Record):
    """Another way of teaching at a budget and share, and its difference to plain fine-tuning with the same money."""

    cell: CellSummary
    over_plain: dict[str, Compared]


class PriceSummary(Record):
    """All that was found at one price of a cheaper label."""

    price: float
    budgets: list[BudgetSummary]
    front: list[FrontPoint]
    arms: list[ArmRow]
    sentence: str
    front_sentence: str


class LabelsSummary(Record):
    """The figures of a sweep over labels."""

    schema_version: int
    about: About
    seeds: list[int]
    questions: int
    stories: int
    debates: dict[str, int]
    """Held-out debates by debaters."""
    untaught: dict[str, Estimate]
    """The judge as it was, by measure, on the same debates."""
    prices: list[PriceSummary]
    sentences: list[str]
    """The answer, a sentence for each price, the sources' own first."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return what `write` has written into a folder.

        Raises:
            DamagedError: the file is no such summary.
        """
        return read_json(folder / NAME, cls)

    def write(self, folder: Path) -> dict[str, Any]:
        """Write labels.json and return what it holds."""
        stored = self.stored()
        write_atomically(folder / NAME, json.dumps(stored, indent=1))
        return stored
