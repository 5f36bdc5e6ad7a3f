"""What INVALID verdicts count for: a table in which they are dropped, half right, or not right at all."""

from collections.abc import Iterable
from typing import Literal, get_args

import pandas as pd

from rostrum.trainer.evaluation.summary import Headline

Invalid = Literal["dropped", "half", "wrong"]
WAYS: tuple[Invalid, ...] = get_args(Invalid)
_CREDIT = {"half": 0.5, "wrong": 0.0}


def counted(rows: pd.DataFrame, way: Invalid) -> pd.DataFrame:
    """Return the rows that count, with the INVALID ones among them (`valid` is False) as right (`correct`) as `way`
    says."""
    if way == "dropped":
        return rows[rows["valid"]]
    return rows.assign(correct=rows["correct"].where(rows["valid"], _CREDIT[way]))


def agreed(words: Iterable[Headline | None]) -> Headline | None:
    """Return the word that holds whatever INVALID verdicts count for, given that of each counting.

    Otherwise a policy could earn the word by making the judge unreadable where it would have been wrong.
    """
    found = set(words)
    return found.pop() if len(found) == 1 else "no change shown"
