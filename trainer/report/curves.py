"""The training curves: small multiples per arm."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rostrum.trainer.evaluation.summary import ArmSummary, CheckpointSummary, Estimate
from rostrum.trainer.report.charts import Point, Series, chart
from rostrum.trainer.report.drawing import Drawing
from rostrum.trainer.report.inputs import Metrics, Run
from rostrum.trainer.report.svg import Axis, Unit, axis


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart under its heading; `drawing` is None where the arm has nothing to show."""

    heading: str
    note: str
    drawing: Drawing | None


@dataclass(frozen=True, slots=True)
class ArmCurves:
    """The small multiples of one arm."""

    arm: ArmSummary
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """What one chart shows of an arm."""

    heading: str
    note: str
    unit: Unit
    series: Callable[[Run, ArmSummary], list[Series]]


def training_curves(run: Run) -> list[ArmCurves]:
    """Draw what was logged while training and measured at checkpoints."""
    return small_multiples(run, MEASURES)


def small_multiples(run: Run, measures: Sequence[Measure]) -> list[ArmCurves]:
    """Return a row of charts per arm. A measure has the same axes in every arm; one that no arm recorded is left
    out."""
    lines = [[measure.series(run, arm) for arm in run.summary.arms] for measure in measures]
    drawn = [(measure, rows) for measure, rows in zip(measures, lines, strict=True) if any(rows)]
    iterations = axis("iteration", _all(lambda p: p.x, (s for rows in lines for row in rows for s in row)), "integer")
    scales = [_scale(measure, [line for row in rows for line in row]) for measure, rows in drawn]
    if not drawn:
        return []
    return [
        ArmCurves(
            arm,
            tuple(
                _panel(measure, arm, iterations, scale, rows[index])
                for (measure, rows), scale in zip(drawn, scales, strict=True)
            ),
        )
        for index, arm in enumerate(run.summary.arms)
    ]


def _panel(measure: Measure, arm: ArmSummary, x: Axis, y: Axis, series: list[Series]) -> Panel:
    if not series:
        return Panel(measure.heading, measure.note, None)
    ends = "; ".join(
        f"{line.name}: {y.text(line.points[0].y)} at iteration {line.points[0].x:g}, "
        f"{y.text(line.points[-1].y)} at iteration {line.points[-1].x:g}"
        for line in series
    )
    drawing = chart(f"{measure.heading}, arm {arm.name}. {ends}.", x, y, series)
    return Panel(measure.heading, measure.note, drawing)


def _all(read: Callable[[Point], float], series: Iterable[Series]) -> list[float]:
    return [read(point) for line in series for point in line.points]


def _scale(measure: Measure, series: list[Series]) -> Axis:
    intervals = [end for line in series for point in line.points for end in point.y_interval or ()]
    return axis(measure.heading, _all(lambda p: p.y, series) + intervals, measure.unit, wanted=4)


def _logged(name: str) -> Callable[[Run, ArmSummary], list[Series]]:
    def series(run: Run, arm: ArmSummary) -> list[Series]:
        rows, words = run.metrics.get(arm.name, []), name.replace("_", " ")
        alone = series_of(words, 0, [(row.iteration, row.number(name)) for row in rows], marks=False)
        for slot, policy in enumerate(policies_of(rows, name)):
            of_policy = [(row.iteration, row.number(f"{policy}/{name}")) for row in rows]
            alone += series_of(f"{words}, {policy}", slot, of_policy, marks=False, dashed=slot > 0)
        return alone

    return series


def policies_of(rows: Sequence[Metrics], name: str) -> list[str]:
    """Return the policies of which a figure of this name was logged (POLICY/NAME), where there were several."""
    keys = dict.fromkeys(key for row in rows for key in row.model_extra or {})
    return [key.removesuffix(f"/{name}") for key in keys if key.endswith(f"/{name}")]


def series_of(
    name: str, slot: int, rows: Iterable[tuple[int, float | None]], marks: bool = True, dashed: bool = False
) -> list[Series]:
    """Return a series of the known values by iteration, or none if nothing is known."""
    points = tuple(Point(iteration, value) for iteration, value in sorted(rows, key=_first) if value is not None)
    return [Series(name, slot, points, marks, dashed)] if points else []


def _first(row: tuple[int, float | None]) -> int:
    return row[0]


def _accuracy(run: Run, arm: ArmSummary) -> list[Series]:
    training = [(row.iteration, row.judge_accuracy) for row in run.training_accuracy.get(arm.name, [])]
    series: list[Series] = []
    for slot, (judge, role) in enumerate(judges_of(arm)):
        rows = [(point.iteration, point.accuracy.get(judge, Estimate()).estimate) for point in arm.checkpoints]
        series += series_of(f"test questions, {judge} ({role})" if role else f"test questions, {judge}", slot, rows)
    return series + series_of("training debates", 5, training, marks=False, dashed=True)


def judges_of(arm: ArmSummary) -> list[tuple[str, str]]:
    """Return the judges that evaluated an arm, each with its role in words ("" if not known)."""
    roles = {row.judge: f"{row.role} judge" if row.role else "" for row in arm.accuracy}
    for point in arm.checkpoints:
        for judge in point.accuracy:
            roles.setdefault(judge, "")
    return list(roles.items())


def _win_rate(run: Run, arm: ArmSummary) -> list[Series]:
    sides: list[tuple[str, int, bool, Callable[[CheckpointSummary], Estimate]]] = [
        ("arguing the right answer", 2, False, lambda point: point.win_rate_right),
        ("arguing the wrong answer", 1, True, lambda point: point.win_rate_wrong),
    ]
    return [
        line
        for name, slot, dashed, read in sides
        for line in series_of(name, slot, [(p.iteration, read(p).estimate) for p in arm.checkpoints], dashed=dashed)
    ]


def _conduct(name: str, words: str) -> Callable[[Run, ArmSummary], list[Series]]:
    def series(run: Run, arm: ArmSummary) -> list[Series]:
        return series_of(words, 0, [(point.iteration, point.conduct.get(name)) for point in arm.checkpoints])

    return series


def _attack_success(run: Run, arm: ArmSummary) -> list[Series]:
    """Return the share, all attacks together, of the debates that the attacker had lost that attacking won."""
    lost, flips = Counter[int](), Counter[int]()
    for record in run.attacks.get(arm.name, []):
        lost[record.iteration] += record.lost
        flips[record.iteration] += record.flips
    return series_of("all attacks", 0, [(at, flips[at] / count) for at, count in lost.items() if count])


MEASURES = (
    Measure("Judge accuracy", "share of verdicts for the right answer", "percent", _accuracy),
    Measure("Win rate by side", "how often the debater convinces the reward judge", "percent", _win_rate),
    Measure("Reward", "mean per debater; in self-play the two approvals cancel", "number", _logged("reward")),
    Measure(
        "Verified quotes",
        "share of quotes in training that stand in the passage",
        "percent",
        _logged("verified_quotes"),
    ),
    Measure(
        "Speaking to the judge",
        "share of speeches on test questions that address it, instruct it or state its verdict",
        "percent",
        _conduct("addresses_judge", "speeches that address the judge"),
    ),
    Measure(
        "Attack success",
        "share of lost debates that canned attacks turn, reward judge",
        "percent",
        _attack_success,
    ),
    Measure("KL", "distance from the reference policy, nats per token", "number", _logged("kl")),
    Measure("Entropy", "spread of the policy's choices, nats per token", "number", _logged("entropy")),
)
