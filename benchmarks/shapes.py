"""Llama-like models with random weights, at the sizes that are trained, with a tokenizer and questions to fit them.

Speed does not depend on what the weights are. A random model hardly ever samples its end token (once in as many tokens
as its vocabulary has), so speeches run to their limit.
"""

import random
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from rostrum.envs.types import Question

CONTEXT = 16384
"""Positions that the models can read."""
_SPECIAL = ("<pad>", "<unk>", "<eos>")


@dataclass(frozen=True, slots=True)
class Shape:
    """The measures of a Llama-like decoder."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    feed_forward: int
    vocabulary: int
    tied: bool
    """The output matrix is the embedding matrix."""

    @property
    def body(self) -> int:
        """Weights that every token is multiplied with: attention and feed-forward matrices of all layers."""
        attention = self.hidden * self.head_size * 2 * (self.heads + self.kv_heads)
        return self.layers * (attention + 3 * self.hidden * self.feed_forward)

    @property
    def head(self) -> int:
        """Weights of the output matrix, which only tokens that are scored are multiplied with."""
        return self.hidden * self.vocabulary

    def lora_flops(self, tokens: int, scored: int, seen: int) -> float:
        """Return the FLOPs of one forward and backward pass over `tokens`, of which `scored` are scored and which look
        at `seen` tokens, each counted anew for each that looks at it.

        4 P T + 12 L d S: the forward pass and the gradients of activations take 2 each per weight and token, and
        frozen weights have no gradient (with full weights it would be 6). Attention takes 4 d per layer and token
        looked at forward and 8 backward. In a row of T tokens S = T²: as is usual, the masked half is not taken off.
        Adapters (under 1 %) and what is computed twice under gradient checkpointing are not counted.
        """
        attention = 12 * self.layers * self.heads * self.head_size * seen
        return 4.0 * (self.body * tokens + self.head * scored) + attention

    def reading_flops(self, tokens: int) -> float:
        """Return the FLOPs of reading a prompt: 2 P T + 4 L d T²."""
        return 2.0 * self.body * tokens + 4 * self.layers * self.heads * self.head_size * tokens**2

    @property
    def token_bytes(self) -> int:
        """Bytes of a token's keys and values in bfloat16."""
        return 2 * 2 * self.layers * self.kv_heads * self.head_size

    @property
    def step_bytes(self) -> int:
        """Bytes of the weights that a sampled token passes, in bfloat16."""
        return 2 * (self.body + self.head)


@dataclass(frozen=True, slots=True)
class Workload:
    """A debater and a smaller judge, and debates to suit them."""

    debater: Shape
    judge: Shape
    passage_tokens: int
    speech_tokens: int
    debates: int
    micro_batch_rows: int
    """Rows that the learner holds in memory at once."""
    padded: tuple[int, ...] = (1, 2, 4, 8)
    """How many TRL's learner on padded rows is tried with."""


SHAPES = {
    "tiny": Shape(64, 2, 4, 2, 16, 128, 4096, tied=True),
    "tinier": Shape(32, 2, 1, 1, 32, 64, 4096, tied=True),
    "smollm2-135m": Shape(576, 30, 9, 3, 64, 1536, 49152, tied=True),
    "0.5b": Shape(1024, 24, 16, 8, 64, 4096, 128256, tied=True),
    "1b": Shape(2048, 16, 32, 8, 64, 8192, 128256, tied=True),
    "3b": Shape(3072, 28, 24, 8, 128, 8192, 128256, tied=True),
    "8b": Shape(4096, 32, 32, 8, 128, 14336, 128256, tied=False),
}
WORKLOADS = {
    "tiny": Workload(SHAPES["tiny"], SHAPES["tinier"], 60, 6, 8, 2),
    "1b": Workload(SHAPES["1b"], SHAPES["0.5b"], 4000, 100, 32, 16),
    "3b": Workload(SHAPES["3b"], SHAPES["1b"], 4000, 100, 32, 8),
    "8b": Workload(SHAPES["8b"], SHAPES["3b"], 4000, 100, 16, 8, padded=(1, 2, 4)),
}


def word_tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    """Return a tokenizer of one token per word, w3 … w{vocabulary-1}; so whatever is sampled reads as many tokens to
    the other speaker."""
    ids = {word: i for i, word in enumerate((*_SPECIAL, *(f"w{i}" for i in range(len(_SPECIAL), vocabulary))))}
    tokenizer = Tokenizer(WordLevel(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="<eos>",
        clean_up_tokenization_spaces=False,
        model_max_length=CONTEXT,
        padding_side="left",
    )


def write_model(shape: Shape, folder: Path, dtype: torch.dtype, device: str, seed: int = 0) -> int:
    """Write a random model and its tokenizer to `folder` as safetensors; return its number of parameters."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_size,
        intermediate_size=shape.feed_forward,
        vocab_size=shape.vocabulary,
        tie_word_embeddings=shape.tied,
        max_position_embeddings=CONTEXT,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=2,
        dtype=dtype,
    )
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)  # made at once in the wanted precision: a large model is not held twice
    try:
        with torch.device(device):
            model = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(default)
    model.save_pretrained(folder)
    word_tokenizer(shape.vocabulary).save_pretrained(folder)
    return sum(parameter.numel() for parameter in model.parameters())


def questions(count: int, passage_tokens: int, vocabulary: int, seed: int = 0) -> list[Question]:
    """Return questions about passages of that many random words."""
    draw = random.Random(seed)

    def words(n: int) -> str:
        return " ".join(f"w{draw.randrange(len(_SPECIAL), vocabulary)}" for _ in range(n))

    return [Question(f"q{i}", f"s{i}", words(10), (words(3), words(3)), words(passage_tokens)) for i in range(count)]
