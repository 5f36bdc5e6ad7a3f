"""Which quotations count: by hand, on one passage."""

from dataclasses import replace

import pytest

from rostrum.envs.debate import Debate, Utterance
from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.text.evidence import QuoteRule
from rostrum.envs.types import Protocol, Question, Speech

PASSAGE = "The keeper of the lock was called Oda. She had kept it for thirty years. Boats came up with stone."
QUESTION = Question("q", "s", "Who kept the lock?", ("Oda", "Pell"), PASSAGE)
RULE = QuoteRule()
KEEPER, YEARS, BOATS = "The keeper of the lock", "She had kept it for thirty years", "Boats came up with stone"
PROSE = "and so it is quite clear to everybody who reads"


def speech(text: str, finish: str = "stop") -> Speech:
    debate = Debate(QUESTION, Protocol("debate", max_words=30), False, load_prompts("chat"))
    return debate.speech("A", Utterance(text, finish_reason=finish))


def quoted(*texts: str, prose: str = PROSE) -> str:
    return " ".join(f"<quote>{text}</quote> {prose}" for text in texts)


def counted(text: str, *before: str, rule: QuoteRule = RULE, words: int = 30) -> list[str]:
    return [quote.text for quote in rule.counting(speech(text), [speech(one) for one in before], words)]


def test_true_quotes_of_five_words_count() -> None:
    assert counted(quoted(KEEPER)) == [KEEPER]
    assert counted(quoted(KEEPER, BOATS)) == [KEEPER, BOATS]
    assert counted(quoted("keeper of the lock")) == []
    assert counted(quoted("keeper of the lock"), rule=replace(RULE, min_words=4)) == ["keeper of the lock"]
    assert counted(quoted("The keeper of the gate")) == [], "it does not stand in the passage"


def test_what_was_quoted_before_in_the_debate_does_not_count_again() -> None:
    assert counted(quoted(KEEPER, KEEPER)) == [KEEPER]
    assert counted(quoted(KEEPER), quoted(KEEPER)) == []
    assert counted(quoted("lock was called Oda. She"), quoted(KEEPER)) == [], "one word is the same"
    assert counted(quoted(KEEPER), quoted(BOATS)) == [KEEPER]
    assert counted(quoted(KEEPER), quoted("The keeper of the gate")) == [KEEPER], "what is not true takes nothing"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"<quote>{KEEPER}</quote> is what it says", 30),  # 5 of 9 words
        (f"<quote>{KEEPER}</quote> <quote>and much that is not there at all</quote> {PROSE}", 22),  # 13 of 23
        (quoted(KEEPER), 14),
        ("", 30),
    ],
)
def test_a_speech_that_is_too_long_or_mostly_quotes_has_none(text: str, words: int) -> None:
    assert counted(text, words=words) == []


def test_half_of_a_speech_may_be_quotes_and_a_limit_may_be_reached() -> None:
    assert counted(f"<quote>{KEEPER}</quote> is what it says there", words=10) == [KEEPER]


def test_a_speech_that_was_cut_has_none() -> None:
    assert RULE.counting(speech(quoted(KEEPER), "length"), (), 30) == ()


def test_a_debate_is_read_in_order() -> None:
    debate = Debate(QUESTION, Protocol("debate", rounds=1, max_words=30), False, load_prompts("chat"))
    for name in "AB":
        debate.hear({name: Utterance(quoted(KEEPER))})
    assert [len(counting) for _, counting in RULE.of_debate(debate.transcript())] == [1, 0]
