"""The pictures of an audit, each drawn from what audit.json holds of the judges."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rostrum.trainer.report.audit.drawings import Bars, Estimate, bars, rows
from rostrum.trainer.report.audit.words import Arm, found
from rostrum.trainer.report.charts import Point, Series, chart
from rostrum.trainer.report.drawing import Drawing
from rostrum.trainer.report.svg import Axis, axis
from rostrum.trainer.report.wording import percent

SQUARE = (360.0, 330.0)
QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)
FIRST_DRAWN = 0.05
"""Coverage at which the lines of accuracy begin."""
Row = tuple[str, int, Mapping[str, Any]]
"""Label, colour and estimate."""


def estimates(
    arms: Sequence[Arm], path: Sequence[str], label: str, guide: float, percent_axis: bool = True
) -> Drawing | None:
    """Draw one estimate of every judge, below each other; `guide` is where nothing is amiss, or chance."""
    named = [(arm["name"], slot, found(arm, *path)) for slot, arm in enumerate(arms)]
    return _rows([row for row in named if row[2]], label, guide, percent_axis)


def several(
    arm: Arm, paths: Sequence[tuple[str, Sequence[str]]], label: str, guide: float, percent_axis: bool
) -> Drawing | None:
    """Draw several estimates of one judge, each under its own label."""
    named = [(name, slot, found(arm, *path)) for slot, (name, path) in enumerate(paths)]
    return _rows([row for row in named if row[2]], label, guide, percent_axis)


def both_orders(arm: Arm) -> Drawing | None:
    """Draw each debate as a point: P(answer A) when it is shown first against when it is shown second."""
    readings = found(arm, "position", "readings") or []
    points = [Series("", 0, (Point(given, swapped),)) for given, swapped in readings]
    same = Series("", 2, (Point(0, 0), Point(1, 1)), marks=False, dashed=True)
    words = f"Probability of answer A in both orders, for {len(points)} debates judged by {arm['name']}."
    x, y = (Axis(f"P(answer A) when shown {place}", QUARTERS, "percent") for place in ("first", "second"))
    return chart(words, x, y, [same, *points], size=SQUARE) if points else None


def reliability(arm: Arm) -> Drawing | None:
    """Draw accuracy against confidence, bin by bin, with Wilson intervals."""
    bins = found(arm, "calibration", "bins") or []
    points = tuple(
        Point(b["confidence"], b["accuracy"]["estimate"], y_interval=(b["accuracy"]["low"], b["accuracy"]["high"]))
        for b in bins
    )
    ticks = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    low = min([0.5, *(point.y_interval[0] for point in points if point.y_interval)])
    right = Series("", 2, (Point(0.5, 0.5), Point(1, 1)), marks=False, dashed=True)
    words = f"Accuracy of {arm['name']} against its confidence in {len(bins)} bins."
    y = axis("accuracy", [low, 1.0], "percent")
    measured = Series("", 0, points)
    return chart(words, Axis("confidence", ticks, "percent"), y, [right, measured], size=SQUARE) if bins else None


def selective(arms: Sequence[Arm]) -> Drawing:
    """Draw accuracy against coverage, one line for each judge."""
    curves = [
        Series(arm["name"], slot, tuple(_drawn(curve)), marks=False, dashed=slot % 2 == 1)
        for slot, arm in enumerate(arms)
        if (curve := found(arm, "coverage", "curve"))
    ]
    accuracies = [point.y for curve in curves for point in curve.points]
    words = "; ".join(f"{curve.name}: {percent(curve.points[-1].y)} on all debates" for curve in curves)
    x, y = Axis("share of debates decided", QUARTERS, "percent"), axis("accuracy", accuracies, "percent")
    return chart(f"Accuracy against coverage. {words}.", x, y, curves, size=(560, 300))


def routes(arm: Arm) -> Drawing:
    """Draw accuracy against cost, from the first judge alone to the second for everything; the configured margin
    filled."""
    at = found(arm, "routing")
    points = tuple(Point(point["cost"], point["accuracy"]) for point in at["curve"])
    chosen = Point(at["chosen"]["cost"], at["chosen"]["accuracy"], label=f"margin {at['margin']:g}")
    x = axis(f"{at['unit']} a debate", [point.x for point in points])
    y = axis("accuracy", [point.y for point in points], "percent")
    words = f"Accuracy of {arm['name']} against cost: {percent(points[0].y)} to {percent(points[-1].y)}."
    return chart(words, x, y, [Series("", 0, points, marks=False), Series("", 1, (chosen,))], size=(560, 300))


def thirds(arms: Sequence[Arm]) -> Drawing:
    """Draw in which third of the scale the readings lie, by judge."""
    groups = [
        Bars(arm["name"], slot, [split[third] / max(sum(split.values()), 1) for third in ("first", "middle", "second")])
        for slot, arm in enumerate(arms)
        if (split := found(arm, "ties", "buckets"))
    ]
    return bars(
        "Share of readings by third of the scale.",
        ("first shown", "middle third", "second shown"),
        groups,
        "answer favoured",
    )


def histograms(agreement: Mapping[str, Any], judge: str) -> Drawing:
    """Draw ratings by people and by a judge, side by side."""
    groups = [
        Bars(name, slot, [count / max(sum(counts), 1) for count in counts])
        for slot, (name, counts) in enumerate((("people", agreement["human"]), (judge, agreement["judge"])))
    ]
    words = f"Histograms of the ratings by people and by {judge}."
    return bars(words, [str(score) for score in range(1, 10)], groups, "rating, 5 is a tie")


def _drawn(curve: Sequence[tuple[float, float]]) -> Iterator[Point]:
    """Yield the curve without its beginning, where a handful of debates decides."""
    yield from (Point(covered, accuracy) for covered, accuracy in curve if covered >= FIRST_DRAWN)


def _rows(given: Sequence[Row], label: str, guide: float, percent_axis: bool) -> Drawing | None:
    known = [(name, slot, estimate) for name, slot, estimate in given if estimate["estimate"] is not None]
    if not known:
        return None
    scale = axis(label, [guide, *_ends(known)], "percent" if percent_axis else "number")
    drawn = [
        Estimate(
            name,
            slot,
            estimate["estimate"],
            None if estimate["low"] is None else (estimate["low"], estimate["high"]),
        )
        for name, slot, estimate in known
    ]
    words = "; ".join(f"{name}: {estimate['estimate']:.3f}" for name, _, estimate in known)
    return rows(f"{label}. {words}.", drawn, label, scale, guide)


def _ends(given: Sequence[Row]) -> Iterator[float]:
    for _, _, estimate in given:
        yield estimate["estimate"]
        yield from (estimate[end] for end in ("low", "high") if estimate[end] is not None)
