"""A summary in the terminal: what the report begins with."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from rostrum.launch import figures
from rostrum.trainer.terminal import Console

if TYPE_CHECKING:
    from rostrum.trainer.evaluation.summary import ArmSummary, JudgeAccuracy, PlanRecord, Summary

WIDTH = 140
"""Of the table where there is no terminal to ask."""


def show_summary(summary: "Summary", folder: Path) -> None:
    """Print a table of the arms, with those of several seeds pooled besides, a sentence on each, whether all went as
    planned, and where the report is."""
    figures.keep("summary", summary.stored())
    table = Table("arm", "headline", "judge", "accuracy", "change (points)", "win rate", "verified quotes")
    arms = [*summary.pooled, *summary.arms]
    for arm in arms:
        for number, accuracy in enumerate(arm.accuracy):
            table.add_row(*map(Text, _row(arm, accuracy, first=number == 0)))
    if len(summary.arms) > 1:
        Console(width=None if sys.stdout.isatty() else WIDTH).print(table)
    console = Console(soft_wrap=True, markup=False, highlight=False)
    for arm in arms:
        beyond = arm.control.sentence if arm.control else ""
        console.print(f"{arm.name}: {arm.sentence} {beyond}".rstrip())
    if summary.family.size > 1:
        console.print(f"Directions go by p-values corrected for all {summary.family.size} comparisons (Holm).")
    for line in _plan(summary.plan):
        console.print(line)
    console.print(f"Report: {folder / 'report.html'}")


def show_root(root: str | None) -> None:
    """Print the root hash, if the folder has hashes, to be kept elsewhere than in that folder."""
    if root is not None:
        figures.keep("root_hash", root)
        Console(soft_wrap=True, markup=False, highlight=False).print(f"Root hash: {root}")


def show_cells(found: Mapping[str, Any], page: Path) -> None:
    """Print a table of an ablation's cells, and where the page about them is."""
    figures.keep("ablation", found)
    table = Table("cell", "judge", "accuracy", "change (points)", "difference to the first (points)", "corrected p")
    for cell in found["cells"]:
        if cell["failure"] is not None:
            table.add_row(*map(Text, (cell["name"], "failed", "", "", "", "")))
        for number, row in enumerate(cell["judges"]):
            compared = _compared(row, is_first=cell["name"] == found["first"])
            table.add_row(*map(Text, ("" if number else cell["name"], *compared)))
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)
    Console(soft_wrap=True, markup=False, highlight=False).print(f"Report: {page}")


def _compared(row: Mapping[str, Any], is_first: bool) -> list[str]:
    change, difference = row["change"], row["difference"]
    own = [f"{row['judge']} ({row['role']})", _percent(row["accuracy"]["estimate"]), _change(change)]
    if is_first or difference is None:
        return [*own, "–", "–"]
    p = difference["p_holm"]
    return [*own, _change(difference), "–" if p is None else f"{p:.3f}"]


def _change(value: Mapping[str, Any]) -> str:
    return f"{_points(value['estimate'])} [{_points(value['low'])}, {_points(value['high'])}]"


def _plan(plan: "PlanRecord") -> list[str]:
    """Return whether the plan was kept to, and every deviation; nothing where nothing was declared."""
    if not plan.declared and not plan.deviations:
        return []
    return [f"Plan: {plan.status}.", *(f"  {sentence}" for sentence in plan.deviations)]


def _row(arm: "ArmSummary", accuracy: "JudgeAccuracy", first: bool) -> list[str]:
    """Return the cells of a judge's row; the arm's own figures stand in that of its first judge."""
    win, quotes = arm.win_rate, arm.verified_quotes
    judged = [
        f"{accuracy.judge} ({accuracy.role})",
        f"{_percent(accuracy.base)} → {_percent(accuracy.trained)}",
        f"{_points(accuracy.change)} [{_points(accuracy.low)}, {_points(accuracy.high)}]",
    ]
    if not first:
        return ["", "", *judged, "", ""]
    won = _percent(win.estimate)
    if win.low is not None:
        won += f" [{_percent(win.low)}, {_percent(win.high)}]"
    return [arm.name, arm.headline or "", *judged, won, f"{_percent(quotes.base)} → {_percent(quotes.trained)}"]


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def _points(change: float | None) -> str:
    return "–" if change is None else f"{100 * change:+.1f}"
