"""What the cells of an ablation found: each cell's change over its base, and each against the first cell.

Cells are compared on the debates about the questions that both have, final policy against final policy, paired by
question and seating and clustered by story. All comparisons, changes over the base and differences to the first cell,
by every judge, are one family that is adjusted by Holm's procedure. Cells that differ by seed alone are compared once,
pooled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from rostrum.trainer.evaluation.comparisons.pooling import (
    UNTESTED,
    adjust,
    against,
    counterpart,
    outcomes,
    over_the_base,
    pairs,
    pool,
)
from rostrum.trainer.evaluation.replicates import Replicates
from rostrum.trainer.evaluation.summarise import summarise
from rostrum.trainer.evaluation.summary import Estimate, JudgeAccuracy, Summary
from rostrum.trainer.evaluation.verdict_table import read_verdicts
from rostrum.trainer.records import jsonable
from rostrum.trainer.stats.paired import PairedChange, paired_change

SCHEMA_VERSION = 2
ARM = ("protocol", "win_rate", "verified_quotes")
"""What is stored of a cell as its summary has it."""
CELLS: dict[str, str] = {
    "cell": "name of the cell",
    "failure": "the sentence that its run failed with; empty if it did not",
    "iteration": "of its final checkpoint",
    "win_rate": "of the final debaters against the base, by the reward judge",
    "win_rate_low": "lower end of its 95 % interval",
    "win_rate_high": "upper end of its 95 % interval",
    "verified_quotes": "share of the final debaters' quotes that are found in the passage",
    "judge": "name of the judge",
    "role": "reward or held-out",
    "n_questions": "questions with a valid verdict on both checkpoints",
    "n_stories": "stories that they are about",
    "n_invalid": "INVALID verdicts on both checkpoints",
    "base": "judge accuracy on the base debater's debates",
    "accuracy": "judge accuracy on the final debaters' debates",
    "accuracy_low": "lower end of its 95 % interval",
    "accuracy_high": "upper end of its 95 % interval",
    "brier": "mean of (1 - P)^2 of the right answer, final debaters; 0 is best",
    "log_score": "mean of -log P of the right answer, final debaters; 0 is best",
    "change": "accuracy of the final debaters less that of the base, on the same questions",
    "change_low": "lower end of its 95 % interval",
    "change_high": "upper end of its 95 % interval",
    "change_p": "p-value of the change by itself",
    "change_p_holm": "p-value of the change among all comparisons; empty for one of several seeds",
    "change_shown": "up, down or nothing, by the p-value among all comparisons and the interval",
    "against": "the first cell's judge that this one is compared with",
    "difference": "accuracy less the first cell's, on the questions that both have",
    "difference_low": "lower end of its 95 % interval",
    "difference_high": "upper end of its 95 % interval",
    "difference_p": "p-value of the difference by itself",
    "difference_n_questions": "questions with a valid verdict in both cells",
    "difference_n_stories": "stories that they are about",
    "difference_p_holm": "p-value of the difference among all comparisons; empty for one of several seeds",
    "difference_shown": "up, down or nothing, by the p-value among all comparisons and the interval",
}
"""Columns of cells.parquet and cells.csv, beside one for each setting, and what they hold."""


@dataclass(frozen=True, slots=True)
class Told:
    """Comparisons that a summary of the same runs has corrected already: p-value and headline, so that one thing has
    one figure. Changes by arm or group and judge; differences by arm or group, its control, and judge."""

    changes: Mapping[tuple[str, str], tuple[float | None, str]] = field(default_factory=dict)
    differences: Mapping[tuple[str, str, str], tuple[float | None, str]] = field(default_factory=dict)


def told_by(summary: Summary) -> Told:
    """Return what a summary (`trainer.evaluation.summarise`) has corrected."""
    return Told(
        {
            (unit.name, row.judge): (row.p_adjusted, row.headline or "")
            for unit in summary.units
            for row in unit.accuracy
        },
        {
            (unit.name, unit.control.name, row.judge): (row.p_adjusted, row.headline or "")
            for unit in summary.units
            if unit.control and unit.control.name
            for row in unit.control.accuracy
        },
    )


NOTHING_TOLD = Told()


@dataclass(frozen=True, slots=True)
class Result:
    """A cell that has been run: its settings, and where its verdicts are; or the sentence it failed with."""

    name: str
    settings: Mapping[str, str]
    folder: Path
    failure: str | None = None


def compare(results: Sequence[Result], groups: Sequence[Replicates] = (), told: Told = NOTHING_TOLD) -> dict[str, Any]:
    """Return all cells in their order, as stored in ablation.json; the first is what the others are compared with.
    `groups` are cells that differ by training seed alone; the finished ones of each are pooled, and have no test of
    their own. What is `told` already is not corrected anew; the rest is a family.

    Floats have 6 decimals; what is not known is None. Nothing is compared if the first cell has failed.
    """
    tables = {r.name: read_verdicts(r.folder / "verdicts.parquet") for r in results if r.failure is None}
    first = results[0]
    cells = [_cell(result, tables.get(result.name), tables.get(first.name)) for result in results]
    finished = _finished(groups, tables)
    pooled = pool(finished)
    parts = {name for group in groups if group.name in finished for name in group.seeds}
    for cell in cells:
        cell["group"] = next((g.name for g in groups if g.name in finished and cell["name"] in g.seeds), None)
    units = [*pooled, *(cell for cell in cells if cell["name"] not in parts)]
    changes = over_the_base(units, told.changes)
    others = [cell for cell in units[len(pooled) :] if cell["name"] != first.name]
    differences = against(pooled, pooled[0]["name"] if pooled else "", told.differences)
    differences += against(others, first.name, told.differences)
    return {
        "schema_version": SCHEMA_VERSION,
        "first": first.name,
        "axes": list(first.settings),
        "family": {"correction": "Holm", "size": adjust([*changes, *differences]), "told": bool(told.changes)},
        "cells": jsonable(cells),
        "pooled": jsonable(pooled),
    }


def rows(found: Mapping[str, Any]) -> pd.DataFrame:
    """Return the same as a table with one row for each cell and judge; a cell that failed has one row without
    figures."""
    return pd.DataFrame([row for cell in found["cells"] for row in _flat(cell)])


def _finished(groups: Sequence[Replicates], tables: Mapping[str, pd.DataFrame]) -> dict[str, dict[int, pd.DataFrame]]:
    found = {g.name: {seed: tables[cell] for cell, seed in g.seeds.items() if cell in tables} for g in groups}
    return {name: runs for name, runs in found.items() if len(runs) > 1}


def difference(first: pd.DataFrame, own: pd.DataFrame) -> PairedChange:
    """Return what a cell's final verdicts (`outcomes`) say against the first cell's, on what both have a valid verdict
    on."""
    questions = pairs(first, own)
    return paired_change(questions["before"], questions["after"], questions["story_id"])


def _cell(result: Result, own: pd.DataFrame | None, first: pd.DataFrame | None) -> dict[str, Any]:
    cell = {"name": result.name, "settings": dict(result.settings), "folder": str(result.folder)}
    if own is None:
        return cell | {"failure": result.failure, "judges": []}
    (arm,) = summarise(own).arms
    last = arm.checkpoints[-1]
    judges = [_judged(result.name, row, last.accuracy[row.judge], own, first) for row in arm.accuracy]
    figures = {name: value for name, value in arm.stored().items() if name in ARM}
    return cell | {"failure": None, **figures, "iteration": last.iteration, "judges": judges}


def _judged(
    cell: str, row: JudgeAccuracy, final: Estimate, own: pd.DataFrame, first: pd.DataFrame | None
) -> dict[str, Any]:
    """Return one judge on one cell. Where the first cell knows no judge of that name, reward judge meets reward
    judge."""
    against = None if first is None else counterpart(first, row.judge, row.role)
    found = None
    if first is not None and against is not None:
        found = difference(outcomes(first, against), outcomes(own, row.judge))
    kept = ("judge", "role", "n_questions", "n_stories", "n_invalid", "base")
    return {
        "cell": cell,
        **{name: getattr(row, name) for name in kept},
        "accuracy": final.stored(),
        "brier": row.brier.trained,
        "log_score": row.log_score.trained,
        "change": {"estimate": row.change, "low": row.low, "high": row.high, "p": row.p, **UNTESTED},
        "against": against,
        "difference": None if found is None else _triple(found),
    }


def _triple(found: PairedChange) -> dict[str, Any]:
    return {
        "estimate": found.change,
        "low": found.low,
        "high": found.high,
        "p": found.p,
        "n_questions": found.n_questions,
        "n_stories": found.n_stories,
        **UNTESTED,
    }


def _flat(cell: Mapping[str, Any]) -> list[dict[str, Any]]:
    about = {"cell": cell["name"], **cell["settings"], "failure": cell["failure"]}
    if cell["failure"] is not None:
        return [about]
    win, quotes = cell["win_rate"], cell["verified_quotes"]
    about |= {
        "iteration": cell["iteration"],
        "win_rate": win["estimate"],
        "win_rate_low": win["low"],
        "win_rate_high": win["high"],
        "verified_quotes": quotes["trained"],
    }
    return [about | _spread(row) for row in cell["judges"]]


def _spread(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a judge's figures in one level: {"change": {"low": …}} becomes "change_low"."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if name in ("accuracy", "change", "difference"):
            inner = value or {}
            flat |= {name: inner.get("estimate")}
            flat |= {f"{name}_{key}": item for key, item in inner.items() if key != "estimate"}
        elif name != "cell":
            flat[name] = value
    return flat
