"""The untaught models: a small Llama for the debater and the reward judge, a small GPT-NeoX for the held-out judge, and
what is made of a taught judge for a judge that writes or one with a head.

Looking a statement up takes an induction circuit: one layer tells every word what stood before it, the next finds
the word after an earlier mention. From an ordinary start the first half takes thousands of steps to appear, so half
of the heads of the first layer start with biases that make them look one word back (`look_back`), from which the
whole look-up is learned in about 150 steps. Everything stays trainable.
"""

import copy
from pathlib import Path
from typing import Any

import torch
from transformers import (
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from rostrum.trainer.models.model_folders import follow_umask
from rostrum.trainer.testimony_models.vocabulary import CONTEXT, END, LIKE, PAD, WORDS, WRITER_WORDS

ROTARY_BASE = 100.0
"""Short stories need no slow rotations, and more fast ones make the look one word back sharper."""
SPREAD = 0.06
"""Standard deviation of the initial weights; the look-up comes sooner than from the usual 0.02."""
LOOK_BACK = 3.0
"""Size of the initial biases of a head that looks one word back."""


def common_settings(width: int) -> dict[str, Any]:
    """Return what both architectures share."""
    return {
        "vocab_size": len(WORDS),
        "hidden_size": width,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": CONTEXT,
        "rope_parameters": {"rope_type": "default", "rope_theta": ROTARY_BASE},
        "attention_bias": True,
        "initializer_range": SPREAD,
        "bos_token_id": None,
        "eos_token_id": WORDS.index(END),
        "pad_token_id": WORDS.index(PAD),
        "tie_word_embeddings": False,
    }


def new_llama(seed: int, width: int = 128) -> PreTrainedModel:
    """Return an untaught two-layer Llama."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM(LlamaConfig(**common_settings(width), intermediate_size=3 * width))
    attention = model.model.layers[0].self_attn
    queries, keys = look_back(width // 4)
    with torch.no_grad():
        for bias, start in ((attention.q_proj.bias, queries), (attention.k_proj.bias, keys)):
            bias.view(4, -1)[:2] = start
    return model


def new_gpt_neox(seed: int, width: int = 128) -> PreTrainedModel:
    """Return an untaught two-layer GPT-NeoX: layer norms, GELU and a wider feed-forward layer."""
    torch.manual_seed(seed)
    settings = common_settings(width)
    settings["rope_parameters"] = {"rope_type": "default", "rope_theta": ROTARY_BASE, "partial_rotary_factor": 1.0}
    model = GPTNeoXForCausalLM(GPTNeoXConfig(**settings, intermediate_size=4 * width, use_parallel_residual=False))
    with torch.no_grad():
        heads = model.gpt_neox.layers[0].attention.query_key_value.bias.view(4, 3, -1)
        heads[:2, :2] = torch.stack(look_back(width // 4))
    return model


def look_back(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return query and key biases, each (size,), of a rotary head (Su et al. 2021) that attends to the word before.

    With keys turned by position i and queries by position j, the score is LOOK_BACK² Σ_f cos(f (j − i − 1)): largest
    at i = j − 1.
    """
    frequencies = ROTARY_BASE ** (-torch.arange(0, size, 2) / size)
    queries = torch.cat([frequencies.cos(), -frequencies.sin()])
    keys = torch.cat([torch.ones(size // 2), torch.zeros(size // 2)])
    return LOOK_BACK * queries, LOOK_BACK * keys


def writer_from(judge: PreTrainedModel, seed: int) -> PreTrainedModel:
    """Return a copy of a judge that knows more words, those of `LIKE` by the embeddings of others, the rest by untaught
    ones."""
    torch.manual_seed(seed)
    writer = copy.deepcopy(judge)
    writer.resize_token_embeddings(len(WRITER_WORDS), mean_resizing=False)
    with torch.no_grad():
        for embeddings in (writer.get_input_embeddings(), writer.get_output_embeddings()):
            for word, other in LIKE.items():
                embeddings.weight[WRITER_WORDS.index(word)] = embeddings.weight[WORDS.index(other)]
    return writer


def head_from(judge: PreTrainedModel, seed: int) -> PreTrainedModel:
    """Return a judge's layers under an untaught head of two classes."""
    torch.manual_seed(seed)
    config = LlamaConfig(**{**judge.config.to_dict(), "num_labels": 2, "id2label": {0: "A", 1: "B"}})
    head = LlamaForSequenceClassification(config)
    head.base_model.load_state_dict(judge.base_model.state_dict())
    return head


def save(model: PreTrainedModel, folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """Write the model, rounded to half precision, and its tokenizer as a Hugging Face folder."""
    copy.deepcopy(model).to(torch.float16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    follow_umask(folder)
    for file in folder.iterdir():
        file.chmod(0o644)  # the weights would otherwise be for their owner alone
