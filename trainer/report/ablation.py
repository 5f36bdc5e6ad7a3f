"""ablation.json, ablation.html, cells.parquet and cells.csv: the cells of an ablation beside each other."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from trainer.ablation import rows
from trainer.report import wording
from trainer.report.charts import Series, legend
from trainer.report.forest import Mark, Panel, forest
from trainer.report.page import content_policy, environment, resource
from trainer.report.svg import Unit, axis
from trainer.run_folder import write_atomically
from trainer.verdicts import REWARD

STYLE = """
.forest .heading { font-size: 13px; font-weight: 650; fill: var(--ink); }
.stripe { fill: var(--panel); }
.wide { overflow-x: auto; } .wide .chart { min-width: 52rem; }
"""
SHOWN = {"up": "Higher", "down": "Lower", "nothing": "No difference shown"}


def write_ablation(folder: Path, title: str, found: Mapping[str, Any]) -> Path:
    """Writes the four files from what `trainer.ablation.compare` found; returns the page, which loads nothing."""
    write_atomically(folder / "ablation.json", json.dumps({"title": title, **found}, indent=1))
    table = rows(found)
    table.to_parquet(folder / "cells.parquet", index=False)
    table.to_csv(folder / "cells.csv", index=False)
    style = Markup(resource("report.css") + STYLE)
    page = environment().get_template("ablation.html.j2").render(
        title=title, found=found, lead=lead(found), picture=picture(found), key=key(found), shown=SHOWN, style=style,
        policy=content_policy(style, ""),
    )  # fmt: skip
    path = folder / "ablation.html"
    write_atomically(path, page)
    return path


def lead(found: Mapping[str, Any]) -> list[str]:
    """What is to be said first: how many cells there are, and how many differ from the first one."""
    cells = found["cells"]
    done = [cell for cell in cells if cell["failure"] is None]
    failed = len(cells) - len(done)
    sentences = [f"{len(cells)} cells" + (f", {failed} of which failed." if failed else ".")]
    for role in dict.fromkeys(row["role"] for cell in done for row in cell["judges"]):
        compared = [row["difference"]["shown"] for cell in done if cell["name"] != found["first"]
                    for row in cell["judges"] if row["role"] == role and row["difference"]]  # fmt: skip
        if compared:
            sentences.append(_counted(role, Counter(compared), len(compared), found["first"]))
    return sentences


def _counted(role: str, counts: Mapping[str, int], total: int, first: str) -> str:
    judges = "the judges that gave the reward are" if role == REWARD else "held-out judges are"
    said = {"up": "more often right", "down": "less often right", "nothing": "no difference is shown"}
    parts = [f"{said[what]} in {counts[what]}" for what in said if counts.get(what)]
    return f"Against {first}, of {total} comparisons of final debaters, {judges} {', '.join(parts)}."


def picture(found: Mapping[str, Any]) -> Markup:
    """All cells in small multiples: final accuracy, change over the base, difference to the first cell, win rate."""
    done = [cell for cell in found["cells"] if cell["failure"] is None]
    judged = [[row for row in cell["judges"]] for cell in done]
    panels = [
        _panel("Judge accuracy", "of the final debaters", "percent", judged, lambda row: row["accuracy"], 0.5),
        _panel("Change over the base", "points", "number", judged, lambda row: row["change"], 0.0),
        _panel("Difference to the first cell", "points", "number", judged, lambda row: row["difference"], 0.0),
        _won(done),
    ]  # fmt: skip
    words = "; ".join(f"{cell['name']}: " + ", ".join(_spoken(row) for row in cell["judges"]) for cell in done)
    return forest(f"Cells of the ablation. {words}.", [cell["name"] for cell in done], panels, max(map(len, judged)))


def key(found: Mapping[str, Any]) -> Markup:
    """Which mark is which judge."""
    named: dict[int, dict[str, None]] = {}
    for cell in found["cells"]:
        for slot, row in enumerate(cell["judges"]):
            named.setdefault(slot, {})[f"{row['judge']} ({row['role']})"] = None
    return legend([Series(" or ".join(names), slot, ()) for slot, names in sorted(named.items())])


def _panel(
    heading: str, note: str, unit: Unit, judged: Sequence[Sequence[Mapping[str, Any]]],
    figure: Callable[[Mapping[str, Any]], Mapping[str, Any] | None], level: float,
) -> Panel:  # fmt: skip
    """A measure of every judge on every cell: shares as they are ("percent"), or changes in points ("number")."""
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
    """What the axis must hold."""
    return [level, *(end for row in marks for mark in row for end in mark.interval or (mark.value,))]


def _spoken(row: Mapping[str, Any]) -> str:
    return f"{row['judge']} {wording.percent(row['accuracy']['estimate'])}"
