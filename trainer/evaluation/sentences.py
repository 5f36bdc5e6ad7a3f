"""Changes in words, with their numbers: one that was shown and one that was not read equally clearly.

Rows are changes as summary.json has them, corrected already (`trainer.evaluation.family.adjusted`): directions go by
the corrected p-value, and it is the one that is told.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rostrum.rewards.statistics import FEWEST_STORIES, SIGNIFICANCE
from rostrum.trainer.evaluation.invalid import WAYS, Invalid

ALONE = "No arm was trained on the penalties alone, so this may be their doing and not persuasion's."
"""What is said of an arm that has penalties and no control."""
_COUNTED: Mapping[Invalid, str] = {"dropped": "left out", "half": "half right", "wrong": "wrong"}
_NOTHING = "no change shown"
Row = Mapping[str, Any]


def add_sentences(
    summaries: Sequence[dict[str, Any]], pooled: Sequence[dict[str, Any]], size: int, shown: Invalid
) -> None:
    """Write `headline` and `sentence` into every arm and group, and into their controls a sentence of their own.

    `size` is the number of comparisons that the p-values are corrected for, `shown` the counting of INVALID verdicts
    whose figures are shown.
    """
    group_of = {name: group["name"] for group in pooled for name in group["arms"]}
    for unit in [*pooled, *summaries]:
        reward = unit["accuracy"][0]
        unit["headline"] = reward["headline"]
        if unit["name"] in group_of:
            unit["sentence"] = of_part(reward, group_of[unit["name"]])
        else:
            told = sentence(reward, unit["minimum_detectable_change"], size, shown)
            unit["sentence"] = f"{told} {reward.get('on_seeds', '')}".rstrip()
        if "control" in unit:
            control = unit["control"]
            whole = unit["name"] not in group_of
            control["sentence"] = (
                ALONE
                if control["name"] is None
                else difference(control["accuracy"][0], control["name"], size, shown)
                if whole
                else ""
            )


def sentence(row: Row, smallest: float, size: int = 1, shown: Invalid = "dropped") -> str:
    """Return what happened to the reward judge's accuracy, with its numbers.

    `smallest` is the change that would have been found with 80 % power.
    """
    if not row["n_questions"]:
        return "No change can be shown: no question has a valid verdict on both checkpoints."
    figures = f"{_percent(row['base'])} to {_percent(row['trained'])}"
    if row["n_stories"] < FEWEST_STORIES:
        stories = f"{row['n_stories']} {'story' if row['n_stories'] == 1 else 'stories'}"
        come = "comes" if row["n_questions"] == 1 else "come"
        return (
            f"No change can be shown: {figures} (change {_points(row['change'], '+')} points). The {_questions(row)} "
            f"{come} from {stories}, and with fewer than {FEWEST_STORIES} stories no test can reach p < 0.05."
        )
    words = {way: row["invalid"][way]["headline"] for way in WAYS} if "invalid" in row else {}
    if len(set(words.values())) > 1:
        return (
            "Training was not shown to change the reward judge's accuracy, for it depends on what INVALID verdicts "
            f"count for. {_each_way(row, words, shown, size)}"
        )
    moved = f"change {_points(row['change'], '+')} points, {_evidence(row, size)}, {_questions(row)}"
    if row["headline"] != _NOTHING:
        return (
            f"Training {row['headline']} the reward judge's accuracy from {_percent(row['base'])} to "
            f"{_percent(row['trained'])} ({moved})."
        )
    told = f"Training was not shown to change the reward judge's accuracy: {figures} ({moved})."
    alone = " if this were the only comparison" if _is_corrected(row, size) else ""
    if row["low"] > 0 or row["high"] < 0:
        told += " The interval leaves out zero because it is for this comparison alone."
    if np.isnan(smallest):
        return told
    return (
        f"{told} A change of {_points(smallest)} points or more, up or down, would have been found with 80 % "
        f"power{alone}."
    )


def of_part(row: Row, group: str) -> str:
    """Return what became of a run that is one of several seeds, without a test of its own."""
    if not row["n_questions"]:
        return f"One seed of {group}, whose seeds are tested together; it has no question with valid verdicts."
    interval = f", 95 % interval {_points(row['low'])} to {_points(row['high'])}" if not np.isnan(row["low"]) else ""
    return (
        f"One seed of {group}, whose seeds are tested together: {_percent(row['base'])} to {_percent(row['trained'])} "
        f"(change {_points(row['change'], '+')} points{interval}, {_questions(row)})."
    )


def difference(row: Row, control: str, size: int = 1, shown: Invalid = "dropped") -> str:
    """Return what the reward judge's accuracy is beyond that of a control arm, control first, with its numbers."""
    against = f"training on the penalties alone ({control})"
    if not row["n_questions"] or row["n_stories"] < FEWEST_STORIES:
        return f"Too few stories to compare it with {against}."
    words = {way: row["invalid"][way]["headline"] for way in WAYS} if "invalid" in row else {}
    if len(set(words.values())) > 1:
        return (
            f"Not shown to differ from {against}, for it depends on what INVALID verdicts count for. "
            f"{_each_way(row, words, shown, size)}"
        )
    moved = f"{_points(row['change'], '+')} points ({_evidence(row, size)})"
    if row["headline"] == _NOTHING:
        return f"Not shown to differ from {against}: {moved}."
    more = "more" if row["headline"] == "raised" else "less"
    return f"The reward judge is right {more} often than after {against}: {moved}."


def _each_way(row: Row, words: Mapping[Invalid, str], shown: Invalid, size: int) -> str:
    """Return the change by each counting of INVALID verdicts, the one that is shown first."""
    order = sorted(WAYS, key=lambda way: way != shown)
    told = [_one_way({**row, **row["invalid"][way]}, way, words[way], size) for way in order]
    return f"{'; '.join([told[0], *(one[0].lower() + one[1:] for one in told[1:])])}."


def _one_way(row: Row, way: Invalid, word: str, size: int) -> str:
    if not row["n_questions"]:
        return f"No question remains with them {_COUNTED[way]}"
    figures = f"{_points(row['change'], '+')} points, {_p_value(row, size)}"
    return f"{word[0].upper()}{word[1:]} with them {_COUNTED[way]} ({figures})"


def _evidence(row: Row, size: int) -> str:
    return f"95 % interval {_points(row['low'])} to {_points(row['high'])}, {_p_value(row, size)}"


def _questions(row: Row) -> str:
    return f"{row['n_questions']} question{'' if row['n_questions'] == 1 else 's'}"


def _is_corrected(row: Row, size: int) -> bool:
    return size > 1 and not row.get("primary", False)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(share: float, sign: str = "") -> str:
    """A share of one in percentage points, one decimal, never "−0.0"."""
    return f"{round(100 * share, 1) + 0.0:{sign}.1f}".replace("-", "\N{MINUS SIGN}")


def _p_value(row: Row, size: int) -> str:
    p = row["p_adjusted"]
    if np.isnan(p):
        return "not tested"
    text = "p < 0.001" if p < 0.001 else f"p = {p:.2f}" if p >= 2 * SIGNIFICANCE else f"p = {p:.3f}"
    return f"corrected {text}" if _is_corrected(row, size) else text
