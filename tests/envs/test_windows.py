"""Windows on long passages: within the budget, whole paragraphs in order, the same for both answers."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rostrum.envs.debate import Debate, Utterance
from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.text.windows import GAP, Window
from rostrum.envs.types import Protocol, Question, Side

SUBJECTS = ("rain", "bread", "the lamp", "sheep", "a lamp")
PARAGRAPHS = [f"Paragraph {i} speaks of {what}." for i, what in enumerate(SUBJECTS)]
QUESTION = Question("q", "s", "Who broke the lamp?", ("the shepherd", "the baker"), "\n\n".join(PARAGRAPHS))


def words(text: str) -> int:
    return len(text.split())


def test_a_passage_that_fits_is_shown_whole() -> None:
    assert Window(words(QUESTION.passage)).show(QUESTION, words) == QUESTION.passage


def test_the_beginning() -> None:
    assert Window(12, "beginning").show(QUESTION, words) == f"{PARAGRAPHS[0]}\n\n{GAP}"


def test_the_relevant_paragraphs_in_their_order() -> None:
    """Both lamps, and nothing else of what would fit: "lamp" is rarer than "the"."""
    shown = Window(16).show(QUESTION, words)
    assert shown == f"{GAP}\n\n{PARAGRAPHS[2]}\n\n{GAP}\n\n{PARAGRAPHS[4]}"


@given(st.integers(1, 40), st.sampled_from(["beginning", "relevant"]))
def test_never_over_the_budget_and_deaf_to_the_order_of_the_answers(tokens: int, keep: str) -> None:
    window = Window(tokens, keep)  # type: ignore[arg-type]
    shown = window.show(QUESTION, words)
    assert words(shown) <= tokens
    assert shown == window.show(replace(QUESTION, answers=QUESTION.answers[::-1]), words)
    assert [part for part in shown.split("\n\n") if part != GAP] == [p for p in PARAGRAPHS if p in shown]


@pytest.mark.parametrize("side", list(Side))
def test_quotes_from_outside_the_window_are_verified(questions: Sequence[Question], side: Side) -> None:
    debate = Debate(QUESTION, Protocol("debate", rounds=1), False, load_prompts("prose"), PARAGRAPHS[0])
    assert "bread" not in debate.told(Side.A) and PARAGRAPHS[0] in debate.fork().told(Side.A)
    for speaker in Side:
        debate.hear({speaker: Utterance("<quote>Paragraph 1 speaks of bread</quote>")})
    assert next(s for s in debate.speeches if s.side is side).quotes[0].verified


def test_words_with_combining_marks_are_whole_words() -> None:
    """ "की" and "का" share their letter and nothing else; case and the way an accent is written are nothing."""
    passage = "राम की गाय\n\nराम का घर\n\nLe cafe\u0301 ferme\n\nराम राम की की"
    about = Question("q", "s", "घर का", ("CAF\u00c9", "x"), passage)
    shown = Window(words(f"राम का घर {GAP} {GAP} x"), "relevant").show(about, words)
    assert "राम का घर" in shown and "की" not in shown
    shown = Window(6, "relevant").show(replace(about, text="?"), words)
    assert "cafe\u0301" in shown and "राम" not in shown
