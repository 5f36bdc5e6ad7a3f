"""Debates with known labels, lengths and marks, for judges whose faults are planted."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from rostrum.envs.text.quotes import verify
from rostrum.envs.types import AnswerKey, Protocol, Question, Side, Speech, Transcript
from rostrum.rewards.audit.table import Table, read
from rostrum.rewards.labelled import Labelled, with_key
from rostrum.rewards.scripted import ScriptedJudge

STORIES, PER_STORY = 100, 2
PASSAGE = "the coin lies in the kitchen . the ring lies in the garden ."
PROTOCOL = Protocol("debate", rounds=1)
KEY = AnswerKey({f"{story}-{n}": (story + n) % 2 for story in range(STORIES) for n in range(PER_STORY)})


def _speech(side: Side, turn: int, words: int) -> Speech:
    raw = "<quote> the coin lies in the kitchen </quote>" + " well" * words
    text, quotes = verify(raw, PASSAGE)
    return Speech(side.value, side, turn, text, raw, 6 + words, quotes)


def _debate(question: Question, swapped: bool) -> Transcript:
    """The longer side is the right one in two of three stories."""
    answers = question.answers[::-1] if swapped else question.answers
    right_is_a = answers[0] == question.answers[KEY[question.id]]
    longer_is_a = right_is_a == (int(question.story_id) % 3 != 0)
    words = (5, 0) if longer_is_a else (0, 5)
    speeches = (_speech(Side.A, 0, words[0]), _speech(Side.B, 1, words[1]))
    return Transcript(question, PROTOCOL, answers, swapped, speeches, {"match": f"{question.id}-{swapped}"})


@pytest.fixture(scope="session")
def debates() -> Sequence[Labelled]:
    """Two questions on each of a hundred stories, in both seatings; every speech has one verified quotation."""
    questions = [Question(id, id.partition("-")[0], "where ?", ("kitchen", "garden"), PASSAGE) for id in KEY.correct]
    return with_key([_debate(question, swapped) for question in questions for swapped in (False, True)], KEY)


@pytest.fixture(scope="session")
def planted() -> Callable[..., ScriptedJudge]:
    """Makes a judge with planted faults."""

    def make(**faults: Any) -> ScriptedJudge:
        return ScriptedJudge(KEY, **faults)

    return make


@pytest.fixture(scope="session")
def table(debates: Sequence[Labelled], planted: Callable[..., ScriptedJudge]) -> Callable[..., Table]:
    """The verdicts of a judge with planted faults."""

    def make(**faults: Any) -> Table:
        return read(planted(**faults), debates)

    return make
