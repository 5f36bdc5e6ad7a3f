"""The word-level tokenizer of the testimony world: every word, tag and mark is one token."""

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from envs.testimony.world import OBJECTS, PLACES, WITNESSES

PAD, UNKNOWN, END = "<pad>", "<unk>", "<eos>"
TAGS = ("<quote>", "</quote>", "<v_quote>", "</v_quote>", "<u_quote>", "</u_quote>")
FRAME = (
    *("story", ":", ".", "question", "where", "is", "the", "?", "A", "B"),
    *("argue", "says", "said", "verdict", "in", "saw", "it"),
)
WORDS = (PAD, UNKNOWN, END, *TAGS, *FRAME, *WITNESSES, *PLACES, *OBJECTS)
CONTEXT = 512
"""Positions a model is built for: a story with sixteen speeches."""


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Splits on white space only, adds no token of its own, and decodes to words joined by single spaces."""
    ids = {word: index for index, word in enumerate(WORDS)}
    tokenizer = Tokenizer(WordLevel(ids, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        eos_token=END,
        clean_up_tokenization_spaces=False,
        model_max_length=CONTEXT,
        padding_side="left",
    )
