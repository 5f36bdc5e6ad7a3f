"""The laws of the testimony world."""

import random
from dataclasses import fields

import pytest

from rostrum.envs.testimony import TestimonyWorld
from rostrum.envs.testimony.world import (
    MIN_PER_ANSWER,
    RELIABILITY,
    SPLIT_SIZE,
    STATEMENTS,
    UNRELATED,
    Statement,
    draw_story,
    passage_of,
    question_at,
    split_of,
    statements_of,
)


def test_the_same_seed_makes_the_same_questions_and_another_seed_makes_others():
    first, again, other = (TestimonyWorld(train=30, heldout=10, seed=seed) for seed in (3, 3, 4))
    assert first.questions("train") == again.questions("train")
    assert first.answer_key("heldout") == again.answer_key("heldout")
    assert not set(first.questions("train")) & set(other.questions("train"))


def test_a_larger_world_begins_with_the_smaller_one():
    assert TestimonyWorld(train=40).questions("train")[:15] == TestimonyWorld(train=15).questions("train")


def test_a_question_does_not_depend_on_the_others():
    assert TestimonyWorld(train=20).questions("train")[17] == question_at("train", 17)[0]


@pytest.mark.parametrize("seeds", [(0, 0), (0, 1)])
def test_splits_share_no_story_even_between_seeds(seeds):
    train = {q.passage for q in TestimonyWorld(train=300, seed=seeds[0]).questions("train")}
    heldout = {q.passage for q in TestimonyWorld(heldout=300, seed=seeds[1]).questions("heldout")}
    teaching = {question_at("teaching", index, seeds[1])[0].passage for index in range(300)}
    assert {split_of(p) for p in train} == {"train"} and {split_of(p) for p in heldout} == {"heldout"}
    assert not train & heldout and not train & teaching and not heldout & teaching


def test_every_question_has_two_statements_for_either_answer_and_its_own_story():
    questions = TestimonyWorld(train=400).questions("train")
    for question in questions:
        story = statements_of(question.passage)
        assert len({statement.witness for statement in story}) == len(story) == STATEMENTS
        for answer in question.answers:
            assert sum(statement.place == answer for statement in story) >= MIN_PER_ANSWER
    assert len({q.story_id for q in questions}) == len({q.id for q in questions}) == 400


def test_the_right_answer_comes_first_in_half_of_the_questions():
    key = TestimonyWorld(train=4000).answer_key("train")
    assert len(key.correct) == 4000
    assert 2000 - 3 * 32 < sum(key.correct.values()) < 2000 + 3 * 32  # three standard deviations of 4,000 coins


def test_a_question_does_not_tell_which_answer_is_right():
    names = {field.name for field in fields(question_at("train", 0)[0])}
    assert names == {"id", "story_id", "text", "answers", "passage"}
    swapped = [q.answers == tuple(sorted(q.answers)) for q in TestimonyWorld(train=2000).questions("train")]
    correct = list(TestimonyWorld(train=2000).answer_key("train").correct.values())
    agreement = sum(s == c for s, c in zip(swapped, correct, strict=True))
    assert 1000 - 3 * 23 < agreement < 1000 + 3 * 23


def test_witnesses_are_as_reliable_as_the_table_says():
    rng, told = random.Random(0), {witness: [0, 0] for witness in RELIABILITY}
    for _ in range(6000):
        for statement in draw_story(rng, "kitchen", "office"):
            if statement.place in ("kitchen", "office"):
                told[statement.witness][statement.place == "kitchen"] += 1
    for witness, reliability in RELIABILITY.items():
        wrong, right = told[witness]
        assert right / (right + wrong) == pytest.approx(reliability, abs=0.03)
    spoken = sum(map(sum, told.values()))
    assert spoken / (6000 * STATEMENTS) == pytest.approx(1 - UNRELATED, abs=0.01)


def test_the_credible_witnesses_point_at_the_right_answer():
    questions, key = TestimonyWorld(train=500).questions("train"), TestimonyWorld(train=500).answer_key("train")
    right = wrong = 0
    for question in questions:
        for statement in statements_of(question.passage):
            if statement.witness == "anna" and statement.place in question.answers:
                if question.answers.index(statement.place) == key[question.id]:
                    right += 1
                else:
                    wrong += 1
    assert right > 5 * wrong


def test_a_story_can_be_read_back():
    story = (Statement("kitchen", "anna"), Statement("office", "boris"))
    assert passage_of(story) == "in the kitchen anna saw it . in the office boris saw it ."
    assert statements_of(passage_of(story)) == story
    with pytest.raises(ValueError, match="Write a statement as"):
        statements_of("anna saw it in the kitchen .")


def test_mistakes_are_answered_in_a_sentence():
    with pytest.raises(ValueError, match="choose train or heldout"):
        TestimonyWorld().questions("teaching")
    with pytest.raises(ValueError, match="between 0 and"):
        TestimonyWorld(train=SPLIT_SIZE + 1)
    with pytest.raises(ValueError, match="no split 'test'"):
        question_at("test", 0)
    with pytest.raises(ValueError, match="index below"):
        question_at("train", SPLIT_SIZE)
