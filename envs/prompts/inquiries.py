"""What the judge asks between rounds: from what it wrote to what everybody reads."""

import re
from collections.abc import Sequence

from rostrum.envs.text import scratchpad
from rostrum.envs.text.quotes import count_words, verify
from rostrum.envs.types import Inquiry, Protocol, Speech

_LABEL = re.compile(r"^\W*(?:(?:my|the)\s+)?question\s*:\s*", re.IGNORECASE)


def inquiry_of(written: str, turn: int, protocol: Protocol, passage: str) -> Inquiry:
    """Return the judge's question before this turn: the first line of what it wrote, thoughts taken out, up to its
    first question mark and `protocol.max_words` words, escaped and with its quotes looked up as a speech is.

    Where that leaves no word there is no question, and the inquiry says so.
    """
    public, _ = scratchpad.split(written)
    line = next((line for line in _LABEL.sub("", public.strip()).splitlines() if line.strip()), "")
    head, mark, _ = line.partition("?")
    asked = _bounded(head + mark, protocol.max_words)
    text, _ = verify(asked, passage, across_paragraphs=protocol.quotes_across_paragraphs)
    if not count_words(text):
        return Inquiry(turn, "", "the judge wrote no question")
    return Inquiry(turn, text)


def in_order(speeches: Sequence[Speech], inquiries: Sequence[Inquiry]) -> list[Speech | Inquiry]:
    """Return speeches and questions as they followed each other: a question stands before the speeches of its turn."""
    return sorted([*speeches, *inquiries], key=lambda said: (said.turn, isinstance(said, Speech)))


def _bounded(text: str, max_words: int) -> str:
    pieces = text.split()
    while pieces and count_words(" ".join(pieces)) > max_words:
        pieces.pop()
    return " ".join(pieces)
