"""Which debates a study has: gold ones have stories of their own and look like those of the main phase."""

from rostrum.envs.types import Transcript
from rostrum.trainer.config.people import People
from rostrum.trainer.evaluation.people.new_study import Condition, choose, part_of
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
