"""Log-probabilities by the learner's own forward pass, and how far two computations of them lie apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

Scores = list[tuple[float, ...]]
"""Log-probability of every token but the first of each row."""


@torch.no_grad()
def learner_logprobs(
    model: torch.nn.Module, rows: Sequence[Sequence[int]], autocast: bool = False, training: bool = False
) -> Scores:
    """Return the log-probability of every token but the first of each row under the learner's weights.

    All ranks call this. With `autocast` the arithmetic is in bfloat16, as it is while a model with weights in float32
    is trained so; with `training` the model is in the mode that it is trained in.
    """
    before, device = model.training, next(model.parameters()).device
    model.train(training)
    scored = []
    for row in rows:
        ids = torch.tensor([list(row)], device=device)
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            logits = model(input_ids=ids).logits[0, :-1].float()
        scored.append(tuple(logits.log_softmax(-1).gather(1, ids[0, 1:, None]).squeeze(1).tolist()))
    model.train(before)
    return scored


@dataclass(frozen=True, slots=True)
class Gap:
    """How far two computations of the same tokens' log-probabilities lie apart, in nats; NaN where one of them is."""

    mean: float
    max: float
    relative: float = 0.0
    """The largest difference of a token divided by 1 + |log p|: rounding grows with |log p|, and a token that is hardly
    ever sampled says little about the policy."""


def gap_between(ours: torch.Tensor, theirs: torch.Tensor) -> Gap:
    """Return how far two tensors of log-probabilities (N,) of the same tokens lie apart."""
    if not ours.numel():
        return Gap(0.0, 0.0, 0.0)
    apart = (ours - theirs).abs().double()
    relative = apart / (1 + torch.minimum(ours.abs(), theirs.abs()))
    return Gap(float(apart.mean()), float(apart.max()), float(relative.max()))


def flat(scores: Scores) -> torch.Tensor:
    """Return the log-probabilities of all rows as one tensor (N,)."""
    return torch.tensor([value for row in scores for value in row], dtype=torch.float64)
