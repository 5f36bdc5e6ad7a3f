"""A merged adapter is the same model, tied embeddings or not, or it is refused before anything is written."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, PromptTuningConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from rostrum.trainer.models.loading import ModelError
from rostrum.trainer.weights.merging import merged

IDS = torch.arange(48).reshape(4, 12)
BOTH = ["embed_tokens", "lm_head"]


def base(tied: bool) -> LlamaForCausalLM:
    shape = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    torch.manual_seed(0)
    config = LlamaConfig(**shape, num_attention_heads=2, tie_word_embeddings=tied, initializer_range=0.2)
    return LlamaForCausalLM(config)


def adapted(tied: bool = True, **kind: Any) -> PeftModel:
    """A model with an adapter none of whose weights are zero."""
    kind = {"target_modules": ["q_proj"], **kind}
    model = get_peft_model(base(tied), LoraConfig(r=2, task_type="CAUSAL_LM", **kind))
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter)
    return model.eval()


@torch.no_grad()
def logits(model: torch.nn.Module) -> torch.Tensor:
    return model(input_ids=IDS).logits


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(
    "kind",
    [
        {"target_modules": "all-linear"},
        {"target_modules": ["q_proj", "embed_tokens"]},
        {"target_modules": ["q_proj", "lm_head"]},
        {"target_modules": BOTH},
        {"target_modules": BOTH, "use_dora": True},
        {"target_modules": ["q_proj", "embed_tokens"], "ensure_weight_tying": True},
        {"modules_to_save": ["embed_tokens"]},
        {"modules_to_save": ["lm_head"]},
        {"modules_to_save": BOTH},
        {"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True},
        {"trainable_token_indices": [3, 4]},
    ],
    ids=str,
)
def test_what_is_saved_after_merging_says_what_the_adapter_said(
    tied: bool, kind: dict[str, Any], tmp_path: Path
) -> None:
    model = adapted(tied, **kind)
    before, without = logits(model), logits(base(tied))
    merged(model).save_pretrained(tmp_path)
    after = logits(AutoModelForCausalLM.from_pretrained(tmp_path))
    assert (before - without).abs().max() > 1
    assert (before - after).abs().max() < 0.01


def test_embeddings_that_the_adapter_leaves_alone_stay_tied(tmp_path: Path) -> None:
    whole = merged(adapted(target_modules="all-linear"))
    assert whole.config.tie_word_embeddings and whole.lm_head.weight is whole.model.embed_tokens.weight


def test_a_merge_that_changes_the_answers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rostrum.trainer.weights.merging._untie", lambda model: False)
    with pytest.raises(ModelError, match="would be another model.*Nothing was written") as refused:
        merged(adapted(target_modules=BOTH))
    assert "\n" not in str(refused.value)


def test_a_kind_of_adapter_without_weights_to_merge_is_refused() -> None:
    prompts = get_peft_model(base(tied=False), PromptTuningConfig(num_virtual_tokens=2, task_type="CAUSAL_LM"))
    with pytest.raises(ModelError, match="kind PROMPT_TUNING cannot be merged"):
        merged(prompts)


def test_a_model_without_an_adapter_stays_as_it_is() -> None:
    model = base(tied=True)
    assert merged(model) is model
