"""A rehearsal is of the longest debates, tells what a run will take, refuses what does not fit, and changes nothing."""

import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from rostrum.envs.types import Question
from rostrum.launch import errors
from rostrum.trainer import rehearsal, setup
from rostrum.trainer.algorithms import ppo
from rostrum.trainer.config import Cluster, Config
from rostrum.trainer.cost import OF_THE_MACHINE
from rostrum.trainer.engines import engine_settings
from rostrum.trainer.engines.base import Completion, Sampling
from rostrum.trainer.learners.dpo_learner import longest_pairs
from rostrum.trainer.learners.learner import Learner, Rehearsed, moments
from rostrum.trainer.learners.micro_batches import Sizes, largest
from rostrum.trainer.learners.policy_gradient import PolicyGradient
from rostrum.trainer.models import loading
from rostrum.trainer.rehearsal import Pace, Staged
from rostrum.trainer.rollouts.longest import Call, Prompts, Reader, longest, play_longest
from rostrum.trainer.rollouts.schedule import matchups_of, shards_of
from rostrum.trainer.run_estimate import GIB, Estimate, Memory, RehearsalError, remedies, span
from rostrum.trainer.store.provenance import config_hash
from rostrum.trainer.store.run_folder import RunFolder, read_lines
from rostrum.trainer.train import train
from rostrum.trainer.types import Policy, Trajectory

POLICY = Policy("current", 0, "x")
MEMORY = Memory(peak=30 * GIB, optimizer=11 * GIB, room=78 * GIB, of="GPU")
ESTIMATE = Estimate(200, 22.0, 9.0, 26.0, 0.25, False, MEMORY, {"current": (8, 5210)})


@pytest.fixture
def planted(questions: Sequence[Question]) -> Sequence[Question]:
    """Four questions, of which the third has a passage ten times as long."""
    long = replace(questions[2], passage=" ".join([questions[2].passage] * 10))
    return [*questions[:2], long, questions[3]]


def played(config: Config, questions: Sequence[Question], engine: Any) -> tuple[list[Trajectory], Any]:
    """Return the rows of the longest debates about so many questions, with an engine's format, and what was asked."""
    algorithm = config.algorithm
    matchups = matchups_of(questions, config.protocol, algorithm.repeats, algorithm.siblings)
    setting = setup.play_setup(config)
    debates, spoken = play_longest(
        setting, shards_of(matchups, 3, 0), {"current": POLICY}, {"current": Reader(engine, engine.max_context)}
    )
    return rehearsal.rows_of(config, {"current": POLICY}, debates)["current"], spoken


def test_the_longest_question_is_the_one_that_is_rehearsed(
    planted: Sequence[Question], configure: Callable[..., Config], scripted_engine: Callable[..., Any]
) -> None:
    config = configure("algorithm=ppo", "debater.max_tokens=17")
    assert longest(planted, 2)[0] is planted[2] and len({q.id for q in longest(planted, 4)}) == 4
    assert longest(planted, 4, 0) == sorted(planted, key=lambda q: -len(q.text + "".join(q.answers))), "passages unread"
    assert [q.id for q in longest(planted[2:3], 2)] == [planted[2].id] * 2, "a small set is gone through again"
    rows, spoken = played(config, longest(planted, 2), scripted_engine(lambda text: "never asked"))
    chosen = largest(setup_sizes(rows), 8, None, False)
    assert {rows[row].question_id for row in chosen} == {planted[2].id}
    assert max(map(length, rows)) == length(rows[chosen[0]]) > 4 * min(map(length, rows))
    for row in rows:
        assert sum(row.row.mask) == 17 * len(row.turns), "every speech has all the tokens that it may have"
    longest_prompt = max(len(prompt) for prompt in spoken.largest["current"])
    assert longest_prompt + 17 == max(map(length, rows)), "the engine is asked what comes before the last speech"


def test_debates_of_a_question_part_where_speeches_begin(
    planted: Sequence[Question], configure: Callable[..., Config], scripted_engine: Callable[..., Any]
) -> None:
    """Else a learner that computes a common beginning once would have less to do than it will have."""
    rows, _ = played(configure("algorithm=ppo"), planted[:1], scripted_engine(lambda text: "never asked"))
    first = [row.row.completion[:6] for row in rows if row.speaker == rows[0].speaker]
    assert len(first) == 4 and len(set(first)) == 4


def test_debates_beyond_the_context_are_left_out(
    planted: Sequence[Question], configure: Callable[..., Config], scripted_engine: Callable[..., Any]
) -> None:
    engine = scripted_engine(lambda text: "never asked", max_context=300)
    rows, _ = played(configure("algorithm=ppo"), planted[1:3], engine)
    assert {row.question_id for row in rows} == {planted[1].id}


def test_judges_questions_are_asked_at_full_length(
    planted: Sequence[Question], configure: Callable[..., Config], scripted_engine: Callable[..., Any]
) -> None:
    config = configure("algorithm=ppo", "protocol=interactive")
    engine = scripted_engine(lambda text: "never asked")
    rows, _ = played(config, planted[:1], engine)
    assert any("?" in engine.decode(row.row.completion) for row in rows)
    assert rehearsal.left_out(config) == ("the judge's questions",)


def test_pairs_for_dpo_are_the_longest_first(
    planted: Sequence[Question], configure: Callable[..., Config], scripted_engine: Callable[..., Any]
) -> None:
    config = configure("algorithm=dpo", "algorithm.branches=3", "debater.max_tokens=17")
    rows, _ = played(config, planted[1:3], scripted_engine(lambda text: "never asked"))
    pairs = longest_pairs(rows, 10_000)
    assert len(rows) == 24 and len(pairs) == 8, "two seatings of two questions, with two speakers of three siblings"
    assert [pair.tokens for pair in pairs] == sorted((pair.tokens for pair in pairs), reverse=True)
    assert pairs[0].tokens == max(map(length, rows))
    assert all(len(pair.chosen) == len(pair.rejected) == 17 and pair.chosen != pair.rejected for pair in pairs)
    assert {pair.tokens for pair in longest_pairs(rows, 60)} == {60}


def length(of: Trajectory) -> int:
    return len(of.row.prompt) + len(of.row.completion)


def setup_sizes(rows: Sequence[Trajectory]) -> Sizes:
    """Return sizes with a question each and nothing in common."""
    prompts, completions = tuple(len(of.row.prompt) for of in rows), tuple(len(of.row.completion) for of in rows)
    return Sizes(tuple(range(len(rows))), prompts, completions, (0,) * len(rows))


def test_the_largest_micro_batch_is_filled() -> None:
    sizes = Sizes((0, 1, 2, 3), (10, 40, 20, 30), (5, 5, 5, 5), (0, 0, 0, 0))
    assert largest(sizes, 3, None, False) == [1, 3, 2]
    assert largest(sizes, 4, 90, False) == [1, 3], "two rows of 45 tokens, padding included"
    assert largest(sizes, 4, 10, False) == [1], "one at least"
    assert largest(sizes, 1, 90, False) == [1], "a minibatch has no more"
    shared = Sizes((0, 0, 1), (40, 40, 20), (5, 5, 5), (40, 0))
    assert largest(shared, 3, 75, True) == [0, 1, 2], "40 + 5 + 5 tokens of one question and 25 of the other"


class Machine:
    """An engine on a clock of its own: so many seconds for each token that it reads and for each step."""

    def __init__(self, read: float, step: float, caches: bool = False, stops: int = 99) -> None:
        self.time, self.read, self.step, self.caches, self.stops = 0.0, read, step, caches, stops
        self.known: set[tuple[int, ...]] = set()

    def clock(self) -> float:
        return self.time

    def sample(self, prompts: Prompts, sampling: Sampling) -> list[Completion]:
        count = min(sampling.max_tokens, self.stops)
        self.time += self.read * sum(len(prompt) for prompt in prompts if prompt not in self.known)
        self.time += self.step * count
        self.known |= set(prompts) if self.caches else set()
        return [Completion((7,) * count, (0.0,) * count, "length") for _ in prompts]


@pytest.mark.parametrize("caches", [False, True])
def test_the_pace_of_an_engine(caches: bool) -> None:
    """What is read before the clock counts is none of the prompts, which an engine that caches would know by then."""
    prompts = tuple((*range(number, number + 50),) for number in range(8))
    machine = Machine(read=0.001, step=0.5, caches=caches)
    found = rehearsal.pace(machine.sample, prompts, Sampling(100), caches, machine.clock)
    assert found.step == pytest.approx(0.5) and found.token_read == pytest.approx(0.001)


@pytest.mark.parametrize(("most", "stops"), [(3, 99), (100, 2)])
def test_an_engine_that_says_little_has_steps_that_take_nothing(most: int, stops: int) -> None:
    machine = Machine(read=0.001, step=0.5, stops=stops)
    found = rehearsal.pace(machine.sample, ((1,) * 50,), Sampling(most), False, machine.clock)
    assert found.step == 0 and found.token_read > 0.001


def test_seconds_of_playing() -> None:
    calls = [Call("current", (100, 100, 100), last=False), Call("current", (150, 150, 150), last=True)]
    paces = {"current": Pace(token_read=0.01, step=0.5)}
    steps = 2 * 2 * 20 * 0.5  # two calls in two batches each, of twenty tokens
    assert rehearsal.playing_seconds(calls, paces, 2, 20, False, 1.0) == pytest.approx(steps + 7.5)
    assert rehearsal.playing_seconds(calls, paces, 2, 20, True, 1.0) == pytest.approx(steps + 4.5)
    assert rehearsal.playing_seconds(calls, paces, 3, 20, False, 0.5) == pytest.approx(steps / 2 + 3.75)


def test_which_engines_keep_what_they_read() -> None:
    calls = [Call("current", (900, 1200), last=False)]
    assert not rehearsal.keeps_contexts(engine_settings(), calls), "transformers keeps 1,000 tokens or more"
    assert rehearsal.keeps_contexts(engine_settings(), [Call("current", (1000,), last=True)])
    assert rehearsal.keeps_contexts(engine_settings(options={"prefix_cache_bytes": 1000}), calls)
    assert rehearsal.keeps_contexts(engine_settings("vllm"), calls)


def test_the_line_adds_up() -> None:
    assert ESTIMATE.iteration == 57.25
    assert str(ESTIMATE) == (
        "estimate: about 3 h 11 min for 200 iterations (57 s each: play 22 s, judge 9 s, learn 26 s, publish 0.25 s) "
        "with speeches of full length, peak memory 41 of 78 GiB"
    )
    overlapping = replace(ESTIMATE, overlaps=True, left_out=("the judge's questions",))
    assert overlapping.iteration == 31.25 and str(overlapping).endswith("GiB; not in it: the judge's questions")
    assert replace(overlapping, learn=40.0).iteration == 40.25
    assert str(replace(ESTIMATE, iterations=1)).startswith("estimate: about 57 s for 1 iteration (57 s each")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.04 s"), (9.4, "9.4 s"), (57, "57 s"), (100, "2 min"), (5999, "100 min"), (11_420, "3 h 10 min")],
)
def test_spans(seconds: float, said: str) -> None:
    assert span(seconds).replace("1 h 40 min", "100 min") == said
    assert span(86_400 * 3 + 3600) == "3 d 1 h"


def test_what_cannot_fit_is_refused(configure: Callable[..., Config], tmp_path: Path) -> None:
    config = configure("algorithm=ppo", "algorithm.micro_batch_rows=2")
    ESTIMATE.check(config)
    with pytest.raises(RehearsalError, match=r"would need 41 GiB and the GPU has 40 \(30 for its .*=never\.$"):
        replace(ESTIMATE, memory=replace(MEMORY, room=40 * GIB)).check(config)
    ESTIMATE.write(tmp_path / "estimate.json")
    found = json.loads((tmp_path / "estimate.json").read_text())
    assert found["memory"]["room"] == 78 * GIB and found["run"] == 200 * 57.25


def test_remedies_are_those_that_are_left(configure: Callable[..., Config]) -> None:
    said = remedies(configure("algorithm=ppo"))
    assert said.startswith("set algorithm.micro_batch_rows") and "gradient_checkpointing" in said and "lora" in said
    tight = configure(
        "algorithm=ppo", "algorithm.micro_batch_rows=1", "debater.gradient_checkpointing=true", "debater.lora.rank=4"
    )
    assert remedies(tight) == "shorten speeches and passages (debater.max_tokens, debater.window.tokens) in a new run"
    assert "micro_batch_tokens (now 900)" in remedies(configure("algorithm=ppo", "algorithm.micro_batch_tokens=900"))


class Hungry:
    """A learner for which there is not enough memory."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def rehearse(self, rows: Sequence[Trajectory], policy: Policy) -> Rehearsed:
        raise self.error


class FromAnActor(Exception):
    """As Ray wraps what an actor has raised."""

    cause = torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 12.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
        FromAnActor(),
    ],
)
def test_a_learner_without_memory_is_a_sentence(configure: Callable[..., Config], error: Exception) -> None:
    learners = cast(dict[str, Learner], {"current": Hungry(error)})
    with pytest.raises(RehearsalError, match="largest micro-batch does not fit into the memory: set algo") as told:
        rehearsal.learn(configure("algorithm=ppo"), learners, {"current": []}, {"current": POLICY})
    assert errors.sentence(told.value) == str(told.value), "which ends the command with exit code 2"


def test_learners_under_deepspeed_do_not_rehearse(configure: Callable[..., Config]) -> None:
    config = configure("algorithm=ppo").model_copy(update={"cluster": Cluster(deepspeed="zero2")})
    learners = cast(dict[str, Learner], {"current": Hungry(RuntimeError("was asked"))})
    assert rehearsal.learn(config, learners, {"current": []}, {"current": POLICY}) == {}
    assert rehearsal.left_out(config) == ("learning, with its memory, as it is under DeepSpeed",)


class HungryPolicyGradient(PolicyGradient):
    """A learner that has enough memory until it rehearses."""

    def rehearse(self, rows: Sequence[Trajectory], policy: Policy) -> Rehearsed:
        raise torch.OutOfMemoryError("CUDA out of memory")


class HungrySettings(ppo.Settings):
    """PPO that is learned so."""

    learner = "tests.trainer.test_rehearsal:HungryPolicyGradient"


def test_a_run_without_memory_is_refused_before_anything_is_played(configure: Callable[..., Config]) -> None:
    run = configure("algorithm=ppo", "rehearse=always")
    hungry = run.model_copy(update={"algorithm": HungrySettings(**run.algorithm.model_dump())})
    with pytest.raises(RehearsalError, match="largest micro-batch"):
        train(hungry)
    folder = RunFolder(run.output)
    assert folder.published() == [0] and not folder.metrics.exists() and not folder.transcripts.exists()
    assert not folder.estimate.exists() and not (folder.judging / "training.jsonl").exists()


def test_other_errors_of_a_learner_are_its_own(configure: Callable[..., Config]) -> None:
    learners = cast(dict[str, Learner], {"current": Hungry(RuntimeError("shapes differ"))})
    with pytest.raises(RuntimeError, match="^shapes differ$"):
        rehearsal.learn(configure("algorithm=ppo"), learners, {"current": []}, {"current": POLICY})


def test_an_estimate_adds_up_what_was_rehearsed(configure: Callable[..., Config]) -> None:
    config, staged = configure("algorithm=ppo"), Staged({}, 22.0, 9.0, 0.5, ())
    found = rehearsal.estimate(config, 7, staged, {"current": Rehearsed(8, 5210, 52.0, 4 * GIB)}, 0.25)
    assert found.iteration == 57.25 and found.iterations == 7 and found.left_out == ()
    assert found.memory.optimizer == 4 * GIB and found.memory.of == "machine"
    assert found.memory.peak > 0 and found.memory.room > GIB / 4
    assert found.micro_batches == {"current": (8, 5210)}


def test_adams_moments_are_those_of_trained_weights() -> None:
    layer = torch.nn.Linear(3, 5)
    layer.bias.requires_grad_(False)
    assert moments(layer.parameters()) == 2 * 15 * 4
    assert moments(layer.to(torch.bfloat16).parameters()) == 2 * 15 * 2


def test_small_runs_on_cpus_are_not_rehearsed_unasked(configure: Callable[..., Config]) -> None:
    config = configure("algorithm=ppo")
    assert config.rehearse == "auto" and "rehearse" not in config.model_dump(mode="json")
    assert loading.count_parameters(config.debater.model) < rehearsal.PAYS_FROM
    assert not rehearsal.due(config, resumed=False)
    assert not rehearsal.due(configure("algorithm=ppo", "rehearse=never"), resumed=False)
    asked = configure("algorithm=ppo", "rehearse=always")
    assert rehearsal.due(asked, resumed=True)
    assert config_hash(asked) == config_hash(config), "the run is the same"


def test_the_parameters_of_a_folder_are_counted(tiny: Path) -> None:
    model = loading.load_model(str(tiny / "debater"), torch.float32)
    assert loading.count_parameters(str(tiny / "debater")) == sum(math.prod(p.shape) for p in model.parameters())


def test_random_numbers_stay_as_they_were() -> None:
    def drawn() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    def seeded() -> None:
        random.seed(0), np.random.seed(0), torch.manual_seed(0)

    seeded()
    expected = drawn()
    seeded()
    with rehearsal.without_a_trace():
        assert drawn() == expected
    assert drawn() == expected


def left_behind(run: Config) -> dict[str, object]:
    """Return the bytes of weights and checkpoints, and the figures that do not depend on the machine."""
    folder = RunFolder(run.output)
    files = [path for part in (folder.policies, folder.trainer) for path in part.rglob("*") if path.is_file()]
    metrics = [{k: v for k, v in row.items() if k not in OF_THE_MACHINE} for row in read_lines(folder.metrics)]
    return {str(path.relative_to(run.output)): path.read_bytes() for path in files} | {"metrics": metrics}


@pytest.mark.parametrize(
    "how",
    [
        ("algorithm=ppo", "algorithm.share_prefix=always"),
        ("algorithm=ppo", "algorithm.micro_batch_tokens=300", "debater.lora.rank=4"),
        ("algorithm=dpo", "algorithm.min_gap=0"),
    ],
    ids=["ppo", "ppo-lora", "dpo"],
)
def test_a_run_with_a_rehearsal_is_the_same_to_the_byte(
    configure: Callable[..., Config], tmp_path: Path, capsys: pytest.CaptureFixture[str], how: tuple[str, ...]
) -> None:
    found = []
    for rehearse in ("never", "always"):
        run = configure(*how, f"rehearse={rehearse}", f"output={tmp_path}/{rehearse}", "iterations=2")
        train(run)
        found.append(left_behind(run))
        assert RunFolder(run.output).estimate.exists() is (rehearse == "always")
    assert found[0] == found[1] and len(found[0]) > 10
    written = json.loads(RunFolder(run.output).estimate.read_text())
    assert written["iterations"] == 2 and min(written[part] for part in ("play", "judge", "learn", "publish")) > 0
    assert capsys.readouterr().err.count("estimate: about") == 1
