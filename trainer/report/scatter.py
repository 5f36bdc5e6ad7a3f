"""Accuracy against win rate: one chart per judge, every checkpoint of every arm a point."""

from collections.abc import Sequence

from rostrum.trainer.evaluation.summary import ArmSummary, CheckpointSummary, Estimate
from rostrum.trainer.report.charts import Level, Point, Series, chart
from rostrum.trainer.report.curves import Panel, judges_of
from rostrum.trainer.report.drawing import Drawing
from rostrum.trainer.report.inputs import Run
from rostrum.trainer.report.svg import Axis, axis
from rostrum.trainer.report.wording import percent

_LEVELS = {"naive": "judge alone", "expert": "judge with the passage"}


def accuracy_against_win_rate(run: Run) -> list[Panel]:
    """Draw the charts, on common axes so that judges can be compared."""
    roles = _roles(run.summary.arms)
    series = {judge: lines for judge in roles if (lines := _trajectories(run.summary.arms, judge))}
    levels = {judge: _levels(run, judge) for judge in series}
    points = [point for lines in series.values() for line in lines for point in line.points]
    accuracies = [level.value for lines in levels.values() for level in lines]
    wins = [0.5, *(end for point in points for end in point.x_interval or (point.x,))]
    accuracies += [end for point in points for end in point.y_interval or (point.y,)]
    x, y = axis("win rate", _padded(wins), "percent", wanted=6), axis("judge accuracy", _padded(accuracies), "percent")
    return [
        Panel(_heading(judge, roles[judge]), "judge accuracy, by win rate", _draw(judge, x, y, lines, levels[judge]))
        for judge, lines in series.items()
    ]


def _roles(arms: Sequence[ArmSummary]) -> dict[str, list[str]]:
    """Return each judge's roles: a judge may give the reward in one arm and be held out in another."""
    roles: dict[str, list[str]] = {}
    for arm in arms:
        for judge, role in judges_of(arm):
            known = roles.setdefault(judge, [])
            if role and role not in known:
                known.append(role)
    return roles


def _heading(judge: str, roles: Sequence[str]) -> str:
    return f"{judge}, {' or '.join(roles)}" + (" (by arm)" if len(roles) > 1 else "") if roles else judge


def _padded(values: Sequence[float]) -> list[float]:
    """Return the values and a margin, so that no mark sits on the frame."""
    margin = 0.02 * (max(values) - min(values)) if values else 0.0
    return [min(values) - margin, max(values) + margin] if values else []


def _draw(judge: str, x: Axis, y: Axis, series: Sequence[Series], levels: Sequence[Level]) -> Drawing:
    moves = "; ".join(
        f"{line.name}: from win rate {percent(line.points[0].x)} and accuracy {percent(line.points[0].y)} "
        f"to {percent(line.points[-1].x)} and {percent(line.points[-1].y)}"
        for line in series
    )
    words = f"Accuracy of judge {judge} against win rate, by checkpoint. {moves}."
    return chart(words, x, y, series, [*levels, Level("even", 0.5, vertical=True)], size=(530, 400))


def _levels(run: Run, judge: str) -> list[Level]:
    return [
        Level(_LEVELS.get(row.protocol, row.protocol), row.accuracy.estimate)
        for row in run.summary.references
        if row.judge == judge and row.accuracy.estimate is not None
    ]


def _trajectories(arms: Sequence[ArmSummary], judge: str) -> list[Series]:
    lines = [Series(arm.name, slot, _points(arm, judge)) for slot, arm in enumerate(arms)]
    return [line for line in lines if line.points]


def _points(arm: ArmSummary, judge: str) -> tuple[Point, ...]:
    """Return the arm's checkpoints in order of training; the base is hollow, the base and the last are labelled."""
    ordered = sorted(arm.checkpoints, key=lambda checkpoint: checkpoint.iteration)
    last = ordered[-1].iteration if ordered else 0
    return tuple(point for checkpoint in ordered if (point := _point(checkpoint, judge, last)) is not None)


def _point(checkpoint: CheckpointSummary, judge: str, last: int) -> Point | None:
    accuracy, wins = checkpoint.accuracy.get(judge, Estimate()), checkpoint.win_rate
    if accuracy.estimate is None or wins.estimate is None:
        return None
    base = checkpoint.iteration == 0
    name = "base" if base else f"iteration {checkpoint.iteration}"
    label = name if base or checkpoint.iteration == last else ""
    return Point(wins.estimate, accuracy.estimate, _ends(wins), _ends(accuracy), label, hollow=base, name=name)


def _ends(interval: Estimate) -> tuple[float, float] | None:
    return None if interval.low is None or interval.high is None else (interval.low, interval.high)
