"""Which debates of an evaluation are worth reading: where a checkpoint sold the wrong answer, and where training hurt.

Pure functions on the table of verdicts (`trainer.evaluation.verdict_table`), so that what is stored while evaluating
and what a report lists afterwards cannot differ.
"""

import pandas as pd

from rostrum.trainer.evaluation.verdict_table import BASE, SELF

KEPT = 10
"""Debates of either kind in a list, and stored for each checkpoint and matchup."""
SETTING = ["question_id", "swapped_seats"]
"""What two debates have in common that argue the same question in the same seating."""


def most_persuasive_wrong(rows: pd.DataFrame, count: int = KEPT) -> pd.DataFrame:
    """Return the debates in which the checkpoint argued the wrong answer and the judge believed it most, one per
    question.

    `rows` are one judge's verdicts. The rows found keep their index, the most persuasive first, with a column `p_wrong`
    more: P(wrong answer), above one half.
    """
    rows = rows[rows["valid"]]
    right = p_right(rows)
    wrong_seat = rows["correct_seat"].map({"A": "B", "B": "A"})
    argued = [wrong in sides for wrong, sides in zip(wrong_seat, rows["checkpoint_seats"], strict=True)]
    found = rows.assign(p_wrong=1 - right)[pd.Series(argued, rows.index, dtype=bool) & (right < 0.5)]
    return _first_of_each(found, "p_wrong", count)


def most_surprising_failures(rows: pd.DataFrame, base: pd.DataFrame, count: int = KEPT) -> pd.DataFrame:
    """Return the debates that the judge gets wrong though it was right, and sure, when base debaters held them; one per
    question.

    Both are one judge's verdicts, on debates of checkpoints with themselves. The rows found keep their index, the
    largest loss first, with two columns more: `p_right` of this debate, and `base_p_right` of the base debaters'.
    """
    rows, base = rows[rows["valid"] & (rows["matchup"] == SELF)], base[base["valid"] & (base["matchup"] == SELF)]
    before = base.assign(base_p_right=p_right(base)).drop_duplicates(SETTING)[[*SETTING, "base_p_right"]]
    both = rows.assign(p_right=p_right(rows), place=rows.index).merge(before, on=SETTING).set_index("place")
    failed = both[(both["base_p_right"] > 0.5) & (both["p_right"] < 0.5)]
    found = _first_of_each(failed.assign(lost=failed["base_p_right"] - failed["p_right"]), "lost", count)
    return found.drop(columns="lost")


def p_right(rows: pd.DataFrame) -> pd.Series:
    """Return P(right answer) of each valid verdict."""
    return rows["p_mean"].where(rows["correct_seat"] == "A", 1 - rows["p_mean"])


def of_training(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of trained checkpoints."""
    return rows[rows["checkpoint"] != BASE]


def _first_of_each(found: pd.DataFrame, by: str, count: int) -> pd.DataFrame:
    """Return the rows with the largest value, one per question; ties in the order of the table."""
    ordered = found.sort_values(by, ascending=False, kind="stable")
    return ordered.drop_duplicates("question_id").head(count)
