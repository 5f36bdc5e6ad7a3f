"""Judge accuracy against rating on an arm's page: from a tournament, or else from win rates against the base."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rostrum.trainer.evaluation.comparisons.standings import Standings, StoredSlope, read_standings
from rostrum.trainer.evaluation.summary import ArmSummary, CheckpointSummary, Estimate
from rostrum.trainer.report.charts import Level, Point, Series, chart
from rostrum.trainer.report.curves import Panel, judges_of
from rostrum.trainer.report.svg import axis
from rostrum.trainer.report.tournament_page import accuracy_against_rating, fitted
from rostrum.trainer.report.wording import signed

PLACES = ("tournament.json", "tournament*/tournament.json", "tournament*/*/tournament.json")
"""Where in a run's folder tournaments are looked for."""


class Tournament(NamedTuple):
    """What tournament.json holds, and the folder that it lies in, as seen from the run's."""

    folder: str
    found: Standings


def tournaments(run: Path) -> list[Tournament]:
    """Return the tournaments in a run's folder.

    Raises:
        DamagedError: one of them cannot be read.
    """
    paths = sorted({path for place in PLACES for path in run.glob(place)})
    return [Tournament(str(path.parent.relative_to(run)), read_standings(path)) for path in paths]


def from_tournaments(arm: ArmSummary, played: list[Tournament]) -> list[Panel]:
    """Return a picture for each judge of every group of a tournament in which the arm's checkpoints took part."""
    return [
        Panel(
            f"{judge}, rated in a tournament",
            slope_in_words(one["slope"]),
            accuracy_against_rating(judge, {name: group}, of.found["anchor"]),
        )
        for of in played
        for name, group in of.found["groups"].items()
        if any(player.rpartition(" ")[0] == arm.name for player in group["players"])
        for judge, one in group["judges"].items()
    ]


def slope_in_words(slope: StoredSlope | None) -> str:
    """Return what a tournament's slope says."""
    if slope is None:
        return "no slope, with fewer than three players, all of them rated alike, or one that won or lost every game"
    per = f"{signed(slope['points_per_100_elo'], 1)} points of accuracy per 100 Elo"
    ends = f"{signed(slope['low'], 1)} to {signed(slope['high'], 1)}"
    return f"{per} among these checkpoints (95 % interval {ends})"


def from_win_rates(arm: ArmSummary) -> list[Panel]:
    """Return a picture for each judge with every checkpoint at the rating that its win rate against the base amounts
    to.

    A lone consultant meets nobody, so it has no such rating; neither has a checkpoint that won or lost every debate.
    """
    if arm.win_rate.against != "base debaters":
        return []
    drawn = [(judge, [point for at in _ordered(arm) if (point := _point(at, judge))]) for judge, _ in judges_of(arm)]
    return [_panel(arm, judge, points) for judge, points in drawn if len(points) > 1]


def elo(win_rate: float) -> float:
    """Return the rating, over an opponent rated 0, at which this share of debates is won: 400 log10(w / (1 - w))."""
    return 400 * math.log10(win_rate / (1 - win_rate))


def slope(points: list[Point]) -> float | None:
    """Return the points of accuracy per 100 Elo of the least-squares line; None where fewer than three ratings
    differ."""
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*((p.x, p.y) for p in points), strict=True))
    spread = sum((p.x - mean_x) ** 2 for p in points)
    if len({p.x for p in points}) < 3:
        return None
    return float(1e4 * sum((p.x - mean_x) * (p.y - mean_y) for p in points) / spread)


def _ordered(arm: ArmSummary) -> list[CheckpointSummary]:
    return sorted(arm.checkpoints, key=lambda checkpoint: checkpoint.iteration)


def _point(at: CheckpointSummary, judge: str) -> Point | None:
    accuracy = at.accuracy.get(judge, Estimate()).estimate
    share = 0.5 if at.iteration == 0 else at.win_rate.estimate
    if accuracy is None or share is None or not 0 < share < 1:
        return None
    interval = at.accuracy[judge]
    y_ends = None if interval.low is None or interval.high is None else (interval.low, interval.high)
    ends = tuple(elo(end) for end in _ends(at.win_rate) if 0 < end < 1) if at.iteration else ()
    label = "base" if at.iteration == 0 else f"iteration {at.iteration}"
    return Point(elo(share), accuracy, ends if len(ends) == 2 else None, y_ends, label, hollow=at.iteration == 0)


def _ends(interval: Estimate) -> Iterator[float]:
    yield from (end for end in (interval.low, interval.high) if end is not None)


def _panel(arm: ArmSummary, judge: str, points: list[Point]) -> Panel:
    x = axis("rating (Elo), from the win rate against the base", [e for p in points for e in p.x_interval or (p.x,)])
    y = axis("judge accuracy", [0.5, *(e for p in points for e in p.y_interval or (p.y,))], "percent")
    found = slope(points)
    line = (
        "no slope with fewer than three checkpoints"
        if found is None
        else (f"slope {signed(found, 1)} points of accuracy per 100 Elo; its interval needs a tournament")
    )
    words = f"Accuracy of judge {judge} against rating. " + "; ".join(f"{p.label}: {signed(p.x)} Elo" for p in points)
    series = [Series(arm.name, 0, tuple(points)), *fitted(points, found)]
    return Panel(judge, line, chart(words, x, y, series, [Level("chance", 0.5)], size=(620, 400)))
