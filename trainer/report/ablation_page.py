"""ablation.json, ablation.html, cells.parquet and cells.csv: the cells of an ablation beside each other."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from rostrum.envs.files import write_atomically
from rostrum.trainer.evaluation.comparisons.ablation import CELLS, rows
from rostrum.trainer.evaluation.verdict_table import HELD_OUT, REWARD
from rostrum.trainer.report import wording
from rostrum.trainer.report.album import Album
from rostrum.trainer.report.drawing import Drawing
from rostrum.trainer.report.forest import Mark, Panel, forest
from rostrum.trainer.report.html import content_policy, environment, resource
from rostrum.trainer.report.svg import Unit, axis
from rostrum.trainer.store.tables import write_parquet

STYLE = """
.forest .heading { font-size: 13px; font-weight: 650; fill: var(--ink); }
.stripe { fill: var(--panel); }
.wide { overflow-x: auto; } .wide .chart { min-width: 52rem; }
"""
SHOWN = {"up": "more often right", "down": "less often right", "nothing": "no difference shown"}
CHANGED = {"up": "raised", "down": "lowered", "nothing": "no change shown"}


def write_ablation(folder: Path, title: str, found: Mapping[str, Any]) -> Path:
    """Write the four files from what `trainer.evaluation.comparisons.ablation.compare` found; return the page, which
    loads nothing."""
    write_atomically(folder / "ablation.json", json.dumps({"title": title, **found}, indent=1))
    table = rows(found)
    settings = {name: f"value of the setting {name}" for cell in found["cells"] for name in cell["settings"]}
    write_parquet(table, folder / "cells.parquet", {**settings, **CELLS})
    write_atomically(folder / "cells.csv", table.to_csv(index=False))
    style, album = Markup(resource("report.css") + STYLE), Album()
    page = (
        environment()
        .get_template("ablation.html.j2")
        .render(
            title=title,
            found=found,
            lead=lead(found),
            picture=picture(found),
            shown=SHOWN,
            changed=CHANGED,
            figure=album.shown(),
            style=style,
            policy=content_policy(style, ""),
        )
    )
    album.write(folder)
    path = folder / "ablation.html"
    write_atomically(path, page)
    return path


def lead(found: Mapping[str, Any]) -> list[str]:
    """Return what is to be said first: how many cells there are, and how many differ from the first one."""
    cells = found["cells"]
    done = [cell for cell in cells if cell["failure"] is None]
    failed = len(cells) - len(done)
    sentences = [f"{len(cells)} cells" + (f", {failed} of which failed." if failed else ".")]
    alone = [cell for cell in done if cell["name"] != found["first"] and not cell.get("group")]
    for role, judges in ((REWARD, "Judges that gave the reward"), (HELD_OUT, "Held-out judges")):
        for units, against in ((found["pooled"][1:], found["pooled"][:1]), (alone, [{"name": found["first"]}])):
            shown = [
                row["difference"]["shown"]
                for unit in units
                for row in unit["judges"]
                if row["role"] == role and row["difference"]
            ]
            if shown:
                counts = [f"{words} in {shown.count(what)}" for what, words in SHOWN.items() if what in shown]
                sentences.append(f"{judges}, against {against[0]['name']}: {', '.join(counts)}.")
    return sentences


def picture(found: Mapping[str, Any]) -> Drawing | None:
    """Return the picture of all finished cells in small multiples: accuracy, change over the base, difference to the
    first, win rate."""
    done = [cell for cell in found["cells"] if cell["failure"] is None]
    if not done:
        return None
    judged = [cell["judges"] for cell in done]
    panels = [
        _panel("Judge accuracy", "of the final debaters", "percent", judged, lambda row: row["accuracy"], 0.5),
        _panel("Change over the base", "points", "number", judged, lambda row: row["change"], 0.0),
        _panel("Difference to the first cell", "points", "number", judged, lambda row: row["difference"], 0.0),
        _won(done),
    ]
    words = "; ".join(f"{cell['name']}: " + ", ".join(_spoken(row) for row in cell["judges"]) for cell in done)
    return forest(f"Cells of the ablation. {words}.", [cell["name"] for cell in done], panels, _series(done))


def _series(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what the marks of each slot stand for: judges, the one that gave the reward first."""
    named: dict[int, dict[str, None]] = {}
    for cell in cells:
        for slot, row in enumerate(cell["judges"]):
            named.setdefault(slot, {})[f"{row['judge']} ({row['role']})"] = None
    return [" or ".join(names) for _, names in sorted(named.items())]


def _panel(
    heading: str,
    note: str,
    unit: Unit,
    judged: Sequence[Sequence[Mapping[str, Any]]],
    figure: Callable[[Mapping[str, Any]], Mapping[str, Any] | None],
    level: float,
) -> Panel:
    """Return the panel of a measure of every judge on every cell: shares as they are ("percent"), or changes in points
    ("number")."""
    scale = 1.0 if unit == "percent" else 100.0
    marks = [
        [_mark(value, slot, scale) for slot, row in enumerate(cell) if (value := figure(row)) and _known(value)]
        for cell in judged
    ]
    return Panel(heading, note, axis(heading, _ends(marks, level), unit), marks, level)


def _won(done: Sequence[Mapping[str, Any]]) -> Panel:
    marks = [[_mark(cell["win_rate"], 0, 1.0)] if _known(cell["win_rate"]) else [] for cell in done]
    return Panel("Win rate", "by the judge of the reward", axis("win rate", _ends(marks, 0.5), "percent"), marks, 0.5)


def _known(value: Mapping[str, Any]) -> bool:
    return value["estimate"] is not None


def _mark(value: Mapping[str, Any], slot: int, scale: float) -> Mark:
    ends = None if value["low"] is None else (scale * value["low"], scale * value["high"])
    return Mark(scale * value["estimate"], ends, slot)


def _ends(marks: Sequence[Sequence[Mark]], level: float) -> list[float]:
    """Return what the axis must hold."""
    return [level, *(end for row in marks for mark in row for end in mark.interval or (mark.value,))]


def _spoken(row: Mapping[str, Any]) -> str:
    return f"{row['judge']} {wording.percent(row['accuracy']['estimate'])}"
