"""The arena: casts, plans and verdicts come back in the order of the plan, whoever was finished first."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rostrum.envs.types import Failure, Protocol, Question, Side, Speaker, Transcript
from rostrum.rewards.types import Verdict
from rostrum.trainer.policies import belongs, policies_in
from rostrum.trainer.rollouts.arena import Plan, Played, in_order, in_shards, play, verdicts_on
from rostrum.trainer.rollouts.local import Outcome, Shard
from rostrum.trainer.rollouts.schedule import alone, both_seatings, in_turns
from rostrum.trainer.types import Policy, Rollout

QUESTIONS = [Question(f"q{n}", f"s{n}", "Where?", ("here", "there"), "A passage.") for n in range(3)]
DEBATE = Protocol("debate")
LONE = Protocol("consultancy", {"A": Speaker(Side.A)})
POLICY = Policy("player", 0, "nowhere")
ONE, TWO = ({"current": Policy(name, 0, "nowhere")} for name in ("one", "two"))


class Backwards:
    """Plays the last shard first; debates about q1 fail."""

    def play(self, shards: Sequence[Shard], policies: Mapping[str, Policy]) -> Iterator[tuple[Shard, list[Outcome]]]:
        assert set(policies) == {POLICY.name}
        for shard in reversed(shards):
            yield shard, [self._outcome(shard, place) for place in range(len(shard.matchups))]

    def _outcome(self, shard: Shard, place: int) -> Outcome:
        matchup = shard.matchups[place]
        if matchup.question.id == "q1":
            return Failure(matchup.question.id, matchup.swapped_seats, "too long")
        transcript = Transcript(matchup.question, DEBATE, matchup.question.answers, matchup.swapped_seats)
        return Rollout(matchup.id, 0, transcript, {}, 0)


class Judge:
    """Gives each debate its place as a probability."""

    name = "counting"

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        return [Verdict(self.name, place / 10, place / 10) for place, _ in enumerate(transcripts)]


@pytest.fixture
def plan() -> Plan:
    return Plan(both_seatings(QUESTIONS, alone(DEBATE, {"current": POLICY})), [POLICY], 4, seed=7)


def test_each_question_is_argued_in_both_seatings(plan: Plan) -> None:
    assert [(m.id, m.swapped_seats) for m in plan.matchups] == [
        (f"{n:05d}-{way}", way == "ba") for n in range(3) for way in ("ab", "ba")
    ]


def test_two_policies_take_turns_in_the_first_side_and_a_lone_one_has_no_other() -> None:
    cast = in_turns(DEBATE, ONE, TWO)
    first, second = (dict(cast(n)) for n in (0, 1))
    assert set(first.values()) == {"one", "two"} and first == {
        name: second[other] for name, other in zip("AB", "BA", strict=True)
    }
    assert cast(0)["A"] == "one" and cast(2) == cast(0)
    assert [dict(in_turns(LONE, ONE, TWO)(n)) for n in (0, 1)] == [{"A": "one"}, {"A": "two"}]


def test_in_sets_of_several_each_speaker_has_the_policy_that_the_protocol_names() -> None:
    speakers = {name: replace(of, policy=f"of-{name}") for name, of in DEBATE.speakers.items()}
    one, two = (policies_in(Path("x"), name, 3, ["of-A", "of-B"]) for name in ("one", "two"))
    protocol = replace(DEBATE, speakers=speakers)
    assert alone(protocol, one)(0) == {"A": "one:of-A", "B": "one:of-B"}
    assert [in_turns(protocol, one, two)(n)["B"] for n in (0, 1)] == ["two:of-B", "one:of-B"]
    assert one["of-B"] == Policy("one:of-B", 3, "x/of-B") and belongs("one:of-B", "one") and not belongs("two", "one")


def test_outcomes_come_in_the_order_of_the_plan(plan: Plan) -> None:
    found = {shard.index: len(outcomes) for shard, outcomes in in_shards(Backwards(), plan)}  # type: ignore[arg-type]
    assert list(found.values()) == [2, 4], "as they are finished"
    assert in_order(found) == [4, 2]
    played = play(Backwards(), plan, "playing")  # type: ignore[arg-type]
    about = [o.question_id if isinstance(o, Failure) else o.question.id for o in played.outcomes]
    assert about == ["q0", "q0", "q1", "q1", "q2", "q2"]
    assert (len(played.finished), len(played.failures)) == (4, 2)


def test_a_debate_that_failed_counts_as_invalid_in_its_place(plan: Plan) -> None:
    played = play(Backwards(), plan, "playing")  # type: ignore[arg-type]
    found = verdicts_on(Judge(), played.outcomes)  # type: ignore[arg-type]
    assert [verdict.valid for verdict in found] == [True, True, False, False, True, True]
    assert [verdict.mean for verdict in found if verdict.valid] == [0.0, 0.1, 0.2, 0.3]
    assert found[2].reason == "the debate failed: too long"
    assert verdicts_on(Judge(), Played([]).outcomes) == []  # type: ignore[arg-type]
