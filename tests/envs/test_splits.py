"""What hashes decide about questions: the order of answers, what is drawn, what fits under a limit."""

import pytest

from rostrum.envs.questions.splits import answer_pair, drawn, same_words, spread, turns
from rostrum.envs.types import Question

IDS = [f"q{number}" for number in range(400)]
QUESTIONS = [Question(f"q{n}", f"s{n % 7}", "?", ("a", "b"), "") for n in range(70)]


def test_the_order_of_the_answers_does_not_depend_on_which_is_right() -> None:
    for name in IDS:
        (pair, correct), (again, other) = answer_pair(name, "yes", "no"), answer_pair(name, "no", "yes")
        assert pair == again
        assert correct == 1 - other
        assert pair[correct] == "yes"


@pytest.mark.parametrize(("right", "wrong"), [("yes", "no"), ("a", "b"), ("b", "a")])
def test_the_right_answer_is_first_in_half_of_the_questions(right: str, wrong: str) -> None:
    assert 160 <= sum(answer_pair(name, right, wrong)[1] == 0 for name in IDS) <= 240


def test_a_draw_heeds_neither_the_order_nor_favours_a_place() -> None:
    for name in IDS:
        assert drawn(name, ["x", "y", "z"]) == drawn(name, ["z", "x", "y"])
    assert all(100 <= sum(drawn(name, ["x", "y", "z"]) == text for name in IDS) <= 170 for text in "xyz")


def test_every_story_has_its_turn_before_any_has_a_second() -> None:
    turn = turns(QUESTIONS, seed=0)
    for story in range(7):
        assert sorted(turn[q.id] for q in QUESTIONS if q.story_id == f"s{story}") == list(range(10))
    for limit in (6, 7, 8, 20):
        taken = spread(QUESTIONS, limit, seed=0)
        per_story = [sum(q.story_id == f"s{story}" for q in taken) for story in range(7)]
        assert len(taken) == limit and max(per_story) - min(per_story) <= 1
        assert list(taken) == [q for q in QUESTIONS if q in taken]


@pytest.mark.parametrize("limit", [None, 70, 71])
def test_a_limit_that_is_not_reached_takes_all(limit: int | None) -> None:
    assert spread(QUESTIONS, limit, seed=0) == tuple(QUESTIONS)


def test_case_and_space_make_no_difference_between_answers() -> None:
    assert same_words(" The  Office", "the office\n") and not same_words("the office", "theoffice")
