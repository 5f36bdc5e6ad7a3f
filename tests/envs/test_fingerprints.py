"""Hashes of what a run was made with: what changes them, and what does not."""

from dataclasses import replace

import pytest

from rostrum.envs.fingerprints import answers_hash, questions_hash, record_hash
from rostrum.envs.testimony.world import TestimonyWorld
from rostrum.envs.types import AnswerKey

WORLD = TestimonyWorld(train=0, heldout=5)
QUESTIONS = WORLD.questions("heldout")


def test_the_order_of_keys_does_not_count_and_values_do() -> None:
    assert record_hash({"a": 1, "b": [2, "é"]}) == record_hash({"b": [2, "é"], "a": 1})
    assert record_hash({"a": 1}) != record_hash({"a": 1.5}) != record_hash({"a": None})
    with pytest.raises(ValueError, match="NaN|JSON"):
        record_hash(float("nan"))


@pytest.mark.parametrize("field", ["id", "story_id", "text", "passage"])
def test_every_word_of_a_question_counts(field: str) -> None:
    other = replace(QUESTIONS[2], **{field: getattr(QUESTIONS[2], field) + "."})
    assert questions_hash([*QUESTIONS[:2], other, *QUESTIONS[3:]]) != questions_hash(QUESTIONS)


def test_the_order_of_questions_and_of_answers_counts() -> None:
    swapped = replace(QUESTIONS[0], answers=QUESTIONS[0].answers[::-1])
    assert (
        len({questions_hash(found) for found in (QUESTIONS, QUESTIONS[::-1], QUESTIONS[:4], [swapped, *QUESTIONS[1:]])})
        == 4
    )
    assert questions_hash(TestimonyWorld(train=3, heldout=5).questions("heldout")) == questions_hash(QUESTIONS)


def test_a_right_answer_turned_round_counts() -> None:
    key = WORLD.answer_key("heldout")
    first = QUESTIONS[0].id
    turned = AnswerKey({**key.correct, first: 1 - key[first]})
    reordered = AnswerKey(dict(reversed(list(key.correct.items()))))
    assert answers_hash(turned) != answers_hash(key) == answers_hash(reordered)
