"""Which debates and verdicts a researcher should look at, and which debates need a decision: where judges part."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rostrum.envs.types import Side
from rostrum.rewards.types import favours
from rostrum.trainer.evaluation.people.given import Given

Why = Literal["part", "sure_and_wrong", "long", "short", "model"]
APART = 0.4
"""Between the least and the greatest probability on a debate: judges part."""
LONG = 3.0
"""Times the median of all verdicts: very long."""
SHORT = 0.5
"""Of the median number of words of all explanations: very short."""
FROM_MODEL = 0.3
"""Between the mean of people and a model on different sides."""
FEWEST = 5
"""Verdicts from which on a median is one."""


@dataclass(frozen=True, slots=True)
class Look:
    """A debate, or one verdict on it, and why it is worth a look."""

    why: Why
    debate: int
    judge: str | None
    """Whose verdict it is; None if it is about the debate."""
    size: float
    """How far it is from what is common, to sort by: probability, times the median seconds, or words."""
    about: str = ""
    """Which model judge."""


def worth_a_look(connection: sqlite3.Connection, given: Sequence[Given]) -> list[Look]:
    """Return what is worth a look: where judges part, who was sure and wrong, what took very long, very short
    explanations, and people against a model's verdict; of each the most striking first. Practice is left out."""
    serious = [each for each in given if each.phase != "training"]
    found = [Look("part", each.debate, None, each.spread) for each in parted(serious, {})]
    found += _ordered(
        Look("sure_and_wrong", each.debate, each.judge, 1 - each.p_right) for each in serious if each.sure_and_wrong
    )
    if len(serious) >= FEWEST:
        usual = float(np.median([each.seconds for each in serious]))
        found += _ordered(
            Look("long", each.debate, each.judge, each.seconds / usual)
            for each in serious
            if usual > 0 and each.seconds > LONG * usual
        )
        words = float(np.median([len(each.explanation.split()) for each in serious]))
        short = [
            Look("short", each.debate, each.judge, len(each.explanation.split()))
            for each in serious
            if len(each.explanation.split()) < SHORT * words
        ]
        found += sorted(short, key=lambda look: look.size)
    return found + _ordered(_against_models(connection, serious))


def _ordered(looks: Iterable[Look]) -> list[Look]:
    return sorted(looks, key=lambda look: (-look.size, look.debate))


def _against_models(connection: sqlite3.Connection, given: Sequence[Given]) -> list[Look]:
    people = {debate: float(np.mean([each.p for each in of])) for debate, of in by_debate(given).items()}
    found = []
    for debate, judge, p in connection.execute("SELECT debate, judge, p FROM model_verdict"):
        mean = people.get(debate)
        if mean is not None and (mean - 0.5) * (p - 0.5) < 0 and abs(mean - p) >= FROM_MODEL:
            found.append(Look("model", debate, None, abs(mean - p), judge))
    return found


def by_debate(given: Sequence[Given]) -> Mapping[int, list[Given]]:
    """Return the verdicts that count on each debate."""
    found: dict[int, list[Given]] = defaultdict(list)
    for each in given:
        if each.counts:
            found[each.debate].append(each)
    return found


@dataclass(frozen=True, slots=True)
class Parted:
    """A debate on which judges part. Probabilities are of the answer of side A."""

    debate: int
    n: int
    mean: float
    spread: float
    """Between the least and the greatest."""
    split: bool
    """Whether there are verdicts for either answer."""
    decided: float | None
    """What a researcher decided, if anything."""


def parted(given: Sequence[Given], decided: Mapping[int, float]) -> list[Parted]:
    """Return the debates on which verdicts are for different answers or far apart, the most parted first."""
    found = []
    for debate, of in by_debate(given).items():
        values = [each.p for each in of]
        spread, split = max(values) - min(values), min(values) < 0.5 < max(values)
        if split or spread >= APART - 1e-9:
            found.append(Parted(debate, len(of), float(np.mean(values)), spread, split, decided.get(debate)))
    return sorted(found, key=lambda each: (-each.spread, not each.split, each.debate))


@dataclass(frozen=True, slots=True)
class Decided:
    """A debate that a researcher has decided about, beside the mean of the people. P(right answer) of both."""

    debate: int
    p_right: float
    people: float | None
    """None if no verdict of a person counts."""


def decisions(connection: sqlite3.Connection) -> dict[int, float]:
    """Return what was decided, P(answer of side A) by debate."""
    return dict(connection.execute("SELECT debate, p FROM adjudication").fetchall())


def decided(connection: sqlite3.Connection, given: Sequence[Given]) -> list[Decided]:
    """Return the debates that were decided about."""
    of = by_debate(given)
    found = []
    for debate, p, correct in connection.execute(
        "SELECT j.debate, j.p, a.correct FROM adjudication j JOIN answer a USING (debate) ORDER BY j.debate"
    ):
        mean = float(np.mean([each.p_right for each in of[debate]])) if of.get(debate) else None
        found.append(Decided(debate, p if correct == Side.A else 1 - p, mean))
    return found


@dataclass(frozen=True, slots=True)
class BesidePeople:
    """On how many of the debates that a researcher and people judged each favours the right answer; a tie is a half."""

    debates: int
    researcher: float
    people: float


def beside_people(found: Sequence[Decided]) -> BesidePeople | None:
    """Return the decisions beside the means of the people; None where there are no debates with both."""
    both = [(favours(each.p_right), favours(each.people)) for each in found if each.people is not None]
    return BesidePeople(len(both), *map(sum, zip(*both, strict=True))) if both else None


def sentence(found: Sequence[Decided]) -> str | None:
    """Return the decisions beside the means of the people, in words; None where there are none."""
    both = beside_people(found)
    if both is None:
        return None
    debates = f"{both.debates} debate{'s' * (both.debates != 1)}"
    return (
        f"A researcher decided about {debates}: for the right answer on {both.researcher:g} of them, and the mean of "
        f"the people on {both.people:g}. The figures above are of the people's verdicts alone."
    )
