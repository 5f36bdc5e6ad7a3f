"""The word-level tokenizer of the testimony world: every word, tag and mark is one token."""

from collections.abc import Sequence

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from rostrum.envs.testimony.world import OBJECTS, PLACES, WITNESSES

PAD, UNKNOWN, END = "<pad>", "<unk>", "<eos>"
TAGS = ("<quote>", "</quote>", "<v_quote>", "</v_quote>", "<u_quote>", "</u_quote>")
FRAME = (
    *("story", ":", ".", "question", "where", "is", "the", "?", "A", "B"),
    *("argue", "says", "said", "verdict", "in", "saw", "it"),
)
WORDS = (PAD, UNKNOWN, END, *TAGS, *FRAME, *WITNESSES, *PLACES, *OBJECTS)
WRITTEN = (
    *("reasons", "Verdict", "rating", "nobody", "{", "}", '"', ",", '"reason"', '"score"', *"123456789"),
    *("better", "case", "quotes", "found", "not", "words", "alone"),
    *("order", "of", "answers", "and", "length", "a", "speech", "say", "nothing"),
)
"""What a judge that writes has to know beside: its prompts' words, the marks of JSON, and ratings."""
LIKE = {"reasons": "verdict", "rating": "verdict", "Verdict": "verdict", '"': ":"}
"""Words that stand in a writer's texts where others stood in what the judge has read."""
WRITER_WORDS = (*WORDS, *WRITTEN)
CONTEXT = 512
"""Positions a model is built for: a story with sixteen speeches."""


def build_tokenizer(words: Sequence[str] = WORDS) -> PreTrainedTokenizerFast:
    """Return a tokenizer that splits on white space only, adds no token of its own, and decodes to words joined by
    single spaces."""
    ids = {word: index for index, word in enumerate(words)}
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
