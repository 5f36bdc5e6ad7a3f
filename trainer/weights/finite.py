"""Weights that are no numbers: found where they arise, before they are published or kept."""

from collections.abc import Iterable, Mapping

import torch

from rostrum.trainer.weights.parts import held


class FiniteError(RuntimeError):
    """Weights that are NaN or infinite; the message says since when, and what to do."""


def check(weights: Mapping[str, torch.Tensor] | Iterable[tuple[str, torch.Tensor]], iteration: int) -> None:
    """Refuse weights, by name, that are not all finite after the update of an iteration (0: before the first).

    Of tensors that DeepSpeed has spread over the ranks, this rank's part is looked at.

    Raises:
        FiniteError: some are NaN or infinite.
    """
    named = weights.items() if isinstance(weights, Mapping) else weights
    bad = [name for name, tensor in named if not bool(torch.isfinite(held(tensor)).all())]
    if not bad:
        return
    found = f"{len(bad)} of the policy's tensors, such as {bad[0]}, hold NaN or infinite numbers"
    if iteration == 0:
        raise FiniteError(f"Before any training {found}: give another debater.model.")
    raise FiniteError(
        f"Since the update of iteration {iteration} {found}: nothing of it was kept, and what was published before is "
        "whole; start a new run with a lower algorithm.learning_rate or algorithm.max_grad_norm."
    )
