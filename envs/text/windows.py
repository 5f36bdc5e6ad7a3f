"""Windows on a passage that is too long to be read whole: which of its paragraphs a debater is shown.

Both debaters are shown the same, and nothing in the choice depends on which answer is right. Quotes are still looked up
in the whole passage.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from rostrum.envs.text.words import words
from rostrum.envs.types import Question

GAP = "[...]"
"""Stands where paragraphs were left out."""
_PARAGRAPH = re.compile(r"\n\s*\n|\n(?=\s{2,}\S)")


@dataclass(frozen=True, slots=True)
class Window:
    """At most `tokens` of a passage. `keep` is "beginning", or "relevant": the paragraphs that share the rarest words
    with the question and its answers."""

    tokens: int
    keep: Literal["beginning", "relevant"] = "relevant"

    def show(self, question: Question, count: Callable[[str], int]) -> str:
        """Return the passage, or the part of it that is kept. `count` gives the number of tokens of a text."""
        if count(question.passage) <= self.tokens:
            return question.passage
        paragraphs = [text for part in _PARAGRAPH.split(question.passage) if (text := part.strip("\n"))]
        order: Sequence[int] = range(len(paragraphs))
        if self.keep == "relevant":
            scores = _scores(paragraphs, f"{question.text} {' '.join(question.answers)}")
            order = sorted(order, key=lambda i: (-scores[i], i))
        return _joined(paragraphs, self._fitting(paragraphs, order, count))

    def _fitting(self, paragraphs: list[str], order: Sequence[int], count: Callable[[str], int]) -> set[int]:
        """Return the first paragraphs of `order` that fit together, gaps counted; later ones may fill what is left."""
        kept: set[int] = set()
        left = self.tokens - count(GAP)
        for index in order:
            cost = count(paragraphs[index]) + count(f"\n\n{GAP}\n\n")
            if cost <= left:
                kept.add(index)
                left -= cost
            elif self.keep == "beginning":
                break
        return kept


def shown(question: Question, window: Window | None, count: Callable[[str], int]) -> str:
    """Return the passage as debaters read it: all of it where there is no window."""
    return question.passage if window is None else window.show(question, count)


def _scores(paragraphs: list[str], wanted: str) -> list[float]:
    """Return by paragraph the sum of log(n / paragraphs that hold the word) over the wanted words in it, per word
    read."""
    read = [words(text) for text in paragraphs]
    spread = Counter(word for found in read for word in set(found))
    sought = set(words(wanted))
    return [
        sum(math.log(len(read) / spread[word]) for word in sought & set(found)) / math.sqrt(len(found) or 1)
        for found in read
    ]


def _joined(paragraphs: list[str], kept: set[int]) -> str:
    pieces: list[str] = []
    for index, paragraph in enumerate(paragraphs):
        if index in kept:
            pieces.append(paragraph)
        elif not pieces or pieces[-1] != GAP:
            pieces.append(GAP)
    return "\n\n".join(pieces)
