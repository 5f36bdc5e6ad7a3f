"""What the cells of an ablation found: each cell's change over its base, and each against the first cell.

Cells are compared on the debates about the questions that both have, final policy against final policy, paired by
question and seating and clustered by story. Two families of comparisons, the changes over the base and the differences
to the first cell, over all cells and judges, are each adjusted by Holm's procedure.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rewards.statistics import SIGNIFICANCE
from trainer.statistics import PairedChange, holm, paired_change
from trainer.summary import jsonable, summarise
from trainer.verdicts import REWARD, SELF

SCHEMA_VERSION = 1
PAIR = ["question_id", "story_id", "swapped_seats"]
"""What two debates must share to be compared."""
UNTESTED = {"p_holm": math.nan, "shown": "nothing"}


@dataclass(frozen=True, slots=True)
class Result:
    """A cell that has been run: its settings, and where its verdicts are; or the sentence it failed with."""

    name: str
    settings: Mapping[str, str]
    folder: Path
    failure: str | None = None


def compare(results: Sequence[Result]) -> dict[str, Any]:
    """All cells in their order, as stored in ablation.json; the first is what the others are compared with.

    Floats have 6 decimals; what is not known is None. Nothing is compared if the first cell has failed.
    """
    tables = {r.name: pd.read_parquet(r.folder / "verdicts.parquet") for r in results if r.failure is None}
    first = results[0]
    cells = [_cell(result, tables.get(result.name), tables.get(first.name)) for result in results]
    judged = [row for cell in cells for row in cell["judges"]]
    others = [row for row in judged if row["difference"] is not None and row["cell"] != first.name]
    families = {"change": _adjust(judged, "change"), "difference": _adjust(others, "difference")}
    return {
        "schema_version": SCHEMA_VERSION,
        "first": first.name,
        "axes": list(first.settings),
        "families": families,
        "cells": jsonable(cells),
    }


def rows(found: Mapping[str, Any]) -> pd.DataFrame:
    """The same as a table with one row for each cell and judge; a cell that failed has one row without figures."""
    return pd.DataFrame([row for cell in found["cells"] for row in _flat(cell)])


def difference(first: pd.DataFrame, own: pd.DataFrame) -> PairedChange:
    """What a cell's final verdicts (`finals`) say against the first cell's, on what both have a valid verdict on."""
    pairs = first.join(own, how="inner", lsuffix="_first")
    questions = pairs.groupby(level=["question_id", "story_id"]).mean()
    return paired_change(questions["correct_first"], questions["correct"], questions.index.get_level_values("story_id"))


def finals(verdicts: pd.DataFrame, judge: str) -> pd.DataFrame:
    """Whether a judge's valid verdicts on the final policy's debates with itself picked the right answer (1, 0, a tie
    .5): a column `correct`, by question, story and seating."""
    own = verdicts[(verdicts["matchup"] == SELF) & (verdicts["judge"] == judge) & verdicts["valid"].astype(bool)]
    own = own[own["iteration"] == verdicts["iteration"].max()]
    picks_a = (1 + np.sign(own["p_mean"] - 0.5)) / 2
    correct = picks_a.where(own["correct_seat"] == "A", 1 - picks_a)
    return own.assign(correct=correct).groupby(PAIR)[["correct"]].mean()


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
    against = None if first is None else _counterpart(first, row["judge"], row["role"])
    found = None
    if first is not None and against is not None:
        found = difference(finals(first, against), finals(own, row["judge"]))
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


def _counterpart(first: pd.DataFrame, judge: str, role: str) -> str | None:
    if judge in set(first["judge"]):
        return judge
    rewarding = first.loc[first["judge_role"] == REWARD, "judge"]
    return str(rewarding.iloc[0]) if role == REWARD else None


def _adjust(judged: Sequence[dict[str, Any]], name: str) -> int:
    """Adds to each comparison its p-value among all of them, and whether that shows a direction; returns how many there
    are."""
    compared = [row[name] for row in judged]
    p_values = [math.nan if one["p"] is None else one["p"] for one in compared]
    for one, adjusted in zip(compared, holm(p_values), strict=True):
        one["p_holm"] = float(adjusted)
        shown = adjusted < SIGNIFICANCE
        one["shown"] = "up" if shown and one["low"] > 0 else "down" if shown and one["high"] < 0 else "nothing"
    return int((~np.isnan(p_values)).sum())


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
