"""Publishing weights: the learner writes a folder, engines load it, and a probe proves that they serve that policy."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from accelerate import PartialState
from transformers.core_model_loading import revert_weight_conversion

from envs.files import replacing_folder
from trainer import cards, finite, model_folders
from trainer.rollouts import Rollouts
from trainer.types import Policy

if TYPE_CHECKING:
    from accelerate import Accelerator
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

VALUE_HEAD = "value_head"
"""Name under which a critic is attached to the policy; it is no part of what engines serve."""


class ParityError(RuntimeError):
    """The engine and the learner disagree about the policy; training on its speeches would be off-policy unawares."""


Send = Callable[[Policy, Mapping[str, torch.Tensor]], None]
"""Brings weights, by name as in the policy's folder, to the engines without their having to read it."""


def publish(
    model: "PreTrainedModel", accelerator: "Accelerator | None", tokenizer: "PreTrainedTokenizerBase", folder: Path,
    version: int, send: Send | None = None,
) -> Policy:  # fmt: skip
    """Writes the policy's weights as safetensors to `folder`, all at once (every rank must call this).

    `accelerator` is the one that wrapped the model; none for a model as it was loaded. A LoRA adapter is written as an
    adapter folder, without its base model. With `send`, the first rank brings full weights to the engines besides.
    """
    policy = Policy("current", version, str(folder))
    ranks = PartialState()
    state = accelerator.get_state_dict(model) if accelerator else model.state_dict()
    if ranks.is_main_process:
        weights = {name: tensor for name, tensor in state.items() if VALUE_HEAD not in name}
        finite.check(weights, version)
        unwrapped = accelerator.unwrap_model(model) if accelerator else model
        adapter = {"selected_adapters": ["default"]} if hasattr(unwrapped, "peft_config") else {}
        with replacing_folder(folder) as temporary:
            unwrapped.save_pretrained(temporary, state_dict=dict(weights), **adapter)  # it takes tied tensors out
            tokenizer.save_pretrained(temporary)
            base = unwrapped.peft_config["default"].base_model_name_or_path if adapter else None
            model_folders.finish(temporary, cards.adapter_card(base, f"iteration {version}") if base else None)
        if send is not None:
            send(policy, _as_in_the_folder(unwrapped, weights))
    ranks.wait_for_everyone()
    return policy


def _as_in_the_folder(model: "PreTrainedModel", weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Each tensor once, though it be tied to another, and under the name that `save_pretrained` gives it."""
    once = {name: tensor for name, tensor in weights.items() if name not in model.all_tied_weights_keys}
    return revert_weight_conversion(model, once)


def probe_rows(tokenizer: "PreTrainedTokenizerBase", rows: int = 4, length: int = 48) -> list[list[int]]:
    """Fixed rows of tokens, of unequal lengths, that both sides are asked about."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, len(tokenizer), (rows, length), generator=generator)
    return [row[: length - 5 * i].tolist() for i, row in enumerate(ids)]


@torch.no_grad()
def learner_logprobs(model: torch.nn.Module, rows: Sequence[Sequence[int]]) -> list[tuple[float, ...]]:
    """Log-probability of every token but the first of each row under the learner's weights (all ranks call this)."""
    training, device = model.training, next(model.parameters()).device
    model.eval()
    scored = []
    for row in rows:
        ids = torch.tensor([list(row)], device=device)
        logits = model(input_ids=ids).logits[0, :-1].float()
        scored.append(tuple(logits.log_softmax(-1).gather(1, ids[0, 1:, None]).squeeze(1).tolist()))
    model.train(training)
    return scored


def check_parity(
    learner: list[tuple[float, ...]],
    rows: Sequence[Sequence[int]],
    rollouts: Rollouts,
    policy: Policy,
    tolerance: float,
) -> float:
    """The largest difference (nats) between the learner's and any engine's log-probabilities on the probe.

    Raises:
        ParityError: it is above the tolerance.
    """
    engines = rollouts.logprobs(rows, policy)
    differences = [
        abs(a - b) for engine in engines for mine, theirs in zip(learner, engine, strict=True)
        for a, b in zip(mine, theirs, strict=True)
    ]  # fmt: skip
    worst = float(torch.tensor(differences).max())  # unlike max(), this is NaN if any of them is
    if not worst <= tolerance:
        raise ParityError(
            f"After publishing version {policy.version} the engine's log-probabilities differ from the learner's by "
            f"{worst:.2g} nats (allowed: parity_tolerance={tolerance:g}): check that both use the same dtype and that "
            "the engine loaded the new weights."
        )
    return worst
