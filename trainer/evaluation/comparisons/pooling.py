"""Training runs that differ by seed alone, taken together: a change that is more than the luck of one run.

Groups of such runs are compared with the first group, run with run of the same seed. What any two runs are compared by
is here as well: the outcomes of their debates, paired by question and seating.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from rostrum.rewards.significance import SIGNIFICANCE
from rostrum.trainer.evaluation.verdict_table import REWARD, SELF, right, scores
from rostrum.trainer.stats.paired import holm
from rostrum.trainer.stats.seeds import PooledChange, pooled_change, words_on_seeds

PAIR = ["question_id", "story_id", "swapped_seats"]
"""What two debates must share to be compared."""
UNTESTED = {"p_holm": math.nan, "shown": "nothing"}
Found = dict[str, Any]
Corrected = tuple[float | None, str]
"""A corrected p-value and the headline that goes by it."""
Runs = Mapping[int, pd.DataFrame]
"""Verdict tables of runs that differ by nothing else, by training seed."""


def outcomes(verdicts: pd.DataFrame, judge: str, iteration: int | None = None) -> pd.DataFrame:
    """Return a column `correct`, by question, story and seating: whether a judge's valid verdicts on a checkpoint's
    debates with itself picked the right answer (1, 0, a tie .5). The last iteration that was evaluated, if none is
    given."""
    return by_seating(_of(verdicts, judge, iteration))


def _of(verdicts: pd.DataFrame, judge: str, iteration: int | None = None) -> pd.DataFrame:
    last = verdicts["iteration"].max() if iteration is None else iteration
    own = (verdicts["matchup"] == SELF) & (verdicts["judge"] == judge) & (verdicts["iteration"] == last)
    return verdicts[own]


def by_seating(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the same of the verdicts of one judge on one checkpoint."""
    valid = rows[rows["valid"].astype(bool)]
    return valid.assign(correct=right(valid)).groupby(PAIR)[["correct"]].mean()


def pairs(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Return questions with `story_id` and the means `before` and `after` over the seatings that both `outcomes`
    have."""
    joined = before.rename(columns={"correct": "before"}).join(after["correct"].rename("after"), how="inner")
    return joined.groupby(level=["question_id", "story_id"]).mean().reset_index("story_id")


def counterpart(first: pd.DataFrame, judge: str, role: str) -> str | None:
    """Return which of another run's judges this one is compared with: the one of its name, or else, for a judge that
    gave the reward, the one that gave it there."""
    if judge in set(first["judge"]):
        return judge
    rewarding = first.loc[first["judge_role"] == REWARD, "judge"]
    return str(rewarding.iloc[0]) if role == REWARD else None


def pool(groups: Mapping[str, Runs]) -> list[dict[str, Any]]:
    """Return each group's change over the base and its difference to the first group, by judge, over all its seeds;
    they have yet to be corrected (`adjust`)."""
    first = next(iter(groups.values()), {})
    return [
        {"name": name, "seeds": list(runs), "judges": _judges(runs, first if number else None)}
        for number, (name, runs) in enumerate(groups.items())
    ]


def over_the_base(units: Sequence[Found], told: Mapping[tuple[str, str], Corrected]) -> list[Found]:
    """Return the changes of cells or groups that are to be corrected; those that are told get their figures here."""
    left = []
    for name, row in ((unit["name"], row) for unit in units for row in unit["judges"]):
        known = told.get((name, row["judge"]))
        if known is None:
            left.append(row["change"])
        else:
            row["change"] |= _told(known, {"raised": "up", "lowered": "down"})
    return left


def against(units: Sequence[Found], first: str, told: Mapping[tuple[str, str, str], Corrected]) -> list[Found]:
    """Return the differences to the first cell or group that are to be corrected; those that are told, because either
    is the other's control, get their figures here."""
    left = []
    for name, row in ((unit["name"], row) for unit in units for row in unit["judges"] if row["difference"]):
        as_control, as_trained = told.get((first, name, row["judge"])), told.get((name, first, row["judge"]))
        if row["against"] == row["judge"] and as_control is not None:
            row["difference"] |= _told(as_control, {"raised": "down", "lowered": "up"})
        elif row["against"] == row["judge"] and as_trained is not None:
            row["difference"] |= _told(as_trained, {"raised": "up", "lowered": "down"})
        else:
            left.append(row["difference"])
    return left


def _told(known: Corrected, shown: Mapping[str, str]) -> Found:
    p, word = known
    return {"p_holm": math.nan if p is None else p, "shown": shown.get(word, "nothing")}


def adjust(compared: Sequence[Found]) -> int:
    """Add to each comparison of a family its p-value among all of them (`p_holm`) and the direction that this and the
    interval show (`shown`: "up", "down" or "nothing"); return how many there are."""
    p_values = [math.nan if one["p"] is None else one["p"] for one in compared]
    for one, adjusted in zip(compared, holm(p_values), strict=True):
        one["p_holm"] = float(adjusted)
        shown = adjusted < SIGNIFICANCE
        one["shown"] = "up" if shown and one["low"] > 0 else "down" if shown and one["high"] < 0 else "nothing"
    return int((~np.isnan(p_values)).sum())


def _judges(runs: Runs, first: Runs | None) -> list[dict[str, Any]]:
    """Return a group's judges, the reward judge first; a judge is one that all runs of a group have, for their
    configurations are the same."""
    table = next(iter(runs.values()))
    roles = dict(zip(table["judge"], table["judge_role"], strict=True))
    ordered = sorted(roles, key=lambda judge: (roles[judge] != REWARD, judge))
    return [_judged(runs, first, judge, roles[judge]) for judge in ordered]


def _judged(runs: Runs, first: Runs | None, judge: str, role: str) -> dict[str, Any]:
    changed = _pooled({seed: pairs(outcomes(run, judge, 0), outcomes(run, judge)) for seed, run in runs.items()})
    own = [scores(_of(run, judge)) for run in runs.values()]
    against = None if first is None else counterpart(next(iter(first.values())), judge, role)
    compared = None
    if first is not None and against is not None and set(first) & set(runs):
        shared = [seed for seed in runs if seed in first]
        compared = _pooled({s: pairs(outcomes(first[s], against), outcomes(runs[s], judge)) for s in shared})
    return {
        "judge": judge,
        "role": role,
        "base": changed.change.base,
        "trained": changed.change.trained,
        **{name: float(np.mean([one[name] for one in own])) for name in ("brier", "log_score")},
        "change": _figures(changed),
        "against": against,
        "difference": None if compared is None else _figures(compared),
    }


def _pooled(by_seed: Mapping[int, pd.DataFrame]) -> PooledChange:
    table = pd.concat([questions.assign(seed=seed) for seed, questions in by_seed.items()])
    return pooled_change(table["before"], table["after"], table["story_id"], table["seed"])


def _figures(found: PooledChange) -> dict[str, Any]:
    change = found.change
    return {
        "estimate": change.change,
        "low": change.low,
        "high": change.high,
        "p": change.p,
        **UNTESTED,
        "minimum_detectable_change": change.minimum_detectable_change,
        "n_questions": change.n_questions,
        "n_stories": change.n_stories,
        "by_seed": list(found.changes),
        "seeds_low": found.seeds_low,
        "seeds_high": found.seeds_high,
        "words_on_seeds": words_on_seeds(found),
    }
