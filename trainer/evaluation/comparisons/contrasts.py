"""What a comparison's verdicts say: accuracy per arm, paired differences, budgets, and the open protocols.

Everything is paired by question and seating and clustered by story. All comparisons of the page are one family that is
adjusted by Holm: the differences between an arm and the first one (every player, every judge), and the changes from the
base to the checkpoint (every arm, every judge).
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from rostrum.rewards.statistics import Interval, cluster_mean
from rostrum.trainer.evaluation.comparisons.pooling import adjust, by_seating, pairs
from rostrum.trainer.evaluation.verdict_table import NONE, right, scores
from rostrum.trainer.records import jsonable
from rostrum.trainer.stats.paired import paired_change

SCHEMA_VERSION = 3
BUDGET = ("speeches", "words", "sampled_tokens", "preference_readings", "readings")
"""What one verdict took, on average: speeches and words in it, tokens that were sampled for it (those that were not
spoken as well), and how often a model read to choose what is said and to judge it."""

Found = dict[str, Any]


def contrasts(table: pd.DataFrame, own: Mapping[str, pd.DataFrame]) -> Found:
    """Return everything that is shown and stored in comparison.json; what is not known is None.

    `table` are the verdicts of `trainer.evaluation.comparisons.comparison.Comparison`, arms, players and judges in the
    order in which they are shown; `own` is what each player believes (`trainer.evaluation.comparisons.own_answers`).
    """
    played = table[table["matchup"] != NONE]
    arms, players, judges = (list(dict.fromkeys(played[name])) for name in ("arm", "checkpoint", "judge"))
    found: Found = {
        "schema_version": SCHEMA_VERSION,
        "arms": arms,
        "players": players,
        "budget": {arm: _budgets(rows) for arm, rows in played.groupby("arm", sort=False)},
        "own_answers": {player: _beliefs(played, own[player]) for player in players},
        "judges": {judge: _judge(table[table["judge"] == judge], arms, players, own) for judge in judges},
    }
    every = [arm for judge in found["judges"].values() for arm in judge["arms"].values()]
    differences = [arm[player]["difference"] for arm in every for player in players if "difference" in arm[player]]
    changes = [arm["training"] for arm in every if "training" in arm]
    found["family"] = {"correction": "Holm", "size": adjust([*differences, *changes])}
    return jsonable(found)


def _judge(table: pd.DataFrame, arms: list[str], players: list[str], own: Mapping[str, pd.DataFrame]) -> Found:
    references, played = table[table["matchup"] == NONE], table[table["matchup"] != NONE]
    rows = {
        (arm, player): played[(played["arm"] == arm) & (played["checkpoint"] == player)]
        for arm in arms
        for player in players
    }
    found: Found = {arm: {} for arm in arms}
    for (arm, player), cell in rows.items():
        found[arm][player] = _cell(cell) | {"open": _open(cell, own[player])}
        if arm != arms[0]:
            found[arm][player]["difference"] = _difference(rows[arms[0], player], cell, "first", "arm")
    if len(players) > 1:
        for arm in arms:
            found[arm]["training"] = _difference(rows[arm, players[0]], rows[arm, players[-1]], "base", "trained")
    return {
        "role": str(played["judge_role"].iloc[0]),
        "arms": found,
        "references": {name: _cell(cell) for name, cell in references.groupby("protocol", sort=False)},
    }


def _cell(rows: pd.DataFrame) -> Found:
    """Return the accuracy over questions, the mean of each question's valid verdicts first, and what was left out."""
    values = by_seating(rows).groupby(level=["question_id", "story_id"]).mean().reset_index("story_id")
    return {
        "accuracy": _triple(cluster_mean(values["correct"], values["story_id"])),
        "questions": len(values),
        **scores(rows),
        "debates": len(rows),
        "invalid": int((~rows["valid"].astype(bool)).sum()),
    }


def _difference(one: pd.DataFrame, other: pd.DataFrame, *names: str) -> Found:
    """Return what changes from one to the other, over questions and seatings with a valid verdict on both. `names` are
    what their accuracies over these are stored as."""
    questions = pairs(by_seating(one), by_seating(other))
    change = paired_change(questions["before"], questions["after"], questions["story_id"])
    return dict(zip(names, (change.base, change.trained), strict=True)) | {
        "change": change.change,
        "low": change.low,
        "high": change.high,
        "p": change.p,
        "minimum_detectable_change": change.minimum_detectable_change,
        "questions": change.n_questions,
        "stories": change.n_stories,
    }


def _open(rows: pd.DataFrame, own: pd.DataFrame) -> Found:
    """Return the debates in which the first side defends the player's own answer: accuracy in all, and given that it is
    right or wrong. Questions without an own answer or a valid verdict are left out."""
    joined = rows[rows["valid"].astype(bool)].merge(own[["question_id", "own"]], on="question_id")
    chosen = joined[joined["first_defends"] == joined["own"]]
    is_right = chosen["own"] == _correct_answer(chosen)
    kinds = {"all": chosen, "own_right": chosen[is_right], "own_wrong": chosen[~is_right]}
    return {
        name: _triple(cluster_mean(right(some), some["story_id"])) | {"debates": len(some)}
        for name, some in kinds.items()
    }


def _correct_answer(rows: pd.DataFrame) -> pd.Series:
    """Return which of the question's answers is right, 0 or 1: side A defends the first one unless the sides are
    swapped."""
    return ((rows["correct_seat"] == "B") != rows["swapped_seats"].astype(bool)).astype(int)


def _beliefs(played: pd.DataFrame, own: pd.DataFrame) -> Found:
    """Return how often the player's own answer is right, over the questions to which it has one."""
    questions = played.drop_duplicates("question_id")
    answered = own.loc[own["own"].notna(), ["question_id", "own"]]
    known = answered.merge(questions.assign(correct=_correct_answer(questions)), on="question_id")
    is_right = (known["own"] == known["correct"]).astype(float)
    accuracy = _triple(cluster_mean(is_right, known["story_id"]))
    return {"accuracy": accuracy, "questions": len(known), "without": len(own) - len(known)}


def _budgets(rows: pd.DataFrame) -> Found:
    """Return means over the debates that were played, by player."""
    read = rows[(rows["judge"] == rows["judge"].iloc[0]) & (rows["speeches"] > 0)]
    return {
        player: {name: float(some[name].mean()) for name in BUDGET}
        for player, some in read.groupby("checkpoint", sort=False)
    }


def _triple(interval: Interval) -> dict[str, float]:
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high}
