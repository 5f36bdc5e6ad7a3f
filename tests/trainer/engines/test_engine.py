"""The transformers engine against a plain forward pass of the same weights."""

import math
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaForCausalLM

from rostrum.envs.testimony.world import PLACES
from rostrum.launch.compose import ConfigError, load
from rostrum.trainer.engines import EngineError, Sampling, engine_settings, make_engine
from rostrum.trainer.engines.transformers.causal import TransformersEngine
from rostrum.trainer.types import Policy

TEXTS = (
    "question : where is the",
    "A says :",
    "story : in the attic saw it . question : where is the A : attic B : kitchen argue A : attic A says :",
    "kitchen kitchen kitchen verdict :",
    "B",
)


@pytest.fixture(scope="module")
def engine(tiny: Path) -> TransformersEngine:
    return TransformersEngine(str(tiny / "debater"), engine_settings(batch_size=3))


@pytest.fixture(scope="module")
def model(tiny: Path) -> LlamaForCausalLM:
    return LlamaForCausalLM.from_pretrained(tiny / "debater").eval()


@torch.no_grad()
def forward(model: LlamaForCausalLM, row: Sequence[int], temperature: float = 1.0) -> torch.Tensor:
    """(len(row) - 1,) log-probability of each token but the first, the row alone and unpadded."""
    logprobs = (model(torch.tensor([list(row)])).logits[0] / temperature).log_softmax(-1)
    return logprobs[:-1].gather(1, torch.tensor(row)[1:, None]).squeeze(1)


@torch.no_grad()
def forward_all(model: LlamaForCausalLM, prompt: Sequence[int]) -> torch.Tensor:
    """(V,) log-probability of every token after the prompt."""
    return model(torch.tensor([list(prompt)])).logits[0, -1].log_softmax(-1)


def prompts_of(engine: TransformersEngine) -> list[list[int]]:
    return [engine.format.open([text]) for text in TEXTS]


@pytest.mark.parametrize("temperature", [1.0, 0.6])
@pytest.mark.parametrize("batch_size", [1, 2, 5, 64])
def test_sampled_logprobs_are_the_models_own(
    tiny: Path, model: LlamaForCausalLM, batch_size: int, temperature: float
) -> None:
    engine = TransformersEngine(str(tiny / "debater"), engine_settings(batch_size=batch_size))
    prompts = prompts_of(engine)
    completions = engine.generate(prompts, Sampling(10, temperature, seed=4))
    for prompt, completion in zip(prompts, completions, strict=True):
        expected = forward(model, [*prompt, *completion.token_ids], temperature)[len(prompt) - 1 :]
        assert completion.logprobs == pytest.approx(expected.tolist(), abs=1e-4)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_scored_rows_are_the_models_own(tiny: Path, model: LlamaForCausalLM, batch_size: int) -> None:
    engine = TransformersEngine(str(tiny / "debater"), engine_settings(batch_size=batch_size))
    rows = [row for row in prompts_of(engine) if len(row) > 1]
    for row, scored in zip(rows, engine.logprobs(rows), strict=True):
        assert scored == pytest.approx(forward(model, row).tolist(), abs=1e-4)


def test_greedy_is_the_argmax(engine: TransformersEngine, model: LlamaForCausalLM) -> None:
    prompts = prompts_of(engine)
    for prompt, completion in zip(prompts, engine.generate(prompts, Sampling(6, temperature=0)), strict=True):
        row = list(prompt)
        for token in completion.token_ids:
            with torch.no_grad():
                assert token == int(model(torch.tensor([row])).logits[0, -1].argmax())
            row.append(token)


def test_the_seed_decides(engine: TransformersEngine) -> None:
    prompts = prompts_of(engine)
    torch.manual_seed(1)
    first = engine.generate(prompts, Sampling(12, seed=7))
    torch.manual_seed(2)
    assert engine.generate(prompts, Sampling(12, seed=7)) == first
    assert engine.generate(prompts, Sampling(12, seed=8)) != first


def test_sampling_leaves_the_global_generator_alone(engine: TransformersEngine) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    engine.generate(prompts_of(engine), Sampling(4, seed=7))
    assert torch.equal(torch.get_rng_state(), before)


def test_samples_have_the_models_distribution(engine: TransformersEngine, model: LlamaForCausalLM) -> None:
    """First tokens of 3000 copies of a prompt, within four standard errors for every frequent token."""
    prompt, count = engine.tokenizer.encode(TEXTS[1]), 3000
    wide = TransformersEngine.__new__(TransformersEngine)
    wide.__dict__ = {**engine.__dict__, "_batch_size": count}
    firsts = [c.token_ids[0] for c in wide.generate([prompt] * count, Sampling(1, seed=3))]
    with torch.no_grad():
        p = model(torch.tensor([prompt])).logits[0, -1].softmax(-1)
    observed = torch.bincount(torch.tensor(firsts), minlength=len(p)) / count
    frequent = p > 0.01
    assert frequent.sum() >= 5
    assert ((observed - p).abs() <= 4 * (p * (1 - p) / count).sqrt())[frequent].all()


def test_finish_reasons(engine: TransformersEngine) -> None:
    end = engine.tokenizer.eos_token_id
    completions = engine.generate([engine.tokenizer.encode(TEXTS[2])] * 40, Sampling(3, seed=0))
    assert {c.finish_reason for c in completions} == {"stop", "length"}
    for completion in completions:
        assert completion.token_ids.count(end) == (completion.finish_reason == "stop")
        assert completion.finish_reason == "stop" or len(completion.token_ids) == 3
        assert end not in completion.token_ids[:-1]
        assert len(completion.logprobs) == len(completion.token_ids)
    assert "<eos>" not in engine.format.decode(next(c for c in completions if c.finish_reason == "stop").token_ids)


CHOICES = [
    (" attic", " kitchen"),
    (" attic saw it", " attic saw is", " attic"),
    (" the kitchen", " kitchen"),
    (" kitchen attic says .", " where"),
    (" A", " B"),
]


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_choices_equal_a_full_forward_pass(tiny: Path, model: LlamaForCausalLM, batch_size: int) -> None:
    """Choices of one and of several tokens, with shared beginnings, after prompts of unequal lengths."""
    engine = TransformersEngine(str(tiny / "debater"), engine_settings(batch_size=batch_size))
    scored = engine.choice_logprobs(TEXTS, CHOICES)
    for text, choices, values in zip(TEXTS, CHOICES, scored, strict=True):
        prompt = engine.tokenizer.encode(text)
        tokens = [engine.format.choice(choice.strip()) for choice in choices]
        expected = [float(forward(model, [*prompt, *ids])[-len(ids) :].sum()) for ids in tokens]
        assert values == pytest.approx(expected, abs=1e-4)


def test_single_token_choices_of_everything_sum_to_one(engine: TransformersEngine, model: LlamaForCausalLM) -> None:
    """But for the special tokens, which no choice can spell."""
    words = tuple(word for word in engine.tokenizer.get_vocab() if word not in engine.tokenizer.all_special_tokens)
    (values,) = engine.choice_logprobs([TEXTS[0]], [words])
    prompt = engine.format.open([TEXTS[0]])
    special = forward_all(model, prompt)[engine.tokenizer.all_special_ids].exp().sum()
    assert torch.tensor(values).exp().sum() + special == pytest.approx(1, abs=1e-4)


def test_a_prompt_may_be_the_beginning_of_another_with_its_choice(engine: TransformersEngine) -> None:
    """The row "A says : kitchen" serves the first prompt and is the second; neither may take the other's place."""
    together = engine.choice_logprobs(["A says :", "A says : kitchen"], [(" kitchen attic",), (" attic",)])
    alone = [
        engine.choice_logprobs([p], [c])[0]
        for p, c in [("A says :", (" kitchen attic",)), ("A says : kitchen", (" attic",))]
    ]
    assert [v for (v,) in together] == pytest.approx([v for (v,) in alone], abs=1e-5)
    (first,) = engine.choice_logprobs(["A says :"], [(" kitchen",)])[0]
    assert together[0][0] == pytest.approx(first + together[1][0], abs=1e-5)


def test_positions_are_counted_from_the_first_real_token(tiny: Path, tmp_path: Path) -> None:
    """A model with learned positions, unlike one with rotary ones, notices padding that is counted."""
    tokenizer = TransformersEngine(str(tiny / "debater")).tokenizer
    torch.manual_seed(0)
    shape = GPT2Config(
        vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=1, n_positions=64, eos_token_id=2, initializer_range=0.5
    )
    model = GPT2LMHeadModel(shape).eval()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    engine, rows = TransformersEngine(str(tmp_path)), [[5, 6, 7, 8, 9, 10, 11], [12, 13, 14]]
    for row, scored in zip(rows, engine.logprobs(rows), strict=True):
        assert scored == pytest.approx(forward(model, row).tolist(), abs=1e-4)
    for row, completion in zip(rows, engine.generate(rows, Sampling(5)), strict=True):
        expected = forward(model, [*row, *completion.token_ids])[len(row) - 1 :]
        assert completion.logprobs == pytest.approx(expected.tolist(), abs=1e-4)


def test_no_questions_asked_no_answers_given(engine: TransformersEngine) -> None:
    assert engine.generate([], Sampling(3)) == engine.logprobs([]) == engine.choice_logprobs([], []) == []


def test_what_does_not_fit_is_an_engine_error(engine: TransformersEngine) -> None:
    assert engine.max_context == 512
    engine.generate([[5] * 510], Sampling(2))
    with pytest.raises(EngineError, match="511 tokens and 2 new ones exceed the context of 512"):
        engine.generate([[5], [5] * 511], Sampling(2))


def test_a_prompt_too_long_to_judge_scores_nan_and_the_others_do_not(engine: TransformersEngine) -> None:
    fits, too_long = " ".join(["the"] * 512), " ".join(["the"] * 513)
    scores = engine.choice_logprobs([fits, too_long], [(" attic", " office")] * 2)
    assert scores[0] == engine.choice_logprobs([fits], [(" attic", " office")])[0]
    assert all(math.isfinite(score) for score in scores[0]) and all(math.isnan(score) for score in scores[1])


def test_loading_other_weights_serves_them(tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny / "debater", tmp_path / "policy")
    engine = TransformersEngine(str(tmp_path / "policy"))
    before = engine.choice_logprobs([TEXTS[0]], [(" attic",)])
    engine.load(Policy("current", 1, str(tiny / "judge")))
    served = engine.choice_logprobs([TEXTS[0]], [(" attic",)])
    assert served != before
    assert served == TransformersEngine(str(tiny / "judge")).choice_logprobs([TEXTS[0]], [(" attic",)])


def test_generation_habits_of_a_model_folder_are_ignored(tiny: Path, tmp_path: Path) -> None:
    """A repetition penalty or top-k in generation_config.json would make sampling another policy than the learner's."""
    shutil.copytree(tiny / "debater", tmp_path / "habits")
    (tmp_path / "habits" / "generation_config.json").write_text(
        '{"do_sample": true, "top_k": 1, "repetition_penalty": 5.0, "temperature": 0.1}', "utf-8"
    )
    sampling, prompts = Sampling(8, seed=2), [[5, 6, 7]] * 4
    habits, plain = (TransformersEngine(str(path)) for path in (tmp_path / "habits", tiny / "debater"))
    assert habits.generate(prompts, sampling) == plain.generate(prompts, sampling)


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(EngineError, match="no engine 'telepathy'"):
        make_engine("x", engine_settings("telepathy"))


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("debater.engine=vlm", "no engine 'vlm': did you mean vllm? There are transformers, vllm"),
        ("judge.engine=vlm", "no engine 'vlm': did you mean vllm? There are transformers, vllm"),
        ("debater.engine_options.draft=2", "engine=transformers has no option 'draft'"),
        ("judge.engine_options.draft=2", "engine=transformers has no option 'draft'"),
    ],
)
def test_what_no_engine_knows_is_refused_before_anything_starts(override: str, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        load([override])


def test_settings_of_engines_that_nobody_changed_are_stored_as_before() -> None:
    stored = load([]).model_dump()
    assert "engine_options" not in stored["debater"] and "engine_options" not in stored["judge"]


def test_places_are_single_tokens(engine: TransformersEngine) -> None:
    assert all(len(engine.tokenizer.encode(f" {place}")) == 1 for place in PLACES)
