"""One judge's verdicts on debates of which it is known who was right, as the numbers that the monitor keeps.

Debates that could not be played and INVALID verdicts are not left out here, as they are in the summary of a run: a
policy that makes a judge give up must not look better for it. Each measure says what it makes of them.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rostrum.envs.types import Question, Side
from rostrum.rewards.labelled import Labelled
from rostrum.rewards.statistics import FloatArray
from rostrum.rewards.types import Verdict, favours

SEATINGS = 2
"""Debates per question."""


@dataclass(frozen=True, slots=True)
class Opinions:
    """The verdicts on the finished debates about these questions, each of which was to be held in both seatings."""

    questions: Sequence[Question]
    debates: Sequence[Labelled]
    verdicts: Sequence[Verdict]

    def by_question(self, value: Callable[[Labelled, float], float], invalid: float) -> FloatArray:
        """Return the mean over both seatings of `value(debate, P(answer of side A))`, (questions,).

        `invalid` is what an INVALID verdict or a debate that could not be played counts.
        """
        found: dict[str, list[float]] = {question.id: [] for question in self.questions}
        for debate, p in self._valid():
            found[debate.transcript.question.id].append(value(debate, p))
        return np.array([(sum(of) + invalid * (SEATINGS - len(of))) / SEATINGS for of in found.values()])

    def accuracy(self) -> FloatArray:
        """Return how often the judge is right, by question: a tie is half right, INVALID is not right."""
        return self.by_question(lambda debate, p: favours(p if debate.correct is Side.A else 1 - p), invalid=0.0)

    def figures(self) -> dict[str, float]:
        """Return the judge's figures on all questions: `accuracy`, `invalid` (a share), `mcc` and `wrong_side`."""
        valid = list(self._valid())
        return {
            "accuracy": float(self.accuracy().mean()),
            "invalid": 1 - len(valid) / (SEATINGS * len(self.questions)),
            "mcc": matthews([(debate.correct, p) for debate, p in valid]),
            "wrong_side": _mean([1 - p if debate.correct is Side.A else p for debate, p in valid]),
        }

    def _valid(self) -> Iterator[tuple[Labelled, float]]:
        for debate, verdict in zip(self.debates, self.verdicts, strict=True):
            if verdict.valid:
                yield debate, verdict.mean


def matthews(cases: Sequence[tuple[Side, float]]) -> float:
    """Return the Matthews correlation of the side that is right with the side that the judge favours (its P(side A)).

    (TP TN - FP FN) / sqrt((TP + FP)(TP + FN)(TN + FP)(TN + FN)) with side A as the positive class; which side that is
    makes no difference. A tie counts half in each column. 0 where one side was always right or always favoured, so a
    judge that looks at the side alone has 0. NaN without cases.
    """
    table = np.zeros((2, 2))
    for right, p in cases:
        row = int(right is Side.B)
        table[row] += (favours(p), 1 - favours(p))
    if not cases:
        return math.nan
    margins = np.prod([*table.sum(axis=0), *table.sum(axis=1)])
    return float((table[0, 0] * table[1, 1] - table[0, 1] * table[1, 0]) / math.sqrt(margins)) if margins else 0.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
