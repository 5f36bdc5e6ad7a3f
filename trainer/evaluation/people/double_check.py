"""People check a model judge's verdicts: which debates they are given, and how far they agree with it.

Half of the debates are drawn from all that the model judged, so agreement on these is an unbiased estimate; the other
half are those on which the model is least to be trusted: other judges, or its own reading in the other order, part
from it.
"""

import random
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from rostrum.envs.types import Side
from rostrum.rewards.crossed import crossed_mean
from rostrum.rewards.people.database import StudyError
from rostrum.rewards.statistics import Interval, cluster_mean
from rostrum.trainer.evaluation.people.results import Judged
from rostrum.trainer.evaluation.verdict_table import SELF

Part = Literal["random", "disagreed"]
DEBATE = ["question_id", "swapped_seats"]
"""What a debate of a checkpoint with itself is known by."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a model judge said of a debate. `p` is P(answer of side A)."""

    p: float
    apart: float | None
    """The greatest distance to another model judge, or between the two orders where there is no other; None where there
    is neither."""
    other_side: bool
    """Whether one of these favours the other answer."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a model said of a debate that people are to check, and how the debate was chosen."""

    judge: str
    p: float
    part: Part


Debate = tuple[int, str, bool]
"""Number of the condition, question and seating."""


def said_of(table: pd.DataFrame, judge: str, checkpoint: str) -> dict[tuple[str, bool], Said]:
    """Return what a judge of a table of verdicts said of a checkpoint's debates with itself, by question and seating;
    INVALID verdicts, its own and those of others, are left out.

    Raises:
        StudyError: the table knows no such judge.
    """
    if judge not in (names := sorted(set(table["judge"]))):
        raise StudyError(
            f"No judge of these evaluations is called {judge}: people.check names one of {', '.join(names)}."
        )
    here = table[(table["matchup"] == SELF) & (table["checkpoint"] == checkpoint) & table["valid"].astype(bool)]
    others: dict[tuple[str, bool], list[float]] = defaultdict(list)
    for row in here[here["judge"] != judge].itertuples(index=False):
        others[row.question_id, bool(row.swapped_seats)].append(float(row.p_mean))
    found = {}
    for row in here[here["judge"] == judge].drop_duplicates(DEBATE).itertuples(index=False):
        key, p = (row.question_id, bool(row.swapped_seats)), float(row.p_mean)
        found[key] = _said(p, others.get(key, []), (float(row.p_given), float(row.p_swapped)))
    return found


def _said(p: float, others: Sequence[float], orders: tuple[float, float]) -> Said:
    if others:
        return Said(p, max(abs(p - other) for other in others), any((p - 0.5) * (o - 0.5) < 0 for o in others))
    one, other = orders
    if np.isnan(one) or np.isnan(other):
        return Said(p, None, False)
    return Said(p, abs(one - other), (one - 0.5) * (other - 0.5) < 0)


def pick(said: Mapping[Debate, Said], count: int, rng: random.Random) -> list[tuple[Debate, Part]]:
    """Return so many debates to be checked: half of them, the odd one included, drawn from all; the rest from those
    that are left, in turns from each condition's debates on which the others favour the other answer and those on which
    they favour the same, those of the greatest distance first.

    Raises:
        StudyError: there are not so many debates, or nothing tells on which of them the model is disagreed with.
    """
    if len(said) < count:
        raise StudyError(
            f"Only {len(said)} debates with a verdict of that judge are left for the main phase and {count} are "
            "wanted: lower people.questions, or evaluate on more questions (questions.heldout)."
        )
    if all(each.apart is None for each in said.values()):
        raise StudyError(
            "Only one judge judged these debates, and in one order: nothing tells where it is disagreed with. Evaluate "
            "with a second judge (heldout_judges) first, or in both orders."
        )
    drawn = rng.sample(sorted(said), count - count // 2)
    strata: dict[tuple[int, bool], list[Debate]] = defaultdict(list)
    for debate in sorted(set(said) - set(drawn)):
        strata[debate[0], not said[debate].other_side].append(debate)
    for of in strata.values():
        rng.shuffle(of)  # among the equally distant chance decides
        of.sort(key=lambda debate: said[debate].apart or 0.0)
    disagreed: list[Debate] = []
    while len(disagreed) < count // 2:
        for stratum in sorted(strata, key=lambda each: (each[1], each[0])):
            if strata[stratum] and len(disagreed) < count // 2:
                disagreed.append(strata[stratum].pop())
    return [*((debate, "random") for debate in drawn), *((debate, "disagreed") for debate in disagreed)]


@dataclass(frozen=True, slots=True)
class OfModel:
    """What a model said of a debate, with the right answer known."""

    judge: str
    part: Part
    p_right: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """How people agree with a model on the debates of one half. Undecided verdicts of either tell nothing."""

    judge: str
    part: Part
    n: int
    """People's verdicts."""
    debates: int
    """Those on which the mean of the people favours an answer, as the model does."""
    agree: Interval
    """Share of people's verdicts for the model's answer; for other stories and other people (`crossed_mean`)."""
    overrule: Interval
    """Share of debates on which the mean of the people favours the other answer; for other stories."""
    right: Interval
    """Of these: on how many the people are right, and the model is not."""


def read(connection: sqlite3.Connection) -> dict[int, OfModel]:
    """Return what a model said of the debates that people are to check; empty where none are."""
    rows = connection.execute(
        "SELECT m.debate, m.judge, m.part, m.p, a.correct FROM model_verdict m JOIN answer a ON a.debate = m.debate "
        "WHERE m.part IS NOT NULL"
    )
    return {debate: OfModel(judge, part, p if correct == Side.A else 1 - p) for debate, judge, part, p, correct in rows}


def agreement(judged: Sequence[Judged], models: Mapping[int, OfModel]) -> list[Agreement]:
    """Return how people's verdicts agree with the model's, first on the random half."""
    found = []
    for judge, part in sorted({(of.judge, of.part) for of in models.values()}, key=lambda each: each[1] != "random"):
        of = {debate: model.p_right for debate, model in models.items() if (model.judge, model.part) == (judge, part)}
        found.append(_agreement(judge, part, [each for each in judged if of.get(each.debate, 0.5) != 0.5], of))
    return [each for each in found if each.n]


def _agreement(judge: str, part: Part, judged: Sequence[Judged], model: Mapping[int, float]) -> Agreement:
    decided = [each for each in judged if each.p_right != 0.5]
    same = [float((each.p_right > 0.5) == (model[each.debate] > 0.5)) for each in decided]
    by_debate: dict[int, list[Judged]] = defaultdict(list)
    for each in judged:
        by_debate[each.debate].append(each)
    means = {debate: float(np.mean([each.p_right for each in of])) for debate, of in by_debate.items()}
    clear = [debate for debate, mean in means.items() if abs(mean - 0.5) > 1e-9]
    overruled = [debate for debate in clear if (means[debate] > 0.5) != (model[debate] > 0.5)]
    return Agreement(
        judge,
        part,
        len(decided),
        len(clear),
        crossed_mean(same, [each.story for each in decided], [each.judge for each in decided]),
        cluster_mean([float(debate in overruled) for debate in clear], [by_debate[d][0].story for d in clear]),
        cluster_mean([float(means[d] > 0.5) for d in overruled], [by_debate[d][0].story for d in overruled]),
    )


def sentences(found: Sequence[Agreement]) -> list[str]:
    """Return the agreement with a model in words."""
    halves = {
        "random": "On the half that was drawn at random, which speaks for all that it judged,",
        "disagreed": "On the half that was chosen for disagreement, which speaks for itself alone,",
    }
    lines = []
    for of in found:
        told = (
            f"{halves[of.part]} people agree with {of.judge} in {_percent(of.agree)} of {of.n} verdicts. They overrule "
            f"it on {_percent(of.overrule)} of {of.debates} debates"
        )
        lines.append(f"{told}, and are then right on {_percent(of.right)}." if of.right.n else f"{told}.")
    if found:
        lines.append("Figures that do not tell the halves apart are of both: they do not speak for all debates.")
    return lines


def _percent(interval: Interval) -> str:
    if np.isnan(interval.low):
        return f"{100 * interval.estimate:.1f} %"
    return f"{100 * interval.estimate:.1f} % ({100 * interval.low:.1f} to {100 * interval.high:.1f})"
