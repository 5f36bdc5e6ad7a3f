"""Readings as padded tensors, and the two losses of soft targets."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

IGNORED = -100
"""Label of a token that is read and not learned (the convention of `torch.nn.functional.cross_entropy`)."""


class VerdictCollator:
    """For a model that says its verdict: each reading as one sequence per answer that its target gives any share.

    A gold label makes one sequence of the reading's weight; a soft target t makes two, of t and 1 - t of it. `labels`
    are set on the verdict's tokens alone. With `both` every reading makes two sequences, A's first.
    """

    def __init__(self, pad: int) -> None:
        self._pad = pad

    def __call__(self, readings: Sequence[Mapping[str, Any]], both: bool = False) -> dict[str, torch.Tensor]:
        rows = [
            (reading["prompt_ids"], choice, share * reading["weight"])
            for reading in readings
            for choice, share in zip(reading["choice_ids"], (reading["target"], 1 - reading["target"]), strict=True)
            if both or share > 0
        ]
        return {
            "input_ids": _padded([prompt + choice for prompt, choice, _ in rows], self._pad),
            "attention_mask": _padded([[1] * len(prompt + choice) for prompt, choice, _ in rows], 0),
            "labels": _padded([[IGNORED] * len(prompt) + choice for prompt, choice, _ in rows], IGNORED),
            "weights": torch.tensor([weight for _, _, weight in rows]),
        }


class ClassCollator:
    """For a model with a class per answer: each reading as its prompt, the probabilities (2,) of A and B, and its
    weight."""

    def __init__(self, pad: int) -> None:
        self._pad = pad

    def __call__(self, readings: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        return {
            "input_ids": _padded([reading["prompt_ids"] for reading in readings], self._pad),
            "attention_mask": _padded([[1] * len(reading["prompt_ids"]) for reading in readings], 0),
            "targets": torch.tensor([[reading["target"], 1 - reading["target"]] for reading in readings]),
            "weights": torch.tensor([reading["weight"] for reading in readings]),
        }


def _padded(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
    """Return the rows as one tensor (rows, longest), padded on the right."""
    tensors = [torch.tensor(row, dtype=torch.long) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value)


def verdict_loss(log_probs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the weighted mean over readings of -Σ target(answer) log p(answer), in nats.

    `log_probs` (rows, positions) are 0 but at the verdict's tokens; the `weights` (rows,) of a reading's rows add up to
    the reading's.
    """
    return -(log_probs.sum(-1) * weights).sum() / weights.sum()


def class_loss(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the mean over readings, by their weights (readings,), of the cross-entropy (nats) of probabilities
    (readings, 2) under logits (readings, 2)."""
    costs = -(logits.float().log_softmax(-1) * targets).sum(-1)
    return (costs * weights).sum() / weights.sum()
