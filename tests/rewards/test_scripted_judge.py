"""The scripted judge recovers what was planted in it."""

import math

import pytest

from rostrum.envs.testimony.world import TestimonyWorld
from rostrum.envs.types import Protocol, Transcript
from rostrum.rewards.scripted import ScriptedJudge

WORLD = TestimonyWorld(train=0, heldout=400)
QUESTIONS, KEY = WORLD.questions("heldout"), WORLD.answer_key("heldout")


def transcripts(swapped: bool) -> list[Transcript]:
    return [
        Transcript(q, Protocol("debate"), q.answers[::-1] if swapped else q.answers, swapped_seats=swapped)
        for q in QUESTIONS
    ]


def logit(p: float | None) -> float:
    assert p is not None
    return math.log(p / (1 - p))


@pytest.mark.parametrize("accuracy", [0.0, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("swapped", [False, True])
def test_planted_accuracy_is_recovered(accuracy: float, swapped: bool) -> None:
    judge = ScriptedJudge(KEY, accuracy)
    played = transcripts(swapped)
    right = [
        (verdict.mean > 0.5) == (transcript.answers[0] == transcript.question.answers[KEY[transcript.question.id]])
        for transcript, verdict in zip(played, judge.judge(played), strict=True)
    ]
    standard_error = math.sqrt(accuracy * (1 - accuracy) / len(right))
    assert sum(right) / len(right) == pytest.approx(accuracy, abs=3 * standard_error + 1e-12)


def test_planted_bias_is_recovered_and_cancels() -> None:
    fair, biased = ScriptedJudge(KEY, 0.7, margin=1.5), ScriptedJudge(KEY, 0.7, position_bias=0.8, margin=1.5)
    for a, b in zip(fair.judge(transcripts(False)), biased.judge(transcripts(False)), strict=True):
        assert logit(b.given) - logit(b.swapped) == pytest.approx(1.6)
        assert logit(b.given) + logit(b.swapped) == pytest.approx(2 * logit(a.given))
        assert abs(logit(a.given)) == pytest.approx(1.5)


def test_the_opinion_is_of_the_answer_not_of_the_seat() -> None:
    judge = ScriptedJudge(KEY, 0.7, position_bias=0.3)
    given, swapped = judge.judge(transcripts(False)), judge.judge(transcripts(True))
    for a, b in zip(given, swapped, strict=True):
        assert b.mean == pytest.approx(1 - a.mean)
    for transcript, verdict in zip(transcripts(False), given, strict=True):
        assert judge.judge([transcript.swapped()])[0].mean == pytest.approx(1 - verdict.mean)


def test_planted_invalid_verdicts_and_seeds() -> None:
    verdicts = ScriptedJudge(KEY, invalid_every=4).judge(transcripts(False))
    share = sum(not verdict.valid for verdict in verdicts) / len(verdicts)
    assert share == pytest.approx(0.25, abs=3 * math.sqrt(0.25 * 0.75 / 400))
    assert ScriptedJudge(KEY, seed=1).judge(transcripts(False)) != ScriptedJudge(KEY, seed=2).judge(transcripts(False))
