"""What an engine keeps of the rows that it has read: keys and values, by their tokens, within a number of bytes.

Nothing here depends on time or on chance: the same calls keep and evict the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rostrum.trainer.engines.transformers.shared_attention import Layers, sliced
from rostrum.trainer.prefixes import Tokens


@dataclass(eq=False, slots=True)
class Kept:
    """Keys and values of a row of tokens: of those from `start` on, while the ones before are those of `prefix`."""

    tokens: Tokens
    layers: Layers
    prefix: "Kept | None" = None
    start: int = 0
    shared: bool = False
    """Whether several rows begin with all of it."""
    used: int = 0
    bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.bytes = sum(x.nelement() * x.element_size() for pair in self.layers.values() for x in pair)

    def pieces(self, start: int, end: int) -> list[Layers]:
        """Return keys and values of the tokens from `start` to `end`, in order, without copying them."""
        if start >= end:
            return []
        before = self.prefix.pieces(start, min(end, self.start)) if self.prefix is not None else []
        if end <= self.start:
            return before
        return [*before, sliced(self.layers, max(start - self.start, 0), end - self.start)]


@dataclass(frozen=True, slots=True)
class Match:
    """How many of a prompt's first tokens are kept, and in which row."""

    kept: Kept | None = None
    common: int = 0


NOTHING = Match()
"""Not one token is kept."""


class PrefixCache:
    """Keeps rows within a number of bytes; the one that was used longest ago, and on which no other builds, goes
    first."""

    def __init__(self, limit: int) -> None:
        self.limit, self.bytes = limit, 0
        self._rows: list[Kept] = []
        self._calls = 0

    def __len__(self) -> int:
        return len(self._rows)

    def clear(self) -> None:
        """Drop everything."""
        self._rows, self.bytes = [], 0

    def find(self, prompts: Sequence[Tokens], last: int = 1) -> list[Match]:
        """Return for each prompt the kept row that has most of its first tokens, and mark it as used; the first of
        equals. The `last` tokens never count: they are to be read. Each call makes what it finds younger than what
        earlier calls have found."""
        self._calls += 1
        if not self._rows:
            return [NOTHING for _ in prompts]
        width = max(len(row.tokens) for row in self._rows)
        table = np.full((len(self._rows), width + 1), -1)  # the last column differs from every prompt
        for place, row in enumerate(self._rows):
            table[place, : len(row.tokens)] = row.tokens
        return [self._best(table, prompt, max(len(prompt) - last, 0)) for prompt in prompts]

    def _best(self, table: Tokens, prompt: Tokens, width: int) -> Match:
        width = min(width, table.shape[1] - 1)
        same = np.zeros((len(table), width + 1), bool)
        same[:, :width] = table[:, :width] == prompt[:width]
        common = same.argmin(1)
        best = int(common.argmax())
        if common[best] == 0:
            return NOTHING
        found = self._rows[best]
        found.used = self._calls
        if found.prefix is not None:
            found.prefix.used = self._calls
        return Match(found, int(common[best]))

    def keep(self, row: Kept, goes_on: Match = NOTHING) -> bool:
        """Keep a row if there is room for it, at the cost of rows that this call did not find; it takes the place of
        the one that it `goes_on` from, if it does so from its end. Return whether it is kept."""
        row.used = self._calls
        if row.prefix is not None and row.prefix not in self._rows:
            return False
        earlier = goes_on.kept if goes_on.kept in self._rows else None
        if earlier is not None and not earlier.shared and goes_on.common == len(earlier.tokens):
            self._drop(earlier)
        while self.bytes + row.bytes > self.limit:
            builds_on = {id(known.prefix) for known in self._rows}
            old = [known for known in self._rows if known.used < self._calls and id(known) not in builds_on]
            if not old:
                return False
            self._drop(min(old, key=lambda known: known.used))
        self._rows.append(row)
        self.bytes += row.bytes
        return True

    def _drop(self, row: Kept) -> None:
        self._rows.remove(row)
        self.bytes -= row.bytes
