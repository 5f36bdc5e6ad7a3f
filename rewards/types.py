"""What a judge needs (a `Scorer`), what it gives (a `Verdict`), and what a side earns (a `Reward`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload
from typing import Protocol as Interface

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rostrum.envs.types import Side, Transcript

Cause = Literal["speech", "failure"]
"""What made a verdict INVALID. "speech": the judge read the debate and gave no opinion that can be read, or could not
read all that was said. "failure": a time-out, a lost process, an endpoint, a debate that was not played: nobody's
doing."""


@dataclass(frozen=True, slots=True)
class Unscored:
    """Stands for the scores of a prompt that nobody gave: a verdict that needs them is INVALID for this reason."""

    reason: str
    cause: Cause = "failure"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a judge has asked of its models so far: its cost, but for the time. A verdict's share of a batch need not
    be whole numbers."""

    requests: float = 0
    """Prompts that a model read."""
    prompt_tokens: float = 0
    new_tokens: float = 0
    dollars: float = 0.0
    """What an endpoint charges by its configured prices; 0 for models of one's own."""
    cached: float = 0
    """Prompts whose answer was kept from an earlier time: they cost nothing."""

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(mine + theirs for mine, theirs in zip(_figures(self), _figures(other), strict=True)))

    def __sub__(self, other: "Usage") -> "Usage":
        return Usage(*(mine - theirs for mine, theirs in zip(_figures(self), _figures(other), strict=True)))


def _figures(usage: Usage) -> tuple[Any, ...]:
    return (usage.requests, usage.prompt_tokens, usage.new_tokens, usage.dollars, usage.cached)


@dataclass(frozen=True, slots=True)
class Writing:
    """How a judge that writes is sampled. The same prompts and the same seed give the same texts."""

    max_tokens: int
    temperature: float = 0.0
    """0 takes the likeliest token."""
    seed: int = 0


class Scorer(Interface):
    """The only way a judge reaches a language model. Engines implement it; tests fake it."""

    @property
    def usage(self) -> Usage:
        """What was asked of the model so far."""

    def choice_logprobs(
        self, prompts: Sequence[str], choices: Sequence[tuple[str, ...]]
    ) -> Sequence[tuple[float, ...] | Unscored]:
        """Return the log-probability (nats, summed over tokens) of each choice as the reply to its prompt.

        NaN where the prompt is longer than the model can read.
        """

    def write(self, prompts: Sequence[str], writing: Writing) -> Sequence[str | Unscored]:
        """Return a text for each prompt, without special tokens; `Unscored` where the prompt is too long for the
        model."""


class Classifier(Interface):
    """The way to a model with a classification or reward head."""

    @property
    def outputs(self) -> int:
        """How many numbers the head gives: one for a reward model, one per class otherwise."""

    @property
    def usage(self) -> Usage:
        """What was asked of the model so far."""

    def logits(self, prompts: Sequence[str]) -> Sequence[tuple[float, ...] | Unscored]:
        """Return the head's outputs for each prompt.

        NaN where the prompt is longer than the model can read.
        """


class Reading(Interface):
    """What a judge is shown of a debate."""

    def judge(self, transcript: Transcript) -> str:
        """Return the whole prompt."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judge's opinion of one transcript. Probabilities are of the answer that side A defends *in the transcript*."""

    judge: str
    given: float | None
    """P(answer of side A), the transcript read as it is; None if this order was not asked."""
    swapped: float | None
    """The same probability, read with answers and sides relabelled (already turned back)."""
    valid: bool = True
    reason: str = ""
    """Why the verdict is INVALID. An invalid verdict is for neither side."""
    readings: int = 0
    """What it cost: how often a model read a transcript for it."""
    decided_by: str = ""
    """Which judge's opinion it is, where one of several decides."""
    scores: tuple[int, ...] = ()
    """Of a judge that rates: its ratings as it wrote them, 1 (for the answer shown as A) to 9; as many for the given
    order as for the swapped one, in which they are not turned back; 0 where a sample held no rating."""
    cause: Cause = "failure"
    """What made it INVALID; means nothing where it is valid."""
    spoiled_by: tuple[Side, ...] = ()
    """Where the cause is a speech: the sides whose speeches it was; empty where that cannot be told."""
    unreadable: str = ""
    """Of a judge that writes: the beginning of one text of this verdict that could not be read; empty if all could."""

    @property
    def orders(self) -> tuple[float, ...]:
        """P(answer of side A) in each order that was asked."""
        return tuple(p for p in (self.given, self.swapped) if p is not None)

    @property
    def mean(self) -> float:
        """P(answer of side A), averaged over the presentation orders.

        Raises:
            ValueError: the verdict is INVALID.
        """
        if not self.valid:
            raise ValueError(f"An INVALID verdict has no probability ({self.reason}).")
        return sum(self.orders) / len(self.orders)


@overload
def favours(p: float) -> float: ...
@overload
def favours(p: ArrayLike) -> NDArray[np.float64]: ...
def favours(p: ArrayLike) -> float | NDArray[np.float64]:
    """Return 1 where an answer is given more than half, 0 where it is given less, a half for a tie; NaN stays. Of one
    probability, or of an array of them (N,)."""
    won = (np.sign(np.asarray(p, np.float64) - 0.5) + 1) / 2
    return won if won.ndim else float(won)


def pick(verdict: Verdict, side: Side = Side.A) -> float:
    """Return 1 if the verdict is for the side, 0 if it is for the other, a half for a tie.

    Raises:
        ValueError: the verdict is INVALID.
    """
    of_a = favours(verdict.mean)
    return of_a if side is Side.A else 1 - of_a


class Judge(Interface):
    """Anything that reads transcripts and gives verdicts, one each, in the same order."""

    name: str

    @property
    def usage(self) -> Usage:
        """What its verdicts have cost so far."""

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        """Return one verdict per transcript; one that cannot be judged is INVALID and raises nothing."""


@dataclass(frozen=True, slots=True)
class Reward:
    """What one speaker earned in one debate."""

    approval: float
    """The judge's, paid after the last speech."""
    shaping: tuple[float, ...]
    """Paid after each of the speaker's speeches (penalties are negative)."""

    @property
    def per_speech(self) -> tuple[float, ...]:
        """The reward paid after each speech, the judge's approval included in the last."""
        return (*self.shaping[:-1], self.shaping[-1] + self.approval)

    @property
    def total(self) -> float:
        return self.approval + sum(self.shaping)
