"""A judge's verdicts on labelled debates as columns: what every statistic of an audit is computed from."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from rostrum.envs.types import Side
from rostrum.rewards.labelled import Labelled
from rostrum.rewards.statistics import FloatArray
from rostrum.rewards.types import Judge, Verdict, favours


@dataclass(frozen=True, slots=True)
class Table:
    """One row per debate; every column has the shape (N,). Probabilities are NaN where the verdict is INVALID."""

    story: NDArray[np.str_]
    """The cluster of every interval."""
    target: FloatArray
    """P(answer of side A is right), the label."""
    p: FloatArray
    """P(answer of side A), as the judge gives it."""
    given: FloatArray
    """The same, read with the answer of side A shown first."""
    swapped: FloatArray
    """The same, read with the answer of side A shown second."""
    words_a: FloatArray
    """Words that side A said."""
    words_b: FloatArray
    reason: NDArray[np.str_]
    """Why the verdict is INVALID, empty where it is not."""

    def __len__(self) -> int:
        return len(self.target)

    @property
    def valid(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.p)

    @property
    def a_is_right(self) -> NDArray[np.bool_]:
        """Whether side A defends the right answer. Means nothing where the label is 0.5; see `labelled`."""
        return self.target > 0.5

    @property
    def p_right(self) -> FloatArray:
        """P(right answer)."""
        return np.where(self.a_is_right, self.p, 1 - self.p)

    @property
    def correct(self) -> FloatArray:
        """1 where the judge favours the right answer, 0 where the wrong one, 0.5 where neither."""
        return favours(self.p_right)

    @property
    def confidence(self) -> FloatArray:
        """Probability of the answer that the judge favours, rounded so that relabelling the sides changes no bit."""
        return np.asarray(np.round(np.maximum(self.p, 1 - self.p), 12), dtype=np.float64)

    def keep(self, rows: NDArray[np.bool_]) -> "Table":
        """Return the rows where the mask (N,) is true."""
        return Table(*(getattr(self, field.name)[rows] for field in fields(self)))

    def judged(self) -> "Table":
        """Return the rows with a valid verdict."""
        return self.keep(self.valid)

    def labelled(self) -> "Table":
        """Return the rows whose label names a side."""
        return self.keep(self.target != 0.5)


def read(judge: Judge, debates: Sequence[Labelled]) -> Table:
    """Return the judge's verdicts on the debates.

    A judge that reads in one order only is asked about the relabelled debates as well, so that there is a reading of
    either order; what it is taken to say (`Table.p`) is still the verdict that it gives on its own.
    """
    transcripts = [debate.transcript for debate in debates]
    verdicts = judge.judge(transcripts)
    turned: list[Verdict | None] = [None] * len(verdicts)
    if any(len(verdict.orders) < 2 for verdict in verdicts if verdict.valid):
        turned = list(judge.judge([transcript.swapped() for transcript in transcripts]))
    readings = np.array([_readings(*pair) for pair in zip(verdicts, turned, strict=True)], dtype=np.float64)
    p, given, swapped = readings.reshape(-1, 3).T
    return Table(
        np.array([t.question.story_id for t in transcripts], dtype=np.str_),
        np.array([debate.target for debate in debates], dtype=np.float64),
        p,
        given,
        swapped,
        np.array([_words(debate, Side.A) for debate in debates], dtype=np.float64),
        np.array([_words(debate, Side.B) for debate in debates], dtype=np.float64),
        np.array([_reason(*pair) for pair in zip(verdicts, turned, strict=True)], dtype=np.str_),
    )


def _readings(verdict: Verdict, turned: Verdict | None) -> tuple[float, float, float]:
    """Return P(answer of side A) as the judge says it, with that answer shown first, and with it shown second."""
    if _reason(verdict, turned):
        return np.nan, np.nan, np.nan
    if verdict.given is not None and verdict.swapped is not None:
        return verdict.mean, verdict.given, verdict.swapped
    assert turned is not None
    if verdict.given is not None:
        return verdict.mean, verdict.given, 1 - turned.mean
    return verdict.mean, 1 - turned.mean, verdict.mean


def _reason(verdict: Verdict, turned: Verdict | None) -> str:
    if not verdict.valid:
        return verdict.reason or "no reason given"
    return "" if turned is None or turned.valid else turned.reason or "no reason given"


def _words(debate: Labelled, side: Side) -> int:
    return sum(speech.words for speech in debate.transcript.speeches if speech.side is side)
