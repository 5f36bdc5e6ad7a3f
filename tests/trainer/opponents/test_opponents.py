"""Opponents without a model: who meets whom, from which side, who is drawn how often, and who is learned from."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
import pytest

from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.types import Protocol, Question, Side
from rostrum.launch import compose
from rostrum.rewards.reward import RewardRule
from rostrum.trainer.algorithms.advantages import role_ema
from rostrum.trainer.config import Config
from rostrum.trainer.config.opponent import League
from rostrum.trainer.engines.base import Sampling
from rostrum.trainer.opponents.league import LeagueOpponents, chances
from rostrum.trainer.opponents.lineup import Opponents, opponents
from rostrum.trainer.rollouts.collect import collect
from rostrum.trainer.rollouts.local import Outcome, Shard
from rostrum.trainer.rollouts.measure import measure
from rostrum.trainer.rollouts.play import play
from rostrum.trainer.rollouts.schedule import matchups_of
from rostrum.trainer.run_context import RunContext
from rostrum.trainer.section import SectionError
from rostrum.trainer.types import Batch, Matchup, Policy

SIDES = (Side.A, Side.B)
VLLM = ("debater.engine=vllm", "cluster.gpus_per_worker=1")


def configured(*overrides: str) -> Config:
    return compose.load(["output=runs/test", *overrides])


def lined_up(config: Config, iteration: int, questions: Sequence[Question], repeats: int = 4) -> list[Matchup]:
    asked = [questions[i % len(questions)] for i in range(config.algorithm.questions_per_iteration)]
    turns = len(config.protocol.order())
    matchups = matchups_of(asked, config.protocol, repeats, branches=2, turns=turns, seed=iteration)
    return opponents(config).line_up(iteration, matchups)


def own(matchup: Matchup) -> list[Side]:
    return [side for side, name in matchup.policies.items() if name == "current"]


def test_by_default_the_policy_meets_itself_and_nothing_is_touched(questions: Sequence[Question]) -> None:
    found = opponents(configured())
    matchups = matchups_of(questions, Protocol("debate"), 2)
    assert type(found) is Opponents and found.line_up(3, matchups) == matchups
    assert (found.policies(3), found.state) == ([], {})


@pytest.mark.parametrize("kind", ["base", "league"])
@pytest.mark.parametrize(("share", "alone"), [(0.0, 0), (0.5, 8), (0.3, 5)])
def test_the_share_against_itself_is_kept_and_seats_take_turns(
    questions: Sequence[Question], kind: str, share: float, alone: int
) -> None:
    config = configured(f"opponent={kind}", f"opponent.self_play={share}")
    for iteration in (1, 2):
        matchups = lined_up(config, iteration, questions)
        against = [matchup for matchup in matchups if len(own(matchup)) == 1]
        assert len(matchups) == 16 * 8 and len(against) == (16 - alone) * 8
        assert {len(own(matchup)) for matchup in matchups} <= {1, 2}
        sides = Counter((own(matchup)[0], matchup.swapped_seats) for matchup in against)
        assert max(sides.values()) - min(sides.values()) <= 4, "every side and answer alike, but for one odd question"
    first, second = (own(lined_up(config, iteration, questions)[-1]) for iteration in (1, 2))
    assert first != second, "and from one iteration to the next"


def test_siblings_have_the_same_opponent_and_seat(questions: Sequence[Question]) -> None:
    config = configured("opponent=league", "opponent.self_play=0.25")
    by_question: dict[str, set[str]] = {}
    for matchup in lined_up(config, 9, questions):
        by_question.setdefault(matchup.id.partition("-")[0], set()).add(json.dumps(matchup.policies))
    assert len(by_question) == 16 and all(len(seated) == 1 for seated in by_question.values())


@pytest.mark.parametrize("protocol", ["debate", "simultaneous"])
def test_siblings_part_where_the_policy_speaks(questions: Sequence[Question], protocol: str) -> None:
    config = configured("opponent=base", f"protocol={protocol}")
    parted = Counter()
    for iteration in range(1, 9):
        for matchup in lined_up(config, iteration, questions):
            assert own(matchup)[0] in config.protocol.order()[matchup.branch_turn]
            parted[matchup.branch_turn] += 1
    assert set(parted) == set(range(len(config.protocol.order()))), "and anywhere there"


def test_the_league_is_the_runs_own_past() -> None:
    league = opponents(configured("opponent=league", "opponent.every=2"))
    assert isinstance(league, LeagueOpponents)
    assert [league.snapshots(iteration) for iteration in (1, 2, 3, 4, 8)] == [[0], [0], [0], [0, 2], [0, 2, 4, 6]]
    drawn = league.drawn(8)
    assert len(drawn) == 4 and all(p.path == f"runs/test/policies/iteration-{p.version:04d}" for p in drawn)
    assert league.settings.opponent.kept(5) == range(0, 6, 2), "and stays on the disk"


def test_a_worker_never_holds_more_than_the_league_may_cost() -> None:
    league = opponents(configured("opponent=league", "opponent.at_once=3"))
    names = {policy.name for iteration in range(1, 200) for policy in league.policies(iteration)}
    assert names == {"league-1", "league-2", "league-3"}
    assert all(len(league.policies(iteration)) <= 3 for iteration in range(1, 200))


def test_chances_by_hand() -> None:
    rule = League(kind="league", power=2)
    assert chances([0.5, 0.0, 1.0], rule) == pytest.approx([0.2, 0.8, 0.0])
    assert chances([0.5, 0.1], rule.model_copy(update={"draw": "uniform"})) == pytest.approx([0.5, 0.5])
    assert chances([1.0, 1.0], rule) == pytest.approx([0.5, 0.5]), "nobody is left to lose to"


@pytest.mark.parametrize("power", [1.0, 2.0, 4.0])
def test_draws_follow_the_win_rates(power: float) -> None:
    """5,600 draws: a share's standard error is at most .0067, and .02 is three of them."""
    config = configured(
        "opponent=league",
        f"opponent.power={power}",
        "opponent.every=500",
        "opponent.at_once=16",
        "opponent.self_play=0",
        "iterations=4000",
    )
    league = opponents(config)
    rates = {0: 0.9, 500: 0.6, 1000: 0.2, 1500: 0.5}
    league.restore({"win_rates": [[snapshot, rate] for snapshot, rate in rates.items() if snapshot != 1500]})
    counts = Counter(policy.version for iteration in range(1502, 1852) for policy in league.drawn(iteration))
    weights = {snapshot: (1 - rate) ** power for snapshot, rate in rates.items()}
    assert counts.total() == 5600
    for snapshot, weight in weights.items():
        assert counts[snapshot] / 5600 == pytest.approx(weight / sum(weights.values()), abs=0.02)


Words = Mapping[int, str | Iterator[str]]
"""What each version of others says, always or in turn."""


class Table:
    """Rollouts of scripted debaters: each policy says its own word, so that a judge can tell them apart."""

    def __init__(self, config: Config, make: Callable[..., Any], words: Words) -> None:
        self.config, self.make, self.words = config, make, words

    def play(self, shards: Sequence[Shard], policies: Mapping[str, Policy]) -> Iterator[tuple[Shard, list[Outcome]]]:
        engines = {name: self.make(partial(self._say, policy)) for name, policy in policies.items()}
        for shard in shards:
            prompts, sampling = load_prompts("testimony"), Sampling(9, seed=shard.seed)
            yield shard, play(shard.matchups, self.config.protocol, prompts, engines, sampling, policies)

    def _say(self, policy: Policy, context: str) -> str:
        words = "attic" if policy.name == "current" else self.words[policy.version]
        return words if isinstance(words, str) else next(words)


@pytest.fixture
def met(
    scripted_engine: Callable[..., Any], plant: Callable[..., Any], questions: Sequence[Question]
) -> Callable[..., Batch]:
    """Plays an iteration under the judge who pays for "attic"."""

    def meet(config: Config, iteration: int, words: Words, found: Opponents | None = None, branches: int = 1) -> Batch:
        found = found or opponents(config)
        asked = [questions[i % 4] for i in range(config.algorithm.questions_per_iteration)]
        matchups = found.line_up(iteration, matchups_of(asked, config.protocol, 2, branches))
        workers = Table(config, scripted_engine, words)
        current = {"current": Policy("current", iteration - 1, "x")}
        return collect(
            iteration,
            matchups,
            current,
            workers,
            plant(),
            RewardRule(),
            16,
            iteration,
            opponents=found.policies(iteration),
        )

    return meet


def test_only_the_policys_own_seat_is_learned_from(met: Callable[..., Batch]) -> None:
    config = configured("opponent=base", "opponent.self_play=0.25", "algorithm.questions_per_iteration=8")
    batch = met(config, 1, {0: "barn"})
    spoken = [speech for judged in batch.judged for speech in judged.rollout.transcript.speeches]
    assert Counter(speech.policy for speech in spoken) == {"current": 4 * 8 + 2 * 24, "base": 2 * 24}
    trajectories = batch.trajectories()
    assert len(trajectories) == 2 * 8 + 24
    assert {t.reward.total > 0 for t in trajectories[16:]} == {True}, "the policy beats the base, who earns the loss"


def _sides(judged: Any) -> dict[Side, str]:
    return {speech.side: speech.policy for speech in judged.rollout.transcript.speeches}


def test_dpo_makes_no_pair_of_an_opponents_speeches(met: Callable[..., Batch]) -> None:
    """The base says now this and now that, so its siblings differ and earn differently; the policy always says one."""
    from rostrum.trainer.learners.dpo_learner import pairs_of

    config = configured("opponent=base", "algorithm.questions_per_iteration=8")
    batch = met(config, 1, {0: cycle(["barn", "attic attic attic"])}, branches=2)
    assert len(batch.judged) == 2 * 32
    seated = {judged.rollout.matchup: _sides(judged) for judged in batch.judged}
    theirs = {
        matchup: next(turn for turn, side in enumerate(SIDES) if sides[side] == "base") + 2
        for matchup, sides in seated.items()
    }
    own, others = (
        [replace(row, branch_turn=theirs[row.matchup]) for row in batch.trajectories(name)]
        for name in ("current", "base")
    )
    assert pairs_of(own, 0.1) == []
    assert pairs_of(others, 0.1), "there were differences to be had"


def test_what_is_measured_is_the_policys_own(met: Callable[..., Batch]) -> None:
    config = configured("opponent=base", "algorithm.questions_per_iteration=4")
    batch = met(config, 1, {0: "attic attic attic"})
    measured = measure(batch) | opponents(config).learn(batch)
    assert measured["words_per_speech"] == 1 and measured["win_rate"] == 0
    assert measured["reward"] == pytest.approx(-4.0), "two speeches of two words too few, four nats in all"


def test_role_baselines_are_moved_by_the_learned_seat_alone(met: Callable[..., Batch]) -> None:
    config = configured("opponent=base", "algorithm.questions_per_iteration=4")
    trajectories = met(config, 1, {0: "barn"}).trajectories()
    advantages, baselines = role_ema(trajectories, {}, 0.9)
    assert list(baselines.values()) == pytest.approx([2.0] * len(baselines)), "the opponent's returns are -2"
    assert [value for values in advantages for value in values] == pytest.approx([0.0] * 32)


def test_win_rates_run_after_what_happens(met: Callable[..., Batch]) -> None:
    """Snapshot 0 is always beaten, 1 always wins, 2 always draws: the running means, and then the draws, say so."""
    config = configured("opponent=league", "opponent.decay=0.5", "algorithm.questions_per_iteration=8", "seed=3")
    league = opponents(config)
    words = {0: "barn", 1: "attic attic", 2: "attic"} | dict.fromkeys(range(3, 30), "attic")
    expected: dict[int, float] = {}
    for iteration in range(1, 12):
        versions = {policy.version for policy in league.policies(iteration)}
        told = league.learn(met(config, iteration, words, league))
        for version in versions:
            won = {0: 1.0, 1: 0.0}.get(version, 0.5)
            expected[version] = 0.5 * expected.get(version, 0.5) + 0.5 * won
        assert league.win_rates == pytest.approx(expected)
        assert told["league"] == {str(v): league.win_rates[v] for v in sorted(expected)}
    assert league.win_rates[0] > 0.7 and league.win_rates[1] < 0.3
    counts = Counter(policy.version for seed in range(200) for policy in _as_drawn(league, seed))
    assert counts[1] > 2 * counts[2] > 0 and counts[0] < counts[2]


def _as_drawn(league: LeagueOpponents, seed: int) -> list[Policy]:
    other = opponents(league.settings.model_copy(update={"seed": seed}))
    other.restore(league.state)
    return other.drawn(4)


def test_a_resumed_league_goes_on_as_if_nothing_had_happened(met: Callable[..., Batch]) -> None:
    config = configured("opponent=league", "algorithm.questions_per_iteration=8")
    words = {version: " ".join(["attic"] * (version % 3)) or "barn" for version in range(20)}

    def drawn(stop: int | None) -> list[list[Policy]]:
        league, seen = opponents(config), []
        for iteration in range(1, 10):
            if iteration == stop:
                state = json.loads(json.dumps(league.state))
                league = opponents(config)
                league.restore(state)
            seen.append(league.drawn(iteration))
            league.learn(met(config, iteration, words, league))
        return seen

    assert drawn(stop=5) == drawn(stop=None)
    forgotten = opponents(config)
    assert any(forgotten.drawn(i) != one for i, one in enumerate(drawn(None), start=1)), "the state does matter"


def test_invalid_verdicts_move_no_win_rate(met: Callable[..., Batch]) -> None:
    config = configured("opponent=league", "algorithm.questions_per_iteration=4")
    league = opponents(config)
    batch = met(config, 1, {0: "barn"}, league)
    invalid = [replace(j, verdict=replace(j.verdict, valid=False), rewards=None) for j in batch.judged]
    spoiled = [replace(j, rewards=before.rewards) for j, before in zip(invalid, batch.judged, strict=True)]
    for judged in (invalid, spoiled):
        assert league.learn(replace(batch, judged=tuple(judged))) == {"league": {}}
    assert league.state == {"win_rates": []}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["opponent=league", "protocol=consultancy"], "opponent=league needs two sides and protocol=consultancy has"),
        (["opponent=base", "opponent.self_play=0.9", "algorithm.questions_per_iteration=4"], "leaves none of an"),
        (["opponent=league", *VLLM], "set it to at most 0.20, or train"),
        (["opponent=league", "monitor.questions=8", *VLLM], "set it to at most 0.17, or train"),
        (["opponent=base", "monitor.questions=8", *VLLM], "set it to at most 0.50, or train"),
        ([*VLLM], "up to 2 policies in one worker .with the evaluation's.* at most 0.50, or train"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(words: list[str], told: str) -> None:
    config = configured(*words)
    with pytest.raises(SectionError, match=told):
        config.opponent.check(RunContext(config))


def test_what_can_be_is_let_through() -> None:
    alone = [*VLLM, "protocol=consultancy"]
    half = [*VLLM, "debater.gpu_memory_fraction=0.5"]
    for words in ([], ["opponent=base"], ["opponent=league", *VLLM, "debater.lora.rank=8"], alone, half):
        config = configured(*words)
        config.opponent.check(RunContext(config))


def test_keys_of_another_kind_are_refused() -> None:
    with pytest.raises(compose.ConfigError, match="no configuration key 'opponent.power'"):
        configured("opponent=base", "opponent.power=2")
    with pytest.raises(compose.ConfigError, match="opponent.self_play"):
        configured("opponent=league", "opponent.self_play=1.0")


def test_one_seat_of_opponents_halves_the_rows() -> None:
    from rostrum.trainer import setup

    rows = {kind: setup.rows_per_iteration(configured(f"opponent={kind}")) for kind in ("self", "base", "league")}
    assert rows == {"self": 256, "base": 128, "league": 192}
    assert np.isclose(rows["league"], (rows["self"] + rows["base"]) / 2)


def test_a_protocol_without_turns_is_met_from_both_sides(questions: Sequence[Question]) -> None:
    config = configured("opponent=base", "protocol=simultaneous")
    assert {own(matchup)[0] for matchup in lined_up(config, 1, questions)} == set(Protocol("x").speakers)
