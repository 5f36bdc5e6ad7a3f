"""Presentation orders: reading a transcript as it is, with its sides relabelled, or both, and one verdict from it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from rostrum.envs.types import Transcript
from rostrum.rewards.types import Cause, Verdict

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
    cause: Cause = "failure"
    """What the problem comes from."""
    unreadable: str = ""
    """The beginning of one text that could not be read."""


def no_opinion(problem: str, readings: int = 0, cause: Cause = "failure", unreadable: str = "") -> Opinion:
    """Return what stands for an opinion that could not be had."""
    return Opinion(math.nan, problem, readings, cause=cause, unreadable=unreadable)


Read = Callable[[list[Transcript]], Sequence[Opinion]]
"""Reads transcripts just as they are, and gives an opinion on each."""


def verdicts(name: str, order: Order, transcripts: Sequence[Transcript], read: Read) -> list[Verdict]:
    """Return a verdict of the judge `name` on each transcript; both orders of all transcripts are read as one batch.

    Opinions on relabelled transcripts are turned back. A verdict is INVALID if the opinion in either order is; the
    cause is a speech if it is that in either order, for then it would be INVALID had nothing failed.
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
    unreadable = next((opinion.unreadable for opinion in asked if opinion.unreadable), "")
    if problems := sorted((o for o in asked if o.problem), key=lambda opinion: opinion.cause == "failure"):
        return Verdict(
            name,
            None,
            None,
            valid=False,
            reason=problems[0].problem,
            readings=readings,
            cause=problems[0].cause,
            unreadable=unreadable,
        )
    scores = tuple(score for opinion in asked for score in opinion.scores)
    of_a = given.of_a if given else None
    turned_back = 1 - swapped.of_a if swapped else None
    return Verdict(name, of_a, turned_back, readings=readings, scores=scores, unreadable=unreadable)


def sigmoid(x: float) -> float:
    """Return 1 / (1 + exp(-x)), such that sigmoid(-x) is 1 - sigmoid(x) to the last bit."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else 1 - 1 / (1 + math.exp(x))
