"""From the table of verdicts to the numbers a run is reported by: summary.json.

Every accuracy is paired by question and clustered by story (`trainer.statistics`). A verdict picks the answer it
gives more than half; a tie picks half of each. INVALID verdicts are left out and counted.
"""

import math
from typing import Any

import numpy as np
import pandas as pd

from rewards.statistics import SIGNIFICANCE, Interval, cluster_mean, wilson
from trainer.statistics import FEWEST_STORIES, PairedChange, headline, paired_change
from trainer.verdicts import BASE, CONDUCT, HELD_OUT, NONE, REWARD, SELF, VerdictTableError, check_verdicts

SCHEMA_VERSION = 1
DECIMALS = 6


def summarise(verdicts: pd.DataFrame) -> dict[str, Any]:
    """The summary of a run as stored in summary.json; floats have 6 decimals, a number that is not known is None.

    Arms and references come in the order of the table, judges with the reward judge first.

    Raises:
        VerdictTableError: a column is missing or an arm cannot be compared with its base; the message says what to do.
    """
    check_verdicts(verdicts)
    table = _with_outcomes(verdicts)
    alone = table["matchup"] == NONE
    arms = [_Arm(str(name), rows) for name, rows in table[~alone].groupby("arm", sort=False)]
    return {
        "schema_version": SCHEMA_VERSION,
        "arms": [jsonable(arm.summary()) for arm in arms],
        "references": [jsonable(reference) for reference in _references(table[alone])],
    }


def sentence(change: PairedChange) -> str:
    """What happened to the reward judge's accuracy, in one sentence with its numbers."""
    if not change.n_questions:
        return "No change can be shown: no question has a valid verdict on both checkpoints."
    before, after = f"{100 * change.base:.1f} %", f"{100 * change.trained:.1f} %"
    moved = f"change {_points(change.change, sign='+')} points"
    questions = f"{change.n_questions} question{'' if change.n_questions == 1 else 's'}"
    if change.n_stories < FEWEST_STORIES:
        return (
            f"No change can be shown: {before} to {after} ({moved}), for the {questions} come from "
            f"{change.n_stories} {'story' if change.n_stories == 1 else 'stories'} and {FEWEST_STORIES} are needed."
        )
    evidence = f"{moved}, 95 % interval {_points(change.low)} to {_points(change.high)}, {_p_value(change.p)}"
    if (verdict := headline(change)) != "no change shown":
        return f"Training {verdict} the reward judge's accuracy from {before} to {after} ({evidence}, {questions})."
    return (
        f"No change shown: {before} to {after} ({evidence}); with {questions} a change of "
        f"{_points(change.minimum_detectable_change)} points or more would have been found with 80 % power."
    )


class _Arm:
    """One arm's rows, its reward judge, and its base and final checkpoint."""

    def __init__(self, name: str, rows: pd.DataFrame) -> None:
        self.name = name
        self.rows = rows
        self.protocol = self._only("protocol", rows)
        self.reward_judge = self._only("judge", rows[rows["judge_role"] == REWARD])
        self.judges = [self.reward_judge, *sorted(set(rows["judge"].unique()) - {self.reward_judge})]
        self.checkpoints = self._checkpoints()
        self.final = self.checkpoints[-1]
        self.lone = not rows.loc[rows["matchup"] == SELF, "checkpoint_seats"].eq("AB").any()
        """A consultancy: the checkpoint speaks for one seat and nobody answers."""

    def summary(self) -> dict[str, Any]:
        accuracy = [self._accuracy(judge) for judge in self.judges]
        reward = self._change(self.reward_judge)
        return {
            "name": self.name,
            "protocol": self.protocol,
            "headline": headline(reward),
            "minimum_detectable_change": reward.minimum_detectable_change,
            "sentence": sentence(reward),
            "win_rate": self._win_rate_of_final(),
            "verified_quotes": {"base": self._verified_quotes(BASE), "trained": self._verified_quotes(self.final)},
            "words_per_speech": {"base": self._words_per_speech(BASE), "trained": self._words_per_speech(self.final)},
            "accuracy": accuracy,
            "checkpoints": [self._checkpoint(checkpoint) for checkpoint in self.checkpoints],
        }

    def _only(self, column: str, rows: pd.DataFrame) -> str:
        found = rows[column].unique()
        if len(found) != 1:
            what = "protocol" if column == "protocol" else "reward judge"
            raise VerdictTableError(
                f"Arm {self.name!r} has {len(found)} {what}s in the verdict table: evaluate each arm with exactly one."
            )
        return str(found[0])

    def _checkpoints(self) -> list[str]:
        """Names in order of iteration, base first."""
        own = self.rows.loc[self.rows["matchup"] == SELF, ["iteration", "checkpoint"]]
        pairs = own.drop_duplicates().sort_values(["iteration", "checkpoint"])
        names = [str(name) for name in pairs["checkpoint"]]
        if BASE not in names or len(names) < 2:
            raise VerdictTableError(
                f"Arm {self.name!r} needs verdicts on a base and a trained checkpoint: evaluate both on the same set."
            )
        if pairs["iteration"].duplicated().any() or len(set(names)) < len(names) or names[0] != BASE:
            raise VerdictTableError(
                f"Arm {self.name!r} needs one iteration per checkpoint, 0 for the base alone: give each its own number."
            )
        return names

    def _select(self, checkpoint: str, judge: str, matchup: str = SELF) -> pd.DataFrame:
        rows = self.rows
        return rows[(rows["checkpoint"] == checkpoint) & (rows["judge"] == judge) & (rows["matchup"] == matchup)]

    def _paired_rows(self, judge: str) -> pd.DataFrame:
        """One row per question and seating with a valid verdict on both checkpoints: base, trained, given_right.

        Pairing seatings too keeps an INVALID verdict from being read as change: in a consultancy the two seatings of a
        question are the consultant given the right and the wrong answer.
        """
        base = self._seatings(BASE, judge).rename(columns={"correct": "base"})
        return base.join(self._seatings(self.final, judge)["correct"].rename("trained"), how="inner")

    def _seatings(self, checkpoint: str, judge: str) -> pd.DataFrame:
        """Self-play with a valid verdict, one row per question and seating: correct, given_right, story_id."""
        rows = self._select(checkpoint, judge)
        return (
            rows[rows["valid"]]
            .groupby(["question_id", "swapped_seats"])
            .agg(correct=("correct", "mean"), given_right=("given_right", "first"), story_id=("story_id", "first"))
        )

    def _change(self, judge: str) -> PairedChange:
        questions = (
            self._paired_rows(judge)
            .groupby("question_id")
            .agg(base=("base", "mean"), trained=("trained", "mean"), story_id=("story_id", "first"))
        )
        return paired_change(questions["base"], questions["trained"], questions["story_id"])

    def _accuracy(self, judge: str) -> dict[str, Any]:
        change = self._change(judge)
        n = change.n_questions
        both = pd.concat([self._select(BASE, judge), self._select(self.final, judge)])
        base, trained = (wilson(rate * n if n else 0.0, n) for rate in (change.base, change.trained))
        row = {
            "judge": judge,
            "role": REWARD if judge == self.reward_judge else HELD_OUT,
            "base": change.base,
            "trained": change.trained,
            "change": change.change,
            "low": change.low,
            "high": change.high,
            "p": change.p,
            "headline": headline(change),
            "n_questions": n,
            "n_stories": change.n_stories,
            "n_invalid": int((~both["valid"]).sum()),
            "base_interval": [base.low, base.high],
            "trained_interval": [trained.low, trained.high],
        }
        return row | self._by_assignment(judge) if self.lone else row

    def _by_assignment(self, judge: str) -> dict[str, Any]:
        """The judge's accuracy where the consultant was given the right and the wrong answer."""
        pairs = self._paired_rows(judge)
        right = pairs["given_right"].astype(bool)
        return {
            name: {"base": rows["base"].mean(), "trained": rows["trained"].mean()}
            for name, rows in (("given_right", pairs[right]), ("given_wrong", pairs[~right]))
        }

    def _win_rate_of_final(self) -> dict[str, Any]:
        rates = self._win_rates(self.final)
        return _interval(rates["win_rate"]) | {
            "by_side": {"right": _interval(rates["win_rate_right"]), "wrong": _interval(rates["win_rate_wrong"])},
            "against": "the judge (approval)" if self.lone else "base debaters",
        }

    def _win_rates(self, checkpoint: str) -> dict[str, Interval]:
        """How often the reward judge sided with the checkpoint, in all and by whether its answer was right."""
        rows = self._select(checkpoint, self.reward_judge, SELF if self.lone else BASE)
        if checkpoint == BASE and not self.lone and rows.empty:
            return self._base_against_itself()
        right = rows["given_right"]
        sides = {"win_rate": rows, "win_rate_right": rows[right], "win_rate_wrong": rows[~right]}
        return {name: _mean(side, "won") for name, side in sides.items()}

    def _base_against_itself(self) -> dict[str, Interval]:
        """One of two equals wins half; the seat with the right answer wins whenever the judge is right."""
        right = _mean(self._select(BASE, self.reward_judge), "correct")
        wrong = Interval(1 - right.estimate, 1 - right.high, 1 - right.low, right.n)
        even = Interval(0.5, math.nan, math.nan, 0)
        return {"win_rate": even, "win_rate_right": right, "win_rate_wrong": wrong}

    def _verified_quotes(self, checkpoint: str) -> float:
        """Share of the checkpoint's quotes that stand in the passage."""
        rows = self._select(checkpoint, self.reward_judge)
        return _ratio(rows["verified_quotes"].sum(), rows["quotes"].sum())

    def _words_per_speech(self, checkpoint: str) -> float:
        rows = self._select(checkpoint, self.reward_judge)
        return _ratio(rows["words"].sum(), rows["speeches"].sum())

    def _conduct(self, checkpoint: str) -> dict[str, float]:
        """Means per speech; what the table does not tell is left out."""
        rows = self._select(checkpoint, self.reward_judge)
        return {name: _ratio(rows[name].sum(), rows["speeches"].sum()) for name in CONDUCT if name in rows}

    def _checkpoint(self, checkpoint: str) -> dict[str, Any]:
        rows = self.rows[self.rows["checkpoint"] == checkpoint]
        return {
            "checkpoint": checkpoint,
            "iteration": int(rows["iteration"].iloc[0]),
            "accuracy": {judge: _interval(_question_mean(self._select(checkpoint, judge))) for judge in self.judges},
            **{name: _interval(rate) for name, rate in self._win_rates(checkpoint).items()},
            "verified_quotes": self._verified_quotes(checkpoint),
            "words_per_speech": self._words_per_speech(checkpoint),
            "conduct": self._conduct(checkpoint),
        }


def _with_outcomes(verdicts: pd.DataFrame) -> pd.DataFrame:
    """The table with three columns more: `correct`, whether the judge picked the right answer (1, 0, a tie .5); and
    where the checkpoint holds one seat, `won`, whether the judge picked its answer, and `given_right`, whether that
    answer is right. The picks of INVALID verdicts mean nothing: whoever reads them takes valid rows only."""
    picks_a = (1 + np.sign(verdicts["p_mean"] - 0.5)) / 2
    return verdicts.assign(
        valid=verdicts["valid"].astype(bool),
        correct=picks_a.where(verdicts["correct_seat"] == "A", 1 - picks_a),
        won=picks_a.where(verdicts["checkpoint_seats"] == "A", 1 - picks_a),
        given_right=verdicts["checkpoint_seats"] == verdicts["correct_seat"],
    )


def _references(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Judges without debaters: protocols in the order of the table, the reward judge first."""
    references = []
    for _, own in rows.groupby("protocol", sort=False):
        judges = [_reference(group) for _, group in own.groupby("judge")]
        references += sorted(judges, key=lambda reference: reference["role"] != REWARD)
    return references


def _reference(rows: pd.DataFrame) -> dict[str, Any]:
    accuracy = _question_mean(rows)
    first = rows.iloc[0]
    return {
        "protocol": first["protocol"],
        "judge": first["judge"],
        "role": first["judge_role"],
        "accuracy": _interval(accuracy),
        "n_questions": accuracy.n,
        "n_invalid": int((~rows["valid"]).sum()),
    }


def _question_mean(rows: pd.DataFrame) -> Interval:
    """Mean over questions of the mean over each question's valid rows, clustered by story."""
    by_question = rows[rows["valid"]].groupby("question_id")
    questions = by_question.agg(correct=("correct", "mean"), story_id=("story_id", "first"))
    return cluster_mean(questions["correct"], questions["story_id"])


def _mean(rows: pd.DataFrame, outcome: str) -> Interval:
    """Mean over rows with a valid verdict, clustered by story."""
    valid = rows[rows["valid"]]
    return cluster_mean(valid[outcome], valid["story_id"])


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan


def _interval(interval: Interval) -> dict[str, float]:
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high}


def _points(share: float, sign: str = "") -> str:
    """A share of one in percentage points, one decimal, never "-0.0"."""
    return f"{round(100 * share, 1) + 0.0:{sign}.1f}"


def _p_value(p: float) -> str:
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.2f}" if p >= 2 * SIGNIFICANCE else f"p = {p:.3f}"


def jsonable(value: Any) -> Any:
    """Plain Python, floats of 6 decimals, None for NaN."""
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [jsonable(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else round(float(value), DECIMALS) + 0.0
    return value
