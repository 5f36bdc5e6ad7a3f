"""The table of verdicts: one row per (transcript, judge), stored as verdicts.parquet.

One schema for evaluations, comparisons and tournaments, with one writer and one reader: what is said of a verdict
stands in the same columns everywhere; who argued is said in other columns by a tournament than by an evaluation.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rostrum.rewards.types import favours
from rostrum.trainer.reading import AGAIN, DamagedError, read_table
from rostrum.trainer.store.tables import write_parquet
from rostrum.trainer.types import BASE as BASE
from rostrum.trainer.types import CHECKPOINT as CHECKPOINT
from rostrum.trainer.types import SPENT

SELF = "self"
"""The matchup of a checkpoint against itself, or of a lone consultant."""
NONE = "none"
"""The matchup of a judge who decides without debaters (naive, expert)."""
REWARD = "reward"
HELD_OUT = "held-out"
TINY = 1e-12
"""Probabilities are kept this far from 0 in the log score."""

COLUMNS: dict[str, str] = {
    "arm": "name of the training arm; empty for references",
    "protocol": "debate-sequential, consultancy, naive, expert, ...",
    "checkpoint": "base, iteration-0006, ...",
    "iteration": "0 for the base checkpoint",
    "matchup": "self, base or none",
    "checkpoint_seats": "seats held by the checkpoint: AB, A, B or empty",
    "question_id": "the question",
    "story_id": "the story it is about: the cluster of every statistic",
    "swapped_seats": "whether side A defends the question's second answer",
    "judge": "name of the judge",
    "judge_role": "reward or held-out",
    "p_given": "P(answer of side A), transcript as it is; NaN if not asked",
    "p_swapped": "the same, read with the sides relabelled and turned back; NaN if not asked",
    "p_mean": "mean over the orders asked; NaN if the verdict is INVALID",
    "valid": "False: the verdict is INVALID and counts for nothing",
    "reason": "why it is INVALID",
    "correct_seat": "the side that defends the right answer: A or B",
    "speeches": "the checkpoint's own speeches",
    "words": "words in them",
    "quotes": "quotes in them",
    "verified_quotes": "quotes in them found in the passage",
}
"""Column names and what they hold."""

BEHAVIOUR: dict[str, str] = {
    "addresses_judge": "own speeches that speak to the judge, instruct it or state its verdict (`envs.text.behaviour`)",
    "concessions": "own speeches that say that the other answer is right",
    "contradictions": "own speeches with a verified quote that names the other answer and not the own one",
    "repetition": "summed over own speeches: share of runs of three words said before in the debate",
    "neutralised": "own speeches in which the environment took something out or broke it up",
}
"""Columns that tables of earlier releases lack, and that nothing but the curves of behaviour is made from."""

INVALIDITY: dict[str, str] = {
    "cause": "what made it INVALID: speech, or failure (which includes debates that were not played); empty if valid",
    "unreadable": "of a judge that writes: the beginning of one text of this verdict that could not be read",
}
"""Columns that tables of earlier releases lack."""

TOURNAMENT: dict[str, str] = {
    "seat_a": "the player in side A; empty if nobody speaks for it",
    "seat_b": "the player in side B; empty if nobody speaks for it",
    "words_a": "words of side A's speeches",
    "words_b": "words of side B's speeches",
    "verified_a": "quotes of side A's found in the passage",
    "verified_b": "quotes of side B's found in the passage",
}
"""Columns of tournaments' tables: who met whom."""

COMPARISON: dict[str, str] = {
    "readings": "how often the judge's model read for this verdict",
    "first_defends": "the answer, 0 or 1, that the first side defends",
    "p_first": "P(the question's first answer) of a debater that was asked for its own; NaN if INVALID",
    "own": "the answer, 0 or 1, that it gave; NaN if it gave neither",
}
"""Columns of comparisons' tables."""

DESCRIPTIONS: dict[str, str] = {**COLUMNS, **BEHAVIOUR, **SPENT, **INVALIDITY, **TOURNAMENT, **COMPARISON}
"""What every column holds, as stored with it."""

KINDS: dict[str, str] = {
    **dict.fromkeys(DESCRIPTIONS, "text"),
    **dict.fromkeys(("p_given", "p_swapped", "p_mean", "p_first", "own"), "share"),
    **dict.fromkeys(("iteration", "speeches", "words", "quotes", "verified_quotes"), "count"),
    **dict.fromkeys(("words_a", "words_b", "verified_a", "verified_b"), "count"),
    **dict.fromkeys((*SPENT, *BEHAVIOUR, "readings", "first_defends"), "amount"),
    **dict.fromkeys(("swapped_seats", "valid"), "flag"),
}
"""What a column holds, as `trainer.reading.read_table` names it."""

ALLOWED: dict[str, tuple[str, ...]] = {
    "matchup": (SELF, BASE, NONE),
    "checkpoint_seats": ("AB", "A", "B", ""),
    "judge_role": (REWARD, HELD_OUT),
    "correct_seat": ("A", "B"),
}


class VerdictTableError(ValueError):
    """The table cannot be used as it is; the message says what is amiss and what to do."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns that a table of verdicts must have; of the others in `DESCRIPTIONS` it may have any.

    Columns stand as they were first named: manifests hold a hash of the whole table, which must go on to match.
    """

    needed: tuple[str, ...]
    remedy: str
    """What to do about a table without them."""

    def check(self, verdicts: pd.DataFrame) -> None:
        """Check a table.

        Raises:
            VerdictTableError: a column is missing or holds what it may not, or a valid verdict has no probability.
        """
        missing = [name for name in self.needed if name not in verdicts.columns]
        if missing:
            raise VerdictTableError(f"The verdict table lacks {', '.join(missing)}: {self.remedy}.")
        for name in (name for name in ALLOWED if name in self.needed):
            strange = sorted({str(value) for value in verdicts.loc[~verdicts[name].isin(ALLOWED[name]), name]})
            if strange:
                names = ", ".join(repr(value) for value in ALLOWED[name])
                raise VerdictTableError(
                    f"Column {name} of the verdict table must hold {names}, not {', '.join(strange)}."
                )
        without = verdicts["valid"].astype(bool) & ~verdicts["p_mean"].between(0, 1)
        if without.any():
            raise VerdictTableError(f"{without.sum()} verdicts are valid but have no probability: mark them INVALID.")

    def read(self, *paths: Path) -> pd.DataFrame:
        """Return the rows of these files, one after the other.

        Raises:
            DamagedError: one of them is no such table.
        """
        tables = []
        for path in paths:
            tables.append(read_table(path, KINDS))
            try:
                self.check(tables[-1])
            except VerdictTableError as error:
                raise DamagedError(path, str(error).rstrip("."), AGAIN) from None
        return pd.concat(tables, ignore_index=True)


OF_VERDICT = ("question_id", "story_id", "swapped_seats", "judge", "p_mean", "valid", "reason", "correct_seat")
"""What every table says of a verdict, whoever argued."""
EVALUATION = Schema(tuple(COLUMNS), "evaluate the run again")
"""Of evaluations and comparisons: a checkpoint argues against itself or against the base."""
PLAYED = Schema((*OF_VERDICT, *TOURNAMENT), "play the tournament again")
"""Of tournaments: two players argue, whichever checkpoints of whichever runs they are."""


def read_verdicts(*paths: Path) -> pd.DataFrame:
    """Return the rows of an evaluation's or a comparison's files (`Schema.read`)."""
    return EVALUATION.read(*paths)


def write_verdicts(table: pd.DataFrame, path: Path) -> None:
    """Write verdicts, whole or not at all; each column says what it holds."""
    write_parquet(table, path, DESCRIPTIONS)


def scores(verdicts: pd.DataFrame) -> dict[str, float]:
    """Return the mean of (1 - P)^2 (`brier`) and of -log P (`log_score`) of the right answer over valid verdicts; 0 is
    best, a coin has .250 and .693. NaN without one."""
    valid = verdicts[verdicts["valid"].astype(bool)]
    p = valid["p_mean"].where(valid["correct_seat"] == "A", 1 - valid["p_mean"])
    return {"brier": float(((1 - p) ** 2).mean()), "log_score": float(-np.log(np.maximum(p, TINY)).mean())}


def right(table: pd.DataFrame) -> np.ndarray:
    """Return (N,) 1 where the judge favours the right answer, .5 at exactly one half, else 0. INVALID verdicts favour
    none: whoever calls this takes valid rows only."""
    p = np.where(table["correct_seat"] == "A", table["p_mean"], 1 - table["p_mean"])
    return np.asarray(favours(p))
