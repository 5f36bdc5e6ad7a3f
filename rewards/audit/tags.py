"""Does the judge heed what the environment says about quotations?

A speech reaches the judge with its quotations marked as found in the passage (`<v_quote>`) or not (`<u_quote>`). Here
the same debates are judged again without the marks, and with every quotation of one side marked as not found. A judge
that heeds the marks thinks less of that side (Khan et al. 2024, figure 33).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rostrum.envs.types import QuoteStatus, Side, Speech, Transcript
from rostrum.rewards.audit.table import Table, read
from rostrum.rewards.labelled import Labelled
from rostrum.rewards.statistics import UNBOUNDED, FloatArray, Interval, cluster_mean, wilson
from rostrum.rewards.types import Judge

_MARK = re.compile(r"</?[vu]_quote>")
_VERIFIED = re.compile(r"(</?)v_quote>")


@dataclass(frozen=True, slots=True)
class Stripped:
    """The debates without any mark, against the same debates as they are. Changes are clustered by story."""

    accuracy: Interval
    change: Interval
    """Accuracy without marks minus accuracy with them, over debates valid both times."""
    moved: Interval
    """Mean absolute change of P(answer); 0 for a judge that does not see the marks."""


@dataclass(frozen=True, slots=True)
class Discredited:
    """Debates in which one side's verified quotations are marked as not found, against the same debates as they are."""

    debates: int
    """Those in which that side has a verified quotation and both verdicts are valid."""
    accuracy_before: Interval
    accuracy: Interval
    shift: Interval
    """Mean change of the probability of that side's answer; a judge that heeds marks gives a negative one."""


@dataclass(frozen=True, slots=True)
class Tags:
    """The judge's answers to both changes."""

    stripped: Stripped
    right_discredited: Discredited
    """The right side's quotations are marked as not found: accuracy should fall."""
    wrong_discredited: Discredited
    """The wrong side's are: accuracy should rise."""
    shift: Interval
    """Mean change of the discredited side's probability over both. Above 0 the judge moves in the wrong direction."""


def without_marks(transcript: Transcript) -> Transcript:
    """Return the debate with the marks taken out of every speech; the quoted words stay."""
    return _respoken(transcript, lambda speech: replace(speech, text=_MARK.sub("", speech.text), quotes=()))


def discredited(transcript: Transcript, side: Side) -> Transcript:
    """Return the debate with every quotation of one side marked as not found in the passage."""
    return _respoken(transcript, lambda speech: _discredited(speech) if speech.side is side else speech)


def changed(debate: Labelled) -> list[Transcript]:
    """Return all that `tags` asks about this debate besides the debate itself."""
    if debate.target == 0.5:
        return []
    sides = [side for side in Side if _quotes(debate, side)]
    return [without_marks(debate.transcript), *(discredited(debate.transcript, side) for side in sides)]


def tags(judge: Judge, debates: Sequence[Labelled], table: Table) -> Tags:
    """Judge the debates again with changed marks. `table` holds the judge's verdicts on them as they are."""
    labelled = [debate for debate in debates if debate.target != 0.5]
    table = table.labelled()
    (right, right_shifts), (wrong, wrong_shifts) = (_one_side(judge, labelled, table, of) for of in (True, False))
    pooled = [np.concatenate(pair) for pair in zip(right_shifts, wrong_shifts, strict=True)]
    return Tags(_stripped(judge, labelled, table), right, wrong, _mean(pooled[0], pooled[1]))


def _respoken(transcript: Transcript, change: Callable[[Speech], Speech]) -> Transcript:
    return replace(transcript, speeches=tuple(change(speech) for speech in transcript.speeches))


def _discredited(speech: Speech) -> Speech:
    quotes = tuple(replace(quote, status=QuoteStatus.UNVERIFIED, source=()) for quote in speech.quotes)
    return replace(speech, text=_VERIFIED.sub(r"\1u_quote>", speech.text), quotes=quotes)


def _stripped(judge: Judge, debates: Sequence[Labelled], table: Table) -> Stripped:
    after = read(judge, [replace(debate, transcript=without_marks(debate.transcript)) for debate in debates])
    both = table.valid & after.valid
    table, after = table.keep(both), after.keep(both)
    return Stripped(
        wilson(float(after.correct.sum()), len(after)),
        _mean(after.correct - table.correct, table.story),
        _mean(np.abs(after.p - table.p), table.story),
    )


def _one_side(
    judge: Judge, debates: Sequence[Labelled], table: Table, right: bool
) -> tuple[Discredited, tuple[FloatArray, np.ndarray[tuple[int], np.dtype[np.str_]]]]:
    """Return what discrediting the right or the wrong side does; and each debate's shift (M,) with its story (M,)."""
    sides = [debate.correct if right else debate.correct.other for debate in debates]
    concerned = np.array([_quotes(debate, side) for debate, side in zip(debates, sides, strict=True)], dtype=bool)
    changed = [
        replace(debate, transcript=discredited(debate.transcript, side))
        for debate, side, concerns in zip(debates, sides, concerned, strict=True)
        if concerns
    ]
    before, after = table.keep(concerned), read(judge, changed)
    both = before.valid & after.valid
    before, after = before.keep(both), after.keep(both)
    shift = (after.p_right - before.p_right) * (1 if right else -1)
    figures = Discredited(
        len(after),
        wilson(float(before.correct.sum()), len(before)),
        wilson(float(after.correct.sum()), len(after)),
        _mean(shift, after.story),
    )
    return figures, (shift, after.story)


def _quotes(debate: Labelled, side: Side) -> bool:
    speeches = (speech for speech in debate.transcript.speeches if speech.side is side)
    return any(quote.verified for speech in speeches for quote in speech.quotes)


def _mean(values: FloatArray, story: np.ndarray[tuple[int], np.dtype[np.str_]]) -> Interval:
    return cluster_mean(values, story, UNBOUNDED)
