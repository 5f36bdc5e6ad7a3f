"""Presentation orders: reading a transcript as it is, with its seats relabelled, or both, and one verdict from it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from envs.types import Transcript
from rewards.types import Verdict

Order = Literal["both", "given", "swapped"]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a judge makes of a transcript in the order in which it was shown."""

    of_a: float
    """P(the answer shown as A)."""
    problem: str = ""
    """Why there is none: the verdict is INVALID."""
    readings: int = 1
    """How often a model read the transcript for it."""
    scores: tuple[int, ...] = ()
    """Ratings as they were written, 0 where a sample held none."""


def no_opinion(problem: str, readings: int = 0) -> Opinion:
    """What stands for an opinion that could not be had."""
    return Opinion(math.nan, problem, readings)


Read = Callable[[list[Transcript]], Sequence[Opinion]]
"""Reads transcripts just as they are, and gives an opinion on each."""


def verdicts(name: str, order: Order, transcripts: Sequence[Transcript], read: Read) -> list[Verdict]:
    """A verdict of the judge `name` on each transcript; both orders of all transcripts are read as one batch.

    Opinions on relabelled transcripts are turned back. A verdict is INVALID if the opinion in either order is.
    """
    given = list(transcripts) if order != "swapped" else []
    swapped = [transcript.swapped() for transcript in transcripts] if order != "given" else []
    opinions = iter(read([*given, *swapped]))
    unasked: list[Opinion | None] = [None] * len(transcripts)
    first = [next(opinions) for _ in given] or unasked
    second = [next(opinions) for _ in swapped] or unasked
    return [_verdict(name, a, b) for a, b in zip(first, second, strict=True)]


def _verdict(name: str, given: Opinion | None, swapped: Opinion | None) -> Verdict:
    asked = [opinion for opinion in (given, swapped) if opinion is not None]
    readings = sum(opinion.readings for opinion in asked)
    problem = next((opinion.problem for opinion in asked if opinion.problem), "")
    if problem:
        return Verdict(name, None, None, valid=False, reason=problem, readings=readings)
    scores = tuple(score for opinion in asked for score in opinion.scores)
    of_a = given.of_a if given else None
    turned_back = 1 - swapped.of_a if swapped else None
    return Verdict(name, of_a, turned_back, readings=readings, scores=scores)


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)), such that sigmoid(-x) is 1 - sigmoid(x) to the last bit."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else 1 - 1 / (1 + math.exp(x))
