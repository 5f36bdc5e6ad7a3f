"""One debate as a game: turns, what each side is told, forks."""

from collections.abc import Sequence

import pytest

from rostrum.envs.debate import Debate, Utterance
from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.types import Protocol, Question, Side, Speaker

SEQUENTIAL = Protocol("debate", rounds=3)
SIMULTANEOUS = Protocol("simultaneous", rounds=3, simultaneous=True)
CONSULTANCY = Protocol("consultancy", speakers={"A": Speaker(Side.A)}, rounds=3)


def word(speaker: str, turn: int) -> str:
    return f"word{speaker}{turn}"


def play(debate: Debate) -> dict[str, list[str]]:
    """Each speaker says one telling word per turn; returns what each was told before each of its speeches."""
    told: dict[str, list[str]] = {}
    while not debate.finished:
        for speaker in debate.speakers:
            told.setdefault(speaker, []).append(debate.told(speaker))
        debate.hear({speaker: Utterance(word(speaker, debate.turn)) for speaker in debate.speakers})
    return told


def start(question: Question, protocol: Protocol, swapped: bool = False, prompts: str = "testimony") -> Debate:
    return Debate(question, protocol, swapped, load_prompts(prompts))


def test_sequential_seats_alternate_and_hear_each_speech_once(questions: Sequence[Question]) -> None:
    debate = start(questions[0], SEQUENTIAL)
    told = play(debate)
    assert [(s.side, s.turn) for s in debate.speeches] == [(Side("AB"[turn % 2]), turn) for turn in range(6)]
    heard = {
        side: [[turn for turn in range(6) if word(side.other, turn) in text] for text in told[side]] for side in Side
    }
    assert heard == {Side.A: [[], [1], [3]], Side.B: [[0], [2], [4]]}


def test_simultaneous_speakers_never_see_the_present_round(questions: Sequence[Question]) -> None:
    debate = start(questions[0], SIMULTANEOUS)
    told = play(debate)
    for side in Side:
        heard = [[turn for turn in range(3) if word(side.other, turn) in text] for text in told[side]]
        assert heard == [[], [0], [1]]
    assert [speech.turn for speech in debate.speeches] == [0, 0, 1, 1, 2, 2]


def test_a_consultant_is_told_nothing_but_its_turn(questions: Sequence[Question]) -> None:
    debate = start(questions[0], CONSULTANCY)
    told = play(debate)
    assert list(told) == [Side.A]
    assert told[Side.A][1] == told[Side.A][2] == " A says :"


@pytest.mark.parametrize("protocol", [SEQUENTIAL, SIMULTANEOUS])
@pytest.mark.parametrize("prompts", ["testimony", "prose"])
def test_no_seat_is_told_its_own_words_or_the_question_twice(
    questions: Sequence[Question], protocol: Protocol, prompts: str
) -> None:
    """A context only grows, so what is told is only what is new."""
    told = play(start(questions[0], protocol, prompts=prompts))
    for side, texts in told.items():
        assert questions[0].passage in texts[0]
        assert not any(questions[0].text in text or word(side, turn) in text for text in texts[1:] for turn in range(6))


@pytest.mark.parametrize("swapped", [False, True])
def test_seating_decides_who_defends_what(questions: Sequence[Question], swapped: bool) -> None:
    debate = start(questions[0], SEQUENTIAL, swapped)
    first, second = questions[0].answers
    assert debate.answers == ((second, first) if swapped else (first, second))
    assert debate.told(Side.A).endswith(f"argue A : {debate.answers[0]} A says :")
    transcript = debate.transcript()
    assert [transcript.question.answers[transcript.answer_index(side)] for side in Side] == list(debate.answers)


def test_speaking_out_of_turn_is_refused(questions: Sequence[Question]) -> None:
    debate = start(questions[0], SEQUENTIAL)
    with pytest.raises(ValueError, match="At turn 0"):
        debate.hear({Side.B: Utterance("me first")})
    with pytest.raises(ValueError, match="At turn 0"):
        debate.hear({side: Utterance("both") for side in Side})
    assert debate.speeches == () and debate.turn == 0


def test_forks_share_the_past_and_not_the_future(questions: Sequence[Question]) -> None:
    debate = start(questions[0], SEQUENTIAL)
    debate.hear({Side.A: Utterance("shared")})
    branch = debate.fork()
    branch.hear({Side.B: Utterance("only here")})
    assert branch.speeches[0] == debate.speeches[0]
    assert (len(debate.speeches), debate.turn, debate.speakers) == (1, 1, (Side.B,))
    assert "only here" in branch.told(Side.A)


def test_the_environment_checks_quotes_and_counts_words(questions: Sequence[Question]) -> None:
    debate = start(questions[0], SEQUENTIAL)
    line = questions[0].passage.split(" . ")[0]
    debate.hear({Side.A: Utterance(f"<quote> {line} </quote> <v_quote> in the nowhere nobody saw it </v_quote>")})
    speech = debate.speeches[0]
    assert [quote.verified for quote in speech.quotes] == [True, False]
    assert "<v_quote> in the nowhere" not in speech.text
    assert speech.words == 12 and speech.raw.startswith("<quote>")


def test_a_passage_that_debaters_may_not_see_is_not_told(questions: Sequence[Question]) -> None:
    debate = start(questions[0], Protocol("blind", debaters_see_passage=False))
    assert questions[0].passage not in debate.told(Side.A) and "story" not in debate.told(Side.A)


def test_the_transcript_swapped_twice_is_the_transcript(questions: Sequence[Question]) -> None:
    debate = start(questions[0], SEQUENTIAL, swapped=True)
    play(debate)
    transcript = debate.transcript({"seed": 3})
    once = transcript.swapped()
    assert once.swapped() == transcript
    assert once.answers == transcript.answers[::-1] and [s.side for s in once.speeches] == [
        Side("BA"[p % 2]) for p in range(6)
    ]
    for speech, relabelled in zip(transcript.speeches, once.speeches, strict=True):
        assert once.answers[relabelled.side is Side.B] == transcript.answers[speech.side is Side.B]
        assert once.answer_index(relabelled.side) == transcript.answer_index(speech.side)


def test_a_protocol_without_seats_is_over_before_it_begins(questions: Sequence[Question]) -> None:
    debate = start(questions[0], Protocol("naive", speakers={}, rounds=0))
    assert debate.finished and debate.speakers == () and debate.transcript().speeches == ()


@pytest.mark.parametrize("across", [False, True])
def test_the_protocol_says_whether_the_parts_of_a_quotation_may_stand_in_several_paragraphs(across: bool) -> None:
    passage = "The tenant asked for a room.\n\nThen the landlord of the house came in."
    protocol = Protocol("debate", quotes_across_paragraphs=across)
    debate = start(Question("q", "s", "Who?", ("a", "b"), passage), protocol)
    debate.hear({Side.A: Utterance("<quote>tenant asked for ... landlord of the house</quote>")})
    assert debate.speeches[0].quotes[0].verified is across
