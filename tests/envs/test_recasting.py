"""Finished debates told otherwise: what is said stays, who says it does not."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from rostrum.envs.debate import Debate, Utterance
from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.recasting import alone, exchanged, shuffled
from rostrum.envs.types import Protocol, Question, Side, Speaker, Transcript

CONSULTANTS = Protocol("double-consultancy", simultaneous=True, debaters_hear_each_other=False)


def played(question: Question, protocol: Protocol, swapped: bool = False) -> tuple[Transcript, dict[Side, str]]:
    """A debate of telling words, and all that each side was told in it."""
    debate, told = Debate(question, protocol, swapped, load_prompts("testimony")), dict.fromkeys(Side, "")
    while not debate.finished:
        for speaker in debate.speakers:
            told[Side(speaker)] += debate.told(speaker)
        debate.hear({speaker: Utterance(f"word{speaker}{debate.turn}") for speaker in debate.speakers})
    return debate.transcript(), told


@pytest.mark.parametrize("simultaneous", [True, False])
def test_consultants_never_hear_each_other(questions: Sequence[Question], simultaneous: bool) -> None:
    protocol = replace(CONSULTANTS, simultaneous=simultaneous, rounds=3)
    transcript, told = played(questions[0], protocol)
    assert len(transcript.speeches) == 6
    for side in Side:
        assert "word" not in told[side] and "said :" not in told[side]
    _, heard = played(questions[0], replace(protocol, debaters_hear_each_other=True))
    assert "wordA" in heard[Side.B] and "wordB" in heard[Side.A]


def test_a_consultant_is_told_what_a_lone_one_is_told(questions: Sequence[Question]) -> None:
    _, lone = played(questions[0], Protocol("consultancy", speakers={"A": Speaker(Side.A)}))
    _, told = played(questions[0], CONSULTANTS)
    assert told[Side.A] == lone[Side.A]


def test_a_seat_alone_is_a_consultancy(questions: Sequence[Question]) -> None:
    apart = replace(CONSULTANTS, judged_apart=True)
    transcript, _ = played(questions[0], apart)
    for side in Side:
        part = alone(transcript, side)
        assert {speech.side for speech in part.speeches} == {side} and len(part.speeches) == 2
        assert part.answers == transcript.answers and part.protocol.sides == (side,)
        assert not part.protocol.judged_apart
        assert alone(transcript.swapped(), side.other).speeches == part.swapped().speeches


def test_exchanging_changes_seats_alone_and_twice_changes_nothing(questions: Sequence[Question]) -> None:
    transcript, _ = played(questions[0], CONSULTANTS)
    other = exchanged(transcript)
    assert exchanged(other) == transcript != other
    assert [s.text for s in other.speeches] == [s.text for s in transcript.speeches]
    assert all(a.side is b.side.other for a, b in zip(other.speeches, transcript.speeches, strict=True))
    assert (other.answers, other.swapped_seats) == (transcript.answers, transcript.swapped_seats)


def test_shuffled_speakers_are_drawn_evenly_and_by_the_seed(questions: Sequence[Question]) -> None:
    one, _ = played(questions[0], replace(CONSULTANTS, rounds=4))
    many = [replace(one, question=replace(one.question, id=f"q{i}")) for i in range(300)]
    drawn = Counter(
        (speech.side, was.side)
        for t in many
        for speech, was in zip(shuffled(t, seed=1).speeches, t.speeches, strict=True)
    )
    assert len(drawn) == 4 and all(0.45 < count / 1200 < 0.55 for count in drawn.values())
    assert [shuffled(t, 1) for t in many] == [shuffled(t, 1) for t in many]
    assert [shuffled(t, 1) for t in many] != [shuffled(t, 2) for t in many]
    assert all(shuffled(t, 1).speeches[0].text == t.speeches[0].text for t in many)
