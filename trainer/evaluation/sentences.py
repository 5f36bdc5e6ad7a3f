"""Changes in words, with their numbers: one that was shown and one that was not read equally clearly.

Rows are corrected already (`trainer.evaluation.family.adjusted`): directions go by the corrected p-value, and it is the
one that is told.
"""

import math
from collections.abc import Mapping, Sequence

from rostrum.rewards.significance import FEWEST_STORIES, SIGNIFICANCE
from rostrum.trainer.evaluation.invalid import WAYS, Invalid
from rostrum.trainer.evaluation.summary import ArmSummary, Change, Control, Headline, JudgeAccuracy

ALONE = "No arm was trained on the penalties alone, so this may be their doing and not persuasion's."
"""What is said of an arm that has penalties and no control."""
_COUNTED: Mapping[Invalid, str] = {"dropped": "left out", "half": "half right", "wrong": "wrong"}
_NOTHING: Headline = "no change shown"


def with_sentences(units: Sequence[ArmSummary], size: int, shown: Invalid) -> list[ArmSummary]:
    """Return arms and groups with a `headline` and a `sentence`, and their controls with a sentence of their own.

    `size` is the number of comparisons that the p-values are corrected for, `shown` the counting of INVALID verdicts
    whose figures are shown.
    """
    group_of = {name: unit.name for unit in units for name in unit.arms}
    return [_told(unit, group_of.get(unit.name), size, shown) for unit in units]


def _told(unit: ArmSummary, group: str | None, size: int, shown: Invalid) -> ArmSummary:
    reward = unit.accuracy[0]
    if group is not None:
        told = of_part(reward, group)
    else:
        told = sentence(reward, unit.minimum_detectable_change, size, shown)
        told = f"{told} {reward.on_seeds}".rstrip()
    new: dict[str, object] = {"headline": reward.headline, "sentence": told}
    if unit.control is not None:
        beyond = _beyond(unit.control, size, shown) if group is None or unit.control.name is None else ""
        new["control"] = unit.control.model_copy(update={"sentence": beyond})
    return unit.model_copy(update=new)


def _beyond(control: Control, size: int, shown: Invalid) -> str:
    return ALONE if control.name is None else difference(control.accuracy[0], control.name, size, shown)


def sentence(row: JudgeAccuracy, smallest: float | None, size: int = 1, shown: Invalid = "dropped") -> str:
    """Return what happened to the reward judge's accuracy, with its numbers.

    `smallest` is the change that would have been found with 80 % power.
    """
    if not row.n_questions:
        return "No change can be shown: no question has a valid verdict on both checkpoints."
    figures = f"{_percent(row.base)} to {_percent(row.trained)}"
    if (row.n_stories or 0) < FEWEST_STORIES:
        stories = f"{row.n_stories} {'story' if row.n_stories == 1 else 'stories'}"
        come = "comes" if row.n_questions == 1 else "come"
        return (
            f"No change can be shown: {figures} (change {_points(row.change, '+')} points). The {_questions(row)} "
            f"{come} from {stories}, and with fewer than {FEWEST_STORIES} stories no test can reach p < 0.05."
        )
    if _depends(row):
        return (
            "Training was not shown to change the reward judge's accuracy, for it depends on what INVALID verdicts "
            f"count for. {_each_way(row, shown, size)}"
        )
    moved = f"change {_points(row.change, '+')} points, {_evidence(row, size)}, {_questions(row)}"
    if row.headline != _NOTHING:
        return (
            f"Training {row.headline} the reward judge's accuracy from {_percent(row.base)} to "
            f"{_percent(row.trained)} ({moved})."
        )
    told = f"Training was not shown to change the reward judge's accuracy: {figures} ({moved})."
    alone = " if this were the only comparison" if _is_corrected(row, size) else ""
    if (row.low or 0) > 0 or (row.high or 0) < 0:
        told += " The interval leaves out zero because it is for this comparison alone."
    if smallest is None:
        return told
    return (
        f"{told} A change of {_points(smallest)} points or more, up or down, would have been found with 80 % "
        f"power{alone}."
    )


def of_part(row: JudgeAccuracy, group: str) -> str:
    """Return what became of a run that is one of several seeds, without a test of its own."""
    if not row.n_questions:
        return f"One seed of {group}, whose seeds are tested together; it has no question with valid verdicts."
    interval = f", 95 % interval {_points(row.low)} to {_points(row.high)}" if row.low is not None else ""
    return (
        f"One seed of {group}, whose seeds are tested together: {_percent(row.base)} to {_percent(row.trained)} "
        f"(change {_points(row.change, '+')} points{interval}, {_questions(row)})."
    )


def difference(row: JudgeAccuracy, control: str, size: int = 1, shown: Invalid = "dropped") -> str:
    """Return what the reward judge's accuracy is beyond that of a control arm, control first, with its numbers."""
    against = f"training on the penalties alone ({control})"
    if not row.n_questions or (row.n_stories or 0) < FEWEST_STORIES:
        return f"Too few stories to compare it with {against}."
    if _depends(row):
        return (
            f"Not shown to differ from {against}, for it depends on what INVALID verdicts count for. "
            f"{_each_way(row, shown, size)}"
        )
    moved = f"{_points(row.change, '+')} points ({_evidence(row, size)})"
    if row.headline == _NOTHING:
        return f"Not shown to differ from {against}: {moved}."
    more = "more" if row.headline == "raised" else "less"
    return f"The reward judge is right {more} often than after {against}: {moved}."


def _each_way(row: JudgeAccuracy, shown: Invalid, size: int) -> str:
    """Return the change by each counting of INVALID verdicts, the one that is shown first."""
    order = sorted(WAYS, key=lambda way: way != shown)
    told = [_one_way(row.invalid[way], _COUNTED[way], _is_corrected(row, size)) for way in order]
    return f"{'; '.join([told[0], *(one[0].lower() + one[1:] for one in told[1:])])}."


def _one_way(change: Change, counted: str, corrected: bool) -> str:
    if not change.n_questions:
        return f"No question remains with them {counted}"
    word = change.headline or _NOTHING
    figures = f"{_points(change.change, '+')} points, {_p_value(change.p_adjusted, corrected)}"
    return f"{word[0].upper()}{word[1:]} with them {counted} ({figures})"


def _depends(row: JudgeAccuracy) -> bool:
    """Return whether the word is another if INVALID verdicts count for something else."""
    return len({change.headline for change in row.invalid.values()}) > 1


def _evidence(row: JudgeAccuracy, size: int) -> str:
    tested = _p_value(row.p_adjusted, _is_corrected(row, size))
    return f"95 % interval {_points(row.low)} to {_points(row.high)}, {tested}"


def _questions(row: JudgeAccuracy) -> str:
    return f"{row.n_questions} question{'' if row.n_questions == 1 else 's'}"


def _is_corrected(row: JudgeAccuracy, size: int) -> bool:
    return size > 1 and not row.primary


def _percent(share: float | None) -> str:
    return f"{100 * (math.nan if share is None else share):.1f} %"


def _points(share: float | None, sign: str = "") -> str:
    """Return a share of one in percentage points, one decimal, never "−0.0"."""
    points = math.nan if share is None else 100 * share
    return f"{round(points, 1) + 0.0:{sign}.1f}".replace("-", "\N{MINUS SIGN}")


def _p_value(p: float | None, corrected: bool) -> str:
    if p is None:
        return "not tested"
    text = "p < 0.001" if p < 0.001 else f"p = {p:.2f}" if p >= 2 * SIGNIFICANCE else f"p = {p:.3f}"
    return f"corrected {text}" if corrected else text
