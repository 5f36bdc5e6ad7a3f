"""Read what the rows of a micro-batch have in common once: a tree of tokens in the place of padded rows.

Rows of one question begin with the same passage. They are packed into one sequence: the prefix, then what each row has
after it, at the positions that it has in its row; a row attends to the prefix and to itself, never to its siblings.
This happens inside the backbone: ids go in as rows (B, T), and hidden states come out as rows (B, T, H), so neither the
loss nor TRL's fused head need know of it. There is no padding in it, and so no query that attends to nothing.

TRL's AsyncGRPO (`TreeRow`) and Prefix Grouper (Liu et al. 2025) do the same with kernels for GPUs; this is SDPA.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch.nn.attention.bias import causal_lower_right
from torch.nn.functional import pad, scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from rostrum.trainer.prefixes import alike

NAME = "rostrum_shared_prefix"
"""What the attention is called among transformers' implementations."""
_KEY = "shared_prefix"
"""The keyword under which the packed rows travel to the layers, also when these are computed again for a gradient."""
_NOT_SCORED = -100
"""The label of a token of which no log-probability is asked."""
_ALIKE = {torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 5e-2}
"""How far hidden states of the two ways may lie apart on a probe, by dtype, relative to the largest of them."""
_PROBE = ((1, 2, 3, 4, 5), (1, 2, 3, 6), (1, 2, 3, 4, 7, 8), (9, 8, 7, 6, 5, 4))
"""Rows on which they are compared: three with a prefix in common and one alone."""
NO_SHARING = (
    "this debater has layers that cannot attend to a prefix which several rows share; the learner reads it anew in "
    "every row"
)
_ON_TRIAL = f"{NAME}_on_trial"
"""What the attention is called while a model is tried."""


@dataclass(frozen=True, slots=True)
class Tree:
    """Rows that begin with the same tokens, by their number, and how many tokens these are."""

    rows: tuple[int, ...]
    prefix: int


@dataclass(frozen=True, slots=True)
class Spans:
    """Where a tree lies in the packed sequence: (start, length) of its prefix, and of each row's tokens after it."""

    prefix: tuple[int, int]
    branches: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Packed:
    """The rows of a micro-batch as one sequence of L tokens."""

    ids: torch.Tensor
    """(1, L)"""
    positions: torch.Tensor
    """(1, L): the place of each token in its row."""
    places: torch.Tensor
    """(B, T): where each token of the padded rows lies in the sequence; 0 for padding."""
    spans: tuple[Spans, ...]
    left_out: int = 0
    """Columns before those that are given back, of which nothing is scored."""
    masks: dict[tuple[int, int, int], torch.Tensor] = field(default_factory=dict)
    """By queries, keys and window: all layers have the same ones, which are kept for the gradient once."""


def trees(rows: Sequence[list[int]]) -> list[Tree]:
    """Return the rows in groups with a prefix in common, so that as few tokens as possible are computed.

    Each row keeps one token of its own, and a row that is alone has no prefix.
    """
    groups = alike([np.asarray(row, np.int64) for row in rows], worth=0)
    grouped = {row for members, _ in groups for row in members}
    alone = [Tree((row,), 0) for row in range(len(rows)) if row not in grouped]
    return sorted([*alone, *(Tree(tuple(members), prefix) for members, prefix in groups)], key=lambda tree: tree.rows)


def pack(ids: torch.Tensor, attention: torch.Tensor) -> Packed:
    """Return padded rows (B, T), none of them empty, as one sequence; `attention` (B, T) is 1 on what is no padding."""
    columns = [row.nonzero().squeeze(1) for row in attention.cpu()]
    rows = [row[its].tolist() for row, its in zip(ids.cpu(), columns, strict=True)]
    packed, positions, spans = list[int](), list[int](), list[Spans]()
    places = torch.zeros(ids.shape, dtype=torch.long)
    for tree in trees(rows):
        start, prefix = len(packed), tree.prefix
        packed += rows[tree.rows[0]][:prefix]
        positions += range(prefix)
        branches = []
        for row in tree.rows:
            begin, length = len(packed), len(rows[row]) - prefix
            packed += rows[row][prefix:]
            positions += range(prefix, prefix + length)
            branches.append((begin, length))
            places[row, columns[row]] = torch.tensor([*range(start, start + prefix), *range(begin, begin + length)])
        spans.append(Spans((start, prefix), tuple(branches)))
    made = torch.tensor([packed], device=ids.device), torch.tensor([positions], device=ids.device)
    return Packed(*made, places.to(ids.device), tuple(spans))


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Return the attention (B, T, heads, D) of queries (B, heads, T, D): of packed rows by their tree, of all others by
    transformers' SDPA."""
    packed: Packed | None = kwargs.pop(_KEY, None)
    if packed is None:
        found: tuple[torch.Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
        return found
    window, scale = kwargs.get("sliding_window"), kwargs.get("scaling")
    # Flash attention reads a key once for all heads that share it, and needs no mask.
    flash = query.is_cuda and query.dtype != torch.float32 and window is None
    if not flash:
        groups = query.size(1) // key.size(1)
        key, value = repeat_kv(key, groups), repeat_kv(value, groups)

    def attended(asked: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        if flash:
            return _flash(asked, keys, values, scale)
        return _causal(asked, keys, values, window, scale, packed.masks)

    # Pieces that are cut at once have their gradients put together at once.
    lengths = [length for spans in packed.spans for _, length in (spans.prefix, *spans.branches)]
    pieces = zip(*(torch.split(each, lengths, 2) for each in (query, key, value)), strict=True)
    parts = []
    for spans in packed.spans:
        asked, *shared = next(pieces)
        if spans.prefix[1]:
            parts.append(attended(asked, *shared))
        for _ in spans.branches:
            asked, *own = next(pieces)
            whole = [torch.cat(both, 2) for both in zip(shared, own, strict=True)] if spans.prefix[1] else own
            parts.append(attended(asked, *whole))
    return torch.cat(parts, 2).transpose(1, 2).contiguous(), None


def _flash(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float | None) -> torch.Tensor:
    """Return the attention (1, heads, Q, D) of the last Q of K tokens to themselves and what comes before them, on a
    GPU; keys may have fewer heads than queries."""
    before = causal_lower_right(query.size(2), key.size(2))
    return scaled_dot_product_attention(query, key, value, attn_mask=before, scale=scale, enable_gqa=True)


def _causal(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    window: int | None,
    scale: float | None,
    masks: dict[tuple[int, int, int], torch.Tensor],
) -> torch.Tensor:
    """Return what `_flash` does, as far back as the window reaches; a window is gone through in pieces, so that keys
    out of reach cost nothing."""
    count, before = query.size(2), key.size(2) - query.size(2)
    reach = min(window or key.size(2), key.size(2))
    if reach == key.size(2) and not before:
        return scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale)
    step = count if reach == key.size(2) else max(reach, 64)
    parts = []
    for start in range(0, count, step):
        end = min(start + step, count)
        first = max(before + start - reach + 1, 0)
        shape = end - start, before + end - first, reach
        if shape not in masks:
            masks[shape] = _mask(*shape, query.device)
        asked, near = query[:, :, start:end], slice(first, before + end)
        found = scaled_dot_product_attention(
            asked, key[:, :, near], value[:, :, near], attn_mask=masks[shape], scale=scale
        )
        parts.append(found)
    return torch.cat(parts, 2)


def _mask(queries: int, keys: int, reach: int, device: torch.device) -> torch.Tensor:
    """Return (Q, K), true where one of the last Q of K tokens attends to a token at most `reach` - 1 before it."""
    places = torch.arange(keys, device=device)
    back = places[keys - queries :, None] - places[None]
    return (back >= 0) & (back < reach)


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)


class SharedPrefix:
    """Packs what a causal model is asked to score with TRL's fused head, while it is `on`."""

    def __init__(self, model: Any) -> None:
        """Put hooks on the model (with its adapter, if it has one) and on its backbone."""
        self._base = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._on = False
        model.register_forward_pre_hook(self._pack, with_kwargs=True)
        model.register_forward_hook(_fill_up, with_kwargs=True)
        self._base.base_model.register_forward_hook(_spread, with_kwargs=True)

    @property
    def on(self) -> bool:
        """Whether rows are packed."""
        return self._on

    @on.setter
    def on(self, on: bool) -> None:
        self._on = on
        self._base.set_attn_implementation(NAME if on else "sdpa")

    def _pack(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Put the packed rows in the place of the padded ones, and leave only the columns that are scored."""
        attention = kwargs.get("attention_mask")
        if not self._on or not kwargs.get("fused_lm_head") or attention is None or attention.dim() != 2:
            return args, kwargs
        packed, labels = pack(kwargs["input_ids"], attention), kwargs["labels"]
        scored = (labels != _NOT_SCORED).any(0).nonzero()
        before = max(int(scored[0]) if len(scored) else labels.size(1) - 1, 1) - 1
        scored_only = replace(packed, places=packed.places[:, before:], left_out=before)
        return args, {**kwargs, **_inputs(scored_only), "labels": labels[:, before:]}


def _inputs(packed: Packed) -> dict[str, Any]:
    """Return what a backbone is given. A mask that is 4-D is passed on to the layers as it is, and ours look away."""
    nothing = packed.ids.new_ones((1, 1, 1, 1), dtype=torch.bool)
    return {
        "input_ids": packed.ids,
        "position_ids": packed.positions,
        "attention_mask": nothing,
        "use_cache": False,
        _KEY: packed,
    }


def _spread(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
    """Give hidden states (1, L, H) of packed rows back as those (B, T, H) of padded ones."""
    packed: Packed | None = kwargs.get(_KEY)
    if packed is not None:
        hidden, places = output.last_hidden_state[0], packed.places
        output["last_hidden_state"] = hidden.index_select(0, places.flatten()).unflatten(0, places.shape)
    return output


def _fill_up(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
    """Put zeros, which stand for what is not scored, where columns were left out."""
    packed: Packed | None = kwargs.get(_KEY)
    if packed is not None:
        for name, found in list(output.items()):
            if found.dim() == 2:
                output[name] = pad(found, (packed.left_out, 0))
    return output


@torch.no_grad()
def can_share(model: Any) -> bool:
    """Return whether the model gives packed rows the hidden states that it gives padded ones.

    That is tried, so it does not depend on a model's name: layers with a state or with an attention of their own, and
    windows that only a mask knows of, do not pass.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    backbone, training = base.base_model, model.training
    routed = getattr(base.config.get_text_config(), "output_router_logits", False)  # whose loss counts padded tokens
    if base.config._attn_implementation != "sdpa" or backbone is not base.get_decoder() or routed:
        return False
    model.eval()
    try:
        return _agree(base, backbone)
    except Exception:  # each model's code refuses what it does not know in its own way
        return False
    finally:
        model.train(training)
        base.set_attn_implementation("sdpa")


def _agree(base: Any, backbone: Any) -> bool:
    device, width = next(backbone.parameters()).device, max(map(len, _PROBE))
    ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in _PROBE], device=device)
    attention = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in _PROBE], device=device)
    base.set_attn_implementation(_ON_TRIAL)
    padded = backbone(input_ids=ids, attention_mask=attention, use_cache=False).last_hidden_state
    base.set_attn_implementation(NAME)
    packed = pack(ids, attention)
    shared = backbone(**_inputs(packed)).last_hidden_state[0][packed.places]
    real = attention.bool()
    apart = (padded[real] - shared[real]).abs().max()
    return bool(apart <= _ALIKE[padded.dtype] * padded[real].abs().max())


def _mask_on_trial(**kwargs: Any) -> Any:
    mask: Any = sdpa_mask(**{**kwargs, "allow_is_causal_skip": False})
    mask.window = kwargs.get("local_size")
    return mask


def _attend_on_trial(*args: Any, **kwargs: Any) -> tuple[torch.Tensor, None]:
    """Return what `attend` does.

    Raises:
        ValueError: the layer was not told of the window that its mask has.
    """
    if args[4].window != kwargs.get("sliding_window"):
        raise ValueError("the window is in the mask alone")
    return attend(*args, **kwargs)


AttentionInterface.register(_ON_TRIAL, _attend_on_trial)
AttentionMaskInterface.register(_ON_TRIAL, _mask_on_trial)
