"""Attention over rows that begin alike: what they share is held, and read, once for all of them.

A row's context is a shared prefix (or none) and its own tokens. `Reading` holds keys and values of both while a batch
is read and sampled; `attend` is registered with transformers under `NAME`. Prompts are read with torch's attention over
prefix and own tokens. A sampled token's attention is computed over both parts apart and merged by their normalisers
(Juravsky et al. 2024, Hydragen, section 3.2), so that the prefix passes through the memory once per token and not once
per row.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

NAME = "rostrum_prefix_cache"
HARMLESS = {"position_ids", "cache_position", "use_cache", "output_attentions", "is_causal"}
"""What models hand to their attention that changes nothing here."""

Layers = Mapping[int, tuple[torch.Tensor, torch.Tensor]]
"""Keys and values (heads, tokens, width) of one row of tokens, by layer."""


class UnsharedError(RuntimeError):
    """A model's attention asks for what is not computed here."""


def sliced(layers: Layers, start: int, end: int) -> Layers:
    """Return keys and values of the tokens from `start` to `end`, without copying them."""
    return {layer: (k[:, start:end], v[:, start:end]) for layer, (k, v) in layers.items()}


def joined(pieces: Sequence[Layers]) -> Layers:
    """Return keys and values of tokens that come in pieces, one after the other."""
    return {
        layer: (
            torch.cat([piece[layer][0] for piece in pieces], 1),
            torch.cat([piece[layer][1] for piece in pieces], 1),
        )
        for layer in pieces[0]
    }


@dataclass(frozen=True, slots=True)
class SharedPrefix:
    """What several rows of a batch begin with."""

    rows: tuple[int, ...]
    length: int
    layers: Layers


@dataclass(frozen=True, slots=True)
class _Now:
    """What is being read: `rows` (R,), the place `slots` (R, T) of each new token among its row's own, and for each
    prefix which of these rows begin with it. `known` is how many own tokens the fullest row has then."""

    rows: torch.Tensor
    slots: torch.Tensor
    bases: torch.Tensor
    known: int
    everything: bool
    fresh: bool
    """Whether it is one row from its beginning on."""
    prefixes: tuple[tuple[SharedPrefix | None, torch.Tensor], ...]


class Reading:
    """Keys and values of a batch of rows: shared prefixes, and room for the tokens of each row alone."""

    def __init__(
        self, begun: Sequence[Sequence[Layers]], prefixes: Sequence[SharedPrefix], room: int, device: str
    ) -> None:
        """Begin rows with their prefixes and with the pieces of own tokens that are known (`begun`); `room` is for how
        many own tokens each row needs place."""
        self._begun, self._prefixes, self._device = begun, prefixes, device
        self.lengths = [sum(_length(piece) for piece in pieces) for pieces in begun]
        """Own tokens of each row so far."""
        self._room = room + 1  # the last place takes what padding leaves, and nobody looks at it
        self.bases = [0] * len(begun)
        for prefix in prefixes:
            for row in prefix.rows:
                self.bases[row] = prefix.length
        self._layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._masks: dict[Any, torch.Tensor] = {}
        self._now: _Now

    @contextmanager
    def step(self, rows: Sequence[int], new: Sequence[int]) -> Iterator[torch.Tensor]:
        """Take in `new` tokens of each of the rows, padded on the left; yield their positions (R, T)."""
        width, fresh = max(new), len(rows) == 1 and self.lengths[rows[0]] == self.bases[rows[0]] == 0
        lengths = torch.tensor([self.lengths[row] for row in rows], device=self._device)
        padding = torch.tensor([width - count for count in new], device=self._device)
        slots = lengths[:, None] - padding[:, None] + torch.arange(width, device=self._device)
        real = torch.arange(width, device=self._device) >= padding[:, None]
        bases = torch.tensor([self.bases[row] for row in rows], device=self._device)
        self._now = _Now(
            torch.tensor(rows, device=self._device),
            torch.where(real, slots, self._room - 1),
            bases,
            max(self.lengths[row] + count for row, count in zip(rows, new, strict=True)),
            list(rows) == list(range(len(self.lengths))),
            fresh,
            tuple(self._split(rows)),
        )
        self._masks = {}
        yield torch.where(real, bases[:, None] + slots, 0)
        for row, count in zip(rows, new, strict=True):
            self.lengths[row] += count

    def go_on(self) -> "Growing":
        """Take in one token of every row from now on, and one more each time that it is moved on."""
        lengths, bases = (torch.tensor(of, device=self._device)[:, None] for of in (self.lengths, self.bases))
        every = range(len(self.lengths))
        rows = torch.tensor(every, device=self._device)
        known, prefixes = self._room - 1, tuple(self._split(every))
        self._now, self._masks = _Now(rows, lengths, bases[:, 0], known, True, False, prefixes), {}
        return Growing(self, bases + lengths)

    def move_on(self) -> None:
        """Make place for one more token of every row, without a word to the device but for one addition: what is
        computed of a token can be recorded and played again."""
        self._now.slots.add_(1)
        self._masks = {}

    def own(self, row: int, length: int) -> Layers:
        """Return a copy of keys and values of a row's first own tokens."""
        return {
            layer: (keys[row, :, :length].clone(), values[row, :, :length].clone())
            for layer, (keys, values) in self._layers.items()
        }

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float, window: int | None
    ) -> torch.Tensor:
        """Take in keys and values (R, KV heads, T, width) of the new tokens and return what their queries (R, heads, T,
        width) find, (R, heads, T, width). A token sees those before it in its row, with a `window` the last so many,
        itself included."""
        now = self._now
        if layer not in self._layers:
            self._layers[layer] = self._opened(key, layer, 0), self._opened(value, layer, 1)
        keys, values = self._layers[layer]
        keys[now.rows[:, None], :, now.slots] = key.transpose(1, 2)
        values[now.rows[:, None], :, now.slots] = value.transpose(1, 2)
        if now.fresh and window is None:
            return scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale, enable_gqa=True)
        if not now.everything:
            keys, values = keys[now.rows], values[now.rows]
        own = keys[:, :, : now.known], values[:, :, : now.known]
        if query.shape[2] == 1:
            return self._merged(layer, query * scale, *own, window)
        return self._joined(layer, query, *own, scale, window)

    def _joined(
        self,
        layer: int,
        query: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        scale: float,
        window: int | None,
    ) -> torch.Tensor:
        """Return the attention of several tokens per row, over prefix and own tokens side by side."""
        found = torch.empty((*query.shape[:3], values.shape[-1]), dtype=query.dtype, device=query.device)
        for prefix, rows in self._now.prefixes:
            mask, k, v = self._mask(window)[rows], keys[rows], values[rows]
            if prefix is not None:
                shared_keys, shared_values = (x.expand(len(rows), *x.shape) for x in prefix.layers[layer])
                k, v = torch.cat([shared_keys, k], 2), torch.cat([shared_values, v], 2)
                mask = torch.cat([self._prefix_mask(prefix, rows, window), mask], -1)
            found[rows] = scaled_dot_product_attention(
                query[rows], k, v, attn_mask=mask[:, None], scale=scale, enable_gqa=True
            )
        return found

    def _merged(
        self, layer: int, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, window: int | None
    ) -> torch.Tensor:
        """Return the attention of one token per row, over prefix and own tokens apart, merged."""
        (rows, heads, _, width), of = query.shape, keys.shape[1]
        query = query.reshape(rows, of, heads // of, width)
        found, weight = _softmax(query, keys, values, self._mask(window)[:, None])
        for prefix, inside in self._now.prefixes:
            if prefix is None:
                continue
            shared_keys, shared_values = prefix.layers[layer]
            asked = query[inside].transpose(0, 1).reshape(of, -1, width)
            mask = None
            if window is not None:
                seen = self._prefix_mask(prefix, inside, window)
                mask = seen.expand(-1, heads // of, -1).reshape(1, -1, prefix.length)
            there, normaliser = _softmax(asked, shared_keys, shared_values, mask)
            there = there.reshape(of, len(inside), -1, there.shape[-1]).transpose(0, 1)
            normaliser = normaliser.reshape(of, len(inside), -1, 1).transpose(0, 1)
            share = torch.sigmoid(normaliser - weight[inside])  # exp(n) / (exp(n) + exp(w))
            found[inside] = torch.lerp(found[inside], there, share)
        return found.reshape(rows, heads, 1, -1).to(values.dtype)

    def _split(self, rows: Sequence[int]) -> Iterator[tuple[SharedPrefix | None, torch.Tensor]]:
        """Yield each prefix with the places of those rows that begin with it, and None with the others."""
        place = {row: i for i, row in enumerate(rows)}
        for prefix in self._prefixes:
            if inside := [place.pop(row) for row in prefix.rows if row in place]:
                yield prefix, torch.tensor(inside, device=self._device)
        if place:
            yield None, torch.tensor(list(place.values()), device=self._device)

    def _mask(self, window: int | None) -> torch.Tensor:
        """Return which own tokens each new one sees (R, T, known)."""
        if window not in self._masks:
            slots, places = self._now.slots[..., None], torch.arange(self._now.known, device=self._device)
            seen = places <= slots
            self._masks[window] = seen if window is None else seen & (places > slots - window)
            self._masks[window] |= slots >= self._now.known  # padding has to see something, or it is NaN
        return self._masks[window]

    def _prefix_mask(self, prefix: SharedPrefix, rows: torch.Tensor, window: int | None) -> torch.Tensor:
        """Return which tokens of its prefix each new one of these rows sees (r, T, length)."""
        known = (id(prefix), window)
        if known not in self._masks:
            positions = prefix.length + self._now.slots[rows][..., None]
            places = torch.arange(prefix.length, device=self._device)
            seen = torch.ones_like(positions, dtype=torch.bool) if window is None else places > positions - window
            self._masks[known] = seen.expand(-1, -1, prefix.length)
        return self._masks[known]

    def _opened(self, like: torch.Tensor, layer: int, which: int) -> torch.Tensor:
        """Return room for the own tokens of all rows, with those that are known."""
        room = like.new_zeros(len(self.lengths), like.shape[1], self._room, like.shape[3])
        for row, pieces in enumerate(self._begun):
            start = 0
            for piece in pieces:
                known = piece[layer][which]
                room[row, :, start : start + known.shape[1]] = known
                start += known.shape[1]
        return room


@dataclass(frozen=True, slots=True)
class Growing:
    """Rows that take in a token each at a time."""

    reading: Reading
    positions: torch.Tensor
    """(R, 1), where the next token of each row stands."""

    def move_on(self) -> None:
        """Go to the next token."""
        self.positions.add_(1)
        self.reading.move_on()


def _softmax(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return softmax(q k') v in float32 and the logarithm of its normaliser (..., 1); rows that see nothing weigh
    -inf."""
    scores = (query @ keys.transpose(-1, -2)).float()
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    top = scores.amax(-1, keepdim=True).clamp(min=-1e30)
    weights = (scores - top).exp_()
    total = weights.sum(-1, keepdim=True)
    found = (weights.to(values.dtype) @ values).float() / total.clamp(min=1e-30)
    return found, top + total.log()


def _length(layers: Layers) -> int:
    return next(iter(layers.values()))[0].shape[1]


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    reading: Reading | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Return what queries find, as transformers asks its attention functions to; models hand `reading` through.

    Raises:
        UnsharedError: the model asks for more than causal attention with or without a window.
    """
    strange = [name for name, given in others.items() if given is not None and name not in HARMLESS]
    if reading is None or strange or not getattr(module, "is_causal", True) or attention_mask is not None:
        raise UnsharedError(f"attention with {', '.join(strange) or 'a mask'} is not shared")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    found = reading.attend(module.layer_idx, query, key, value, scale, sliding_window)
    return found.transpose(1, 2), None


AttentionInterface.register(NAME, attend)
