"""Ensembled consultancy, for a judge of any kind: where a debate's protocol says so, each debater is read alone.

P(A) is the mean of P(A | only A's speeches) and P(A | only B's speeches), in each presentation order.
"""

from collections.abc import Sequence

from rostrum.envs.recasting import alone
from rostrum.envs.types import Side, Transcript
from rostrum.rewards.types import Judge, Usage, Verdict


class PerSide:
    """A judge that reads debates with `judged_apart` as so many consultancies, and all others as they are.

    A verdict is INVALID if the one on any of the consultancies is. Here it can be told whose speeches spoiled it.
    """

    def __init__(self, base: Judge) -> None:
        self.name, self.base = base.name, base

    @property
    def usage(self) -> Usage:
        """What the judge behind it has asked of its models."""
        return self.base.usage

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        """Return one verdict per transcript; all parts of all transcripts are read as one batch."""
        parts = [_parts(transcript) for transcript in transcripts]
        verdicts = iter(self.base.judge([part for each in parts for part in each]))
        return [
            _mean([next(verdicts) for _ in each], transcript.protocol.sides)
            for transcript, each in zip(transcripts, parts, strict=True)
        ]


def _parts(transcript: Transcript) -> list[Transcript]:
    """Return what the judge reads for one verdict."""
    sides = transcript.protocol.sides
    together = len(sides) < 2 or not transcript.protocol.judged_apart
    return [transcript] if together else [alone(transcript, side) for side in sides]


def _mean(verdicts: Sequence[Verdict], sides: tuple[Side, ...]) -> Verdict:
    """Return the verdicts on the parts of one debate, one for each side, as one; a single one as it is."""
    first, *others = verdicts
    if not others:
        return first
    readings = sum(verdict.readings for verdict in verdicts)
    unreadable = next((verdict.unreadable for verdict in verdicts if verdict.unreadable), "")
    deciders = " and ".join(dict.fromkeys(verdict.decided_by for verdict in verdicts))
    if invalid := [verdict for verdict in verdicts if not verdict.valid]:
        worst = next((verdict for verdict in invalid if verdict.cause == "speech"), invalid[0])
        spoilers = [s for s, v in zip(sides, verdicts, strict=True) if not v.valid and v.cause == "speech"]
        return Verdict(
            first.judge,
            None,
            None,
            valid=False,
            reason=worst.reason,
            readings=readings,
            decided_by=deciders,
            cause=worst.cause,
            spoiled_by=tuple(spoilers),
            unreadable=unreadable,
        )
    halves = [_halves(verdict.scores) for verdict in verdicts]
    scores = tuple(score for order in zip(*halves, strict=True) for part in order for score in part)
    return Verdict(
        first.judge,
        _average([verdict.given for verdict in verdicts]),
        _average([verdict.swapped for verdict in verdicts]),
        readings=readings,
        decided_by=deciders,
        scores=scores,
        unreadable=unreadable,
    )


def _halves(scores: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return those of the given order and those of the swapped one."""
    middle = len(scores) // 2
    return scores[:middle], scores[middle:]


def _average(probabilities: Sequence[float | None]) -> float | None:
    """Return the average of one presentation order; None if it was not asked."""
    asked = [p for p in probabilities if p is not None]
    return sum(asked) / len(asked) if asked else None
