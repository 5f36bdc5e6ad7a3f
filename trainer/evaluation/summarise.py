"""From the table of verdicts to the numbers a run is reported by: summary.json.

Every accuracy is paired by question and clustered by story (`trainer.stats`). A verdict picks the answer it
gives more than half; a tie picks half of each. INVALID verdicts are counted, and left out unless the plan says
otherwise; what every accuracy is with them left out, half right and wrong stands beside it.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from rostrum.rewards.statistics import Interval, cluster_mean
from rostrum.trainer.evaluation.controls import with_controls
from rostrum.trainer.evaluation.family import Comparison, adjusted, change_of, pooled_arms
from rostrum.trainer.evaluation.invalid import WAYS, Invalid, counted
from rostrum.trainer.evaluation.replicates import Replicates
from rostrum.trainer.evaluation.sentences import with_sentences
from rostrum.trainer.evaluation.summary import (
    SCHEMA_VERSION,
    ArmSummary,
    BeforeAfter,
    BySide,
    CheckpointSummary,
    Estimate,
    JudgeAccuracy,
    Reference,
    Summary,
    WinRate,
)
from rostrum.trainer.evaluation.verdict_table import (
    BASE,
    BEHAVIOUR,
    EVALUATION,
    HELD_OUT,
    NONE,
    REWARD,
    SELF,
    VerdictTableError,
    scores,
)
from rostrum.trainer.stats.paired import PairedChange, paired_change

NO_CONTROLS: Mapping[str, str | None] = {}


def summarise(
    verdicts: pd.DataFrame,
    groups: Sequence[Replicates] = (),
    invalid: Invalid = "dropped",
    primary: Comparison | None = None,
    controls: Mapping[str, str | None] = NO_CONTROLS,
) -> Summary:
    """Return the summary of a run, with floats of 6 decimals, and None for a number that is not known.

    Arms and references come in the order of the table, judges with the reward judge first. Arms of one of the `groups`
    are pooled besides; `invalid` is what INVALID verdicts count for; `primary` is the comparison that was declared as
    such; `controls` are as `trainer.evaluation.controls` finds them. Directions go by p-values that are corrected over
    all comparisons (`trainer.evaluation.family.adjusted`).

    Raises:
        VerdictTableError: a column is missing or an arm cannot be compared with its base; the message says what to do.
    """
    EVALUATION.check(verdicts)
    table = _with_outcomes(verdicts)
    alone = table["matchup"] == NONE
    arms = {str(name): _Arm(str(name), rows, invalid) for name, rows in table[~alone].groupby("arm", sort=False)}
    summaries = [arm.summary() for arm in arms.values()]
    pooled = pooled_arms(groups, arms, summaries)
    units, family = adjusted(with_controls([*pooled, *summaries], arms, groups, controls), primary)
    told = with_sentences(units, family.size, invalid)
    exact = Summary(
        schema_version=SCHEMA_VERSION,
        invalid=invalid,
        family=family,
        pooled=told[: len(pooled)],
        arms=told[len(pooled) :],
        references=_references(table[alone], invalid),
    )
    return Summary.model_validate(exact.stored())  # rounded last: p-values are corrected exactly


class _Arm:
    """One arm's rows, its reward judge, and its base and final checkpoint."""

    def __init__(self, name: str, rows: pd.DataFrame, invalid: Invalid) -> None:
        self.name, self.rows, self.invalid = name, rows, invalid
        self.protocol = self._only("protocol", rows)
        self.reward_judge = self._only("judge", rows[rows["judge_role"] == REWARD])
        self.judges = [self.reward_judge, *sorted(set(rows["judge"].unique()) - {self.reward_judge})]
        self.checkpoints = self._checkpoints()
        self.final = self.checkpoints[-1]
        self.lone = not rows.loc[rows["matchup"] == SELF, "checkpoint_seats"].eq("AB").any()
        """A consultancy: the checkpoint speaks for one side and nobody answers."""

    def summary(self) -> ArmSummary:
        """Return the arm's figures, not yet corrected for being several."""
        reward = self._change(self.reward_judge, self.invalid)
        return ArmSummary(
            name=self.name,
            protocol=self.protocol,
            minimum_detectable_change=reward.minimum_detectable_change,
            win_rate=self._win_rate_of_final(),
            verified_quotes=BeforeAfter(base=self._verified_quotes(BASE), trained=self._verified_quotes(self.final)),
            words_per_speech=BeforeAfter(base=self._words_per_speech(BASE), trained=self._words_per_speech(self.final)),
            accuracy=[self._accuracy(judge) for judge in self.judges],
            checkpoints=[self._checkpoint(checkpoint) for checkpoint in self.checkpoints],
        )

    def _only(self, column: str, rows: pd.DataFrame) -> str:
        found = rows[column].unique()
        if len(found) != 1:
            what = "protocol" if column == "protocol" else "reward judge"
            raise VerdictTableError(
                f"Arm {self.name!r} has {len(found)} {what}s in the verdict table: evaluate each arm with exactly one."
            )
        return str(found[0])

    def _checkpoints(self) -> list[str]:
        """Return the names of the checkpoints in order of iteration, base first."""
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

    def _paired_rows(self, judge: str, invalid: Invalid) -> pd.DataFrame:
        """Return one row per question and seating with a verdict that counts on both checkpoints: base, trained,
        given_right.

        Pairing seatings too keeps an INVALID verdict from being read as change: in a consultancy the two seatings of a
        question are the consultant given the right and the wrong answer.
        """
        base = self._seatings(BASE, judge, invalid).rename(columns={"correct": "base"})
        return base.join(self._seatings(self.final, judge, invalid)["correct"].rename("trained"), how="inner")

    def _seatings(self, checkpoint: str, judge: str, invalid: Invalid) -> pd.DataFrame:
        """Return the rows of self-play with a verdict that counts, one per question and seating: correct, given_right,
        story_id."""
        return (
            counted(self._select(checkpoint, judge), invalid)
            .groupby(["question_id", "swapped_seats"])
            .agg(correct=("correct", "mean"), given_right=("given_right", "first"), story_id=("story_id", "first"))
        )

    def questions(self, judge: str, invalid: Invalid) -> pd.DataFrame:
        """Return one row per question that counts on both checkpoints: base, trained, story_id."""
        return (
            self._paired_rows(judge, invalid)
            .groupby("question_id")
            .agg(base=("base", "mean"), trained=("trained", "mean"), story_id=("story_id", "first"))
        )

    def n_invalid(self, judge: str) -> int:
        """Return the number of INVALID verdicts on the base and the final checkpoint."""
        return sum(int((~self._select(checkpoint, judge)["valid"]).sum()) for checkpoint in (BASE, self.final))

    def _changes(self, judge: str) -> dict[Invalid, PairedChange]:
        """Return the change with INVALID verdicts dropped, half right, and wrong; all one if there are none."""
        if not self.n_invalid(judge):
            return dict.fromkeys(WAYS, self._change(judge, self.invalid))
        return {way: self._change(judge, way) for way in WAYS}

    def _change(self, judge: str, invalid: Invalid) -> PairedChange:
        questions = self.questions(judge, invalid)
        return paired_change(questions["base"], questions["trained"], questions["story_id"])

    def _accuracy(self, judge: str) -> JudgeAccuracy:
        changes = self._changes(judge)
        questions = self.questions(judge, self.invalid)
        base, trained = (cluster_mean(questions[when], questions["story_id"]) for when in ("base", "trained"))
        return JudgeAccuracy(
            judge=judge,
            role=REWARD if judge == self.reward_judge else HELD_OUT,
            **change_of(changes[self.invalid]).model_dump(exclude_unset=True),
            n_invalid=self.n_invalid(judge),
            invalid={way: change_of(found) for way, found in changes.items()},
            base_interval=(base.low, base.high),
            trained_interval=(trained.low, trained.high),
            **self._scores(judge),
            **(self._by_assignment(judge) if self.lone else {}),
        )

    def _scores(self, judge: str) -> dict[str, BeforeAfter]:
        """Return the mean (1 - P)^2 and -log P of the right answer over valid verdicts, before and after training."""
        base, trained = (scores(self._select(checkpoint, judge)) for checkpoint in (BASE, self.final))
        return {name: BeforeAfter(base=base[name], trained=trained[name]) for name in base}

    def _by_assignment(self, judge: str) -> dict[str, BeforeAfter]:
        """Return the judge's accuracy where the consultant was given the right and the wrong answer."""
        pairs = self._paired_rows(judge, self.invalid)
        right = pairs["given_right"].astype(bool)
        return {
            name: BeforeAfter(base=rows["base"].mean(), trained=rows["trained"].mean())
            for name, rows in (("given_right", pairs[right]), ("given_wrong", pairs[~right]))
        }

    def _win_rate_of_final(self) -> WinRate:
        rates = self._win_rates(self.final)
        return WinRate(
            **_estimate(rates["win_rate"]).model_dump(),
            by_side=BySide(right=_estimate(rates["win_rate_right"]), wrong=_estimate(rates["win_rate_wrong"])),
            against="the judge (approval)" if self.lone else "base debaters",
        )

    def _win_rates(self, checkpoint: str) -> dict[str, Interval]:
        """Return how often the reward judge sided with the checkpoint, in all and by whether its answer was right."""
        rows = self._select(checkpoint, self.reward_judge, SELF if self.lone else BASE)
        if checkpoint == BASE and not self.lone and rows.empty:
            return self._base_against_itself()
        right = rows["given_right"]
        sides = {"win_rate": rows, "win_rate_right": rows[right], "win_rate_wrong": rows[~right]}
        return {name: _mean(side, "won") for name, side in sides.items()}

    def _base_against_itself(self) -> dict[str, Interval]:
        """Return the win rates of the base against itself: one of two equals wins half; the side with the right answer
        wins whenever the judge is right."""
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
        """Return the means per speech; what the table does not tell is left out."""
        rows = self._select(checkpoint, self.reward_judge)
        return {name: _ratio(rows[name].sum(), rows["speeches"].sum()) for name in BEHAVIOUR if name in rows}

    def _checkpoint(self, checkpoint: str) -> CheckpointSummary:
        rows = self.rows[self.rows["checkpoint"] == checkpoint]
        return CheckpointSummary(
            checkpoint=checkpoint,
            iteration=int(rows["iteration"].iloc[0]),
            accuracy={judge: _estimate(self._mean_accuracy(checkpoint, judge)) for judge in self.judges},
            invalid={judge: _each_way(self._select(checkpoint, judge)) for judge in self.judges},
            **{name: _estimate(rate) for name, rate in self._win_rates(checkpoint).items()},
            verified_quotes=self._verified_quotes(checkpoint),
            words_per_speech=self._words_per_speech(checkpoint),
            conduct=self._conduct(checkpoint),
        )

    def _mean_accuracy(self, checkpoint: str, judge: str) -> Interval:
        return _question_mean(self._select(checkpoint, judge), self.invalid)


def _with_outcomes(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return the table with three columns more: `correct`, whether the judge picked the right answer (1, 0, a tie .5);
    and where the checkpoint holds one side, `won`, whether the judge picked its answer, and `given_right`, whether that
    answer is right. The picks of INVALID verdicts mean nothing: whoever reads them takes valid rows only."""
    picks_a = (1 + np.sign(verdicts["p_mean"] - 0.5)) / 2
    return verdicts.assign(
        valid=verdicts["valid"].astype(bool),
        correct=picks_a.where(verdicts["correct_seat"] == "A", 1 - picks_a),
        won=picks_a.where(verdicts["checkpoint_seats"] == "A", 1 - picks_a),
        given_right=verdicts["checkpoint_seats"] == verdicts["correct_seat"],
    )


def _references(rows: pd.DataFrame, invalid: Invalid) -> list[Reference]:
    """Return the judges without debaters: protocols in the order of the table, the reward judge first."""
    references: list[Reference] = []
    for _, own in rows.groupby("protocol", sort=False):
        judges = [_reference(group, invalid) for _, group in own.groupby("judge")]
        references += sorted(judges, key=lambda reference: reference.role != REWARD)
    return references


def _reference(rows: pd.DataFrame, invalid: Invalid) -> Reference:
    accuracy = _question_mean(rows, invalid)
    first = rows.iloc[0]
    return Reference(
        protocol=first["protocol"],
        judge=first["judge"],
        role=first["judge_role"],
        accuracy=_estimate(accuracy),
        n_questions=accuracy.n,
        n_invalid=int((~rows["valid"]).sum()),
        invalid=_each_way(rows),
    )


def _each_way(rows: pd.DataFrame) -> dict[str, Estimate]:
    """Return the accuracy by what INVALID verdicts count for."""
    return {way: _estimate(_question_mean(rows, way)) for way in WAYS}


def _question_mean(rows: pd.DataFrame, invalid: Invalid) -> Interval:
    """Return the mean over questions of the mean over each question's rows that count, clustered by story."""
    by_question = counted(rows, invalid).groupby("question_id")
    questions = by_question.agg(correct=("correct", "mean"), story_id=("story_id", "first"))
    return cluster_mean(questions["correct"], questions["story_id"])


def _mean(rows: pd.DataFrame, outcome: str) -> Interval:
    """Return the mean over rows with a valid verdict, clustered by story."""
    valid = rows[rows["valid"]]
    return cluster_mean(valid[outcome], valid["story_id"])


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan


def _estimate(interval: Interval) -> Estimate:
    return Estimate(estimate=interval.estimate, low=interval.low, high=interval.high)
