"""People beside the model judges of a run: what people.json holds, made from the verdicts of a study.

Every figure of people has an interval for other stories and other people; those of model judges, on the same debates,
are for other stories.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from rostrum.envs.files import write_atomically
from rostrum.rewards.audit.raters import answers_alpha
from rostrum.rewards.audit.reliability import equal_mass
from rostrum.rewards.crossed import crossed_change, crossed_mean
from rostrum.rewards.statistics import CHANGE, FloatArray, Interval, cluster_mean, cluster_statistic
from rostrum.rewards.types import favours
from rostrum.trainer.evaluation.people import double_check, results, study_lock
from rostrum.trainer.evaluation.people.joined import KEY
from rostrum.trainer.evaluation.people.results import SURE
from rostrum.trainer.evaluation.summary import Estimate
from rostrum.trainer.evaluation.verdict_table import SELF
from rostrum.trainer.reading import read_json
from rostrum.trainer.records import Figure, Record, jsonable

NAME = "people.json"
PEOPLE = "people"
"""The role of people among judges, and their name where they stand beside the others."""
EXPLAINED = 6
"""Explanations of each checkpoint that the report shows, those of the most wrong verdicts first."""
BINS = 5
"""Of people's calibration."""


class OfJudge(Record):
    """What one judge, or people, made of the debates of one checkpoint that people have judged."""

    arm: str
    checkpoint: str
    iteration: int
    judge: str
    role: str = ""
    n: int = 0
    """Verdicts: of people each person's, of a model one for each debate."""
    people: int | None = None
    accuracy: Estimate = Estimate()
    brier: Estimate = Estimate()
    overconfidence: Estimate = Estimate()
    """Mean probability of the favoured answer less accuracy."""
    when_sure: Estimate = Estimate()
    """Accuracy of the verdicts that give an answer at least 75 %."""
    n_sure: int = 0
    sure_and_wrong: Estimate = Estimate()
    """Share of all verdicts that give the wrong answer at least 75 %."""


class ChangeOf(Record):
    """What training changed for people: the last checkpoint that they judged less the first."""

    arm: str
    first: str
    last: str
    accuracy: Estimate = Estimate()
    sure_and_wrong: Estimate = Estimate()


class Agrees(Record):
    """How people, their probabilities averaged for each debate, agree with a model judge."""

    judge: str
    role: str = ""
    n: int = 0
    agreement: Estimate = Estimate()
    kappa: Estimate = Estimate()
    correlation: Estimate = Estimate()


class Bin(Record):
    """Verdicts of people of about the same confidence."""

    n: int
    confidence: Figure = None
    accuracy: Estimate = Estimate()


class Explained(Record):
    """A verdict of a person with its reasons."""

    arm: str
    checkpoint: str
    question: str
    right: str
    wrong: str
    judge: str
    p_right: float
    explanation: str
    models: dict[str, float] = {}
    """P(right answer) of each model judge."""


class Beside(Record):
    """People beside the model judges of a run or experiment."""

    study: str
    created: str = ""
    rehearsal: bool = False
    """Whether scripts judged, and no people."""
    deviations: list[str] = []
    """What is not as the study declared it."""
    checked: list[str] = []
    """How people agree with the model whose verdicts they checked, in sentences; empty where they checked none."""
    verdicts: int = 0
    debates: int = 0
    people: int = 0
    judges: list[OfJudge] = []
    changes: list[ChangeOf] = []
    alpha: Estimate = Estimate()
    n_alpha: int = 0
    first: Estimate = Estimate()
    """How often the answer shown first was favoured."""
    agrees: list[Agrees] = []
    bins: list[Bin] = []
    explained: list[Explained] = []


def write(folder: Path, found: Beside, study: Path, connection: sqlite3.Connection) -> None:
    """Write people.json into the folder of a run or experiment, with which study it is of."""
    scripted = connection.execute("SELECT 1 FROM setting WHERE key = 'rehearsal'").fetchone() is not None
    created = datetime.now(UTC).isoformat(timespec="seconds")
    otherwise = study_lock.check(study, connection)
    agreed = double_check.agreement(results.read(connection), double_check.read(connection))
    about = {
        "study": str(study),
        "rehearsal": scripted,
        "created": created,
        "deviations": otherwise,
        "checked": double_check.sentences(agreed),
    }
    of = found.model_copy(update=about)
    write_atomically(folder / NAME, json.dumps(jsonable(of.model_dump()), indent=1))


def read(folder: Path) -> Beside | None:
    """Return what people.json of a folder holds; None where no people were asked for.

    Raises:
        DamagedError: it cannot be understood.
    """
    again = "write it again with `rostrum report run=RUN people.study=STUDY`, or remove it"
    return read_json(folder / NAME, Beside, again) if (folder / NAME).exists() else None


def beside(people: pd.DataFrame, table: pd.DataFrame) -> Beside:
    """Return people's verdicts (`joined`) beside those of the table's judges on the same debates."""
    models = _of_models(people, table)
    once = people.drop_duplicates(["debate", "judge"])  # two arms may have held one and the same debate
    shown_first = np.where(once["first_is_right"], favours(once["p_right"]), 1 - favours(once["p_right"]))
    alpha = _alpha(once)
    return Beside(
        study="",
        verdicts=len(once),
        debates=once["debate"].nunique(),
        people=once["judge"].nunique(),
        judges=list(_judges(people, models)),
        changes=list(_changes(people)),
        alpha=_estimate(alpha),
        n_alpha=alpha.n,
        first=_estimate(crossed_mean(shown_first, once["story_id"], once["judge"])),
        agrees=list(_agreements(once, models)),
        bins=_bins(once),
        explained=list(_explained(people, models)),
    )


def _of_models(people: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Return the valid verdicts of model judges on the debates that people judged, with `p_right` and `debate`."""
    judged = people.drop_duplicates(KEY)[[*KEY, "debate"]]
    valid = table[table["valid"].astype(bool) & (table["matchup"] == SELF)]
    rows = valid.merge(judged, on=KEY)
    right = rows["p_mean"].where(rows["correct_seat"] == "A", 1 - rows["p_mean"])
    return rows.assign(p_right=right)


def _judges(people: pd.DataFrame, models: pd.DataFrame) -> Iterator[OfJudge]:
    for (arm, iteration, checkpoint), own in people.groupby(["arm", "iteration", "checkpoint"], sort=False):
        of = {"arm": str(arm), "checkpoint": str(checkpoint), "iteration": int(iteration)}
        yield OfJudge(**of, judge=PEOPLE, role=PEOPLE, people=own["judge"].nunique(), **_figures(own, own["judge"]))
        here = models[(models["arm"] == arm) & (models["checkpoint"] == checkpoint)]
        for (role, judge), rows in here.groupby(["judge_role", "judge"], sort=False):
            yield OfJudge(**of, judge=str(judge), role=str(role), **_figures(rows))


def _figures(rows: pd.DataFrame, judges: pd.Series | None = None) -> dict[str, object]:
    p, stories = rows["p_right"].to_numpy(np.float64), rows["story_id"].to_numpy()
    right, confidence = favours(p), np.maximum(p, 1 - p)
    sure = np.round(confidence, 9) >= SURE

    def mean(values: FloatArray, which: FloatArray | None = None, bounds: tuple[float, float] = (0.0, 1.0)) -> Estimate:
        kept = np.ones(len(p), bool) if which is None else which
        if judges is None:
            return _estimate(cluster_mean(values[kept], stories[kept], bounds))
        return _estimate(crossed_mean(values[kept], stories[kept], judges.to_numpy()[kept], bounds))

    return {
        "n": len(p),
        "accuracy": mean(right),
        "brier": mean((1 - p) ** 2),
        "overconfidence": mean(confidence - right, None, CHANGE),
        "when_sure": mean(right, sure),
        "n_sure": int(sure.sum()),
        "sure_and_wrong": mean((sure & (right == 0)).astype(np.float64)),
    }


def _changes(people: pd.DataFrame) -> Iterator[ChangeOf]:
    for arm, own in people.groupby("arm", sort=False):
        ends = own.sort_values("iteration")["checkpoint"].drop_duplicates().tolist()
        if len(ends) < 2:
            continue
        rows = own[own["checkpoint"].isin([ends[0], ends[-1]])]
        p = rows["p_right"].to_numpy(np.float64)
        late = rows["checkpoint"] == ends[-1]
        accuracy, fooled = (
            crossed_change(values, late, rows["story_id"], rows["judge"])
            for values in (favours(p), (np.round(1 - p, 9) >= SURE).astype(np.float64))
        )
        yield ChangeOf(
            arm=str(arm),
            first=ends[0],
            last=ends[-1],
            accuracy=_estimate(accuracy),
            sure_and_wrong=_estimate(fooled),
        )


def _alpha(once: pd.DataFrame) -> Interval:
    """Return Krippendorff's alpha of the probabilities of both answers, stories drawn together."""
    ratings = once.pivot(index="judge", columns="debate", values="p_right")
    stories = once.drop_duplicates("debate").set_index("debate")["story_id"]
    p = ratings.to_numpy(np.float64)
    return answers_alpha(p, 1 - p, "interval", [stories[debate] for debate in ratings.columns])


def _agreements(once: pd.DataFrame, models: pd.DataFrame) -> Iterator[Agrees]:
    mean = once.groupby("debate", sort=False)["p_right"].mean().rename("people")
    for (role, judge), rows in models.drop_duplicates(["judge", "debate"]).groupby(["judge_role", "judge"], sort=False):
        both = rows.join(mean, on="debate", how="inner")
        yield agreement_of(
            str(judge),
            str(role),
            both["people"].to_numpy(np.float64),
            both["p_right"].to_numpy(np.float64),
            both["story_id"].to_numpy(),
        )


def agreement_of(judge: str, role: str, people: FloatArray, model: FloatArray, stories: Sequence[str]) -> Agrees:
    """Return how often two columns of probabilities (N,) of one answer are for the same answer, Cohen's kappa of that,
    and their correlation, each with an interval that draws whole stories. Debates on which either is undecided tell
    nothing of the first two.

    The last two count each debate once for either answer (`answers_alpha` says why), so kappa is twice the agreement
    less one.
    """
    decided = (people != 0.5) & (model != 0.5)
    where = np.asarray(stories)
    same = ((people > 0.5) == (model > 0.5))[decided].astype(np.float64)
    x, y, both = np.hstack([people, 1 - people]), np.hstack([model, 1 - model]), np.hstack([where, where])
    chosen = np.hstack([decided, decided])
    one, other = (x > 0.5)[chosen].astype(np.float64), (y > 0.5)[chosen].astype(np.float64)
    counts = [one * other, (1 - one) * (1 - other), one, other, np.ones(len(one))]
    return Agrees(
        judge=judge,
        role=role,
        n=len(people),
        agreement=_estimate(cluster_mean(same, where[decided])),
        kappa=_estimate(cluster_statistic(counts, both[chosen], _kappa)),
        correlation=_estimate(cluster_statistic([x, y, x * x, y * y, x * y, np.ones(len(x))], both, _correlation)),
    )


def _kappa(sums: FloatArray) -> FloatArray:
    """Return Cohen's kappa (R,) of two raters' yes and no from the sums of both, neither, each and all."""
    both, neither, one, other, n = sums
    chance = (one * other + (n - one) * (n - other)) / n**2
    found: FloatArray = ((both + neither) / n - chance) / (1 - chance)
    return found


def _correlation(sums: FloatArray) -> FloatArray:
    x, y, xx, yy, xy, n = sums
    spread = np.maximum(xx - x**2 / n, 0) * np.maximum(yy - y**2 / n, 0)
    found: FloatArray = np.where(spread > 1e-18, (xy - x * y / n) / np.sqrt(np.maximum(spread, 1e-300)), np.nan)
    return found


def _bins(once: pd.DataFrame) -> list[Bin]:
    p = once["p_right"].to_numpy(np.float64)
    confidence = np.round(np.maximum(p, 1 - p), 9)
    which = equal_mass(confidence, BINS)
    stories, judges = once["story_id"].to_numpy(), once["judge"].to_numpy()
    bins = []
    for number in range(int(which.max(initial=-1)) + 1):
        rows = which == number
        right = crossed_mean(favours(p[rows]), stories[rows], judges[rows])
        bins.append(Bin(n=int(rows.sum()), confidence=float(confidence[rows].mean()), accuracy=_estimate(right)))
    return bins


def _explained(people: pd.DataFrame, models: pd.DataFrame) -> Iterator[Explained]:
    said = people[people["explanation"].str.strip() != ""].sort_values("p_right", kind="stable")
    for _, own in said.groupby(["arm", "checkpoint"], sort=False):
        for _, row in own.drop_duplicates("debate").head(EXPLAINED).iterrows():
            here = models[(models["debate"] == row["debate"]) & (models["arm"] == row["arm"])]
            yield Explained(
                **{name: str(row[name]) for name in Explained.model_fields if name not in ("p_right", "models")},
                p_right=float(row["p_right"]),
                models={str(judge): float(p) for judge, p in zip(here["judge"], here["p_right"], strict=True)},
            )


def _estimate(found: Interval) -> Estimate:
    return Estimate(estimate=found.estimate, low=found.low, high=found.high)
