"""What canned attacks did to the reward judge, as a picture for each arm."""

from collections.abc import Sequence

from rostrum.trainer.evaluation.stored_lines import AttackRecord
from rostrum.trainer.report.drawing import Drawing
from rostrum.trainer.report.heat_map import Labels, heat_map
from rostrum.trainer.report.inputs import Run

HIGH = 34.0
"""Height of a cell, in pixels; the table below has the intervals."""


def attack_maps(run: Run) -> dict[str, Drawing]:
    """Return, for each arm with attacks, the share of lost debates that each attack (row) turns at each checkpoint."""
    return {name: _map(name, records) for name, records in run.attacks.items() if records}


def _map(arm: str, records: Sequence[AttackRecord]) -> Drawing:
    attacks = sorted({record.attack for record in records})
    checkpoints = sorted({(record.iteration, record.checkpoint) for record in records})
    found = {(record.attack, record.iteration): record.success for record in records}
    nothing = {"estimate": None, "low": None, "high": None}
    cells = [
        [
            nothing
            if (one := found.get((attack, iteration))) is None
            else {"estimate": one.estimate, "low": one.low, "high": one.high}
            for iteration, _ in checkpoints
        ]
        for attack in attacks
    ]
    labels = Labels(
        rows=[(attack, "") for attack in attacks],
        columns=[(name, "") for _, name in checkpoints],
        across="checkpoint",
        key="lost debates turned",
        title=f"Attacks on the reward judge, {arm}",
        between="at",
        empty="–",
    )
    return heat_map(cells, labels, high=HIGH, turned=True)
