"""The prefix cache of the transformers engine: the same tokens as without, within its bytes, and never of old
weights."""

import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf

from rostrum.trainer.config import Config
from rostrum.trainer.cost import OF_THE_MACHINE
from rostrum.trainer.engines import Completion, Sampling, engine_settings, sleeping
from rostrum.trainer.engines.transformers.causal import TransformersEngine
from rostrum.trainer.engines.transformers.prefix_cache import Kept, PrefixCache
from rostrum.trainer.models import loading
from rostrum.trainer.prefixes import alike
from rostrum.trainer.store.provenance import config_hash
from rostrum.trainer.store.run_folder import read_lines
from rostrum.trainer.train import train
from rostrum.trainer.types import Policy

TOLERANCE = 2e-5
"""Nats, in float32, between log-probabilities with the cache and without."""
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 2048,
}
SLIDING = ["sliding_attention", "full_attention", "sliding_attention"]
SHARING: dict[str, Callable[[int], hf.PreTrainedModel]] = {
    "llama": lambda v: hf.LlamaForCausalLM(hf.LlamaConfig(vocab_size=v, **SIZES)),
    "qwen3": lambda v: hf.Qwen3ForCausalLM(hf.Qwen3Config(vocab_size=v, **SIZES)),
    "gemma3": lambda v: hf.Gemma3ForCausalLM(
        hf.Gemma3TextConfig(vocab_size=v, sliding_window=40, layer_types=SLIDING, **SIZES)
    ),
    "mistral": lambda v: hf.MistralForCausalLM(hf.MistralConfig(vocab_size=v, sliding_window=300, **SIZES)),
    "gpt2": lambda v: hf.GPT2LMHeadModel(hf.GPT2Config(vocab_size=v, n_positions=2048, n_embd=32, n_layer=2, n_head=4)),
}
READ_WHOLE: dict[str, Callable[[int], hf.PreTrainedModel]] = {
    "softcap": lambda v: hf.Gemma2ForCausalLM(hf.Gemma2Config(vocab_size=v, **SIZES)),
    "state-space": lambda v: hf.MambaForCausalLM(
        hf.MambaConfig(vocab_size=v, hidden_size=32, num_hidden_layers=2, use_cache=True)
    ),
}
LOTS = 10**8


def saved(make: Callable[[int], hf.PreTrainedModel], tiny: Path, folder: Path, seed: int = 0) -> str:
    tokenizer = loading.load_tokenizer(f"{tiny}/debater")
    torch.manual_seed(seed)
    model = make(len(tokenizer))
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def models(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    folder, made = tmp_path_factory.mktemp("models"), dict[str, str]()

    def model(name: str) -> str:
        if name not in made:
            made[name] = saved({**SHARING, **READ_WHOLE}[name], tiny, folder / name)
        return made[name]

    return model


def engine(model: str, kept: int | str, **how: object) -> TransformersEngine:
    return TransformersEngine(model, engine_settings("transformers", {"prefix_cache_bytes": kept}, **how))


def contexts(rows: int = 9, passage: int = 280) -> list[list[int]]:
    """Return prompts on one passage, of unequal lengths, and three that share nothing."""
    draw = random.Random(3)
    told = [draw.randrange(5, 40) for _ in range(passage)]
    mine = [[*told, *(draw.randrange(5, 40) for _ in range(3 + 2 * row))] for row in range(rows)]
    return [*mine, *([draw.randrange(5, 40) for _ in range(9 + row)] for row in range(3))]


Turns = list[list[Completion]]


def debates(of: TransformersEngine, turns: int = 3, first: Sequence[Sequence[int]] = ()) -> Turns:
    """Sample turn by turn; every context grows by what was said and by what is told next."""
    rows, said = [list(row) for row in first or contexts()], Turns()
    for turn in range(turns):
        said.append(of.generate(rows, Sampling(10, seed=turn)))
        rows = [[*row, *one.token_ids, 7 + turn, 9] for row, one in zip(rows, said[-1], strict=True)]
    return said


def check_same(one: Turns, other: Turns, within: float = TOLERANCE) -> None:
    for mine, its in zip(one, other, strict=True):
        assert [c.token_ids for c in mine] == [c.token_ids for c in its]
        for a, b in zip(mine, its, strict=True):
            assert a.logprobs == pytest.approx(b.logprobs, abs=within)


@pytest.mark.parametrize("name", SHARING)
def test_the_same_seed_gives_the_same_tokens_with_the_cache(name: str, models: Callable[[str], str]) -> None:
    on, off = (engine(models(name), kept, batch_size=8) for kept in (LOTS, 0))
    check_same(debates(on), debates(off))
    asked, found = on.prefix_cache
    assert found > 0.6 * asked and off.prefix_cache == (0, 0)


@pytest.mark.parametrize("name", READ_WHOLE)
def test_a_model_whose_attention_cannot_be_shared_is_read_as_a_whole(name: str, models: Callable[[str], str]) -> None:
    on, off = (engine(models(name), kept) for kept in (LOTS, 0))
    check_same(debates(on, 1), debates(off, 1), within=0)
    assert on.prefix_cache == (0, 0)


@pytest.mark.parametrize("name", ["llama", "gemma3"])
def test_choices_are_scored_as_without(name: str, models: Callable[[str], str]) -> None:
    rows = [tuple(row) for row in contexts()]
    wanted = [(row, choice) for row in [*rows, (5, 6)] for choice in ((11,), (12,), (13, 14, 15), (16, 17))]
    on, off = (engine(models(name), kept, batch_size=20) for kept in (LOTS, 0))
    assert on.score(wanted) == pytest.approx(off.score(wanted), abs=TOLERANCE)
    (asked, found), again = on.prefix_cache, on.score(wanted)
    assert found > 0.6 * asked and again == on.score(wanted)
    assert on.prefix_cache == (3 * asked, 3 * found), "judges find nothing of what an earlier call has read"


def test_samples_of_one_prompt_read_it_once(models: Callable[[str], str]) -> None:
    on, (prompt, *_) = engine(models("llama"), LOTS), contexts()
    first, *others = (on.generate([prompt], Sampling(6, seed=seed))[0] for seed in range(4))
    assert on.prefix_cache == (4 * len(prompt), 3 * (len(prompt) - 1))
    assert any(other.token_ids != first.token_ids for other in others)


def test_bfloat16_stays_within_the_parity_of_bfloat16(models: Callable[[str], str]) -> None:
    on, rows = engine(models("llama"), LOTS, dtype="bfloat16"), contexts()
    said = debates(on, 2, rows)
    whole = [[*row, *one.token_ids] for row, one in zip(rows, said[0], strict=True)]
    for row, one, scored in zip(rows, said[0], on.logprobs(whole), strict=True):
        assert one.logprobs == pytest.approx(scored[len(row) - 1 :], abs=0.25)


@pytest.mark.parametrize("limit", [1, 60_000, 200_000])
def test_what_is_kept_stays_within_the_limit_and_is_the_same_again(limit: int, models: Callable[[str], str]) -> None:
    on, again, off = (engine(models("llama"), kept, batch_size=6) for kept in (limit, limit, 0))
    held = list[tuple[int, int]]()
    for one in (on, again):
        found = debates(one, 4)
        check_same(found, debates(off, 4))
        assert one._reader is not None and one._reader.cache.bytes <= limit
        held.append((len(one._reader.cache), one._reader.cache.bytes))
    assert held[0] == held[1] and on.prefix_cache == again.prefix_cache
    assert (held[0][0] > 0) == (limit > 1)


def test_new_weights_drop_what_the_old_ones_have_read(tiny: Path, models: Callable[[str], str], tmp_path: Path) -> None:
    other = saved(SHARING["llama"], tiny, tmp_path / "other", seed=1)
    on = engine(models("llama"), LOTS)
    debates(on)
    on.load(Policy("current", 1, other))
    check_same(debates(on), debates(engine(other, 0)))


def test_a_cache_that_outlives_its_weights_is_seen(tiny: Path, models: Callable[[str], str], tmp_path: Path) -> None:
    other = saved(SHARING["llama"], tiny, tmp_path / "other", seed=1)
    on = engine(models("llama"), LOTS)
    debates(on)
    stale = on._reader.cache if on._reader is not None else None
    on.load(Policy("current", 1, other))
    reader = on._keeping([[5]])
    assert reader is not None and stale is not None
    reader.cache = stale
    with pytest.raises(AssertionError):
        check_same(debates(on), debates(engine(other, 0)))


def test_adapters_are_kept_apart_and_dropped_when_they_are_switched(
    models: Callable[[str], str], tmp_path: Path
) -> None:
    from rostrum.trainer.engines.conformance import _adapter

    first, second = (_adapter(models("llama"), tmp_path, number) for number in (1, 2))
    on = engine(first, LOTS)
    check_same(debates(on), debates(engine(first, 0)))
    on.load(Policy("current", 1, second))
    check_same(debates(on), debates(engine(second, 0)))


def test_sleep_gives_back_what_is_kept(models: Callable[[str], str]) -> None:
    on = engine(models("llama"), LOTS)
    debates(on, 1)
    assert on._reader is not None and on._reader.cache.bytes > 0
    sleeping.all_sleep()
    assert on._reader is None and on.prefix_cache[0] > 0


def test_groups_save_most_tokens() -> None:
    def rows(*texts: str) -> list[np.ndarray]:
        return [np.array([ord(sign) for sign in text]) for text in texts]

    told = "passage" * 10
    assert alike(rows(told + "x", "other", told + "yy"), 20) == [([0, 2], 70)]
    assert alike(rows(told + "x", "other", told + "yy"), 80) == []
    assert alike(rows(told, told), 20) == [([0, 1], 69)], "the last token is read for each"
    assert alike(rows(told, told), 20, 3) == [([0, 1], 67)]
    both = rows(told + "a" * 30, told[::-1] + "a", told + "a" * 30 + "b", told[::-1] + "b")
    assert sorted(alike(both, 20)) == [([0, 2], 99), ([1, 3], 70)]
    assert alike([], 20) == [] and alike(rows("a"), 20) == []


def kept(text: str, prefix: Kept | None = None, shared: bool = False) -> Kept:
    start = 0 if prefix is None else len(prefix.tokens)
    own = torch.zeros(1, len(text) - start, 2)
    return Kept(np.array([ord(sign) for sign in text]), {0: (own, own)}, prefix, start, shared)


def test_the_oldest_go_first_and_a_prefix_after_what_builds_on_it() -> None:
    cache, told = PrefixCache(16 * 10), kept("told", shared=True)
    cache.find([])
    assert cache.keep(told) and cache.keep(kept("told a", told)) and cache.keep(kept("told b", told))
    assert cache.bytes == 16 * 8 and not cache.keep(kept("told", kept("told"))), "its prefix is not kept"
    (match,) = cache.find([np.array([ord(sign) for sign in "told b!"])])
    assert match.common == 6
    assert cache.keep(kept("told b!", told), match) and len(cache) == 3, "it takes the place of what it goes on from"
    assert cache.keep(kept("xyz")) and len(cache) == 3, "told a was used longest ago"
    assert not cache.keep(kept("wxyz" * 4)) and cache.bytes <= cache.limit
    assert [match.common for match in cache.find([kept("told a?").tokens, kept("xyz!").tokens])] == [5, 3]


def test_unless_it_is_told_an_engine_keeps_long_prompts_alone(models: Callable[[str], str]) -> None:
    """Short ones are read as a whole, and what is sampled after them is the same to the last bit."""
    (on, off), short = (engine(models("llama"), kept) for kept in ("auto", 0)), contexts(rows=3)
    check_same(debates(on, 2, short), debates(off, 2, short), within=0)
    assert on.prefix_cache == (0, 0)
    long = contexts(rows=3, passage=1000)[:3]
    check_same(debates(on, 2, long), debates(off, 2, long))
    asked, found = on.prefix_cache
    assert found > 0.7 * asked > 0


def test_the_setting_makes_another_run() -> None:
    from rostrum.launch.compose import ConfigError, load

    plain, keeping = load([]), load(["debater.engine_options.prefix_cache_bytes=1000000"])
    assert config_hash(plain) != config_hash(keeping)
    with pytest.raises(ConfigError, match="prefix_cache_bytes"):
        load(["debater.engine_options.prefix_cache_bytes=-1"])


def test_a_run_that_was_cut_off_is_the_same_with_a_cache(configure: Callable[..., Config], tmp_path: Path) -> None:
    def run(name: str, iterations: int) -> list[dict[str, object]]:
        kept = "debater.engine_options.prefix_cache_bytes=300000"
        out = f"output={tmp_path / name}"
        train(configure(kept, out, f"iterations={iterations}", "save_every=1", "cluster.shard_size=4"))
        lines = read_lines(tmp_path / name / "metrics.jsonl")
        return [{key: value for key, value in line.items() if key not in OF_THE_MACHINE} for line in lines]

    whole = run("whole", 2)
    run("cut", 1)
    assert run("cut", 2) == whole
    assert all(0 < int(str(line["cache_hit_tokens"])) < int(str(line["prompt_tokens"])) for line in whole)
    shutil.rmtree(tmp_path / "cut")
