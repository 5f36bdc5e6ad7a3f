"""People beside the model judges: small multiples per arm over the checkpoints that they judged, and calibration."""

from collections.abc import Callable

from rostrum.trainer.evaluation.people.people_and_models import Beside, OfJudge
from rostrum.trainer.evaluation.summary import ArmSummary, Estimate
from rostrum.trainer.report.charts import Point, Series, chart
from rostrum.trainer.report.curves import ArmCurves, Measure, small_multiples
from rostrum.trainer.report.drawing import Drawing
from rostrum.trainer.report.inputs import Run
from rostrum.trainer.report.svg import Axis, axis

SQUARE = (360.0, 330.0)
CONFIDENCES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def people_curves(run: Run) -> list[ArmCurves]:
    """Draw what people and models made of the same debates; nothing without people, or of arms they did not judge."""
    if run.people is None:
        return []
    judged = {of.arm for of in run.people.judges}
    return [group for group in small_multiples(run, MEASURES) if group.arm.name in judged]


def reliability(people: Beside | None) -> Drawing | None:
    """Draw people's accuracy against their confidence, bin by bin."""
    if people is None or not people.bins:
        return None
    points = tuple(_point(of.confidence, of.accuracy) for of in people.bins if of.confidence is not None)
    low = min([0.5, *(end for point in points for end in point.y_interval or ())])
    right = Series("as it should be", 2, (Point(0.5, 0.5), Point(1, 1)), marks=False, dashed=True)
    words = f"Accuracy of people against their confidence in {len(points)} bins."
    x, y = Axis("confidence", CONFIDENCES, "percent"), axis("accuracy", [low, 1.0], "percent")
    return chart(words, x, y, [right, Series("people", 0, points)], size=SQUARE)


def _by_judge(read: Callable[[OfJudge], Estimate]) -> Callable[[Run, ArmSummary], list[Series]]:
    def series(run: Run, arm: ArmSummary) -> list[Series]:
        people = run.people
        own = [of for of in people.judges if of.arm == arm.name] if people is not None else []
        names = dict.fromkeys(of.judge for of in own)
        return [
            Series(name, slot, points, dashed=slot > 0)
            for slot, name in enumerate(names)
            if (
                points := tuple(
                    _point(of.iteration, read(of), slot == 0)
                    for of in sorted(own, key=lambda of: of.iteration)
                    if of.judge == name and read(of).estimate is not None
                )
            )
        ]

    return series


def _point(x: float, at: Estimate, interval: bool = True) -> Point:
    """Return a point with its interval, if it is known and to be drawn."""
    known = interval and at.low is not None and at.high is not None
    return Point(x, at.estimate or 0.0, y_interval=(at.low or 0.0, at.high or 0.0) if known else None)


MEASURES = (
    Measure(
        "Accuracy",
        "on the debates that people judged; bars: people's interval",
        "percent",
        _by_judge(lambda of: of.accuracy),
    ),
    Measure(
        "Sure and wrong",
        "share of verdicts that give the wrong answer at least 75 %",
        "percent",
        _by_judge(lambda of: of.sure_and_wrong),
    ),
)
