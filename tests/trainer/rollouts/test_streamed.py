"""Debates that do not wait for each other: the same ones as turn by turn, in whatever order speeches come."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from rostrum.envs.debate import Debate, Utterance
from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.types import Failure, Protocol, Question, Side, Speaker
from rostrum.rewards.types import Unscored
from rostrum.trainer.engines import engine_settings
from rostrum.trainer.engines.base import Completion, Request, Sampling, Streams, complete
from rostrum.trainer.rollouts.decoding.decoding_setup import Decoding, DecodingSetup
from rostrum.trainer.rollouts.decoding.turns import Choice, OneSample, candidates
from rostrum.trainer.rollouts.local import PlaySetup, Shard, Worker
from rostrum.trainer.rollouts.play import LiveDebate, begin, outcomes_of, turn_by_turn
from rostrum.trainer.rollouts.streamed import streamed
from rostrum.trainer.types import Matchup, Policy, Rollout
from tests.conftest import ScriptedEngine

PROMPTS = load_prompts("testimony")
DEBATE, SIMULTANEOUS = Protocol("debate", rounds=2), Protocol("simultaneous", rounds=2, simultaneous=True)
ALONE = Protocol("consultancy", {"A": Speaker(Side.A)}, rounds=3)
POLICIES = {"current": Policy("current", 7, "x"), "base": Policy("base", 0, "y")}
SAMPLING = Sampling(8, seed=11)
Pick = Callable[[Sequence[Request]], Sequence[Request]]
"""Which of the requests under way are completed next."""


class StreamingEngine(ScriptedEngine):
    """Speaks a word that prompt and seed decide, as often as the seed says; what comes next is picked."""

    def __init__(self, pick: Pick = lambda under_way: under_way, max_context: int = 10_000) -> None:
        super().__init__(lambda text: "word", max_context)
        self.pick, self.under_way, self.calls, self.aborted = pick, dict[int, Request](), list[int](), 0

    def stream(self, more: Sequence[Request], sampling: Sampling) -> Mapping[int, Completion]:
        assert not self.under_way.keys() & {request.id for request in more}, "an id is of one request at a time"
        self.under_way |= {request.id: request for request in more}
        self.calls.append(len(more))
        self.seeds += [request.seed for request in more]
        chosen = self.pick(list(self.under_way.values()))
        return {request.id: self._completed(self.under_way.pop(request.id)) for request in chosen}

    def abort(self) -> None:
        self.under_way.clear()
        self.aborted += 1

    def _completed(self, request: Request) -> Completion:
        text = self.decode(request.prompt)
        self.contexts.append(text)
        said = f"{random.Random(f'{text} {request.seed}').choice('uvwxyz')} " * (1 + request.seed % 4)
        ids = tuple(self.choice(f"heard{text.count('says :')} {said} <end>"))
        return Completion(ids, tuple(-1 / (1 + request.seed % 97 + place) for place in range(len(ids))), "stop")


def scrambled(seed: int) -> Pick:
    """Return a pick of any number of requests in any order."""
    draw = random.Random(seed)
    return lambda under_way: draw.sample(list(under_way), draw.randint(1, len(under_way)))


def matchup(question: Question, swapped: bool = False, **branching: int) -> Matchup:
    return Matchup(f"{question.id}-{swapped}", question, swapped, dict.fromkeys("AB", "current"), **branching)


class Tripping(Debate):
    """A debate that cannot take the speeches of its second turn."""

    def hear(self, utterances: Mapping[str, Utterance]) -> None:
        if self.turn == 1:
            raise RuntimeError("the roof fell in")
        super().hear(utterances)


Begun = Callable[[StreamingEngine], list[LiveDebate]]


def various(questions: Sequence[Question], protocol: Protocol) -> Begun:
    """Return what begins debates of all kinds: whole ones, siblings that part at each turn, ones that fail at once or
    later, before their siblings part or not."""
    long = replace(questions[1], id="long", passage=" ".join(["saw"] * 400))
    growing = replace(questions[2], id="growing", passage=" ".join(["saw"] * 150))
    turns = len(protocol.order())
    matchups = [matchup(question, swapped) for question in questions for swapped in (False, True)]
    matchups += [
        matchup(replace(questions[0], id=f"parts-{turn}"), branches=3, branch_turn=turn) for turn in range(turns + 1)
    ]
    matchups += [matchup(question, branches=n, branch_turn=n - 1) for question in (long, growing) for n in (1, 2, 3)]
    matchups = [replace(one, id=f"{place}-{one.id}") for place, one in enumerate(matchups)]

    def begun(engine: StreamingEngine) -> list[LiveDebate]:
        debates = begin(matchups, protocol, PROMPTS, {"current": engine})
        debates[3].debate.__class__ = Tripping
        return debates

    return begun


def in_step(begun: Begun, engine: StreamingEngine) -> list[Rollout | Failure]:
    debates = begun(engine)
    for live in turn_by_turn(debates, {"current": engine}, SAMPLING, POLICIES):
        debates = live
    return outcomes_of(debates, SAMPLING)


@pytest.mark.parametrize("protocol", [DEBATE, SIMULTANEOUS, ALONE], ids=lambda protocol: protocol.name)
def test_whatever_comes_first_the_debates_are_those_of_turn_by_turn(
    questions: Sequence[Question], protocol: Protocol
) -> None:
    begun, engine = various(questions, protocol), StreamingEngine(max_context=190)
    expected = in_step(begun, engine)
    assert {type(outcome) for outcome in expected} == {Rollout, Failure}
    assert any("roof" in outcome.reason for outcome in expected if isinstance(outcome, Failure))
    for seed in range(40):
        engine.pick = scrambled(seed)
        debates = streamed(begun(engine), {"current": engine}, SAMPLING, POLICIES)
        assert outcomes_of(debates, SAMPLING) == expected
        assert not engine.under_way and not engine.aborted


def test_a_debate_does_not_wait_for_the_others(questions: Sequence[Question]) -> None:
    """What was asked last comes first: a debate is over before the one before it has gone on."""
    engine = StreamingEngine(lambda under_way: under_way[-1:])
    debates = begin([matchup(question) for question in questions], DEBATE, PROMPTS, {"current": engine})
    streamed(debates, {"current": engine}, SAMPLING, POLICIES)
    heard = [context.count("says :") for context in engine.contexts]
    assert heard == [1, 1, 2, 2] * 4
    assert engine.calls[:2] == [4, 1], "all begin at once, and each goes on as soon as it can"


def test_those_of_a_turn_wait_for_each_other(questions: Sequence[Question]) -> None:
    engine = StreamingEngine(lambda under_way: under_way[:1])
    streamed(
        begin([matchup(questions[0])], SIMULTANEOUS, PROMPTS, {"current": engine}),
        {"current": engine}, SAMPLING, POLICIES,
    )  # fmt: skip
    assert engine.calls == [2, 0, 2, 0] and len(set(engine.seeds)) == 4


def test_a_debate_is_the_same_whatever_is_played_with_it(questions: Sequence[Question]) -> None:
    engine = StreamingEngine(scrambled(0))
    all_of_them = in_step(lambda engine: _begun(questions, engine), engine)
    for place in range(len(questions)):
        (alone,) = streamed(_begun(questions[place : place + 1], engine), {"current": engine}, SAMPLING, POLICIES)
        assert outcomes_of([alone], SAMPLING) == all_of_them[place : place + 1]
    others = [replace(SAMPLING, seed=seed) for seed in (12, 13)]
    played = [streamed(_begun(questions, engine), {"current": engine}, other, POLICIES) for other in others]
    assert len({str(outcomes_of(each, SAMPLING)) for each in played} | {str(all_of_them)}) == 3


def _begun(questions: Sequence[Question], engine: StreamingEngine) -> list[LiveDebate]:
    return begin([matchup(question) for question in questions], DEBATE, PROMPTS, {"current": engine})


def test_the_first_candidate_is_what_would_be_said_plainly(questions: Sequence[Question]) -> None:
    """On an engine that seeds by request as well."""
    engine, said = StreamingEngine(scrambled(1)), list[str]()

    class First(OneSample):
        def speak(self, turns: Any, engine: Any, sampling: Sampling, policy: Policy) -> list[Choice]:
            drawn = candidates(turns, 3, engine, sampling, policy)
            said.extend(option.raw for options in drawn for option in options)
            return [Choice(options[0]) for options in drawn]

    debates = _begun(questions, engine)
    for live in turn_by_turn(debates, {"current": engine}, SAMPLING, POLICIES, Decoding(First())):
        debates = live
    assert outcomes_of(debates, SAMPLING) == in_step(lambda engine: _begun(questions, engine), engine)
    assert len(set(said)) > 10


def test_what_is_under_way_is_dropped_where_something_fails(questions: Sequence[Question]) -> None:
    def fail(under_way: Sequence[Request]) -> Sequence[Request]:
        if len(engine.calls) == 3:
            raise RuntimeError("gone")
        return under_way[:1]

    engine = StreamingEngine(fail)
    with pytest.raises(RuntimeError, match="gone"):
        streamed(_begun(questions, engine), {"current": engine}, SAMPLING, POLICIES)
    assert engine.aborted == 1 and not engine.under_way
    engine.pick, engine.calls = fail, []
    with pytest.raises(RuntimeError, match="gone"):
        complete(engine, [Request(number, (0,), number) for number in range(4)], SAMPLING)
    assert engine.aborted == 2 and not engine.under_way


class Inquiring:
    """A judge that asks the same in every debate."""

    def write(self, transcripts: Sequence[Any]) -> list[str | Unscored]:
        return ["why ?"] * len(transcripts)


class Other:
    """A way to speak that is not plain."""

    def serves(self, policy: Policy) -> bool:
        return True

    def speak(self, turns: Any, engine: Any, sampling: Sampling, policy: Policy) -> list[Choice]:
        return OneSample().speak(turns, engine, sampling, policy)


class Made(DecodingSetup):
    """A setup of what is given."""

    def __init__(self, decoding: Decoding) -> None:
        object.__setattr__(self, "made", decoding)

    def make(self) -> Decoding:
        return self.made  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(
    ("decoding", "second", "engine", "waits"),
    [
        (Decoding(), "current", StreamingEngine, False),
        (Decoding(), "base", StreamingEngine, True),
        (Decoding(Other()), "current", StreamingEngine, True),
        (Decoding(inquirer=Inquiring()), "current", StreamingEngine, True),  # type: ignore[arg-type]
        (Decoding(), "current", lambda: ScriptedEngine(lambda text: "word"), True),
    ],
    ids=["plain", "two policies", "another way", "the judge asks", "no stream"],
)
def test_workers_play_so_where_nothing_takes_the_whole_turn(
    questions: Sequence[Question], decoding: Decoding, second: str, engine: Callable[[], Any], waits: bool
) -> None:
    setup = PlaySetup(DEBATE, "testimony", 8, 1.0, engine_settings("vllm"), decoding=Made(decoding))
    made = list[Any]()

    def start(model: str, settings: Any) -> Any:
        made.append(engine())
        if isinstance(made[-1], StreamingEngine):
            made[-1].pick = lambda under_way: under_way[-1:]
        return made[-1]

    matchups = [replace(matchup(q), policies={"A": "current", "B": second}) for q in questions]
    outcomes = Worker(setup, start).play(Shard(0, 3, tuple(matchups)), POLICIES)
    assert all(isinstance(outcome, Rollout) for outcome in outcomes)
    heard = [context.count("says :") for context in made[0].contexts]
    assert (heard == sorted(heard)) is waits
    assert isinstance(made[0], Streams) is (engine is StreamingEngine)
