"""Which sentence of a passage to quote for an answer, by the words that they share: no model and no gold label."""

import math
import re
from collections import Counter
from collections.abc import Sequence

from rostrum.envs.text.quotes import count_words
from rostrum.envs.text.windows import GAP
from rostrum.envs.text.words import words

_PARAGRAPH = re.compile(r"\n\s*\n")
_SENTENCE = re.compile(r"(?<=[.!?])[\"'”’)]*\s+")


def sentences(passage: str) -> list[str]:
    """Return the sentences of a passage, or of what is shown of it, in order, each on one line."""
    paragraphs = (part for piece in passage.split(GAP) for part in _PARAGRAPH.split(piece))
    lines = (" ".join(paragraph.split()) for paragraph in paragraphs)
    return [sentence for line in lines for sentence in _SENTENCE.split(line) if sentence]


def sentence_for(answer: str, passage: str, lengths: range, taken: Sequence[str] = ()) -> str | None:
    """Return the sentence of the passage that shares the rarest words with the answer, for its length, or the beginning
    of one that is too long; None where there is none.

    Args:
        answer: What is to be argued for.
        passage: As the speaker reads it.
        lengths: How many words the sentence may have.
        taken: Texts whose sentences have been quoted already.
    """
    found = sentences(passage)
    spread = Counter(word for sentence in found for word in set(words(sentence)))
    wanted = set(words(answer))

    def shared(sentence: str) -> float:
        own = set(words(sentence))
        return sum(math.log(len(found) / spread[word]) for word in wanted & own) / math.sqrt(len(own) or 1)

    fitting = (" ".join(one.split()[: lengths.stop - 1]) if count_words(one) >= lengths.stop else one for one in found)
    free = [one for one in fitting if count_words(one) in lengths and not any(one in text for text in taken)]
    return max(free, key=shared, default=None)
