"""Which debates a study has: gold ones have stories of their own and look like those of the main phase."""

import pytest

from rostrum.envs.types import Transcript
from rostrum.rewards.people.database import StudyError
from rostrum.trainer.config.people import People
from rostrum.trainer.evaluation.people.double_check import Said
from rostrum.trainer.evaluation.people.new_study import Condition, choose, part_of, possible
from tests.rewards.people.study import transcript


def debates(condition: int) -> dict[str, list[Transcript]]:
    return {f"q{n}": [transcript(n, condition)] for n in range(60)}


def test_gold_debates_are_others_and_take_turns_through_the_conditions() -> None:
    conditions = [Condition("run", f"it{n}", n, "debate", debates(n)) for n in range(2)]
    right = {(question, False): "A" for question in debates(0)}
    people = People(questions=4, training=2, qualification=2, gold=4, judges=3)
    chosen = choose(conditions, right, people, seed=0)
    stories = {
        phase: {each.transcript.question.story_id for each in chosen if each.phase == phase}
        for phase in ("training", "qualification", "main", "gold")
    }
    assert len(set().union(*stories.values())) == sum(map(len, stories.values())), "no story is in two phases"
    assert {part_of(story) for story in stories["gold"]} == {"test"}
    gold = [each for each in chosen if each.phase == "gold"]
    assert [each.condition for each in gold] == [0, 1, 0, 1] and {each.wanted for each in gold} == {3}
    without = choose(conditions, right, people.model_copy(update={"gold": 0}), seed=0)
    assert without == [each for each in chosen if each.phase != "gold"], "the rest is as it was"


def test_nobody_meets_a_question_twice_so_too_few_people_cannot_give_all() -> None:
    conditions = [Condition("run", f"it{n}", n, "debate", debates(n)) for n in range(4)]
    right = {(question, False): "A" for question in debates(0)}
    chosen = choose(conditions, right, People(questions=6, verdicts=2), seed=0)
    assert possible(chosen, 8) == (48, 48, 8) and possible(chosen, 4) == (24, 48, 8)


def test_debates_by_which_a_model_is_checked_are_of_other_stories_than_the_rest() -> None:
    conditions = [Condition("run", f"it{n}", n, "debate", debates(n)) for n in range(2)]
    right = {(question, False): "A" for question in debates(0)}
    said = [{key: Said(0.7, n / 10, bool(n)) for key in right} for n in range(2)]
    people = People(questions=7, training=2, qualification=2, gold=2, check="panel")
    chosen = choose(conditions, right, people, 0, said)
    main = [each for each in chosen if each.phase == "main"]
    rest = [each for each in chosen if each.phase != "main"]
    assert len(main) == 7 and len(rest) == 6
    assert not {e.transcript.question.story_id for e in main} & {e.transcript.question.story_id for e in rest}
    assert {part_of(each.transcript.question.story_id) for each in main} == {"test"}
    assert [each.checked is None for each in rest] == [True] * 6
    parts = [each.checked.part for each in main if each.checked is not None]
    assert parts == ["random"] * 4 + ["disagreed"] * 3
    few = [{key: value for key, value in of.items() if key[0] == "q1"} for of in said]
    with pytest.raises(StudyError, match="debates with a verdict of that judge are left"):
        choose(conditions, right, people, 0, few)
