"""Which questions are argued, by whom, and how they are cut into shards."""

from collections import Counter
from collections.abc import Sequence

import pytest

from rostrum.envs.testimony.world import TestimonyWorld
from rostrum.envs.types import Protocol, Question, Side, Speaker
from rostrum.trainer.rollouts.schedule import derive, matchups_of, questions_of, shards_of

QUESTIONS = TestimonyWorld(train=10, heldout=0).questions("train")


def test_each_question_is_played_in_both_seatings() -> None:
    matchups = matchups_of(QUESTIONS[:3], Protocol("debate"), repeats=2)
    assert Counter((m.question.id, m.swapped_seats) for m in matchups) == {
        (q.id, swapped): 2 for q in QUESTIONS[:3] for swapped in (False, True)
    }
    assert len({m.id for m in matchups}) == len(matchups) == 12
    assert all(m.policies == {Side.A: "current", Side.B: "current"} for m in matchups)


def test_a_consultant_is_assigned_each_answer_once() -> None:
    matchups = matchups_of(QUESTIONS, Protocol("c", {"A": Speaker(Side.A)}), repeats=1)
    assigned = Counter((m.question.id, m.question.answers[m.swapped_seats]) for m in matchups)
    assert assigned == {(q.id, answer): 1 for q in QUESTIONS for answer in q.answers}
    assert all(set(m.policies) == {Side.A} for m in matchups)


def test_branching_plies_are_drawn_and_within_the_debate() -> None:
    matchups = matchups_of(QUESTIONS, Protocol("debate"), 4, branches=3, turns=4, seed=5)
    assert {m.branch_turn for m in matchups} == {0, 1, 2, 3}
    again = matchups_of(QUESTIONS, Protocol("debate"), 4, branches=3, turns=4, seed=5)
    other = matchups_of(QUESTIONS, Protocol("debate"), 4, branches=3, turns=4, seed=6)
    assert [m.branch_turn for m in again] == [m.branch_turn for m in matchups] != [m.branch_turn for m in other]


def ids(iteration: int, count: int, questions: Sequence[Question] = QUESTIONS, seed: int = 1) -> list[str]:
    return [question.id for question in questions_of(questions, iteration, count, seed)]


@pytest.mark.parametrize("count", [1, 3, 5, 10])
def test_a_lap_takes_every_question_once(count: int) -> None:
    walked = [name for iteration in range(1, 31) for name in ids(iteration, count)]
    for lap in range(0, len(walked) - 9, 10):
        assert sorted(walked[lap : lap + 10]) == sorted(q.id for q in QUESTIONS)


def test_laps_are_shuffled_anew_and_by_the_seed() -> None:
    first, second = (tuple(ids(iteration, 10)) for iteration in (1, 2))
    assert len({first, second, tuple(ids(1, 10, seed=2)), tuple(q.id for q in QUESTIONS)}) == 4


def test_an_iteration_may_be_longer_than_the_set() -> None:
    assert Counter(ids(1, 10, QUESTIONS[:4])).most_common()[-1][1] >= 2


def test_shards_keep_the_order_and_have_seeds_of_their_own() -> None:
    matchups = matchups_of(QUESTIONS, Protocol("c", {"A": Speaker(Side.A)}), 1)
    shards = shards_of(matchups, 8, seed=3)
    assert [matchup for shard in shards for matchup in shard.matchups] == matchups
    assert [(s.index, len(s.matchups)) for s in shards] == [(0, 8), (1, 8), (2, 4)]
    assert len({s.seed for s in shards} | {s.seed for s in shards_of(matchups, 8, seed=4)}) == 6


def test_derived_seeds_are_fixed_for_all_machines() -> None:
    """The CRC-32 of the text "0:play:1", as any other tool computes it."""
    assert derive(0, "play", 1) == 399637631
    assert len({derive(1, 23), derive(12, 3), derive(123)}) == 3
