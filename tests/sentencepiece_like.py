"""Tokenizers in the manner of SentencePiece's, and a model that always says the same, for tests."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

USER, REPLY, END = "<|user|>", "<|assistant|>", "<|end|>"
BRACKETS = "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% else %} {{ m.content }}"
TEMPLATES = {
    "none": None,
    "marked": "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}",
    "lines": "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}",
    "brackets": BRACKETS + "<|end|>{% endif %}{% endfor %}",
}
"""Where the answer begins: after running text, at once after a mark, after a line break, after a bracket of text."""
KINDS = ("always", "first", "prepend", "unigram")
"""How a blank comes before a text: before every piece between marks, before the first alone, by a normaliser as in the
older files of Llama and Mistral, or as the pieces of a Unigram model."""
WORDS = [
    "Which answer is right? Reply with the letter A or B",
    "A B A B",
    "The right answer is: A",
    "The right answer is: B",
    "yes no yes no",
    "was it A or was it B",
    "[INST] told [/INST] A",
    "[INST] told [/INST] B",
]


@cache
def tokenizer(kind: str, template: str = "none") -> PreTrainedTokenizerFast:
    """Return a small tokenizer with the marks of a chat, "▁A" and "A" among its tokens."""
    marks = ["<unk>", "<s>", "</s>", USER, REPLY, END]
    alphabet = sorted({*"".join(WORDS), *map(chr, range(33, 127)), "\n", "▁"})
    if kind == "unigram":
        pieces = [*alphabet, "▁A", "▁B", "▁answer", "▁right", "▁is", "▁the", "▁yes", "▁no", "yes", "no"]
        inner = Tokenizer(models.Unigram([("<unk>", -20.0), *((piece, -8.0 + len(piece) / 4) for piece in pieces)], 0))
        inner.pre_tokenizer = pre_tokenizers.Metaspace("▁", "always")
        inner.add_special_tokens(marks)
    else:
        inner = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
        if kind == "prepend":
            inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        else:
            inner.pre_tokenizer = pre_tokenizers.Metaspace("▁", kind)
        # each word apart, or a tokenizer without a pre-tokenizer merges whole lines
        spoken = [word for line in WORDS * 4 for word in line.split()]
        inner.train_from_iterator(
            spoken,
            trainers.BpeTrainer(vocab_size=260, special_tokens=marks, initial_alphabet=alphabet, show_progress=False),
        )
    inner.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<s>",
        eos_token=END,
        unk_token="<unk>",
        pad_token="</s>",
        chat_template=TEMPLATES[template],
        additional_special_tokens=[AddedToken(USER, special=True), AddedToken(REPLY, special=True)],
    )


def write_constant_model(folder: Path, words: PreTrainedTokenizerFast, says: Mapping[int, float]) -> Path:
    """Write a model that gives these tokens these probabilities whatever it has read; the others share the rest."""
    shape = LlamaConfig(
        vocab_size=len(words),
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        head_dim=32,
        max_position_embeddings=4096,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(shape)
    rest = (1 - sum(says.values())) / (len(words) - len(says))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.model.embed_tokens.weight.fill_(1)
        model.model.norm.weight.fill_(1)
        probabilities = torch.tensor([says.get(token, rest) for token in range(len(words))])
        model.lm_head.weight.copy_(probabilities.log()[:, None].expand(-1, 8) / 8)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
