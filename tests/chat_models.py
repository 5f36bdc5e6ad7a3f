"""Random tiny chat models of several families, with tokenizers and templates in the manner of each, for tests."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

TURN = "{{ bos_token }}{% for m in messages %}"
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
THINKING = (
    "{% for m in messages %}{% set text = m.content.split('</think>')[-1].lstrip('\n') if m.role == 'assistant' "
    "else m.content %}<|im_start|>{{ m.role }}\n{{ text }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}"
    "<|im_start|>assistant\n{% if not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
"""Like the template of a thinking model: earlier thoughts are dropped, and thinking can be turned off."""
HEADERS = (
    TURN + "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
GEMMA = (
    TURN + "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
INST = (
    TURN + "{% if m.role == 'user' %}{% if loop.index0 % 2 %}{{ raise_exception('roles must alternate') }}{% endif %}"
    "[INST] {{ m.content }} [/INST]{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)


@dataclass(frozen=True)
class Family:
    """A model family: its classes, its template, its special tokens, and the token that ends a turn."""

    name: str
    config: str
    model: str
    template: str | None
    specials: tuple[str, ...]
    end: str
    begin: str | None = None


FAMILIES = {
    family.name: family
    for family in (
        Family(
            "llama",
            "LlamaConfig",
            "LlamaForCausalLM",
            HEADERS,
            ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
            "<|eot_id|>",
            "<|begin_of_text|>",
        ),
        Family("qwen3", "Qwen3Config", "Qwen3ForCausalLM", THINKING, ("<|im_start|>", "<|im_end|>"), "<|im_end|>"),
        Family(
            "gemma3",
            "Gemma3TextConfig",
            "Gemma3ForCausalLM",
            GEMMA,
            ("<start_of_turn>", "<end_of_turn>"),
            "<end_of_turn>",
            "<bos>",
        ),
        Family("mistral", "MistralConfig", "MistralForCausalLM", INST, ("[INST]", "[/INST]"), "</s>", "<s>"),
        Family("gpt_neox", "GPTNeoXConfig", "GPTNeoXForCausalLM", None, (), "<|endoftext|>"),
        Family("chatml", "LlamaConfig", "LlamaForCausalLM", CHATML, ("<|im_start|>", "<|im_end|>"), "<|im_end|>"),
    )
}


@cache
def tokenizer(name: str) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of some 320 tokens with the family's special tokens and template."""
    family = FAMILIES[name]
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    specials = [token for token in dict.fromkeys((family.begin, family.end, *family.specials)) if token]
    words = ["the debater quotes the passage where the answer is", "a judge reads what was said", "question answer"]
    inner.train_from_iterator(
        words * 4,
        trainers.BpeTrainer(
            vocab_size=320,
            special_tokens=specials,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token=family.begin,
        eos_token=family.end,
        pad_token=family.end,
        additional_special_tokens=list(family.specials),
        chat_template=family.template,
    )


def write_model(folder: Path, name: str, seed: int = 0, context: int = 2048, head_dim: int = 16) -> Path:
    """A random model of the family with two small layers, as a Hugging Face folder."""
    family, words = FAMILIES[name], tokenizer(name)
    shape = {
        "vocab_size": len(words),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": context,
        "initializer_range": 0.1,
        "bos_token_id": words.bos_token_id,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
    }
    if name != "gpt_neox":
        shape |= {"num_key_value_heads": 1, "head_dim": head_dim}
    torch.manual_seed(seed)
    model = getattr(transformers, family.model)(getattr(transformers, family.config)(**shape))
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
