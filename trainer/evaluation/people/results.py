"""What came out of a study: how often people were right under each condition, how sure, and whether they agree."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rostrum.rewards.audit.raters import Level, answers_alpha, gini, share_of_busiest
from rostrum.rewards.crossed import crossed_mean
from rostrum.rewards.people.pay import SECONDS
from rostrum.rewards.statistics import Interval
from rostrum.rewards.types import favours

SURE = 0.75
"""From this probability on a person is sure."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict with what only evaluation knows."""

    condition: str
    judge: str
    question: str
    story: str
    debate: int
    """Its number in the study; a number of its own for a live one, which nobody else has read."""
    first_is_right: bool
    p_first: float
    """Probability given to the answer that was shown first."""
    seconds: float
    """Active ones, or those on the page where they were not counted; with the rounds before."""
    tags: Sequence[str] = ()
    """What describes the judge."""
    chose_right: bool | None = None
    """Whether the judge chose the right answer, where the study asked for a choice."""
    ratings: tuple[int, int] | None = None
    """How good the cases for the right and for the wrong answer were, where the study asked for ratings."""

    @property
    def p_right(self) -> float:
        """Return the probability given to the right answer."""
        return self.p_first if self.first_is_right else 1 - self.p_first


@dataclass(frozen=True, slots=True)
class OfCondition:
    """The verdicts under one condition. Intervals are for other stories and other people (`crossed_mean`)."""

    n: int
    accuracy: Interval
    brier: Interval
    sure_and_wrong: Interval
    """Share of verdicts that gave the wrong answer at least 75 %."""


@dataclass(frozen=True, slots=True)
class OfJudge:
    """The verdicts of one person."""

    n: int
    accuracy: float
    seconds: float
    """Median of a verdict."""


@dataclass(frozen=True, slots=True)
class OfTag:
    """The verdicts of those whom a tag describes."""

    people: int
    n: int
    accuracy: Interval
    brier: Interval


@dataclass(frozen=True, slots=True)
class OfScale:
    """What one of the scales of a form says."""

    n: int
    accuracy: Interval
    """How often it favours the right answer; a tie is a half."""
    alpha: Interval
    """Krippendorff's: of probabilities as intervals, of choices as names, and of ratings as orders, of how much better
    the right answer's case was."""


@dataclass(frozen=True, slots=True)
class Results:
    """A study's verdicts of the main phase."""

    by_condition: Mapping[str, OfCondition]
    by_judge: Mapping[str, OfJudge]
    alpha: Interval
    """Krippendorff's, of the probabilities given to one and the same answer."""
    first: Interval
    """How often the answer shown first was favoured: .5 without a bias to a place."""
    gini: float
    """How unequally people contributed."""
    of_busiest_fifth: float
    """Share of the verdicts that came from the busiest fifth."""
    by_tag: Mapping[str, OfTag] = field(default_factory=dict)
    by_scale: Mapping[str, OfScale] = field(default_factory=dict)


def read(connection: sqlite3.Connection) -> list[Judged]:
    """Return the verdicts of the main phase that count, in the order in which they came."""
    rows = connection.execute(
        "SELECT c.run, c.checkpoint, c.protocol, p.judge, d.question, d.story, p.first, "
        "CASE WHEN l.place IS NULL THEN d.id ELSE -p.id END AS id, a.correct, v.p, "
        f"{SECONDS} AS seconds, v.also, (SELECT j.tags FROM judge j WHERE j.id = p.judge) AS tags "
        "FROM verdict v JOIN place p ON p.id = v.place JOIN debate d ON d.id = p.debate "
        "LEFT JOIN live l ON l.place = p.id "
        "JOIN answer a ON a.debate = d.id JOIN condition c ON c.id = d.condition "
        "WHERE p.state = 'done' AND d.phase = 'main' ORDER BY v.at, p.id"
    )
    return [
        Judged(
            f"{row['run']}: {row['checkpoint']}, {row['protocol']}",
            row["judge"],
            row["question"],
            row["story"],
            row["id"],
            row["first"] == row["correct"],
            row["p"] if row["first"] == "A" else 1 - row["p"],
            row["seconds"],
            tuple(json.loads(row["tags"])),
            *_also(json.loads(row["also"]), row["correct"]),
        )
        for row in rows
    ]


def _also(also: Mapping[str, Any], correct: str) -> tuple[bool | None, tuple[int, int] | None]:
    """Return whether the choice was right, and the ratings of the right and the wrong answer's case."""
    ratings = also.get("rating")
    other = "B" if correct == "A" else "A"
    return (
        also["choice"] == correct if "choice" in also else None,
        (int(ratings[correct]), int(ratings[other])) if ratings else None,
    )


def results(judged: Sequence[Judged]) -> Results:
    """Return what verdicts come to."""
    conditions = {each.condition: [other for other in judged if other.condition == each.condition] for each in judged}
    people = {each.judge: [other for other in judged if other.judge == each.judge] for each in judged}
    counts = [len(of) for of in people.values()]
    favoured = [float(favours(each.p_first)) for each in judged]
    scales = {name: _of_scale(judged, name) for name in SCALES}
    return Results(
        {name: _of_condition(of) for name, of in conditions.items()},
        {name: _of_judge(of) for name, of in sorted(people.items())},
        scales["probability"].alpha,
        crossed_mean(favoured, [each.story for each in judged], [each.judge for each in judged]),
        gini(counts),
        share_of_busiest(counts),
        {tag: _of_tag(judged, tag) for tag in sorted({tag for each in judged for tag in each.tags})},
        {name: of for name, of in scales.items() if of.n},
    )


def _of_condition(judged: Sequence[Judged]) -> OfCondition:
    p = np.array([each.p_right for each in judged])
    stories, judges = [each.story for each in judged], [each.judge for each in judged]
    accuracy, brier, fooled = (
        crossed_mean(values, stories, judges)
        for values in (favours(p), (1 - p) ** 2, (p <= 1 - SURE).astype(np.float64))
    )
    return OfCondition(len(judged), accuracy, brier, fooled)


def _of_judge(judged: Sequence[Judged]) -> OfJudge:
    right = [float(favours(each.p_right)) for each in judged]
    return OfJudge(len(judged), float(np.mean(right)), float(np.median([each.seconds for each in judged])))


def _of_tag(judged: Sequence[Judged], tag: str) -> OfTag:
    own = [each for each in judged if tag in each.tags]
    all_ = _of_condition(own)
    return OfTag(len({each.judge for each in own}), len(own), all_.accuracy, all_.brier)


def _of_scale(judged: Sequence[Judged], name: str) -> OfScale:
    value, mirrored, favoured, level = SCALES[name]
    given = [each for each in judged if not np.isnan(value(each))]
    right = [favoured(value(each)) for each in given]
    accuracy = crossed_mean(right, [each.story for each in given], [each.judge for each in given])
    return OfScale(len(given), accuracy, _alpha(given, value, mirrored, level))


def _better(each: Judged) -> float:
    return np.nan if each.ratings is None else float(each.ratings[0] - each.ratings[1])


def _chosen(each: Judged) -> float:
    return np.nan if each.chose_right is None else float(each.chose_right)


SCALES: Mapping[str, tuple[Callable[[Judged], float], Callable[[float], float], Callable[[float], float], Level]] = {
    "probability": (lambda each: each.p_right, lambda p: 1 - p, lambda p: float(favours(p)), "interval"),
    "choice": (_chosen, lambda chosen: 1 - chosen, float, "nominal"),
    "rating": (_better, lambda better: -better, lambda better: 0.5 if better == 0 else float(better > 0), "ordinal"),
}
"""By scale: what a verdict says for the right answer, NaN where it was not asked; what that says for the wrong one; how
far it favours the right one; and the level at which agreement is measured."""


def _alpha(
    judged: Sequence[Judged], value: Callable[[Judged], float], mirrored: Callable[[float], float], level: Level
) -> Interval:
    """Return the agreement on debates that several people judged, stories drawn together."""
    by_debate: dict[int, list[Judged]] = defaultdict(list)
    for each in judged:
        by_debate[each.debate].append(each)
    judges, debates = sorted({each.judge for each in judged}), sorted(by_debate)
    table = np.full((len(judges), len(debates)), np.nan)
    for column, debate in enumerate(debates):
        for each in by_debate[debate]:
            table[judges.index(each.judge), column] = value(each)
    if not table.size:
        return Interval(np.nan, np.nan, np.nan, 0)
    other = np.vectorize(mirrored)(table)
    return answers_alpha(table, other, level, [by_debate[debate][0].story for debate in debates])


def sentences(found: Results) -> list[str]:
    """Return the results as lines of text."""
    lines = [
        f"{name}: right in {_percent(of.accuracy)} of {of.n} verdicts, sure and wrong in "
        f"{_percent(of.sure_and_wrong)}, Brier {of.brier.estimate:.3f}"
        for name, of in found.by_condition.items()
    ]
    n = sum(of.n for of in found.by_judge.values())
    if n:
        lines += [
            f"{len(found.by_judge)} people gave {n} verdicts; the busiest fifth gave {found.of_busiest_fifth:.0%}.",
            f"The answer shown first was favoured in {_percent(found.first)}.",
            f"Agreement (Krippendorff's alpha): {found.alpha.estimate:.2f} "
            f"({found.alpha.low:.2f} to {found.alpha.high:.2f}).",
        ]
    if len(found.by_scale) > 1:
        lines += [
            f"By {name}: right in {_percent(of.accuracy)}, agreement {of.alpha.estimate:.2f} "
            f"({of.alpha.low:.2f} to {of.alpha.high:.2f})."
            for name, of in found.by_scale.items()
        ]
    lines += [
        f"Tag {tag!r} ({of.people} of the people): right in {_percent(of.accuracy)} of {of.n} verdicts, "
        f"Brier {of.brier.estimate:.3f}."
        for tag, of in found.by_tag.items()
    ]
    return lines


def _percent(interval: Interval) -> str:
    return f"{100 * interval.estimate:.1f} % ({100 * interval.low:.1f} to {100 * interval.high:.1f})"
