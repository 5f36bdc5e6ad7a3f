"""What the cells of an ablation found: each cell's change over its base, and each against the first cell.

Cells are compared on the debates about the questions that both have, final policy against final policy, paired by
question and seating and clustered by story. Two families of comparisons, the changes over the base and the differences
to the first cell, over all cells and judges, are each adjusted by Holm's procedure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from trainer.comparisons.pooling import UNTESTED, adjust, counterpart, outcomes, pairs, pool
from trainer.evaluation.replicates import Replicates
from trainer.evaluation.summary import jsonable, summarise
from trainer.statistics.paired import PairedChange, paired_change
from trainer.verdicts import read_verdicts

SCHEMA_VERSION = 1

@dataclass(frozen=True, slots=True)
class Result:
    """A cell that has been run: its settings, and where its verdicts are; or the sentence it failed with."""

    name: str
    settings: Mapping[str, str]
    folder: Path
    failure: str | None = None


def compare(results: Sequence[Result], groups: Sequence[Replicates] = ()) -> dict[str, Any]:
    """All cells in their order, as stored in ablation.json; the first is what the others are compared with. `groups`
    are cells that differ by training seed alone; the finished ones of each are pooled.

    Floats have 6 decimals; what is not known is None. Nothing is compared if the first cell has failed.
    """
    tables = {r.name: read_verdicts(r.folder / "verdicts.parquet") for r in results if r.failure is None}
    first = results[0]
    cells = [_cell(result, tables.get(result.name), tables.get(first.name)) for result in results]
    judged = [row for cell in cells for row in cell["judges"]]
    others = [row["difference"] for row in judged if row["difference"] is not None and row["cell"] != first.name]
    families = {"change": adjust([row["change"] for row in judged]), "difference": adjust(others)}
    return {
        "schema_version": SCHEMA_VERSION,
        "first": first.name,
        "axes": list(first.settings),
        "families": families,
        "cells": jsonable(cells),
        "pooled": jsonable(pool(_finished(groups, tables))),
    }


def rows(found: Mapping[str, Any]) -> pd.DataFrame:
    """The same as a table with one row for each cell and judge; a cell that failed has one row without figures."""
    return pd.DataFrame([row for cell in found["cells"] for row in _flat(cell)])


def _finished(
    groups: Sequence[Replicates], tables: Mapping[str, pd.DataFrame]
) -> dict[str, dict[int, pd.DataFrame]]:  # fmt: skip
    found = {g.name: {seed: tables[cell] for cell, seed in g.seeds.items() if cell in tables} for g in groups}
    return {name: runs for name, runs in found.items() if len(runs) > 1}


def difference(first: pd.DataFrame, own: pd.DataFrame) -> PairedChange:
    """What a cell's final verdicts (`outcomes`) say against the first cell's, on what both have a valid verdict on."""
    questions = pairs(first, own)
    return paired_change(questions["before"], questions["after"], questions["story_id"])


def _cell(result: Result, own: pd.DataFrame | None, first: pd.DataFrame | None) -> dict[str, Any]:
    cell = {"name": result.name, "settings": dict(result.settings), "folder": str(result.folder)}
    if own is None:
        return cell | {"failure": result.failure, "judges": []}
    (arm,) = summarise(own)["arms"]
    last = arm["checkpoints"][-1]
    judges = [
        _judged(result.name, row, last["accuracy"][row["judge"]], own, first) for row in arm["accuracy"]
    ]  # fmt: skip
    figures = {name: arm[name] for name in ("protocol", "win_rate", "verified_quotes")}
    return cell | {"failure": None, **figures, "iteration": last["iteration"], "judges": judges}


def _judged(
    cell: str, row: Mapping[str, Any], final: Mapping[str, Any], own: pd.DataFrame, first: pd.DataFrame | None
) -> dict[str, Any]:
    """One judge on one cell. Where the first cell knows no judge of that name, reward judge meets reward judge."""
    against = None if first is None else counterpart(first, row["judge"], row["role"])
    found = None
    if first is not None and against is not None:
        found = difference(outcomes(first, against), outcomes(own, row["judge"]))
    kept = ("judge", "role", "n_questions", "n_stories", "n_invalid", "base")
    return {
        "cell": cell,
        **{name: row[name] for name in kept},
        "accuracy": dict(final),
        "change": {"estimate": row["change"], "low": row["low"], "high": row["high"], "p": row["p"], **UNTESTED},
        "against": against,
        "difference": None if found is None else _triple(found),
    }


def _triple(found: PairedChange) -> dict[str, Any]:
    return {
        "estimate": found.change, "low": found.low, "high": found.high, "p": found.p,
        "n_questions": found.n_questions, "n_stories": found.n_stories, **UNTESTED,
    }  # fmt: skip


def _flat(cell: Mapping[str, Any]) -> list[dict[str, Any]]:
    about = {"cell": cell["name"], **cell["settings"], "failure": cell["failure"]}
    if cell["failure"] is not None:
        return [about]
    win, quotes = cell["win_rate"], cell["verified_quotes"]
    about |= {
        "iteration": cell["iteration"], "win_rate": win["estimate"], "win_rate_low": win["low"],
        "win_rate_high": win["high"], "verified_quotes": quotes["trained"],
    }  # fmt: skip
    return [about | _spread(row) for row in cell["judges"]]


def _spread(row: Mapping[str, Any]) -> dict[str, Any]:
    """A judge's figures in one level: {"change": {"low": …}} becomes "change_low"."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if name in ("accuracy", "change", "difference"):
            inner = value or {}
            flat |= {name: inner.get("estimate")}
            flat |= {f"{name}_{key}": item for key, item in inner.items() if key != "estimate"}
        elif name != "cell":
            flat[name] = value
    return flat
