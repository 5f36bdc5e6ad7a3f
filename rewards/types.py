"""What a judge needs (a `Scorer`), what it gives (a `Verdict`), and what a seat earns (a `Reward`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol as Interface

from envs.types import Transcript


@dataclass(frozen=True, slots=True)
class Unscored:
    """Stands for the scores of a prompt that nobody gave: a verdict that needs them is INVALID for this reason."""

    reason: str


class Scorer(Interface):
    """The only way a judge reaches a model. Engines implement it; tests fake it."""

    def choice_logprobs(
        self, prompts: Sequence[str], choices: Sequence[tuple[str, ...]]
    ) -> Sequence[tuple[float, ...] | Unscored]:
        """Log-probability (nats, summed over tokens) of each choice as the reply to its prompt.

        NaN where the prompt is longer than the model can read.
        """


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judge's opinion of one transcript. Probabilities are of the answer that seat A defends *in the transcript*."""

    judge: str
    given: float | None
    """P(answer of seat A), the transcript read as it is; None if this order was not asked."""
    swapped: float | None
    """The same probability, read with answers and seats relabelled (already turned back)."""
    valid: bool = True
    reason: str = ""
    """Why the verdict is INVALID. An invalid verdict is for neither side: it earns nothing and counts for nothing."""
    readings: int = 0
    """What it cost: how often a model read a transcript for it."""

    @property
    def orders(self) -> tuple[float, ...]:
        """P(answer of seat A) in each order that was asked."""
        return tuple(p for p in (self.given, self.swapped) if p is not None)

    @property
    def mean(self) -> float:
        """P(answer of seat A), averaged over the presentation orders.

        Raises:
            ValueError: the verdict is INVALID.
        """
        if not self.valid:
            raise ValueError(f"An INVALID verdict has no probability ({self.reason}).")
        return sum(self.orders) / len(self.orders)


class Judge(Interface):
    """Anything that reads transcripts and gives verdicts, one each, in the same order."""

    name: str

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        """Never raises for a transcript that it cannot judge: that is an INVALID verdict."""


@dataclass(frozen=True, slots=True)
class Reward:
    """What one seat earned in one debate."""

    approval: float
    """The judge's, paid after the last speech."""
    shaping: tuple[float, ...]
    """Paid after each of the seat's speeches (penalties are negative)."""

    @property
    def per_speech(self) -> tuple[float, ...]:
        """The reward paid after each speech, the judge's approval included in the last."""
        return (*self.shaping[:-1], self.shaping[-1] + self.approval)

    @property
    def total(self) -> float:
        return self.approval + sum(self.shaping)
