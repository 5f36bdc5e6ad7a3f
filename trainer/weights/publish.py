"""Publishing weights: the learner writes a folder, engines load it, and a probe proves that they serve that policy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import PartialState
from transformers.core_model_loading import revert_weight_conversion

from rostrum.envs.files import replacing_folder
from rostrum.envs.types import TRAINED
from rostrum.trainer.models import cards, model_folders
from rostrum.trainer.rollouts.local import RolloutWorkers, Send
from rostrum.trainer.types import Policy
from rostrum.trainer.weights import finite
from rostrum.trainer.weights.logprobs import Gap, Scores, flat, gap_between

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

VALUE_HEAD = "value_head"
"""Name under which a critic is attached to the policy; it is no part of what engines serve."""
MEAN, TOKEN = 0.4, 2.0
"""What `parity_tolerance` allows: this much of it on average, and for a token this much of it x (1 + |log p|)."""


class ParityError(RuntimeError):
    """The engine and the learner disagree about the policy; training on its speeches would be off-policy unawares."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A learner's weights: the model without what wraps it for training, and its tensors by name.

    On ranks other than the first the tensors may be missing.
    """

    model: Any
    tensors: Mapping[str, torch.Tensor]


def publish(
    weights: Weights,
    tokenizer: "PreTrainedTokenizerBase",
    folder: Path,
    version: int,
    send: Send | None = None,
    name: str = TRAINED,
) -> Policy:
    """Write a policy's weights as safetensors to `folder`, all at once (every rank must call this).

    A LoRA adapter is written as an adapter folder, without its base model. With `send`, the first rank brings full
    weights to the engines besides.

    Raises:
        FiniteError: weights are NaN or infinite.
    """
    policy, model = Policy(name, version, str(folder)), weights.model
    ranks = PartialState()
    if ranks.is_main_process:
        tensors = {name: tensor for name, tensor in weights.tensors.items() if VALUE_HEAD not in name}
        finite.check(tensors, version)
        adapter = {"selected_adapters": ["default"]} if hasattr(model, "peft_config") else {}
        with replacing_folder(folder) as temporary:
            model.save_pretrained(temporary, state_dict=dict(tensors), **adapter)  # it takes tied tensors out
            tokenizer.save_pretrained(temporary)
            base = model.peft_config["default"].base_model_name_or_path if adapter else None
            model_folders.finish(temporary, cards.adapter_card(base, f"iteration {version}") if base else None)
        if send is not None:
            send(policy, _as_in_the_folder(model, tensors))
    ranks.wait_for_everyone()
    return policy


def _as_in_the_folder(model: "PreTrainedModel", weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Drop tied duplicates, and name each tensor as `save_pretrained` does."""
    once = {name: tensor for name, tensor in weights.items() if name not in model.all_tied_weights_keys}
    named: dict[str, torch.Tensor] = revert_weight_conversion(model, once)
    return named


def probe_rows(
    tokenizer: "PreTrainedTokenizerBase", rows: int = 4, length: int = 48, embedded: int | None = None
) -> list[list[int]]:
    """Return fixed rows of random tokens, of unequal lengths, among those that the model has embeddings for."""
    known = known_tokens(tokenizer, embedded)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(0, len(known), (rows, length), generator=generator).tolist()
    return [[known[place] for place in row[: length - 5 * i]] for i, row in enumerate(drawn)]


def known_tokens(tokenizer: "PreTrainedTokenizerBase", embedded: int | None = None) -> list[int]:
    """Return the ids that the tokenizer can decode, in order, below the number of embeddings if that is given: models
    often have more embeddings than their tokenizer has ids, and ids may have gaps."""
    return sorted(i for i in set(tokenizer.get_vocab().values()) if embedded is None or i < embedded)


def within(gap: Gap, tolerance: float) -> bool:
    """Return whether both sides serve the same policy, by the mean difference and by that of every token."""
    return gap.relative <= TOKEN * tolerance and gap.mean <= MEAN * tolerance


def allowed(tolerance: float) -> str:
    """Return the bounds of `within` in words."""
    return (
        f"allowed: {MEAN * tolerance:g} on average, {TOKEN * tolerance:g} x (1 + |log p|) on a token, from "
        f"parity_tolerance={tolerance:g}"
    )


def check_parity(
    learner: Scores, rows: Sequence[Sequence[int]], workers: RolloutWorkers, policy: Policy, tolerance: float
) -> Gap:
    """Return the largest gap between the learner's and any engine's log-probabilities of the rows.

    Raises:
        ParityError: it is not `within` the tolerance, or NaN.
    """
    worst = Gap(0.0, 0.0, 0.0)
    for engine in workers.logprobs(rows, policy):
        gap = gap_between(flat(learner), flat(engine))
        if not within(gap, tolerance):
            raise ParityError(
                f"After publishing version {policy.version}{_of(policy)} the engine's log-probabilities differ from the"
                f" learner's by {gap.mean:.2g} nats on average and {gap.max:.2g} at the most ({allowed(tolerance)}): "
                "check that both use the same dtype and that the engine loaded the new weights."
            )
        worst = max(worst, gap, key=lambda found: found.relative)
    return worst


def _of(policy: Policy) -> str:
    """Return which policy it is, where the run trains several."""
    return "" if policy.name == TRAINED else f" of {policy.name}"


def check_sampled(gap: Gap, tolerance: float) -> None:
    """Refuse to learn from tokens whose log-probabilities the learner finds to be others than when they were sampled.

    Raises:
        ParityError: they differ by more than `MEAN` x tolerance on average.
    """
    if not gap.mean <= MEAN * tolerance:
        raise ParityError(
            f"The learner finds other log-probabilities for the sampled tokens of its first batch than the engine "
            f"sampled them with: {gap.mean:.2g} nats away on average, {gap.max:.2g} at the most (allowed on average: "
            f"{MEAN * tolerance:g}, from parity_tolerance={tolerance:g}), so every update would start off-policy:"
            " use the same dtype on both sides, another debater.engine or another debater.model."
        )
