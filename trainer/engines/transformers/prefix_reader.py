"""Reads prompts with what is kept of earlier ones, and reads once what they share.

It needs a model whose attention transformers lets others compute, that takes positions, and whose layers look at
everything or at a window of what came before. `can_share` tries that on the model; others are read as a whole.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rostrum.trainer.engines.transformers.prefix_cache import (
    NOTHING,
    Kept,
    Match,
    PrefixCache,
)
from rostrum.trainer.engines.transformers.shared_attention import NAME, Reading, SharedPrefix, joined, sliced
from rostrum.trainer.models import loading
from rostrum.trainer.prefixes import Tokens, alike, common_length

WORTH = 1024
"""Tokens that a shared prefix has to save, rows times tokens: below, it costs more to attend to it apart."""
AT_ONCE = 8192
"""Tokens, padding included, that are read in one forward pass."""
ALLOWED = {torch.float32: 1e-3, torch.bfloat16: 0.25}
"""Nats by which a log-probability may differ from that of a plain forward pass, by the dtype of the model."""
LAYERS = {"full_attention", "sliding_attention"}
"""Kinds of layers whose attention can be shared."""


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of a batch, by their places, and the kept row whose first `length` tokens they all begin with."""

    rows: tuple[int, ...]
    kept: Kept
    length: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Prompts that were read, and what is sampled after them as it grows."""

    prompts: Sequence[Tokens]
    matches: Sequence[Match]
    groups: Sequence[Group]
    reading: Reading
    logits: torch.Tensor
    """After each prompt, (B, V)."""


class PrefixReader:
    """A model with a cache of what it has read."""

    def __init__(self, model: Any, limit: int, device: str) -> None:
        """Keep at the most `limit` bytes of keys and values from call to call."""
        self._model, self._device, self.cache = model, device, PrefixCache(limit)
        self.asked = self.found = 0
        """Tokens of all prompts so far, and those among them that were not read for it but kept or shared."""

    def open(self, prompts: Sequence[Sequence[int]], room: int) -> Batch:
        """Read prompts, with room for so many tokens after each."""
        rows = [np.asarray(prompt, np.int64) for prompt in prompts]
        with attending(self._model):
            matches = self.cache.find(rows)
            groups = self._groups(rows, matches, 1)
            reading = self._begin(rows, matches, groups, room)
            logits = self._read(reading, rows, 1)
        for group in groups:
            if not group.kept.used:
                self.cache.keep(group.kept)
        return Batch(rows, matches, groups, reading, torch.cat(logits))

    def score(self, rows: Sequence[Sequence[int]], last: int) -> list[torch.Tensor]:
        """Return the logits (up to `last`, V) of each row's last tokens. Nothing is kept."""
        tokens = [np.asarray(row, np.int64) for row in rows]
        logits = dict[int, torch.Tensor]()
        with attending(self._model):
            groups = self._groups(tokens, [NOTHING] * len(tokens), last)
            shared = {row: group.length for group in groups for row in group.rows}
            for places in _packed([len(row) - shared.get(place, 0) for place, row in enumerate(tokens)]):
                own = {row: place for place, row in enumerate(places)}
                within = [Group(tuple(own[row] for row in g.rows if row in own), g.kept, g.length) for g in groups]
                part = [tokens[row] for row in places]
                reading = self._begin(part, [NOTHING] * len(part), [group for group in within if group.rows], 0)
                logits.update(zip(places, self._read(reading, part, last), strict=True))
        return [logits[row] for row in range(len(rows))]

    def go_on(self, batch: Batch) -> "Continuation":
        """Return what reads one more token of each row at a time."""
        return Continuation(self._model, batch.reading)

    def keep(self, batch: Batch, sampled: Sequence[Sequence[int]]) -> None:
        """Keep prompts with the tokens that were sampled after them and read."""
        prefixes = {row: group for group in batch.groups for row in group.rows}
        for row, (prompt, new) in enumerate(zip(batch.prompts, sampled, strict=True)):
            tokens, base = np.append(prompt, np.asarray(new, np.int64)), batch.reading.bases[row]
            group = prefixes.get(row)
            own = batch.reading.own(row, len(tokens) - base)
            self.cache.keep(Kept(tokens, own, None if group is None else group.kept, base), batch.matches[row])

    def _groups(self, rows: Sequence[Tokens], matches: Sequence[Match], last: int) -> list[Group]:
        """Return rows that begin alike, with the prefix that they share; what is not kept of it is read."""
        self.asked += sum(map(len, rows))
        self.found += sum(map(len, rows))
        groups = _kept_groups(rows, matches)
        grouped = {row for group in groups for row in group.rows}
        others = [row for row in range(len(rows)) if row not in grouped]
        for places, length in alike([rows[row] for row in others], WORTH, last):
            members = tuple(others[place] for place in places)
            kept = self._prefix(rows[members[0]][:length], matches[members[0]])
            groups.append(Group(members, kept, length))
        return groups

    def _prefix(self, tokens: Tokens, match: Match) -> Kept:
        """Read a row by itself, as far as it is not kept."""
        common = min(match.common, len(tokens))
        if match.kept is not None and common == len(tokens):
            return Kept(tokens, joined(match.kept.pieces(0, common)), shared=True)
        reading = self._begin([tokens], [Match(match.kept, common)], [], 0)
        self._read(reading, [tokens], 1)
        return Kept(tokens, reading.own(0, len(tokens)), shared=True)

    def _begin(self, rows: Sequence[Tokens], matches: Sequence[Match], groups: Sequence[Group], room: int) -> Reading:
        """Return rows with what is kept of them, with room for the rest and for so many tokens more."""
        bases = {row: group.length for group in groups for row in group.rows}
        begun = [
            [] if match.kept is None else match.kept.pieces(bases.get(row, 0), match.common)
            for row, match in enumerate(matches)
        ]
        prefixes = [SharedPrefix(g.rows, g.length, sliced(g.kept.layers, 0, g.length)) for g in groups]
        own = max(len(row) - bases.get(place, 0) for place, row in enumerate(rows))
        return Reading(begun, prefixes, own + room, self._device)

    def _read(self, reading: Reading, whole: Sequence[Tokens], last: int) -> list[torch.Tensor]:
        """Read the tokens that are missing of each row; return the logits of its last ones."""
        missing = [tokens[reading.bases[row] + reading.lengths[row] :] for row, tokens in enumerate(whole)]
        self.found -= sum(map(len, missing))
        logits: dict[int, torch.Tensor] = {}
        for rows in _packed([len(tokens) for tokens in missing]):
            new = [len(missing[row]) for row in rows]
            ids = torch.tensor([[0] * (max(new) - len(missing[row])) + missing[row].tolist() for row in rows])
            with reading.step(rows, new) as positions:
                found = _forward(self._model, reading, ids.to(self._device), positions, last)
            logits.update(zip(rows, found, strict=True))
        return [logits[row] for row in range(len(missing))]


class Continuation:
    """Reads one more token of each row at a time.

    On a GPU the kernels of a token are recorded once, as a CUDA graph, and played again for each further one: a small
    model computes a token in less time than Python takes to ask for it.
    """

    def __init__(self, model: Any, reading: Reading) -> None:
        self._model, self._growing = model, reading.go_on()
        self._tokens = torch.zeros_like(self._growing.positions)
        self._logits = torch.empty(0)
        self._read = 0
        self._graph: torch.cuda.CUDAGraph | None = None

    def read(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, V) after one more token (B,) of each row; they are overwritten by the next."""
        self._tokens.copy_(tokens[:, None])
        self._read += 1
        if self._tokens.is_cuda and self._read == 2:  # the first one has warmed everything up
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):  # others may go on
                self._compute()
        if self._graph is None:
            self._compute()
        else:
            self._graph.replay()
        return self._logits

    def _compute(self) -> None:
        growing = self._growing
        with attending(self._model):
            self._logits = _forward(self._model, growing.reading, self._tokens, growing.positions, 1)[:, -1]
        growing.move_on()


def _kept_groups(rows: Sequence[Tokens], matches: Sequence[Match]) -> list[Group]:
    """Return the rows that begin with a kept prefix, where that is worth while; not those that share little of what the
    others do, and not where the rows share much more than the prefix has."""
    of: dict[int, list[tuple[int, int, Kept]]] = {}
    for row, match in enumerate(matches):
        kept = match.kept
        prefix = kept if kept is None or kept.shared else kept.prefix
        if prefix is not None:
            of.setdefault(id(prefix), []).append((row, min(match.common, len(prefix.tokens)), prefix))
    groups = []
    for members in of.values():
        longest = max(common for _, common, _ in members)
        near = [(row, common) for row, common, _ in members if common > longest // 2]
        length, places = min(common for _, common in near), tuple(row for row, _ in near)
        alone = min(common_length(rows[places[0]], rows[row]) for row in places) - length
        if length * len(places) >= WORTH > alone * (len(places) - 1):
            groups.append(Group(places, members[0][2], length))
    return groups


def _packed(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield rows of about one length, as many as are read at once."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: (-lengths[row], row)):
        if batch and (len(batch) + 1) * lengths[batch[0]] > AT_ONCE:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _forward(model: Any, reading: Reading, ids: torch.Tensor, positions: torch.Tensor, last: int) -> torch.Tensor:
    """Return the logits (R, last, V) of the last tokens."""
    output = model(input_ids=ids, position_ids=positions, use_cache=False, logits_to_keep=last, reading=reading)
    logits: torch.Tensor = output.logits
    return logits


@contextmanager
def attending(model: Any) -> Iterator[None]:
    """Let the model, or the base of an adapter, compute its attention with `shared_attention`."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    before = base.config._attn_implementation
    base.set_attn_implementation(NAME)
    try:
        yield
    finally:
        base.set_attn_implementation(before)


@torch.inference_mode()
def can_share(model: Any, device: str) -> bool:
    """Return whether the model gives what a plain forward pass gives when its attention is computed over a shared
    prefix and own tokens, read piece by piece."""
    config = model.config.get_text_config()
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = {of.get("rope_type") for of in [rope, *rope.values()] if isinstance(of, dict)}
    if kinds & {"dynamic", "longrope"} or not set(getattr(config, "layer_types", None) or LAYERS) <= LAYERS:
        return False  # what was read would be another once the row is longer, or is kept in a state
    if not loading.takes_positions(model):
        return False
    row = [2 + place % 5 for place in range(14)]
    ids = torch.tensor([row], device=device)
    plain = model(input_ids=ids, use_cache=False).logits[0].float().log_softmax(-1)
    try:
        found = _piecewise(model, row, device).float().log_softmax(-1)
    except (RuntimeError, TypeError, ValueError, AttributeError, KeyError):
        return False
    return float((plain[-4:] - found).abs().max()) <= ALLOWED.get(model.dtype, ALLOWED[torch.bfloat16])


def _piecewise(model: Any, row: Sequence[int], device: str) -> torch.Tensor:
    """Return the logits (4, V) of a row's last tokens: five tokens are a shared prefix, the last three come one by one,
    as they are sampled."""
    with attending(model):
        first = Reading([[]], [], 5, device)
        with first.step([0], [5]) as positions:
            _forward(model, first, torch.tensor([row[:5]], device=device), positions, 1)
        reading = Reading([[]], [SharedPrefix((0,), 5, first.own(0, 5))], len(row) - 5, device)
        with reading.step([0], [len(row) - 8]) as positions:
            found = [_forward(model, reading, torch.tensor([row[5:-3]], device=device), positions, 1)[0]]
        more = Continuation(model, reading)
        found += [more.read(torch.tensor([token], device=device)).clone() for token in row[-3:]]
    return torch.cat(found)
