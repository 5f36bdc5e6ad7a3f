"""The check that an adapter is served at all, with engines that do and engines that only seem to."""

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from rostrum.trainer import setup
from rostrum.trainer.config import Config
from rostrum.trainer.engines.transformers.causal import TransformersEngine
from rostrum.trainer.models import loading
from rostrum.trainer.types import Policy
from rostrum.trainer.weights import parity
from rostrum.trainer.weights.logprobs import flat, gap_between
from rostrum.trainer.weights.publish import ParityError, probe_rows

Scores = list[tuple[float, ...]]


@pytest.fixture
def config(configure: Callable[..., Config]) -> Config:
    return configure("debater.lora.rank=4")


@pytest.fixture
def rows(config: Config) -> list[list[int]]:
    return parity.rows_of(config)


class Altered:
    """Rollouts on the real engine whose answers are changed on the way."""

    def __init__(self, config: Config, change: Callable[[Scores, Scores], Scores]) -> None:
        self._workers, self._base, self._change = setup.rollout_workers(config), config.debater.model, change

    def logprobs(self, rows: Sequence[Sequence[int]], policy: Policy) -> list[Scores]:
        right, base = (
            self._workers.logprobs(rows, p)[0] for p in (policy, Policy("base", 0, loading.resolve(self._base)))
        )
        return [right, self._change(right, base)]  # the first worker is as it should be


def test_an_adapter_that_is_served_passes_and_leaves_nothing_behind(config: Config, rows: list[list[int]]) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    parity.check_adapter(config, setup.rollout_workers(config), rows)
    assert torch.equal(torch.get_rng_state(), before)
    assert not config.output.exists() or not list(config.output.iterdir())


CHANGES: list[tuple[str, Callable[[Scores, Scores], Scores]]] = [
    ("changes nothing in engine=transformers.*debater.lora=null", lambda right, base: base),
    ("nats away", lambda right, base: [tuple(x + 0.01 for x in row) for row in right]),
    ("nan nats away", lambda right, base: [*right[:-1], (math.nan, *right[-1][1:])]),
]


@pytest.mark.parametrize(("message", "change"), CHANGES)
def test_one_engine_that_serves_something_else_is_enough(
    config: Config, rows: list[list[int]], message: str, change: Callable[[Scores, Scores], Scores]
) -> None:
    with pytest.raises(ParityError, match=message):
        parity.check_adapter(config, Altered(config, change), rows)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_one_matrix_of_the_adapter_that_is_not_served_is_noticed(
    configure: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    config = configure("debater.lora.rank=4", f"debater.dtype={dtype}")
    serve = TransformersEngine._serve

    def without(self: TransformersEngine, model: str) -> None:
        serve(self, model)
        (one,) = (weight for name, weight in self._model.named_parameters() if "0.mlp.down_proj.lora_B" in name)
        one.data.zero_()

    monkeypatch.setattr(TransformersEngine, "_serve", without)
    with pytest.raises(ParityError, match="from what the learner makes of it"):
        parity.check_adapter(config, setup.rollout_workers(config), parity.rows_of(config))


def test_the_random_adapter_moves_more_than_any_tolerance(config: Config, rows: list[list[int]], tmp_path) -> None:  # noqa: ANN001
    base, adapted = parity._write_adapter(config, str(tmp_path / "adapter"), rows)
    assert gap_between(flat(base), flat(adapted)).mean > 100 * config.parity_tolerance


def test_rows_hold_what_is_text_and_has_an_embedding() -> None:
    """Ids may have gaps, some stand for images, models have more embeddings than there are ids, and files name ids
    that their model has no embedding for."""
    text = {f"word{index}": index for index in range(3, 90, 3)}
    vocabulary = {"<eos>": 0, "<unk>": 1, "<image>": 2, **text, "beyond": 150}
    words = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(vocabulary, "<unk>")),
        eos_token="<eos>",
        unk_token="<unk>",
        additional_special_tokens=["<image>"],
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(vocab_size=100, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    )
    sampled = parity.sampled_rows(model, words, {0, 6})
    assert {token for row in sampled for token in row[1:]} <= {*text.values()} - {6}
    assert {token for row in probe_rows(words, embedded=100) for token in row} <= {0, 1, 2, *text.values()}
    assert {len(row) for row in sampled} == {len(row) for row in probe_rows(words)} == {48, 43, 38, 33}
