"""Rows of tokens that begin alike, and how they are grouped so that most tokens are computed once.

The engine that keeps what it has read and the learner that reads a passage once cut their rows with it.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.int64]
"""A row of token ids (T,)."""


def common_length(one: Tokens, other: Tokens, last: int = 0) -> int:
    """Return how many tokens two rows begin with alike, without the `last` ones of the shorter."""
    width = max(min(len(one), len(other)) - last, 0)
    differ = one[:width] != other[:width]
    return int(differ.argmax()) if differ.any() else width


def alike(rows: Sequence[Tokens], worth: int, last: int = 1) -> list[tuple[list[int], int]]:
    """Return groups of rows, by their places, with the length of what each group begins with (never a row's `last`
    tokens), such that most tokens need not be read again: n rows that share m tokens save (n - 1) m, and a group costs
    `worth`. Rows in no group are left out.

    In an order that keeps such rows together the groups are intervals, and dynamic programming over their ends finds
    the best ones.
    """
    order = sorted(range(len(rows)), key=lambda place: (rows[place].tobytes(), place))
    between = [common_length(rows[a], rows[b]) for a, b in zip(order, order[1:], strict=False)]
    saved, begins, shared = [0] * (len(order) + 1), list(range(-1, len(order))), [0] * (len(order) + 1)
    for end in range(1, len(order) + 1):
        saved[end] = saved[end - 1]
        length = len(rows[order[end - 1]]) - last
        for start in range(end - 2, -1, -1):
            length = min(length, between[start], len(rows[order[start]]) - last)
            gain = saved[start] + (end - start - 1) * length - worth
            if gain > saved[end]:
                saved[end], begins[end], shared[end] = gain, start, length
            if length <= 0:
                break
    groups, end = [], len(order)
    while end > 0:
        if shared[end]:
            groups.append((sorted(order[begins[end] : end]), shared[end]))
        end = begins[end]
    return groups[::-1]
