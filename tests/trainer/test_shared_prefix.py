"""Rows that share a prefix, read as a tree: the log-probabilities and gradients of padded rows from fewer tokens."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    BambaConfig,
    BambaForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    Llama4ForCausalLM,
    Llama4TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from trl.trainer.utils import add_fused_lm_head

from rostrum.trainer.learners.forward import make_comparable
from rostrum.trainer.learners.shared_prefix import SharedPrefix, Tree, can_share, pack, trees
from rostrum.trainer.learners.trl_trainers import spare_casts
from rostrum.trainer.models.loading import default_device

SIZES: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
DEVICE = default_device()
WINDOW = 7
"""Shorter than the prefix and than the longest branch; the prefix is long enough to be gone through in pieces."""
MODELS: dict[str, Callable[[], Any]] = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SIZES)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SIZES, sliding_window=WINDOW)),
    "gemma3": lambda: Gemma3ForCausalLM(
        Gemma3TextConfig(**SIZES, sliding_window=WINDOW, layer_types=["sliding_attention", "full_attention"])
    ),
}
OTHERS: dict[str, Callable[[], Any]] = {
    "a state": lambda: MambaForCausalLM(MambaConfig(vocab_size=97, hidden_size=32, num_hidden_layers=2)),
    "a state in some layers": lambda: BambaForCausalLM(
        BambaConfig(**SIZES, attn_layer_indices=[1], mamba_n_heads=8, mamba_d_head=8, mamba_n_groups=1, mamba_d_state=8)
    ),
    "a window that only the mask knows of": lambda: Llama4ForCausalLM(
        Llama4TextConfig(**SIZES, intermediate_size_mlp=64, num_local_experts=2, attention_chunk_size=8)
    ),
}


def rows_of_two_questions() -> list[tuple[list[int], list[int]]]:
    """Prompt and completion of four rows about a passage of 150 tokens, two about one of 12, and one by itself; prompts
    end at different places after their passage."""
    draw = torch.Generator().manual_seed(1)

    def tokens(count: int) -> list[int]:
        return torch.randint(3, 97, (count,), generator=draw).tolist()

    long, short = tokens(150), tokens(12)
    rows = [(long + tokens(2 + k), tokens(5 + 3 * k)) for k in range(4)]
    rows += [(short, tokens(7)), (short + tokens(3), tokens(4)), (tokens(6), tokens(3))]
    return [rows[k] for k in (0, 4, 1, 6, 2, 5, 3)]


def padded(rows: Sequence[tuple[list[int], list[int]]]) -> dict[str, torch.Tensor]:
    """Return what TRL's policy-gradient loss gives the model: prompts padded on the left, completions on the right."""
    left, right = (max(len(row[part]) for row in rows) for part in (0, 1))
    ids = [[0] * (left - len(p)) + p + c + [0] * (right - len(c)) for p, c in rows]
    mask = [[0] * (left - len(p)) + [1] * len(p + c) + [0] * (right - len(c)) for p, c in rows]
    inputs, attention = torch.tensor(ids, device=DEVICE), torch.tensor(mask, device=DEVICE)
    labels = inputs.masked_fill(attention == 0, -100)
    labels[:, :left] = -100
    return {"input_ids": inputs, "attention_mask": attention, "labels": labels}


def hooked(name: str, adapter: bool = False, checkpointing: bool = False) -> tuple[Any, SharedPrefix]:
    torch.manual_seed(0)
    model = MODELS[name]().to(DEVICE)
    add_fused_lm_head(model, outputs=("log_probs", "entropy"))
    if adapter:
        targets = ["q_proj", "v_proj", "down_proj"]
        model = get_peft_model(model, LoraConfig(r=4, target_modules=targets, init_lora_weights=False))
    make_comparable(model)
    assert can_share(model)
    model.train()
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        model.enable_input_require_grads()
    return model, SharedPrefix(model)


def scored(model: Any, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return log-probabilities (B, T - 1), entropies alike, and the gradient (N,) of a weighted sum of the former."""
    model.zero_grad()
    found = model(**batch, fused_lm_head=True)
    weights = torch.linspace(-1, 1, found.log_probs.numel(), device=DEVICE).view_as(found.log_probs)
    (found.log_probs * weights).sum().backward()
    gradients = [each.grad.flatten() for each in model.parameters() if each.requires_grad]
    return found.log_probs.detach(), found.entropy.detach(), torch.cat(gradients)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("adapter", "checkpointing"), [(False, False), (False, True), (True, True)])
def test_a_tree_gives_what_padded_rows_give(name: str, adapter: bool, checkpointing: bool) -> None:
    model, sharing = hooked(name, adapter, checkpointing)
    batch = padded(rows_of_two_questions())
    apart = scored(model, batch)
    sharing.on = True
    together = scored(model, batch)
    for one, other in zip(apart, together, strict=True):
        assert one.shape == other.shape
        assert (one - other).norm() <= 1e-5 * one.norm()
    sharing.on = False
    assert all(torch.equal(one, other) for one, other in zip(apart, scored(model, batch), strict=True))


def test_pairs_that_are_padded_on_the_right_are_read_likewise() -> None:
    """DPO's rows: the first scored column is another one in each."""
    model, sharing = hooked("llama")
    rows = rows_of_two_questions()
    batch = padded([([], p + c) for p, c in rows])
    for row, (prompt, _) in zip(batch["labels"], rows, strict=True):
        row[: len(prompt)] = -100
    apart = scored(model, batch)
    sharing.on = True
    for one, other in zip(apart, scored(model, batch), strict=True):
        assert one.shape == other.shape and (one - other).norm() <= 1e-5 * one.norm()


def test_in_bfloat16_it_is_as_exact_as_padded_rows_are() -> None:
    model, sharing = hooked("llama")
    batch = padded(rows_of_two_questions())
    exact = scored(model, batch)[0]
    model.to(torch.bfloat16)
    rounded = scored(model, batch)[0]
    sharing.on = True
    together = scored(model, batch)[0]
    assert (together - exact).norm() <= 1.5 * (rounded - exact).norm()
    assert torch.isfinite(together).all()


@pytest.mark.parametrize("share", [False, True])
def test_adapters_that_take_their_input_as_it_comes_learn_the_same(share: bool) -> None:
    """peft casts it to the adapter's float32, and autocast back."""
    model, sharing = hooked("llama", adapter=True)
    model.get_base_model().to(torch.bfloat16)
    adapters = [each.to(torch.float32) for name, each in model.named_modules() if name.endswith(("lora_A", "lora_B"))]
    batch, sharing.on, copied, found = padded(rows_of_two_questions()), share, list[int](), list[Any]()
    for _ in range(2):
        with torch.autocast(DEVICE, torch.bfloat16), torch.profiler.profile() as profile:
            found.append(scored(model, batch))
        copied.append(sum(event.count for event in profile.key_averages() if event.key == "aten::_to_copy"))
        spare_casts(model)
    assert adapters and copied[1] < copied[0]
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_the_tokens_of_a_prefix_are_computed_once() -> None:
    rows = rows_of_two_questions()
    batch = padded(rows)
    packed = pack(batch["input_ids"], batch["attention_mask"])
    whole = sum(len(p) + len(c) for p, c in rows)
    assert packed.ids.shape == packed.positions.shape == (1, whole - 3 * 150 - 12)
    real = batch["attention_mask"].bool()
    assert torch.equal(packed.ids[0][packed.places][real], batch["input_ids"][real])
    positions = (batch["attention_mask"].cumsum(1) - 1)[real]
    assert torch.equal(packed.positions[0][packed.places][real], positions)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[1, 2, 3]], [Tree((0,), 0)]),
        ([[1, 2, 3], [1, 2, 3]], [Tree((0, 1), 2)]),  # a row keeps a token of its own
        ([[1, 2, 4], [5, 6], [1, 2, 3]], [Tree((0, 2), 2), Tree((1,), 0)]),
        ([[1, 2, 2, 2, 7], [1, 3, 3, 3, 8], [1, 2, 2, 2, 6], [1, 3, 3, 3, 9]], [Tree((0, 2), 4), Tree((1, 3), 4)]),
        ([[1], [1, 2]], [Tree((0,), 0), Tree((1,), 0)]),
    ],
)
def test_rows_are_cut_into_trees_of_fewest_tokens(rows: list[list[int]], expected: list[Tree]) -> None:
    assert trees(rows) == expected


@pytest.mark.parametrize("what", OTHERS)
def test_models_that_keep_more_than_attention_are_left_alone(what: str) -> None:
    torch.manual_seed(0)
    model = OTHERS[what]().to(DEVICE).train()
    before = model.config._attn_implementation
    assert not can_share(model)
    assert model.training and model.config._attn_implementation == before
