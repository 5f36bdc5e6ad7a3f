"""tournament.html: the standings as tables, and judge accuracy against rating as pictures."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from markupsafe import Markup

from trainer.report.album import Album
from trainer.report.charts import Level, Point, Series, chart
from trainer.report.drawing import Drawing
from trainer.report.page import content_policy, environment, resource
from trainer.report.svg import axis


def write_tournament(folder: Path, title: str, found: Mapping[str, Any]) -> Path:
    """Writes `folder/tournament.html` from what `trainer.standings.standings` found; it loads nothing. Its figures
    are stored beside it."""
    style, album = Markup(resource("report.css")), Album()
    page = (
        environment()
        .get_template("tournament.html.j2")
        .render(
            title=title, found=found, style=style, policy=content_policy(style, ""), figure=album.shown(),
            pictures={
                judge: accuracy_against_rating(judge, one, found["anchor"]) for judge, one in found["judges"].items()
            },
        )
    )  # fmt: skip
    path = folder / "tournament.html"
    path.write_text(page, encoding="utf-8", newline="\n")
    album.write(folder)
    return path


def accuracy_against_rating(judge: str, found: Mapping[str, Any], anchor: str) -> Drawing:
    """One judge's picture: every player a point with both intervals, a line for each run from the anchor on."""
    points = {name: _point(name, player, hollow=name == anchor) for name, player in found["players"].items()}
    x = axis("rating (Elo)", [end for point in points.values() for end in point.x_interval or (point.x,)])
    accuracies = [end for point in points.values() for end in point.y_interval or (point.y,)]
    y = axis("judge accuracy", [0.5, *accuracies], "percent")
    runs = dict.fromkeys(name.rpartition(" ")[0] for name in points if name != anchor)
    series = [
        Series(run, slot, (_begin(points[anchor], slot), *(points[name] for name in _checkpoints(points, run))))
        for slot, run in enumerate(runs)
    ]
    words = f"Accuracy of judge {judge} against rating, one point for each of {len(points)} players."
    return chart(words, x, y, series, [Level("chance", 0.5)], size=(620, 420))


def _begin(anchor: Point, slot: int) -> Point:
    """Every run begins at the anchor, which one label is enough for."""
    return anchor if slot == 0 else replace(anchor, label="")


def _checkpoints(names: Iterable[str], run: str) -> list[str]:
    """A run's players, "RUN ITERATION", in order of training."""
    own = [name for name in names if name.rpartition(" ")[0] == run]
    return sorted(own, key=lambda name: int(name.rpartition(" ")[2]))


def _point(name: str, player: Mapping[str, Any], hollow: bool) -> Point:
    (elo, *elo_ends), (accuracy, *accuracy_ends) = player["elo"], player["accuracy"]
    return Point(elo, accuracy, tuple(elo_ends), tuple(accuracy_ends), name, hollow)  # type: ignore[arg-type]
