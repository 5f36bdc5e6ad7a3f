"""The private scratchpad: nothing of it reaches opponent or judge, and it stays in the record."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs import transcripts
from envs.debate import Debate, Utterance
from envs.prompts import load_prompts
from envs.scratchpad import split
from envs.types import Protocol, Question, Seat

PROMPTS = load_prompts("chat")
PRIVATE = Protocol("debate", rounds=2, scratchpad=True)


@pytest.mark.parametrize(
    ("raw", "public", "private"),
    [
        ("plain speech", "plain speech", ""),
        ("<thinking>secret</thinking> speech", "speech", "secret"),
        ("<think>\nsecret\n</think>\n\nspeech", "speech", "secret"),
        ("secret</think>\n\nspeech", "speech", "secret"),
        ("speech <thinking> secret that is cut o", "speech", "secret that is cut o"),
        ("one <thinking>a</thinking> two <thinking>b</thinking> three", "one\ntwo\nthree", "a\nb"),
        ("<thinking>a<thinking>b</thinking>speech", "speech", "a\nb"),
        ("[THINK]secret[/THINK]speech", "speech", "secret"),
        ("< THINKING >secret</ Thinking >speech", "speech", "secret"),
        ("</thinking>speech", "speech", ""),
        ("a</think>b</think>speech", "speech", "a\nb"),
        ("", "", ""),
    ],
)
def test_what_is_public(raw: str, public: str, private: str) -> None:
    assert split(raw) == (public, private)


@given(st.lists(st.sampled_from(["<thinking>", "</thinking>", "<think>", "</think>", "word", " "]), max_size=8))
def test_no_text_is_lost_or_said_twice(parts: list[str]) -> None:
    public, private = split("".join(parts))
    assert (public + private).count("word") == parts.count("word")
    assert "think" not in public + private


def test_nobody_is_shown_the_thoughts(questions: Sequence[Question]) -> None:
    debate = Debate(questions[0], PRIVATE, False, PROMPTS)
    while not debate.finished:
        (seat,) = debate.speakers
        assert "SECRET" not in debate.told(seat)
        debate.hear({seat: Utterance(f"<thinking>SECRET <quote>of {seat}</quote></thinking>speech of {seat}")})
    transcript = debate.transcript()
    assert "SECRET" not in PROMPTS.judge(transcript) and "speech of B" in PROMPTS.judge(transcript)
    assert [speech.words for speech in transcript.speeches] == [3] * 4
    assert all(speech.quotes == () for speech in transcript.speeches), "a quote in private is shown to nobody"
    assert transcript.speeches[0].private == "SECRET <quote>of A</quote>"
    assert "SECRET" in transcript.speeches[0].raw
    assert transcripts.from_json(transcripts.to_json(transcript)) == transcript


def test_a_debater_is_told_of_the_scratchpad_only_where_there_is_one(questions: Sequence[Question]) -> None:
    for prompts in (PROMPTS, load_prompts("prose")):
        with_, without = (prompts.turn(Seat.A, [], Protocol("x", scratchpad=on)) for on in (True, False))
        assert "thinking" in with_ and "thinking" not in without


def test_without_a_scratchpad_the_tags_are_text(questions: Sequence[Question]) -> None:
    debate = Debate(questions[0], Protocol("consultancy", (Seat.A,), rounds=1), False, PROMPTS)
    debate.hear({Seat.A: Utterance("<thinking>aloud</thinking> speech")})
    assert "aloud" in debate.speeches[0].text and debate.speeches[0].private == ""
