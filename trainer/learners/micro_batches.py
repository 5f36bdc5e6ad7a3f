"""Which rows the learner holds in memory at once: by their number or by their tokens, those of a question together."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rostrum.trainer.prefixes import Tokens, common_length
from rostrum.trainer.types import Trajectory


@dataclass(frozen=True, slots=True)
class Sizes:
    """What it takes to compute rows: each one's question, and the tokens of its prompt and of its completion."""

    questions: tuple[int, ...]
    prompts: tuple[int, ...]
    completions: tuple[int, ...]
    prefixes: tuple[int, ...]
    """Of each question: how many tokens all of its rows begin with."""

    @property
    def whole(self) -> int:
        """Return the tokens of all rows."""
        return sum(self.prompts) + sum(self.completions)

    def tokens(self, rows: Sequence[int], shared: bool) -> int:
        """Return how many tokens are computed for some rows, one at least: with each question's prefix once if it is
        `shared`, else with prompts and completions as long as the longest."""
        prompts, completions = ([part[row] for row in rows] for part in (self.prompts, self.completions))
        if not shared:
            return len(rows) * (max(prompts) + max(completions))
        again = sum((n - 1) * self.prefixes[q] for q, n in Counter(self.questions[row] for row in rows).items())
        return sum(prompts) + sum(completions) - again

    @property
    def mean_prefix(self) -> float:
        """Return how many tokens a row has in common with its question's other rows, on average."""
        alone = {question for question, rows in Counter(self.questions).items() if rows == 1}
        shared = [0 if question in alone else self.prefixes[question] for question in self.questions]
        return sum(shared) / max(len(shared), 1)


def sizes_of(rows: Sequence[Trajectory]) -> Sizes:
    """Return the sizes of rows, of which some may be the same."""
    numbers = {question: number for number, question in enumerate(dict.fromkeys(of.question_id for of in rows))}
    questions = [numbers[of.question_id] for of in rows]
    groups = defaultdict[int, list[Tokens]](list)
    for question, of in zip(questions, rows, strict=True):
        groups[question].append(np.asarray(of.row.prompt + of.row.completion, np.int64))
    prefixes = tuple(
        min(common_length(groups[number][0], row, last=1) for row in groups[number]) for number in numbers.values()
    )
    prompts, completions = tuple(len(of.row.prompt) for of in rows), tuple(len(of.row.completion) for of in rows)
    return Sizes(tuple(questions), prompts, completions, prefixes)


def together(order: Sequence[int], questions: Sequence[int]) -> list[int]:
    """Return an order of rows with those of a question side by side: questions as their first row came, and their rows
    as they came. `questions` has each row's."""
    first: dict[int, int] = {}
    for place, row in enumerate(order):
        first.setdefault(questions[row], place)
    return sorted(order, key=lambda row: first[questions[row]])


def fitting(rows: Sequence[int], sizes: Sizes, most: int, shared: bool) -> int:
    """Return how many of the first rows have at most so many tokens together; one at least."""
    count = 1
    while count < len(rows) and sizes.tokens(rows[: count + 1], shared) <= most:
        count += 1
    return count


def largest(sizes: Sizes, rows: int, tokens: int | None, shared: bool) -> list[int]:
    """Return the longest rows that a micro-batch may hold: `rows` of them at most, and where its `tokens` are limited
    no more than these, but one at least."""
    order = sorted(range(len(sizes.prompts)), key=lambda row: -(sizes.prompts[row] + sizes.completions[row]))[:rows]
    return order if tokens is None else order[: fitting(order, sizes, tokens, shared)]
