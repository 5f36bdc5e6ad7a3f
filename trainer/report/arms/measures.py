"""What the table of verdicts says of one arm, checkpoint by checkpoint, with intervals clustered by story."""

import numpy as np
import pandas as pd

from rostrum.rewards.audit.reliability import Calibration, calibration
from rostrum.rewards.audit.table import Table
from rostrum.rewards.statistics import CHANGE, Interval, cluster_mean, cluster_statistic
from rostrum.trainer.evaluation.verdict_table import BASE, HELD_OUT, REWARD, SELF

By = dict[int, Interval]
"""An estimate for each iteration that was evaluated."""
DEBATE = ["iteration", "matchup", "question_id", "swapped_seats", "checkpoint_seats"]
"""What tells the debates of an arm apart."""


def judges(rows: pd.DataFrame) -> dict[str, str]:
    """Return each judge's role, the judge that gave the reward first."""
    roles = dict(zip(rows["judge"], rows["judge_role"], strict=True))
    return dict(sorted(roles.items(), key=lambda item: (item[1] != REWARD, item[0])))


def calibrations(rows: pd.DataFrame, judge: str) -> dict[int, Calibration]:
    """Return how well a judge's probabilities on each checkpoint's debates with itself say how often it is right."""
    own = rows[(rows["judge"] == judge) & (rows["matchup"] == SELF)]
    return {int(at): calibration(table_of(part)) for at, part in own.groupby("iteration") if part["valid"].any()}


def table_of(rows: pd.DataFrame) -> Table:
    """Return one judge's verdicts as an audit reads them; how long each side spoke is not in them."""
    unknown = np.full(len(rows), np.nan)
    given, swapped = (rows[name].to_numpy(np.float64) for name in ("p_given", "p_swapped"))
    p = rows["p_mean"].where(rows["valid"]).to_numpy(np.float64)
    story, reason = (rows[name].to_numpy(np.str_) for name in ("story_id", "reason"))
    return Table(story, (rows["correct_seat"] == "A").to_numpy(np.float64), p, given, swapped, unknown, unknown, reason)


def gaps(rows: pd.DataFrame, judge: str) -> By:
    """Return how much more probability the reward judge gives the checkpoint's side than this held-out judge does, in
    debates in which it holds one seat. Of a base debater against itself the difference is 0: it is on both sides."""
    one_seat = rows[rows["valid"] & rows["checkpoint_seats"].isin(("A", "B"))]
    sided = one_seat.assign(own=one_seat["p_mean"].where(one_seat["checkpoint_seats"] == "A", 1 - one_seat["p_mean"]))
    reward, other = sided[sided["judge_role"] == REWARD], sided[sided["judge"] == judge]
    both = reward[[*DEBATE, "story_id", "own"]].merge(other[[*DEBATE, "own"]], on=DEBATE, suffixes=("", "_other"))
    found = {
        int(at): cluster_mean(part["own"] - part["own_other"], part["story_id"], CHANGE)
        for at, part in both.groupby("iteration")
    }
    nothing = Interval(0.0, np.nan, np.nan, 0)
    return found if not found or 0 in found else {0: nothing, **found}


def per_speech(rows: pd.DataFrame, counted: str) -> By:
    """Return how many of something (words, quotes, verified_quotes) a speech of each checkpoint has, against itself."""
    own = rows[(rows["judge_role"] == REWARD) & (rows["matchup"] == SELF) & (rows["speeches"] > 0)]
    return {int(at): _ratio(part[counted], part["speeches"], part["story_id"]) for at, part in own.groupby("iteration")}


def held_out(rows: pd.DataFrame) -> list[str]:
    """Return the judges that gave no reward."""
    return [judge for judge, role in judges(rows).items() if role == HELD_OUT]


def is_debate(rows: pd.DataFrame) -> bool:
    """Return whether checkpoints met the base debater, rather than speaking alone."""
    return bool((rows["matchup"] == BASE).any())


def _ratio(part: pd.Series, whole: pd.Series, stories: pd.Series) -> Interval:
    return cluster_statistic((part, whole), stories, lambda sums: sums[0] / sums[1])
