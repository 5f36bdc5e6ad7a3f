"""tournament.html: the standings as tables, who beats whom, and judge accuracy against rating as pictures."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from rostrum.envs.files import write_atomically
from rostrum.trainer.report.album import Album
from rostrum.trainer.report.charts import Level, Point, Series, chart
from rostrum.trainer.report.drawing import Drawing
from rostrum.trainer.report.heat_map import Head, Labels, heat_map
from rostrum.trainer.report.html import content_policy, environment, resource
from rostrum.trainer.report.svg import axis

STYLE = ".grid-map { display: block; max-width: 100%; height: auto; color: var(--ink); }\n"
Found = Mapping[str, Any]
"""What `trainer.evaluation.comparisons.standings.standings` found of a group, or a part of it."""


def write_tournament(folder: Path, title: str, found: Found) -> Path:
    """Write `folder/tournament.html` from the standings of every group; it loads nothing. Its figures are stored beside
    it."""
    style, album = Markup(resource("report.css") + STYLE), Album()
    groups, anchor = found["groups"], found["anchor"]
    judges = list(next(iter(groups.values()))["judges"])
    page = (
        environment()
        .get_template("tournament.html.j2")
        .render(
            title=title,
            anchor=anchor,
            groups=groups,
            judges=judges,
            style=style,
            policy=content_policy(style, ""),
            figure=album.shown(),
            pictures={judge: accuracy_against_rating(judge, groups, anchor) for judge in judges},
            grids={
                name: {
                    judge: cross_play(judge, group["players"], one["grid"], anchor)
                    for judge, one in group["judges"].items()
                    if any(one["grid"].values())
                }
                for name, group in groups.items()
            },
        )
    )
    album.write(folder)
    path = folder / "tournament.html"
    write_atomically(path, page)
    return path


def cross_play(
    judge: str, players: Sequence[str], grid: Mapping[str, Mapping[str, Sequence[float]]], anchor: str
) -> Drawing:
    """Draw the win rate of every player (row) against every other (column) by one judge; nobody is drawn against
    itself."""
    nothing = {"estimate": None, "low": None, "high": None}
    cells = [
        [dict(zip(nothing, met, strict=True)) if (met := grid[row].get(column)) else nothing for column in players]
        for row in players
    ]
    heads = [_head(name, anchor) for name in players]
    labels = Labels(
        heads, heads, across="against", key="wins in", title=f"Win rates by {judge}", between="against", empty="–"
    )
    return heat_map(cells, labels)


def _head(name: str, anchor: str) -> Head:
    run, _, iteration = name.rpartition(" ")
    return (name, "before training") if name == anchor else (run, f"iteration {iteration}")


def accuracy_against_rating(judge: str, groups: Mapping[str, Found], anchor: str) -> Drawing:
    """Draw one judge's picture: every player of every group a point with both intervals, joined by run, and each
    group's slope as a dashed line."""
    several, lines, slot = len(groups) > 1, list[Series](), 0
    for name, group in groups.items():
        found = group["judges"][judge]
        runs = _runs(found["players"], anchor, f"{anchor}, {name}" if several else anchor, slot)
        slope = _slope_line(found, f"slope, {name}" if several else "slope", slot)
        lines += [*runs, *slope]
        slot += len(runs)
    points = [point for line in lines for point in line.points]
    x = axis("rating (Elo)", [end for point in points for end in point.x_interval or (point.x,)])
    y = axis("judge accuracy", [0.5, *(end for point in points for end in point.y_interval or (point.y,))], "percent")
    number = sum(len(group["players"]) for group in groups.values())
    words = f"Accuracy of judge {judge} against rating, one point for each of {number} players."
    return chart(words, x, y, lines, [Level("chance", 0.5)], size=(620, 420))


def _runs(players: Mapping[str, Found], anchor: str, base: str, slot: int) -> list[Series]:
    """Return a line for each run of a group, from the base on."""
    points = {name: _point(base if name == anchor else name, one, name == anchor) for name, one in players.items()}
    runs = dict.fromkeys(name.rpartition(" ")[0] for name in points if name != anchor)
    return [
        Series(run, slot + i, (_begin(points[anchor], i), *(points[name] for name in _checkpoints(points, run))))
        for i, run in enumerate(runs)
    ]


def _begin(anchor: Point, index: int) -> Point:
    """Return the point at which every run begins, the anchor, for which one label is enough."""
    return anchor if index == 0 else replace(anchor, label="", name=anchor.label)


def _checkpoints(names: Iterable[str], run: str) -> list[str]:
    """Return a run's players, "RUN ITERATION", in order of training."""
    own = [name for name in names if name.rpartition(" ")[0] == run]
    return sorted(own, key=lambda name: int(name.rpartition(" ")[2]))


def _point(label: str, player: Found, hollow: bool) -> Point:
    (elo, least, most), (accuracy, low, high) = player["elo"], player["accuracy"]
    ends = None if low is None else (low, high)
    if most is None and least is not None:
        return Point(least, accuracy, None, ends, f"{label} (at least)", hollow)
    if least is None and most is not None:
        return Point(most, accuracy, None, ends, f"{label} (at most)", hollow)
    return Point(elo, accuracy, None if least is None else (least, most), ends, label, hollow)


def _slope_line(found: Found, name: str, slot: int) -> list[Series]:
    """Return the least-squares line through a group's players; none without a slope."""
    points = [Point(player["elo"][0], player["accuracy"][0]) for player in found["players"].values()]
    return fitted(points, found["slope"] and found["slope"]["points_per_100_elo"], name, slot)


def fitted(points: Sequence[Point], slope: float | None, name: str = "slope", slot: int = 5) -> list[Series]:
    """Return the line of that slope (points of accuracy per 100 Elo) through the middle of the points, as long as they
    reach; none without a slope."""
    if slope is None:
        return []
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*((p.x, p.y) for p in points), strict=True))
    ends = (min(p.x for p in points), max(p.x for p in points))
    return [
        Series(name, slot, tuple(Point(x, mean_y + slope / 1e4 * (x - mean_x)) for x in ends), marks=False, dashed=True)
    ]
