"""The charts of an arm's page: everything that is known of each checkpoint, over the iterations of training."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd

from rostrum.rewards.statistics import Interval
from rostrum.trainer.evaluation.summary import ArmSummary, CheckpointSummary, Estimate
from rostrum.trainer.report.arms import measures
from rostrum.trainer.report.charts import Level, Point, Series, chart
from rostrum.trainer.report.curves import Panel, judges_of
from rostrum.trainer.report.inputs import Run
from rostrum.trainer.report.svg import Axis, Unit, axis

SIZE = (470.0, 270.0)


def of_summary(run: Run, arm: ArmSummary) -> list[Panel]:
    """Return the panels of accuracy by judge and of win rate by side."""
    roles = dict(judges_of(arm))
    accuracy = [
        _series(f"{judge} ({role})" if role else judge, slot, _points(arm, _accuracy_of(judge)))
        for slot, (judge, role) in enumerate(roles.items())
    ]
    levels = [
        Level(f"{row.judge}, {'no debate' if row.protocol == 'naive' else row.protocol}", row.accuracy.estimate)
        for row in run.summary.references
        if row.role == "reward" and row.judge in roles and row.accuracy.estimate is not None
    ]
    sides = [
        _series("arguing the right answer", 2, _points(arm, lambda c: c.win_rate_right)),
        _series("arguing the wrong answer", 1, _points(arm, lambda c: c.win_rate_wrong), dashed=True),
    ]
    return _known(
        [
            panel(
                "Judge accuracy",
                "share of test questions on which the judge favours the right answer",
                "percent",
                accuracy,
                levels,
            ),
            panel(
                "Win rate by side",
                "how often the reward judge favours the debater's answer",
                "percent",
                sides,
                [Level("even", 0.5)],
            ),
        ]
    )


def of_verdicts(rows: pd.DataFrame) -> list[Panel]:
    """Return the panels of calibration, the gap between judges, words and quotes."""
    scored = {judge: measures.calibrations(rows, judge) for judge in measures.judges(rows)}
    named = {judge: f"{judge} ({role} judge)" for judge, role in measures.judges(rows).items()}
    brier = [
        _line(named[judge], slot, {at: of.brier.score for at, of in found.items()})
        for slot, (judge, found) in enumerate(scored.items())
    ]
    ece = [
        _line(named[judge], slot, {at: of.ece_debiased for at, of in found.items()})
        for slot, (judge, found) in enumerate(scored.items())
    ]
    apart = [
        _line(f"reward judge less {judge}", slot + 1, measures.gaps(rows, judge))
        for slot, judge in enumerate(measures.held_out(rows))
    ]
    quotes = [
        _line(name, slot, measures.per_speech(rows, column))
        for slot, (name, column) in enumerate([("all quotes", "quotes"), ("verified", "verified_quotes")])
    ]
    return _known(
        [
            panel(
                "Brier score",
                "squared error of the judge's probability; 0 is best",
                "number",
                brier,
                [Level("a coin", 0.25)],
            ),
            panel(
                "Calibration error",
                "ECE: distance of accuracy from confidence, without what chance adds; 0 is best",
                "percent",
                ece,
            ),
            panel(
                "Gap between judges",
                "probability for the checkpoint's side: reward judge less held-out judge",
                "number",
                apart,
                [Level("the judges agree", 0.0)],
            ),
            panel(
                "Words per speech",
                "on test questions",
                "number",
                [_line("words", 0, measures.per_speech(rows, "words"))],
                least=0.0,
            ),
            panel(
                "Quotes per speech", "on test questions; verified: found in the passage", "number", quotes, least=0.0
            ),
        ]
    )


def panel(
    heading: str,
    note: str,
    unit: Unit,
    series: Iterable[Series],
    levels: Iterable[Level] = (),
    least: float | None = None,
) -> Panel:
    """Return a chart over the iterations; without a drawing if no series has a point. `least` is on the axis in any
    case."""
    known, levels = [line for line in series if line.points], list(levels)
    points = [point for line in known for point in line.points]
    if not points:
        return Panel(heading, note, None)
    ends = [end for point in points for end in point.y_interval or ()] + ([] if least is None else [least])
    x = axis("iteration", [point.x for point in points], "integer")
    y = axis(heading, [*(point.y for point in points), *ends, *(level.value for level in levels)], unit)
    said = "; ".join(_said(line, y) for line in known)
    return Panel(heading, note, chart(f"{heading}. {said}.", x, y, known, levels, SIZE))


def _said(line: Series, y: Axis) -> str:
    return f"{line.name}: " + ", ".join(f"{y.text(point.y)} at iteration {point.x:g}" for point in line.points)


def _known(panels: list[Panel]) -> list[Panel]:
    return [of for of in panels if of.drawing is not None]


def _series(name: str, slot: int, points: Iterable[Point], dashed: bool = False) -> Series:
    return Series(name, slot, tuple(sorted(points, key=lambda point: point.x)), dashed=dashed)


def _accuracy_of(judge: str) -> Callable[[CheckpointSummary], Estimate | None]:
    return lambda checkpoint: checkpoint.accuracy.get(judge)


def _points(arm: ArmSummary, read: Callable[[CheckpointSummary], Estimate | None]) -> list[Point]:
    found = [(checkpoint.iteration, read(checkpoint)) for checkpoint in arm.checkpoints]
    return [
        Point(at, of.estimate, y_interval=None if of.low is None or of.high is None else (of.low, of.high))
        for at, of in found
        if of is not None and of.estimate is not None
    ]


def _line(name: str, slot: int, found: Mapping[int, Interval]) -> Series:
    return _series(name, slot, [_point(at, of) for at, of in found.items() if np.isfinite(of.estimate)])


def _point(at: int, of: Interval) -> Point:
    known = bool(np.isfinite(of.low) and np.isfinite(of.high))
    return Point(at, of.estimate, y_interval=(of.low, of.high) if known else None)
