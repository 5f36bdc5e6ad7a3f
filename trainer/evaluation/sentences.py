"""A change in words, with its numbers: one that was shown and one that was not read equally clearly."""

from collections.abc import Mapping
from typing import Any

from rewards.statistics import FEWEST_STORIES, SIGNIFICANCE
from trainer.evaluation.invalid import Invalid, agreed
from trainer.statistics.paired import PairedChange, headline

_COUNTED: Mapping[Invalid, str] = {
    "dropped": "left out", "half": "counted as half right", "wrong": "counted as wrong",
}  # fmt: skip


def sentence(
    change: PairedChange, counted: Mapping[Invalid, PairedChange] | None = None, shown: Invalid = "dropped"
) -> str:
    """Return what happened to the reward judge's accuracy, in one sentence with its numbers.

    `counted` is the change by each counting of INVALID verdicts (none: there are none), `shown` the one of `change`.
    """
    counted = counted or {shown: change}
    if not change.n_questions:
        return "No change can be shown: no question has a valid verdict on both checkpoints."
    before, after = f"{100 * change.base:.1f} %", f"{100 * change.trained:.1f} %"
    moved = f"change {_points(change.change, sign='+')} points"
    questions = f"{change.n_questions} question{'' if change.n_questions == 1 else 's'}"
    if change.n_stories < FEWEST_STORIES:
        return (
            f"No change can be shown: {before} to {after} ({moved}), for the {questions} come from "
            f"{change.n_stories} {'story' if change.n_stories == 1 else 'stories'} and {FEWEST_STORIES} are "
            "needed: with fewer no test can reach p < .05."
        )
    evidence = f"{moved}, 95 % interval {_points(change.low)} to {_points(change.high)}, {_p_value(change.p)}"
    if (verdict := headline(change)) != agreed(counted):
        return (
            f"Training was not shown to change the reward judge's accuracy: {before} to {after} ({evidence}, "
            f"{questions}) with INVALID verdicts {_COUNTED[shown]}, {_otherwise(counted, verdict)}."
        )
    if verdict != "no change shown":
        return f"Training {verdict} the reward judge's accuracy from {before} to {after} ({evidence}, {questions})."
    return (
        f"Training was not shown to change the reward judge's accuracy: {before} to {after} ({evidence}, {questions}). "
        f"A change of {_points(change.minimum_detectable_change)} points or more, up or down, would have been found "
        "with 80 % power."
    )


def difference(row: Mapping[str, Any], control: str) -> str:
    """Return what the reward judge's accuracy is beyond that of a control arm, in one sentence with its numbers.

    `row` is a change as stored, control first, with `p_adjusted`.
    """
    if not row["n_questions"] or row["n_stories"] < FEWEST_STORIES:
        return f"Too few stories to compare it with training on the penalties alone ({control})."
    evidence = f"95 % interval {_points(row['low'])} to {_points(row['high'])}, {_p_value(row['p_adjusted'])} corrected"
    moved = f"{_points(row['change'], sign='+')} points"
    if row["headline"] == "no change shown" or not row["p_adjusted"] < SIGNIFICANCE:
        return f"Not shown to differ from training on the penalties alone ({control}: {moved}, {evidence})."
    return f"Beyond training on the penalties alone ({control}): {moved} ({evidence})."


def _otherwise(counted: Mapping[Invalid, PairedChange], verdict: str) -> str:
    """Return the countings that do not give the verdict, each with the change by it."""
    others = {way: change for way, change in counted.items() if headline(change) != verdict}
    return "but " + " and ".join(
        f"{_points(change.change, sign='+')} points with them {_COUNTED[way]}" for way, change in others.items()
    )


def _points(share: float, sign: str = "") -> str:
    """A share of one in percentage points, one decimal, never "-0.0"."""
    return f"{round(100 * share, 1) + 0.0:{sign}.1f}"


def _p_value(p: float) -> str:
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.2f}" if p >= 2 * SIGNIFICANCE else f"p = {p:.3f}"
