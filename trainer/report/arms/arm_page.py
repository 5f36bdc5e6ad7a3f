"""Puts the page of an arm together: pages/NAME.html beside the front page."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from rostrum.trainer.evaluation.summary import ArmSummary
from rostrum.trainer.evaluation.verdict_table import KINDS
from rostrum.trainer.reading import read_table
from rostrum.trainer.report.album import Album
from rostrum.trainer.report.arms import panels, tournaments
from rostrum.trainer.report.arms.cases import Case, Stored
from rostrum.trainer.report.curves import Panel
from rostrum.trainer.report.debates import browser_data
from rostrum.trainer.report.inputs import Debate, Run
from rostrum.trainer.report.packed import packed

FOLDER = "pages"


@dataclass(frozen=True, slots=True)
class Found:
    """What an arm's page shows besides the summary's figures."""

    curves: list[Panel]
    rated: list[Panel]
    in_tournament: bool
    persuasive: list[Case]
    failures: list[Case]
    debates: list[Debate]


def names(arms: Sequence[ArmSummary]) -> dict[str, str]:
    """Return the file of each arm's page without its folder, by the arm's name; no two alike."""
    files: dict[str, str] = {}
    for arm in arms:
        plain = re.sub(r"[^a-z0-9]+", "-", arm.name.lower()).strip("-")[:80] or "arm"
        taken = [name for name in files.values() if re.fullmatch(rf"{plain}(-\d+)?\.html", name)]
        files[arm.name] = f"{plain}-{len(taken) + 1}.html" if taken else f"{plain}.html"
    return files


def find(run: Run, arm: ArmSummary, verdicts: pd.DataFrame | None, played: Sequence[tournaments.Tournament]) -> Found:
    """Return what is known of an arm; without verdicts (an unevaluated or older folder) only what the summary holds."""
    debates = [debate for debate in run.debates if debate.arm == arm.name]
    rated = tournaments.from_tournaments(arm, list(played))
    curves, persuasive, failures = panels.of_summary(run, arm), list[Case](), list[Case]()
    rows = None if verdicts is None else verdicts[verdicts["arm"] == arm.name]
    if rows is not None and len(rows):
        curves += panels.of_verdicts(rows)
        stored = Stored(debates, rows)
        persuasive, failures = stored.persuasive(), stored.failures()
    return Found(curves, rated or tournaments.from_win_rates(arm), bool(rated), persuasive, failures, debates)


def verdicts_of(run: Path) -> pd.DataFrame | None:
    """Return the table of verdicts of a run; None if it has none."""
    path = run / "verdicts.parquet"
    return read_table(path, KINDS) if path.exists() else None


def context(run: Run, arm: ArmSummary, found: Found, album: Album) -> dict[str, Any]:
    """Return what the template is filled in with."""
    data = browser_data(found.debates)
    for name, cases in (("persuasive", found.persuasive), ("failures", found.failures)):
        for rank, case in enumerate(cases):
            if case.place is not None:
                data["debates"][case.place].setdefault("ranks", {})[name] = rank
    return {
        "run": run,
        "arm": arm,
        "found": found,
        "manifest": run.manifest,
        "figure": album.shown("../"),
        "blocks": packed(data),
    }
