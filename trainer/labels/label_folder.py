"""The folder of a sweep over labels: what is where, and what of it is there already.

config.yaml manifest.json prices.json
debates/pool.jsonl                              debates on offer, without labels
debates/heldout-base.jsonl, -trained.jsonl      held-out debates with their right answers, for the outcome alone
bought.parquet                                  what the sources said of the pool's debates
outcomes/TRIAL.parquet                          a taught judge on the held-out debates
outcomes.parquet cells.parquet cells.csv        all of it
labels.json labels.html figures/                what came out
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from rostrum.envs import transcripts
from rostrum.envs.types import Transcript
from rostrum.rewards import labelled
from rostrum.trainer.labels.grid_plan import Trial
from rostrum.trainer.labels.pool import Market, Sold
from rostrum.trainer.labels.teaching_trials import Tested
from rostrum.trainer.reading import DamagedError
from rostrum.trainer.store.tables import write_parquet

DEBATERS = ("base", "trained")
"""By whom held-out debates are argued: the second were trained against the judge that is taught."""
OUTCOME = {
    "arm": "how the judge was taught",
    "cheap": "cheaper labels bought",
    "dear": "dearer labels bought",
    "seed": "seed of the teaching",
    "debaters": "by whom the debate was argued: base, or trained against the judge as it was before the teaching",
    "question": "id of the question",
    "story": "id of its story",
    "swapped": "whether the sides defend the answers in the second seating",
    "p": "probability that the judge gives the right answer, both presentation orders averaged; none: INVALID",
}
_KEYS = ["by_cheap", "by_dear"]


class LabelFolder:
    """Paths and files of one sweep."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pool, self.bought = path / "debates" / "pool.jsonl", path / "bought.parquet"
        self.prices = path / "prices.json"
        """Dollars for a label of the cheaper and of the dearer source, as they were when the sweep began."""
        self.outcomes, self.stages = path / "outcomes", path / "stages"

    def heldout(self, debaters: str) -> Path:
        """Return where the held-out debates of these debaters lie."""
        return self.path / "debates" / f"heldout-{debaters}.jsonl"

    def outcome(self, trial: Trial) -> Path:
        """Return where a trial's outcome lies."""
        return self.outcomes / f"{trial.name}.parquet"

    def missing(self, trials: Iterable[Trial]) -> list[Trial]:
        """Return the trials that have no outcome yet."""
        return [trial for trial in trials if not self.outcome(trial).exists()]

    @cached_property
    def debates(self) -> list[Transcript]:
        """Return the debates on offer."""
        return [record for record in transcripts.read(self.pool) if isinstance(record, Transcript)]

    def write_bought(self, sold: Sold) -> None:
        """Write what the sources said, a row for each debate of the pool."""
        columns = {"by_cheap": sold.by_cheap, "by_dear": sold.by_dear, "dear": sold.dear}
        columns |= {f"cheap_{draw}": row for draw, row in enumerate(sold.cheap)}
        told = dict.fromkeys(columns, "P(answer of side A) of the debate in this row of debates/pool.jsonl; none: not")
        told |= {name: "whether the source sells a label of the debate" for name in _KEYS}
        write_parquet(pd.DataFrame(columns), self.bought, told)

    @cached_property
    def sold(self) -> Sold:
        """Return the debates and their labels.

        Raises:
            DamagedError: they do not belong together.
        """
        table = pd.read_parquet(self.bought)
        if len(table) != len(self.debates):
            raise DamagedError(self.bought, f"it is not of the debates of {self.pool}", "remove it, and start again")
        draws = sorted((name for name in table if name.startswith("cheap_")), key=lambda name: int(name[6:]))
        cheap = np.stack([table[name].to_numpy(dtype=float) for name in draws])
        by_cheap, by_dear = (table[name].to_numpy(dtype=bool) for name in _KEYS)
        return Sold(self.debates, by_cheap, by_dear, cheap, table["dear"].to_numpy(dtype=float))

    def market(self, seed: int) -> Market:
        """Return where the labels of a seed are bought."""
        return Market(self.sold, seed)

    @cached_property
    def tested(self) -> Sequence[Tested]:
        """Return the held-out debates by debaters."""
        return [Tested(name, labelled.read(self.heldout(name))) for name in DEBATERS]

    def keep(self, trial: Trial, found: pd.DataFrame) -> None:
        """Write a trial's outcome, whole or not at all."""
        write_parquet(found, self.outcome(trial), OUTCOME)

    def gathered(self, trials: Iterable[Trial]) -> pd.DataFrame:
        """Return the outcomes of all trials in one table, which is written too."""
        table = pd.concat([pd.read_parquet(self.outcome(trial)) for trial in trials], ignore_index=True)
        write_parquet(table, self.path / "outcomes.parquet", OUTCOME)
        return table
