"""Ensembled consultancy: the judge reads each debater alone, and its verdicts are averaged."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostrum.envs.recasting import exchanged, shuffled
from rostrum.envs.types import Protocol, Question, Side, Speech, Transcript
from rostrum.rewards.judges.per_side import PerSide
from rostrum.rewards.reward import RewardRule, rewards
from rostrum.rewards.types import Usage, Verdict

QUESTION = Question("q", "s", "who?", ("attic", "cellar"), "a passage")
TOGETHER = Protocol("double-consultancy", simultaneous=True, debaters_hear_each_other=False)
APART = replace(TOGETHER, name="ensembled-consultancy", judged_apart=True)


class Reader:
    """A judge that makes what it likes of the sides and texts that it is shown, and keeps what that was."""

    name = "reader"

    def __init__(self, of_a: Callable[[Transcript], float | None]) -> None:
        self.of_a, self.seen, self.usage = of_a, list[Transcript](), Usage()

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        self.seen += transcripts
        self.usage += Usage(requests=2 * len(transcripts))
        return [self._verdict(transcript) for transcript in transcripts]

    def _verdict(self, transcript: Transcript) -> Verdict:
        given, swapped = self.of_a(transcript), self.of_a(transcript.swapped())
        if given is None or swapped is None:
            return Verdict(self.name, None, None, valid=False, reason="speechless", readings=2)
        scores = (round(10 * given), round(10 * swapped))
        return Verdict(self.name, given, 1 - swapped, readings=2, decided_by="me", scores=scores)


def debate(texts: Sequence[str], protocol: Protocol = APART, swapped: bool = False) -> Transcript:
    """Speeches by A and B in turn."""
    speeches = tuple(Speech("AB"[i % 2], Side("AB"[i % 2]), i // 2, text, text, 1) for i, text in enumerate(texts))
    answers = QUESTION.answers[::-1] if swapped else QUESTION.answers
    return Transcript(QUESTION, protocol, answers, swapped, speeches)


def by_count(transcript: Transcript) -> float:
    """P(A): a nat for every word of A's more than of B's; the first answer has half a nat besides."""
    said = sum((1 if s.side is Side.A else -1) * len(s.text.split()) for s in transcript.speeches)
    return 1 / (1 + math.exp(-(said + 0.5)))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_the_mean_of_both_readings_by_hand() -> None:
    reader = Reader(by_count)
    (verdict,) = PerSide(reader).judge([debate(["a b c", "a"])])
    assert verdict.given == pytest.approx((sigmoid(3.5) + sigmoid(-0.5)) / 2)
    assert verdict.swapped == pytest.approx((sigmoid(2.5) + sigmoid(-1.5)) / 2)
    assert [[s.side for s in read.speeches] for read in reader.seen] == [[Side.A], [Side.B]]
    assert [read.protocol.sides for read in reader.seen] == [(Side.A,), (Side.B,)]
    assert (verdict.judge, verdict.readings, verdict.decided_by) == ("reader", 4, "me")
    assert verdict.scores == (round(10 * sigmoid(3.5)), round(10 * sigmoid(-0.5)), round(10 * sigmoid(-2.5)), 8)
    assert verdict.orders == (verdict.given, verdict.swapped)


def test_debates_that_are_judged_together_are_left_as_they_are() -> None:
    reader, together = Reader(by_count), debate(["a b c", "a"], TOGETHER)
    found = PerSide(reader).judge([together, debate(["a", "b"]), together])
    assert reader.seen[0] is together and len(reader.seen) == 4
    silent = debate([], replace(APART, speakers={}, rounds=0))
    assert PerSide(reader).judge([silent]) == [reader._verdict(silent)]
    assert found[0] == found[2] == reader._verdict(together) != found[1]


def test_one_invalid_reading_makes_the_verdict_invalid_and_pays_nobody() -> None:
    reader = Reader(lambda t: None if any("nothing" in s.text for s in t.speeches) else 0.9)
    fine, broken = PerSide(reader).judge([debate(["a", "b"]), debate(["a", "nothing"])])
    assert fine.valid and not broken.valid and broken.reason == "speechless" and broken.readings == 4
    assert rewards(debate(["a", "nothing"]), broken, RewardRule()) is None
    assert set(rewards(debate(["a", "b"]), fine, RewardRule()) or {}) == set(Side)


def test_an_order_that_is_not_asked_stays_unasked() -> None:
    class GivenOnly(Reader):
        def _verdict(self, transcript: Transcript) -> Verdict:
            return replace(super()._verdict(transcript), swapped=None)

    (verdict,) = PerSide(GivenOnly(by_count)).judge([debate(["a b c", "a"])])
    assert verdict.swapped is None and verdict.mean == verdict.given


@given(st.lists(st.text("ab ", max_size=8), min_size=2, max_size=6), st.sampled_from([APART, TOGETHER]), st.booleans())
def test_swapping_the_seats_mirrors_the_verdict(texts: list[str], protocol: Protocol, swapped: bool) -> None:
    judge, transcript = PerSide(Reader(by_count)), debate(texts, protocol, swapped)
    one, other = judge.judge([transcript, transcript.swapped()])
    assert one.mean == pytest.approx(1 - other.mean, abs=1e-12)


def test_usage_is_that_of_the_judge_behind_it() -> None:
    judge = PerSide(Reader(by_count))
    judge.judge([debate(["a", "b"]), debate(["a", "b"], TOGETHER)])
    assert judge.usage.requests == 6


def accuracy(judge: PerSide, debates: Sequence[Transcript]) -> float:
    """A word of the right answer's debater is "true"; it stands for `answers[0]`, which is right."""
    picks = [verdict.mean > 0.5 for verdict in judge.judge(debates)]
    return sum(a is (d.answers[0] == "attic") for a, d in zip(picks, debates, strict=True)) / len(debates)


def test_shuffled_speakers_tell_judges_of_words_from_judges_of_seats() -> None:
    """Each speech names its own answer; the defender of the right one says "true" besides."""

    def sides(transcript: Transcript) -> float:
        first = transcript.answers[0]
        names = sum((1 if first in s.text else -1) * ("true" in s.text) for s in transcript.speeches)
        return sigmoid(names)

    def labels(transcript: Transcript) -> float:
        return sigmoid(sum((1 if s.side is Side.A else -1) * ("true" in s.text) for s in transcript.speeches))

    debates = []
    for number in range(200):
        swapped = number % 2 == 1
        texts = ["cellar", "attic true"] if swapped else ["attic true", "cellar"]
        one = debate(texts, TOGETHER, swapped)
        debates.append(replace(one, question=replace(QUESTION, id=f"q{number}")))
    for judge, exchanged_accuracy in ((PerSide(Reader(sides)), 1.0), (PerSide(Reader(labels)), 0.0)):
        assert accuracy(judge, debates) == 1
        assert accuracy(judge, [exchanged(one) for one in debates]) == exchanged_accuracy
    drawn = [shuffled(one, seed=0) for one in debates]
    assert accuracy(PerSide(Reader(sides)), drawn) == 1
    assert accuracy(PerSide(Reader(labels)), drawn) == pytest.approx(0.5, abs=0.1)
