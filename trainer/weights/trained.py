"""Has an iteration changed the weights that it was to train?"""

import torch

from rostrum.trainer.weights.parts import held
from rostrum.trainer.weights.publish import VALUE_HEAD

Fingerprint = list[tuple[float, float]]
"""Sum and norm of every trained tensor of the policy, in float64."""


class NothingLearned(RuntimeError):
    """There was something to learn and the policy stayed as it was; the message says what to do."""


def fingerprint(model: torch.nn.Module) -> Fingerprint:
    """Return what tells the policy's trained weights from others; under ZeRO-3, of this rank's part of them."""
    found = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and VALUE_HEAD not in name:
            part = held(parameter).detach()
            norm = torch.linalg.vector_norm(part, dtype=torch.float64)
            found.append((float(part.sum(dtype=torch.float64)), float(norm)))
    return found


def check_trainable(model: torch.nn.Module) -> None:
    """Ask for a weight that training may change.

    Raises:
        NothingLearned: there is none.
    """
    if not fingerprint(model):
        raise NothingLearned(
            "Not one weight of this model is open to training: give debater.model a whole model, and debater.lora an "
            "adapter's rank if only an adapter is to be trained."
        )


def check_changed(before: Fingerprint, after: Fingerprint, learning_rate: float) -> None:
    """Compare the trained weights before and after an iteration whose rewards differed.

    Raises:
        NothingLearned: they are the same.
    """
    if before == after:
        raise NothingLearned(
            "Rewards differed, and yet this iteration has not changed one of the policy's weights, so every further "
            f"one would play the same debates: raise algorithm.learning_rate (now {learning_rate:g}), of which nothing "
            "is left when it is added to the weights."
        )
