"""Playing debates: tokens in, tokens out, branches, and debates that come to grief alone."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rostrum.envs.debate import Debate, Utterance
from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.types import Failure, Protocol, Question, Side, Speaker
from rostrum.trainer.engines.base import Sampling
from rostrum.trainer.engines.transformers.causal import TransformersEngine
from rostrum.trainer.rollouts.play import begin, play, turn_by_turn
from rostrum.trainer.types import Matchup, Policy, Rollout

PROMPTS = load_prompts("testimony")
DEBATE, SIMULTANEOUS = Protocol("debate", rounds=2), Protocol("simultaneous", rounds=2, simultaneous=True)
POLICIES = {"current": Policy("current", 7, "x"), "base": Policy("base", 0, "y")}
SAMPLING = Sampling(8, seed=11)


@pytest.fixture(scope="module")
def engine(tiny: Path) -> TransformersEngine:
    return TransformersEngine(str(tiny / "debater"))


def matchup(question: Question, swapped: bool = False, name: str = "", b: str = "current", **branching: int) -> Matchup:
    policies = {Side.A: "current", Side.B: b}
    return Matchup(name or f"{question.id}-{swapped}", question, swapped, policies, **branching)


def played(outcomes: Sequence[Rollout | Failure]) -> list[Rollout]:
    assert all(isinstance(outcome, Rollout) for outcome in outcomes), outcomes
    return [outcome for outcome in outcomes if isinstance(outcome, Rollout)]


@pytest.mark.parametrize("protocol", [DEBATE, SIMULTANEOUS, Protocol("consultancy", {"A": Speaker(Side.A)}, rounds=3)])
def test_rows_are_what_was_told_and_sampled(
    engine: TransformersEngine, questions: Sequence[Question], protocol: Protocol
) -> None:
    """The debate is replayed from its transcript; every side's row must be its contexts with its speeches between."""
    matchups = [matchup(q, swapped) for q in questions for swapped in (False, True)]
    for rollout in played(play(matchups, protocol, PROMPTS, {"current": engine}, SAMPLING, POLICIES)):
        transcript = rollout.transcript
        debate = Debate(transcript.question, protocol, transcript.swapped_seats, PROMPTS)
        expected: dict[str, list[tuple[str, Sequence[int]]]] = {name: [] for name in protocol.speakers}
        while not debate.finished:
            spoken = {s.side: s for s in transcript.speeches if s.turn == debate.turn}
            for side in debate.speakers:
                words = debate.told(side)
                told = engine.format.go_on(words, True) if expected[side] else engine.format.open([words])
                expected[side] += [("told", told), ("said", spoken[side].token_ids)]
            debate.hear(
                {side: Utterance(speech.raw, speech.token_ids, speech.logprobs) for side, speech in spoken.items()}
            )
        for side, (row,) in rollout.rows.items():
            (_, prompt), *rest = expected[side]
            assert row.prompt == tuple(prompt)
            assert row.completion == tuple(token for _, part in rest for token in part)
            assert row.mask == tuple(int(kind == "said") for kind, part in rest for _ in part)
            ends = [
                sum(len(part) for _, part in rest[: i + 1]) - 1 for i, (kind, _) in enumerate(rest) if kind == "said"
            ]
            assert row.ends == tuple(ends)
            assert all(row.mask[end] for end in row.ends) and len(row.ends) == protocol.rounds
        assert set(rollout.rows) == set(protocol.speakers)


def test_sampling_logprobs_are_the_engines_own_on_the_whole_row(
    engine: TransformersEngine, questions: Sequence[Question]
) -> None:
    for rollout in played(
        play([matchup(q) for q in questions], DEBATE, PROMPTS, {"current": engine}, SAMPLING, POLICIES)
    ):
        for (row,) in rollout.rows.values():
            (scored,) = engine.logprobs([row.prompt + row.completion])
            expected = [p * m for p, m in zip(scored[len(row.prompt) - 1 :], row.mask, strict=True)]
            assert row.logprobs == pytest.approx(expected, abs=1e-4)
        for speech in rollout.transcript.speeches:
            (row,) = rollout.rows[speech.side]
            k = [s.turn for s in rollout.transcript.speeches if s.side is speech.side].index(speech.turn)
            start, end = row.ends[k] + 1 - len(speech.token_ids), row.ends[k] + 1
            assert row.completion[start:end] == speech.token_ids and row.logprobs[start:end] == speech.logprobs
            assert speech.raw == engine.format.decode(speech.token_ids)


def test_debates_may_be_watched_turn_by_turn(
    scripted_engine: Callable[..., Any], questions: Sequence[Question]
) -> None:
    """After each turn every debate is a speech longer; whoever watches to the end has seen what `play` gives back."""
    engines = {"current": scripted_engine(lambda text: f"heard{text.count('says :')}")}
    matchups = [matchup(q) for q in questions[:2]]
    live = begin(matchups, DEBATE, PROMPTS, engines)
    seen = [
        [len(one.debate.speeches) for one in debates] for debates in turn_by_turn(live, engines, SAMPLING, POLICIES)
    ]
    assert seen == [[1, 1], [2, 2], [3, 3], [4, 4]]
    whole = played(play(matchups, DEBATE, PROMPTS, engines, SAMPLING, POLICIES))
    assert [one.rollout({"seed": SAMPLING.seed}) for one in live] == whole
    assert list(turn_by_turn([], engines, SAMPLING, POLICIES)) == []


@pytest.mark.parametrize("turn", range(4))
def test_branches_share_the_past_and_differ_after_it(
    engine: TransformersEngine, questions: Sequence[Question], turn: int
) -> None:
    matchups = [matchup(q, branches=4, branch_turn=turn) for q in questions[:2]]
    rollouts = played(play(matchups, DEBATE, PROMPTS, {"current": engine}, SAMPLING, POLICIES))
    assert [(e.matchup, e.branch) for e in rollouts] == [(m.id, branch) for m in matchups for branch in range(4)]
    assert [e.transcript.provenance["branch"] for e in rollouts] == [0, 1, 2, 3] * 2
    for family in (rollouts[:4], rollouts[4:]):
        shared = {rollout.transcript.speeches[:turn] for rollout in family}
        assert len(shared) == 1
        assert len({rollout.transcript.speeches[turn].token_ids for rollout in family}) > 1
        speaker = Side("AB"[turn % 2])
        starts = {e.rows[speaker][0].prompt + e.rows[speaker][0].completion[: _start(e, speaker, turn)] for e in family}
        assert len(starts) == 1


def _start(rollout: Rollout, side: Side, turn: int) -> int:
    k = turn // 2
    speech = next(s for s in rollout.transcript.speeches if s.turn == turn)
    return rollout.rows[side][0].ends[k] + 1 - len(speech.token_ids)


def test_a_debate_that_raises_fails_alone(
    scripted_engine: Callable[..., Any], questions: Sequence[Question], monkeypatch: pytest.MonkeyPatch
) -> None:
    hear = Debate.hear

    def trip(self: Debate, utterances: Any) -> None:
        if self.question is questions[1] and self.turn == 2:
            raise RuntimeError("the roof fell in")
        hear(self, utterances)

    monkeypatch.setattr(Debate, "hear", trip)
    engine = scripted_engine(lambda text: "fine")
    outcomes = play([matchup(q) for q in questions], DEBATE, PROMPTS, {"current": engine}, SAMPLING, POLICIES)
    assert [isinstance(outcome, Failure) for outcome in outcomes] == [False, True, False, False]
    failure = outcomes[1]
    assert isinstance(failure, Failure)
    assert (failure.question_id, failure.reason) == (questions[1].id, "RuntimeError: the roof fell in")
    assert failure.provenance["match"] == f"{questions[1].id}-False"
    assert all(len(e.transcript.speeches) == 4 for e in outcomes if isinstance(e, Rollout))


@pytest.mark.parametrize("protocol", [DEBATE, SIMULTANEOUS])
def test_a_debate_that_outgrows_the_context_fails_alone(
    engine: TransformersEngine, questions: Sequence[Question], protocol: Protocol
) -> None:
    """500 words of passage do not fit 512 positions with the question; nor does a debate that fills up later."""
    long = replace(questions[1], id="long", passage=" ".join(["saw"] * 500))
    opening = PROMPTS.opening(questions[0], questions[0].answers, Side.A, "saw")
    length = len(engine.format.open([opening + " A says :"]))
    growing = replace(questions[0], id="growing", passage=" ".join(["saw"] * (512 - 8 - length)))
    matchups = [matchup(q) for q in (questions[0], long, growing, questions[3])]
    outcomes = play(matchups, protocol, PROMPTS, {"current": engine}, SAMPLING, POLICIES)
    assert [isinstance(outcome, Failure) for outcome in outcomes] == [False, True, True, False]
    assert all("more than the model's 512" in outcome.reason for outcome in outcomes if isinstance(outcome, Failure))


def test_a_failure_is_counted_once_for_every_branch(
    scripted_engine: Callable[..., Any], questions: Sequence[Question]
) -> None:
    matchups = [matchup(q, branches=3, branch_turn=2) for q in questions[:2]]
    small = replace(questions[0], passage="")
    matchups[0] = matchup(small, branches=3, branch_turn=2)
    engine = scripted_engine(lambda text: "word", max_context=60)
    outcomes = play(matchups, DEBATE, PROMPTS, {"current": engine}, SAMPLING, POLICIES)
    assert [type(outcome) for outcome in outcomes] == [Rollout] * 3 + [Failure] * 3


def test_each_policy_speaks_from_its_own_seat(
    scripted_engine: Callable[..., Any], questions: Sequence[Question]
) -> None:
    engines = {"current": scripted_engine(lambda text: "new"), "base": scripted_engine(lambda text: "old")}
    (rollout,) = played(play([matchup(questions[0], b="base")], DEBATE, PROMPTS, engines, SAMPLING, POLICIES))
    spoken = [(s.side, s.raw, s.policy, s.policy_version) for s in rollout.transcript.speeches]
    assert spoken == [(Side.A, "new", "current", 7), (Side.B, "old", "base", 0)] * 2
    assert len(engines["base"].contexts) == len(engines["current"].contexts) == 2


def test_simultaneous_seats_never_read_the_present_round(
    scripted_engine: Callable[..., Any], questions: Sequence[Question]
) -> None:
    """Every speech is the number of speeches read so far: none, and then one of one's own and one of the other's."""
    engine = scripted_engine(lambda text: f"heard{text.count('said :')}")
    (rollout,) = played(play([matchup(questions[0])], SIMULTANEOUS, PROMPTS, {"current": engine}, SAMPLING, POLICIES))
    assert [s.raw for s in rollout.transcript.speeches] == ["heard0", "heard0", "heard1", "heard1"]


def test_contexts_only_grow(scripted_engine: Callable[..., Any], questions: Sequence[Question]) -> None:
    engine = scripted_engine(lambda text: "word")
    play([matchup(questions[0])], Protocol("debate", rounds=4), PROMPTS, {"current": engine}, SAMPLING, POLICIES)
    for side in (engine.contexts[0::2], engine.contexts[1::2]):
        assert all(
            later.startswith(earlier) and later != earlier for earlier, later in zip(side, side[1:], strict=False)
        )


def test_the_same_shard_gives_the_same_debates(engine: TransformersEngine, questions: Sequence[Question]) -> None:
    matchups = [matchup(q, branches=2, branch_turn=1) for q in questions]
    first, again, other = (
        play(matchups, DEBATE, PROMPTS, {"current": engine}, Sampling(8, seed=seed), POLICIES) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_every_ply_and_policy_draws_numbers_of_its_own(
    scripted_engine: Callable[..., Any], questions: Sequence[Question]
) -> None:
    """A seed shared by two of them would let a side repeat itself, or its opponent."""
    engines = {name: scripted_engine(lambda text: "word") for name in POLICIES}
    for seed in (1, 2):
        play([matchup(questions[0], b="base")], SIMULTANEOUS, PROMPTS, engines, Sampling(8, seed=seed), POLICIES)
    seeds = [seed for engine in engines.values() for seed in engine.seeds]
    assert len(seeds) == len(set(seeds)) == 8
