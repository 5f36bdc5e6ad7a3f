"""One iteration without a model: what is collected, in which order, and what becomes of debates gone wrong."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.types import AnswerKey, Failure, Protocol, Question, Side, Transcript
from rostrum.rewards.reward import RewardRule
from rostrum.rewards.scripted import ScriptedJudge
from rostrum.rewards.types import Verdict
from rostrum.trainer.engines.base import Sampling
from rostrum.trainer.rollouts.collect import collect, mean_approval
from rostrum.trainer.rollouts.local import Outcome, Shard
from rostrum.trainer.rollouts.measure import measure
from rostrum.trainer.rollouts.play import play
from rostrum.trainer.rollouts.schedule import matchups_of
from rostrum.trainer.types import Batch, Policy

POLICY = Policy("current", 3, "x")
PROTOCOL = Protocol("debate")


class Backwards:
    """Rollouts that hand their shards over in the wrong order, with the first debate of each lost."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine

    def play(self, shards: Sequence[Shard], policies: Mapping[str, Policy]) -> Iterator[tuple[Shard, list[Outcome]]]:
        for shard in reversed(shards):
            sampling = Sampling(9, seed=shard.seed)
            played = play(
                shard.matchups, PROTOCOL, load_prompts("testimony"), {"current": self.engine}, sampling, policies
            )
            first = shard.matchups[0]
            yield shard, [Failure(first.question.id, first.swapped_seats, "lost"), *played[1:]]


@pytest.fixture
def batch(scripted_engine: Callable[..., Any], questions: Sequence[Question]) -> Batch:
    key = AnswerKey({question.id: 0 for question in questions})
    judge = ScriptedJudge(key, 1.0, margin=2.0)
    workers = Backwards(scripted_engine(lambda text: "<quote> never said this </quote> so"))
    rule = RewardRule(unverified_quote_penalty=0.5)
    return collect(1, matchups_of(questions, PROTOCOL, 1), {"current": POLICY}, workers, judge, rule, 4, seed=0)


def test_every_match_is_there_and_in_order(batch: Batch, questions: Sequence[Question]) -> None:
    expected = [m.id for m in matchups_of(questions, PROTOCOL, 1)]
    assert [j.rollout.matchup for j in batch.judged] == expected[1:4] + expected[5:8]
    assert [f.question_id for f in batch.failures] == [questions[0].id, questions[2].id]


def test_rewards_follow_the_verdict(batch: Batch) -> None:
    """The judge believes answer 0 by two nats; each speech has one quote that is not in the passage."""
    for judged in batch.judged:
        assert judged.rewards is not None
        winner = Side.B if judged.rollout.transcript.swapped_seats else Side.A
        assert judged.rewards[winner].approval == pytest.approx(2.0)
        assert judged.rewards[winner.other].approval == pytest.approx(-2.0)
        assert all(reward.shaping == (-0.5, -0.5) for reward in judged.rewards.values())


def test_trajectories_belong_to_their_seat(batch: Batch) -> None:
    trajectories = batch.trajectories()
    assert len(trajectories) == 12
    for judged, of_a, of_b in zip(batch.judged, trajectories[::2], trajectories[1::2], strict=True):
        for side, turns, trajectory in ((Side.A, (0, 2), of_a), (Side.B, (1, 3), of_b)):
            assert (trajectory.side, trajectory.turns) == (side, turns)
            assert trajectory.row is judged.rollout.rows[side][0]
            assert judged.rewards is not None and trajectory.reward == judged.rewards[side]
            assert trajectory.policy_version == 3
    assert batch.trajectories("base") == []


def test_an_invalid_verdict_teaches_nobody(scripted_engine: Callable[..., Any], questions: Sequence[Question]) -> None:
    judge = ScriptedJudge(AnswerKey({q.id: 0 for q in questions}), invalid_every=1)
    workers = Backwards(scripted_engine(lambda text: "word"))
    found = collect(
        1, matchups_of(questions, PROTOCOL, 1), {"current": POLICY}, workers, judge, RewardRule(), 4, seed=0
    )
    assert len(found.judged) == 6 and all(j.rewards is None for j in found.judged) and found.trajectories() == []
    assert math.isnan(mean_approval(found.judged))
    measured = measure(found)
    assert (measured["invalid"], measured["failed"], measured["debates"]) == (6, 2, 8)
    assert "reward" not in measured and not any(math.isnan(value) for value in measured.values())


class Unreadable:
    """A judge that cannot read about one question."""

    def __init__(self, question: str, judge: ScriptedJudge) -> None:
        self.name, self.usage, self.question, self.inner = "j", judge.usage, question, judge

    def judge(self, transcripts: Sequence[Transcript]) -> list[Verdict]:
        spoiled = Verdict(self.name, None, None, valid=False, reason="unreadable", cause="speech")
        verdicts = self.inner.judge(transcripts)
        return [spoiled if t.question.id == self.question else v for t, v in zip(transcripts, verdicts, strict=True)]


def test_a_verdict_that_speeches_spoiled_costs_both_seats(
    scripted_engine: Callable[..., Any], questions: Sequence[Question]
) -> None:
    """Both sides of each spoiled debate are paid -4; the others are zero-sum."""
    judge = Unreadable(questions[1].id, ScriptedJudge(AnswerKey({q.id: 0 for q in questions}), 1.0, margin=2.0))
    workers = Backwards(scripted_engine(lambda text: "word"))
    found = collect(
        1, matchups_of(questions, PROTOCOL, 1), {"current": POLICY}, workers, judge, RewardRule(), 4, seed=0
    )
    spoiled = [j for j in found.judged if not j.verdict.valid]
    assert len(spoiled) == found.spoiled == measure(found)["spoiled"] == measure(found)["invalid"] == 2
    assert all({reward.total for reward in (j.rewards or {}).values()} == {-4.0} for j in spoiled)
    of_spoiled = [t for t in found.trajectories() if t.question_id == questions[1].id]
    assert len(of_spoiled) == 4 and all(t.returns == (-4.0, -4.0) for t in of_spoiled)
    assert measure(found)["reward"] == pytest.approx(-8 / 6), "the other debates are zero-sum"


def test_what_is_measured(batch: Batch) -> None:
    measured = measure(batch)
    assert (measured["debates"], measured["failed"], measured["invalid"], measured["policy_version"]) == (8, 2, 0, 3)
    assert measured["reward"] == pytest.approx(-1.0), "zero-sum approval, two penalties of a half for each side"
    assert measured["penalty"] == pytest.approx(-1.0)
    assert measured["entropy"] == pytest.approx(0.5), "the engine says -0.5 for every token"
    assert (measured["verified_quotes"], measured["quotes_per_speech"], measured["words_per_speech"]) == (0, 1, 4)


def test_progress_is_told_of_every_debate(scripted_engine: Callable[..., Any], questions: Sequence[Question]) -> None:
    told: list[tuple[int, float]] = []
    judge = ScriptedJudge(AnswerKey({q.id: 0 for q in questions}), 1.0)
    workers = Backwards(scripted_engine(lambda text: "word"))
    matchups = matchups_of(questions, PROTOCOL, 1)
    collect(
        1,
        matchups,
        {"current": POLICY},
        workers,
        judge,
        RewardRule(),
        3,
        0,
        lambda done, approval: told.append((done, approval)),
    )
    assert sum(done for done, _ in told) == len(matchups) and all(0 <= approval <= 1 for _, approval in told)
